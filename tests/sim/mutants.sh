#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Mutation test of the simulator: each patch in mutants/ is one plausible mistake in the protocol
# sources, or (fifo) in the port. The simulator must find each within the patch's limit of schedules,
# and must find nothing in the sources as they are. Usage: mutants.sh [name...]
# CC, CFLAGS, BUILD (a directory to work in) and JOBS (default 2) from the environment.
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
: "${CC:=gcc}" "${BUILD:=$root/build/mutants}" "${JOBS:=2}"
: "${CFLAGS:=-O2 -g}"
: "${CLEAN_SECONDS:=20}"
mkdir -p "$BUILD" || exit 2

# compile OBJECTS INCLUDE FILE...: compile into the directory OBJECTS.
compile() {
    objects=$1
    include=$2
    shift 2
    for file in "$@"; do
        # shellcheck disable=SC2086
        $CC -std=gnu11 $CFLAGS -w -I"$include" -I"$root/src" -I"$root/include" -I"$here" -c \
            -o "$objects/$(basename "$file" .c).o" "$file" || return 1
    done
}

# try NAME: one mutant; writes its line of the table to NAME.row.
try() {
    name=$1
    patch=$here/mutants/$name.patch
    dir=$BUILD/$name
    rule=$(sed -n 's/^rule: //p' "$patch")
    args=$(sed -n 's/^args: //p' "$patch")
    limit=$(sed -n 's/^limit: //p' "$patch")
    rm -rf "$dir" "$BUILD/$name.row"
    mkdir -p "$dir/src" && cp -r "$root/src/protocol" "$dir/src/" || exit 2
    if grep -q '^--- ' "$patch" &&
        ! patch -d "$dir" -p1 -s -F0 <"$patch" >"$dir/patch.log" 2>&1; then
        echo "STALE    $name: the patch no longer applies: $dir/patch.log" >"$BUILD/$name.row"
        return
    fi
    touched=$(sed -n 's|^+++ b/\(src/protocol/[a-z_]*\.c\).*|\1|p' "$patch")
    mkdir "$dir/o" && cp "$BUILD"/o/*.o "$dir/o/" || exit 2
    # shellcheck disable=SC2086
    if ! (cd "$dir" && compile o src $touched && $CC $CFLAGS -o sim o/*.o -lm) >"$dir/build.log" 2>&1; then
        echo "STALE    $name: does not compile: $dir/build.log" >"$BUILD/$name.row"
        return
    fi
    start=$(date +%s.%N)
    # shellcheck disable=SC2086
    "$dir/sim" --quiet --seed=1 --schedules="$limit" $args >"$dir/log" 2>&1
    status=$?
    took=$(echo "$(date +%s.%N) $start" | awk '{ printf "%.1f", $1 - $2 }')
    after=$(sed -n 's/^seed .* failed after \([0-9]*\) schedules.*/\1/p' "$dir/log")
    named=$(sed -n 's/^INVARIANT \([^(]*\).*/\1/p' "$dir/log")
    if [ "$status" = 1 ] && [ -n "$after" ]; then
        row=$(printf 'caught   %-34s %7s/%-7s %6ss  %-22s %s' "$name" "$after" "$limit" "$took" \
            "$named" "$rule")
    elif [ "$status" = 0 ]; then
        row=$(printf 'SURVIVED %-34s %7s/%-7s %6ss  %-22s %s' "$name" - "$limit" "$took" "" "$rule")
    else
        row="CRASHED  $name: status $status, see $dir/log"
    fi
    echo "$row" >"$BUILD/$name.row"
    rm -rf "$dir/sim" "$dir/o"
}

if [ "${1:-}" = --one ]; then
    try "$2"
    exit 0
fi

echo "the sources as they are:"
rm -rf "$BUILD/o"
mkdir "$BUILD/o" || exit 2
compile "$BUILD/o" "$root/src" "$here"/*.c "$root"/src/protocol/*.c "$root/src/homes.c" \
    "$root/tests/litmus/table.c" "$root/tests/litmus/judge.c" || exit 2
$CC -o "$BUILD/sim-clean" "$BUILD"/o/*.o -lm || exit 2
"$BUILD/sim-clean" --quiet --seconds="$CLEAN_SECONDS" || exit 1

if [ $# -eq 0 ]; then
    # shellcheck disable=SC2046,SC2012
    set -- $(cd "$here/mutants" && ls -- *.patch | sed 's/\.patch$//')
fi
export CC CFLAGS BUILD
printf '%s\n' "$@" | xargs -P "$JOBS" -n 1 "$0" --one
passed=0
failed=0
echo "         mutant                              schedules/limit  time   invariant              rule"
for name in "$@"; do
    cat "$BUILD/$name.row" || exit 2
    case $(cat "$BUILD/$name.row") in
    caught*) passed=$((passed + 1)) ;;
    *) failed=$((failed + 1)) ;;
    esac
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
