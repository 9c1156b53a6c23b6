#!/bin/sh
# Checks that no compiler makes. Usage: lint.sh BUILD_DIR
set -u
build=$1
failed=0
complain() {
    echo "lint: $*" >&2
    failed=1
}

# The form of the sources.
if command -v clang-format >/dev/null 2>&1; then
    for file in include/*.h src/*.[ch] src/*/*.[ch] tests/*/*.[ch] apps/*.[ch] bench/*.[ch] bench/*/*.[ch]; do
        [ -e "$file" ] || continue
        clang-format "$file" | cmp -s - "$file" || complain "$file is not formatted (make format)"
    done
else
    complain "clang-format is missing (make deps)"
fi

# The protocols are a world of their own: they may call the port and these, and nothing else.
allowed='^(hth_port_[a-z_]+|hth_homes_[a-z_]+|memcpy|memmove|memset|memcmp|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_|__cpu_model|__cpu_indicator_init|__cpu_features2|__memcpy_chk|__memset_chk|__(asan|ubsan|tsan)_[a-z0-9_]+)$'
objects=$(ls "$build"/src/protocol/*.o 2>/dev/null)
if [ -z "$objects" ]; then
    complain "no protocol objects in $build/src/protocol: build first"
else
    # shellcheck disable=SC2086
    nm -A $objects | awk '$2 != "U" && $3 ~ /^[A-Za-z]$/ {next} {print}' >/dev/null
    # shellcheck disable=SC2086
    defined=$(nm --defined-only $objects | awk 'NF == 3 {print $3}' | sort -u)
    # shellcheck disable=SC2086
    foreign=$(nm -u $objects | awk '$1 == "U" || $1 == "w" {print $2}' | sort -u |
        while read -r symbol; do
            echo "$defined" | grep -qx -- "$symbol" || echo "$symbol"
        done | grep -Ev -- "$allowed")
    [ -z "$foreign" ] || complain "the protocols call what they may not: $(echo $foreign)"
    # shellcheck disable=SC2086
    globals=$(nm $objects | awk '$2 ~ /^[BbDdCS]$/ && $3 !~ /^__/ {print $3}' | sort -u)
    [ -z "$globals" ] || complain "the protocols have globals: $(echo $globals)"
fi

# What the shared library exports.
if [ -e "$build/libhearth.so" ]; then
    exported=$(nm -D --defined-only "$build/libhearth.so" | awk '{print $3}' | grep -v '^hearth_' | grep -v '^HEARTH_')
    [ -z "$exported" ] || complain "libhearth.so exports $(echo $exported)"
fi

# What the wrappers export, and how the library itself calls MPI (net/mpi.h).
if [ -e "$build/libhearth_wrap.so" ]; then
    exported=$(nm -D --defined-only "$build/libhearth_wrap.so" | awk '{print $3}' | grep '^hth_')
    [ -z "$exported" ] || complain "libhearth_wrap.so exports $(echo $exported)"
    missing=$(awk '/^[A-Z]/ {sub(/\(.*/, ""); n = split($0, name, "|"); for (i = 1; i <= n; i++) print "MPI_" name[i]}' src/wrap/calls.table |
        while read -r name; do
            nm -D --defined-only "$build/libhearth_wrap.so" | grep -qw "$name" || echo "$name"
        done)
    [ -z "$missing" ] || complain "libhearth_wrap.so lacks $(echo $missing)"
fi
if [ -e "$build/libhearth.o" ]; then
    called=$(nm -u "$build/libhearth.o" | awk '$2 ~ /^MPI_[A-Z][a-z]/ {print $2}')
    [ -z "$called" ] || complain "the library calls $(echo $called), not PMPI_..."
fi

# Only net/ and sync.c know MPI; only vm/ and fault.c know mappings and signals; only topology.c hwloc.
for file in $(grep -lE '\bMPI_[A-Z]' src/*.c src/protocol/* src/vm/*); do
    case $file in src/life.c) ;; *) grep -qE '^[^/*"]*\bMPI_[A-Z][a-z]+\(' "$file" && complain "$file calls MPI" ;; esac
done
for file in $(grep -lE '\b(mprotect|mmap)\(' src/*.c src/protocol/* src/net/*); do
    case $file in src/pool.c) ;; *) complain "$file maps memory" ;; esac
done
for file in $(grep -l 'hwloc\.h' src/*.c src/*/*.c); do
    [ "$file" = src/topology.c ] || complain "$file uses hwloc"
done

# Sizes: a file that is longer than this is two files.
for file in src/*.[ch] src/*/*.[ch] tests/*/*.[ch] apps/*.[ch] bench/*.[ch] bench/*/*.[ch]; do
    [ -e "$file" ] || continue
    lines=$(wc -l <"$file")
    [ "$lines" -le 520 ] || complain "$file has $lines lines"
done

[ $failed = 0 ] && echo "lint: nothing to complain of"
exit $failed
