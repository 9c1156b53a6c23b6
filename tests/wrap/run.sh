#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# MPI calls and system calls on shared buffers: each program of tests/wrap with each number of PEs.
#
# run.sh [BUILD [PROGRAM...]]
#   BUILD    the programs are in BUILD/tests/wrap (default: build)
#   PROGRAM  test_messages ...; default: all
# MPIRUN   how to start a job (default "mpirun --oversubscribe")
# PES      numbers of PEs (default "1 2 3 4")
# V=1      show every program's output
set -u

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/lib.sh
. "$here/../lib.sh"
BUILD=${1:-${BUILD:-build}}
[ $# -eq 0 ] || shift
MPIRUN=${MPIRUN:-mpirun --oversubscribe}
PES=${PES:-1 2 3 4}

# job PES PROGRAM: its exit status is in $status.
job() {
    began=$(date +%s)
    why=
    # shellcheck disable=SC2086
    timeout -k 10 150 $MPIRUN -np "$1" "$BUILD/tests/wrap/$2" >"$output" 2>&1 </dev/null
    status=$?
    [ $status -ne 124 ] && [ $status -ne 137 ] || why="out of time"
}

# Open MPI: with its usual way of doing files, nonblocking ones crash beside a second thread in MPI.
case ${MPICC:-mpicc} in
*mpich*) ;;
*) export OMPI_MCA_io=romio321 ;;
esac

if [ $# -eq 0 ]; then
    for source in "$here"/test_*.c; do
        set -- "$@" "$(basename "$source" .c)"
    done
    # A PE alone has its own memory.
    job 2 bare
    [ "$status" -ne 0 ] || complain "it went well"
    # Where the other PE's MPI has the kernel copy from this one, as UCX does, there is no fault here
    # to be seen, and it ends by itself.
    grep -q 'Link libhearth_wrap\|process_vm_readv.*Bad address' "$output" ||
        complain "the remedy is not named"
    ! grep -q 'EFAULT\|NOTHING' "$output" || complain "other words than expected"
    judge "without libhearth_wrap, 2 PEs"
fi
for name in "$@"; do
    for pes in $PES; do
        job "$pes" "$name"
        [ "$status" -eq 0 ] || complain "exit status $status"
        grep -q asserts "$output" || complain "no summary"
        judge "$name, $pes PEs"
    done
done
tally
