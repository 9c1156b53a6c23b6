#!/bin/sh
# Install into a folder. Usage: install.sh BUILD_DIR TO PREFIX VERSION
# TO is PREFIX, or PREFIX below DESTDIR.
set -eu
build=$1 to=$2 prefix=$3 version=$4
major=${version%%.*}

mkdir -p "$to/include/hearth" "$to/lib/pkgconfig" "$to/bin"
install -m 644 include/hearth*.h "$to/include"
install -m 644 include/hearth/parmacs.m4 "$to/include/hearth"
install -m 755 "$build/hearth-info" "$to/bin"
for library in libhearth libhearth_wrap; do
    install -m 644 "$build/$library.a" "$to/lib"
    install -m 755 "$build/$library.so.$version" "$to/lib"
    ln -sf "$library.so.$version" "$to/lib/$library.so.$major"
    ln -sf "$library.so.$version" "$to/lib/$library.so"
done

# Two descriptions: with the wrappers of MPI and system calls, and without. The linker must not leave
# the wrappers out because the program itself makes no such call: its libraries may.
describe() { # describe NAME LINK_FIRST
    cat >"$to/lib/pkgconfig/$1.pc" <<EOF
prefix=$prefix
includedir=\${prefix}/include
libdir=\${prefix}/lib

Name: $1
Description: One shared address space for the processes of an MPI job
Version: $version
Cflags: -I\${includedir}
Libs: -L\${libdir} -Wl,-rpath,\${libdir} $2-lhearth
Libs.private: -lhwloc -lpthread -ldl -lmpi
EOF
}
describe hearth "-Wl,--push-state,--no-as-needed -lhearth_wrap -Wl,--pop-state "
describe hearth-no-wrap ""

sed -e "s|@PREFIX@|$prefix|" -e "s|@MPICC@|${MPICC:-mpicc}|" .ci/hearthcc.in >"$to/bin/hearthcc"
chmod 755 "$to/bin/hearthcc"
echo "installed in $to"
