#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Programs that touch what they must not: how they end, and with what words.
#
# run_faults.sh [BUILD]   the program is BUILD/tests/mpi/test_faults (default: build)
# MPIRUN  how to start a job (default "mpirun --oversubscribe")
# V=1     show every program's output
set -u

BUILD=${1:-${BUILD:-build}}
MPIRUN=${MPIRUN:-mpirun --oversubscribe}
program=$BUILD/tests/mpi/test_faults
limit=20
passed=0
failed=0
output=$(mktemp)
trap 'rm -f "$output"' EXIT
if [ "$(id -u)" = 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
# No word of how memory is reached: only of what the program does wrong.
export HEARTH_LOG=error
# No core files of deaths that are meant.
# shellcheck disable=SC3045
ulimit -c 0

# judge NAME: count the last run, by $why (empty: it passed).
judge() {
    seconds=$(($(date +%s) - began))
    if [ -z "$why" ]; then
        passed=$((passed + 1))
        printf '%-44s %3d s  ok\n' "$1" "$seconds"
    else
        failed=$((failed + 1))
        printf '%-44s %3d s  FAILED: %s\n' "$1" "$seconds" "$why"
    fi
    if [ -n "$why" ] || [ -n "${V:-}" ]; then
        sed 's/^/    | /' "$output"
    fi
}

# job PES MODE [PROTOCOL]: run it; its exit status is in $status.
job() {
    pes=$1
    shift
    began=$(date +%s)
    why=
    # shellcheck disable=SC2086
    timeout -k 5 $limit $MPIRUN -np "$pes" "$program" "$@" >"$output" 2>&1 </dev/null
    status=$?
    if [ $status -eq 124 ] || [ $status -eq 137 ]; then
        why="still running after $limit s"
    fi
}

complain() {
    [ -n "$why" ] || why=$1
}

must_die() {
    [ "$status" -ne 0 ] || complain "the job ended with 0"
    ! grep -q 'survived\|NOTHING HAPPENED' "$output" || complain "the job lived on"
}

# By SIGSEGV as if there were no Hearth, and mpirun says so; the library is silent.
must_die_of_segv() {
    must_die
    grep -qi 'signal 11\|segmentation fault' "$output" || complain "no word of signal 11"
    # As a shell reports the signal, or as MPICH's mpiexec does.
    [ "$status" -eq 139 ] || [ "$status" -eq 11 ] || complain "exit status $status, not 139"
    ! grep -qi 'hearth: ' "$output" || complain "the library spoke"
}

must_live() {
    [ "$status" -eq 0 ] || complain "exit status $status"
    grep -q survived "$output" || complain "the program did not come to its end"
}

# must_explain ACCESS REGION: one message that has PE, address, kind of access and region.
must_explain() {
    must_die
    culprit=$(sed -n 's/^TOUCHING PE=\([0-9]*\) .*/\1/p' "$output")
    decimal=$(sed -n 's/^TOUCHING .*DECIMAL=\([0-9]*\)$/\1/p' "$output")
    hex=$(printf '%x' "${decimal:-0}")
    lines=$(grep -ci "0x0*$hex" "$output")
    [ "$lines" -ge 1 ] || complain "the address 0x$hex is not named"
    [ "$lines" -eq 1 ] || complain "the address is named $lines times"
    grep -iw "PE $culprit" "$output" | grep -qi "hearth" || complain "'PE $culprit' is not named"
    grep -qiw "$1" "$output" || complain "no '$1'"
    grep -v '^TOUCHING' "$output" | grep -q "$2" || complain "region '$2' is not named"
    ! grep -q 'signal 11' "$output" || complain "it died by the signal, too"
}

if [ ! -x "$program" ]; then
    echo "no $program" >&2
    exit 2
fi

for pes in 1 2; do
    for mode in null ignored; do
        job "$pes" $mode
        must_die_of_segv
        judge "$mode, $pes PEs"
    done
done

for pes in 1 2 3; do
    for mode in handler handler-plain fork; do
        for protocol in invalidate update; do
            job "$pes" $mode $protocol
            must_live
            judge "$mode $protocol, $pes PEs"
        done
    done
done

for pes in 1 2; do
    for protocol in invalidate update; do
        for access in read write; do
            for place in unallocated freed past-end nowhere; do
                job "$pes" $place-$access $protocol
                must_explain $access victim
                judge "$place-$access $protocol, $pes PEs"
            done
        done
    done
done

for pes in 2 3; do
    for mode in abort exit; do
        job "$pes" $mode
        must_die
        judge "$mode, $pes PEs"
    done
done

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
