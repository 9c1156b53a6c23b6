#!/bin/sh
# Install into a folder. Usage: install.sh BUILD_DIR TO PREFIX VERSION
# TO is PREFIX, or PREFIX below DESTDIR.
set -eu
build=$1 to=$2 prefix=$3 version=$4
major=${version%%.*}

mkdir -p "$to/include" "$to/lib/pkgconfig" "$to/bin"
install -m 644 include/hearth.h include/hearth_mpi.h "$to/include"
install -m 755 "$build/hearth-info" "$to/bin"
install -m 644 "$build/libhearth.a" "$to/lib"
install -m 755 "$build/libhearth.so.$version" "$to/lib"
ln -sf "libhearth.so.$version" "$to/lib/libhearth.so.$major"
ln -sf "libhearth.so.$version" "$to/lib/libhearth.so"

cat >"$to/lib/pkgconfig/hearth.pc" <<EOF
prefix=$prefix
includedir=\${prefix}/include
libdir=\${prefix}/lib

Name: hearth
Description: One shared address space for the processes of an MPI job
Version: $version
Cflags: -I\${includedir}
Libs: -L\${libdir} -Wl,-rpath,\${libdir} -lhearth
Libs.private: -lhwloc -lpthread -lmpi
EOF

cat >"$to/bin/hearthcc" <<EOF
#!/bin/sh
# mpicc with what Hearth needs. \`hearthcc --showme\` prints the command.
exec ${MPICC:-mpicc} -I"$prefix/include" "\$@" -L"$prefix/lib" -Wl,-rpath,"$prefix/lib" -lhearth
EOF
chmod 755 "$to/bin/hearthcc"
echo "installed in $to"
