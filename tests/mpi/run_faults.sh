#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Programs that touch what they must not: how they end, and with what words.
#
# run_faults.sh [BUILD]   the program is BUILD/tests/mpi/test_faults (default: build)
# MPIRUN  how to start a job (default "mpirun --oversubscribe")
# V=1     show every program's output
set -u

# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
BUILD=${1:-${BUILD:-build}}
MPIRUN=${MPIRUN:-mpirun --oversubscribe}
program=$BUILD/tests/mpi/test_faults
limit=90
# No word of how memory is reached: only of what the program does wrong.
export HEARTH_LOG=error
# No core files of deaths that are meant.
# shellcheck disable=SC3045
ulimit -c 0

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

must_die() {
    [ "$status" -ne 0 ] || complain "the job ended with 0"
    ! grep -q 'survived\|NOTHING HAPPENED' "$output" || complain "the job lived on"
}

# must_die_of NUMBER NAME: by the signal as if there were no Hearth, and mpirun says so; the library is
# silent.
must_die_of() {
    must_die
    grep -qi "signal $1\|$2" "$output" || complain "no word of signal $1"
    # As a shell reports the signal; or as MPICH's mpiexec does, which ORs it, now and then, with the 9
    # of the PEs that it kills then.
    case $status in
    $((128 + $1)) | "$1" | $(($1 | 9))) ;;
    *) complain "exit status $status" ;;
    esac
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
        must_die_of 11 "segmentation fault"
        judge "$mode, $pes PEs"
    done
    job "$pes" bus
    must_die_of 7 "bus error"
    judge "bus, $pes PEs"
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

tally
