#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Programs in the ANL macros: each built with hearthcc --parmacs, and by the two commands that
# docs/parmacs.md names; run under both release protocols with 1, 2 and 4 PEs; and what goes wrong.
#
# run.sh [BUILD]
# MPIRUN  how to start a job (default "mpirun --oversubscribe")
set -u

BUILD=${1:-build}
MPIRUN=${MPIRUN:-mpirun --oversubscribe}
MPICC=${MPICC:-mpicc}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0
failed=0
if [ "$(id -u)" = 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi

# judge NAME WHY: empty if it passed.
judge() {
    if [ -z "$2" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "parmacs: $1: $2"
        head -n 40 "$work/out" | sed 's/^/    | /'
    fi
}

# build NAME COMMAND...
build() {
    name=$1
    shift
    if "$@" >"$work/out" 2>&1; then
        judge "$name" ""
    else
        judge "$name" "failed"
    fi
}

# job PES COMMAND...: standard output must be $work/want, but for the order of lines (mpirun brings
# those of several PEs together as they come); $input is its standard input.
job() {
    pes=$1
    shift
    # shellcheck disable=SC2086
    (cd "$work" && timeout -k 5 60 $MPIRUN -np "$pes" "$@" <"$input" >out 2>err)
    status=$?
    why=
    [ $status -eq 0 ] || why="exit status $status"
    sort "$work/out" >"$work/sorted"
    sort "$work/want" | cmp -s - "$work/sorted" || why="${why:-other words than expected}"
    cat "$work/err" >>"$work/out"
    judge "$* with $pes PEs, ${HEARTH_PROTOCOL:-}" "$why"
}

build "make install" make --no-print-directory -C "$here/../.." B="$BUILD" PREFIX="$work/hearth" install
cc=$work/hearth/bin/hearthcc
for program in memory locks statics; do
    build "$program" "$cc" --parmacs -O2 -Wall -Werror "$here/$program.C" -o "$work/$program"
done
build waits "$cc" --parmacs -O2 -Wall -Werror "$here/waits.C" "$here/waits_work.C" -o "$work/waits"
build "two commands" sh -c "m4 $work/hearth/include/hearth/parmacs.m4 $here/memory.C >$work/two.c &&
    $cc -O2 -Wall -Werror $work/two.c -o $work/two"
build "spawn, in C" "$cc" -O2 -Wall -Wextra -Wshadow -Werror "$here/spawn.c" -o "$work/spawn"

build globals "$cc" --parmacs --shared-globals -O2 -Wall -Werror "$here/globals.C" -o "$work/globals"

# lines N LINE: N times, at the end of what is wanted.
lines() {
    i=0
    while [ $i -lt "$1" ]; do
        echo "$2"
        i=$((i + 1))
    done >>"$work/want"
}

# statics_say PES: what statics.C prints, in order.
statics_say() {
    echo header
    seq -f 'worker %.0f' 0 $(($1 - 1))
    echo end
}

# Where a process may switch the randomisation of addresses off, globals.C insists on it.
if setarch -R true 2>/dev/null; then
    export SAME_ADDRESSES=1
fi
(echo 5000 77 && seq 1 5000) >"$work/input"
for HEARTH_PROTOCOL in invalidate update; do
    export HEARTH_PROTOCOL
    for pes in 1 2 4; do
        input=/dev/null
        printf 'begun with 101\ndone %d\n' $pes >"$work/want"
        job $pes ./memory $pes
        [ $pes != 2 ] || job $pes ./two $pes
        input=$work/input
        printf 'sum of nothing\nsum 12502500 again %d seed 77\n' $pes >"$work/want"
        job $pes ./waits $pes waits.bin
        input=/dev/null
        statics_say $pes >"$work/want"
        job $pes ./statics $pes
        printf 'found %d sum %d next %d\n' $pes $((1000 + 25 * pes * (pes + 1))) $pes >"$work/want"
        lines 1 worker
        job $pes ./globals $pes
    done
done
unset HEARTH_PROTOCOL
for setting in HEARTH_CONSISTENCY=sequential HEARTH_PAGE_BYTES=65536 HEARTH_PAGER=mprotect; do
    printf 'found 3 sum 1300 next 3\nworker\n' >"$work/want"
    input=/dev/null
    job 3 env $setting ./globals 3
done

input=/dev/null
for pes in 1 2 3 4; do
    echo before >"$work/want"
    job $pes ./spawn early
    lines $((3 * pes)) "a worker"
    echo after >>"$work/want"
    job $pes ./spawn
done
lines 3 "a worker"
job 4 sh -c './spawn unjoined'

# What main has printed comes before what workers print, where output goes to a file too.
why=
for _ in 1 2 3; do
    rm -f "$work/appended"
    # shellcheck disable=SC2016,SC2086
    timeout -k 5 60 $MPIRUN -np 3 sh -c 'exec "$0" 3 >>"$1"' "$work/statics" "$work/appended" \
        >"$work/out" 2>&1 </dev/null || why="exit status $?"
    statics_say 3 | cmp - "$work/appended" >>"$work/out" 2>&1 ||
        why="${why:-not in order}"
done
judge "output in order" "$why"

# A worker that calls exit ends the program.
# shellcheck disable=SC2086
timeout -k 5 60 $MPIRUN -np 3 "$work/spawn" worker-exits >"$work/out" 2>&1 </dev/null
status=$?
why=
[ $status -ne 0 ] && [ $status -ne 124 ] || why="exit status $status"
! grep -q after "$work/out" || why="it lived on"
judge "a worker that exits" "$why"

# Built in other ways, the globals cannot be shared, and the program says why.
refused() { # refused WORDS FLAGS...
    words=$1
    shift
    if "$cc" --parmacs -DHEARTH_SHARED_GLOBALS "$@" "$here/globals.C" -o "$work/refused" >"$work/out" 2>&1; then
        # shellcheck disable=SC2086
        timeout -k 5 60 $MPIRUN -np 2 "$work/refused" 2 >"$work/out" 2>&1 </dev/null
        status=$?
        why=
        [ $status -ne 0 ] && [ $status -ne 124 ] || why="exit status $status"
        grep -q "hearth_share_globals: $words.*hearthcc --shared-globals" "$work/out" || why="no message"
    else
        why="does not build"
    fi
    judge "globals with $*" "$why"
}
refused "the program has a copy of a library's variable: stderr" -fno-pic -no-pie -Wl,-z,relro,-z,now
refused "the program is not linked with -z now" -fPIC -no-pie -Wl,-z,lazy
refused "the program has no RELRO" -fPIC -no-pie -Wl,-z,norelro
# Where addresses are randomised, that is.
echo 'void hearth_same_addresses(char **argv) { (void)argv; }' >"$work/random.c"
unset SAME_ADDRESSES
refused "the program lies elsewhere" -fPIC -pie -Wl,-z,relro,-z,now "$work/random.c"

# A lock-heavy program: 100,000 lock operations on 1,000 locks. Where one-sided operations go by
# messages (MPICH, HEARTH_RMA=relay) each takes round trips, and the bound does not hold.
began=$(date +%s)
# shellcheck disable=SC2086
timeout -k 5 60 $MPIRUN -np 4 "$work/locks" 4 100000 >"$work/out" 2>&1 </dev/null
took=$(($(date +%s) - began))
why=
grep -q '^counted 100000 in' "$work/out" || why="it did not count to the end"
most=10
if [ "${HEARTH_RMA:-}" = relay ] || grep -q 'reached by messages' "$work/out"; then
    most=60
fi
[ $took -lt $most ] || why="${why:-it took $took s, not under $most}"
judge "100,000 lock operations by 4 PEs" "$why"
grep '^counted' "$work/out"

# More workers than PEs: a message that says what to do, and an end.
# shellcheck disable=SC2086
timeout -k 5 60 $MPIRUN -np 2 "$work/locks" 3 100 >"$work/out" 2>&1 </dev/null
status=$?
why=
[ $status -ne 0 ] && [ $status -ne 124 ] || why="exit status $status"
grep -q 'locks.C:[0-9]*: CREATE: hearth_spawn: 2 workers.*mpirun -np 3' "$work/out" || why="no message"
judge "more workers than PEs" "$why"

echo "parmacs: $passed passed, $failed failed"
[ "$failed" = 0 ]
