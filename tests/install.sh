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

# libhearth_wrap: linked unless left out, shared and static; read(2) into a page that is homed
# elsewhere tells which. With _FORTIFY_SOURCE, as distributions build.
cat >wrap.c <<'EOF'
#include <errno.h>
#include <fcntl.h>
#include <hearth.h>
#include <mpi.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    int wrapped = argc > 1 && strcmp(argv[1], "wrapped") == 0;
    int level;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &level);
    if (hearth_init(&argc, &argv) != 0)
        return 2;
    char(*pages)[4096] = hearth_calloc((size_t)hearth_n_pes(), sizeof *pages);
    char *page = pages[(hearth_my_pe() + 1) % hearth_n_pes()];
    int fd = open("/dev/zero", O_RDONLY);
    errno = 0;
    ssize_t n = read(fd, page, sizeof *pages);
    if (n != (wrapped ? 4096 : -1) || errno != (wrapped ? 0 : EFAULT))
        return 3;
    if (wrapped)
        MPI_Bcast(page, 4096, MPI_CHAR, 0, MPI_COMM_WORLD);
    if (hearth_finalize() != 0)
        return 4;
    MPI_Finalize();
    return 0;
}
EOF
step "hearthcc with libhearth_wrap" sh -c "$work/hearth/bin/hearthcc -O2 -D_FORTIFY_SOURCE=2 wrap.c -o wrap_shared"
step "hearthcc --no-wrap" sh -c "$work/hearth/bin/hearthcc --no-wrap -O2 wrap.c -o wrap_none"
step "pkg-config with libhearth_wrap" sh -c "${MPICC:-mpicc} -O2 wrap.c -o wrap_pc \$(pkg-config --cflags --libs hearth)"
step "pkg-config hearth-no-wrap" sh -c "${MPICC:-mpicc} wrap.c -o wrap_none_pc \$(pkg-config --cflags --libs hearth-no-wrap)"
step "both libraries static" sh -c "$work/hearth/bin/hearthcc -c wrap.c -o wrap.o && ${MPICC:-mpicc} wrap.o \
    $work/hearth/lib/libhearth_wrap.a $work/hearth/lib/libhearth.a -lhwloc -lpthread -ldl -o wrap_static"
for program in "wrap_shared wrapped" wrap_none "wrap_pc wrapped" wrap_none_pc "wrap_static wrapped"; do
    step "$program" sh -c "timeout 60 ${MPIRUN:-mpirun} -n 2 ./$program"
done
step "hearth-info is installed" sh -c "$work/hearth/bin/hearth-info --version | grep -q '^Hearth '"
step "C++ takes the headers" sh -c "printf '#include <hearth.h>\nint main() { return hearth_strerror(0) == 0; }\n' > cxx.cc &&
    if command -v g++ >/dev/null; then g++ -Wall -Werror cxx.cc -o cxx \$(pkg-config --cflags --libs hearth); fi"

echo "install: $passed passed, $failed failed"
[ "$failed" = 0 ]
