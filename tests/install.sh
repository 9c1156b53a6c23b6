#!/bin/sh
# What an installed Hearth must do: a program outside of the tree compiles with pkg-config and with
# hearthcc, against either library, and runs. Usage: tests/install.sh BUILD_DIR
set -u
build=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

step() { # step NAME COMMAND...
    name=$1
    shift
    if "$@" >"$work/out" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "install: $name failed:"
        sed 's/^/    /' "$work/out"
    fi
}

# README's example is the program: what README shows must work.
awk '/^```c$/ {on = 1; next} /^```$/ {on = 0} on' README.md >"$work/example.c"
step "README has an example" test -s "$work/example.c"
step "make install" make --no-print-directory B="$build" PREFIX="$work/hearth" install
export PKG_CONFIG_PATH="$work/hearth/lib/pkgconfig"
cd "$work" || exit 1
# shellcheck disable=SC2046
step "cc with pkg-config" sh -c "${CC:-cc} example.c -o with_pc \$(pkg-config --cflags --libs hearth)"
step "hearthcc" "$work/hearth/bin/hearthcc" -Wall -Werror example.c -o with_hearthcc
step "hearthcc, static library" sh -c "$work/hearth/bin/hearthcc -c example.c -o example.o &&
    ${MPICC:-mpicc} example.o $work/hearth/lib/libhearth.a -lhwloc -lpthread -o with_static"
for program in with_pc with_hearthcc with_static; do
    step "$program runs" sh -c "timeout 60 ${MPIRUN:-mpirun} -n 3 ./$program"
done
step "hearth-info is installed" sh -c "$work/hearth/bin/hearth-info --version | grep -q '^Hearth '"
step "C++ takes the headers" sh -c "printf '#include <hearth.h>\nint main() { return hearth_strerror(0) == 0; }\n' > cxx.cc &&
    if command -v g++ >/dev/null; then g++ -Wall -Werror cxx.cc -o cxx \$(pkg-config --cflags --libs hearth); fi"

echo "install: $passed passed, $failed failed"
[ "$failed" = 0 ]
