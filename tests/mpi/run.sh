#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Run the MPI tests: each program with each number of PEs; run_faults.sh and run_hang.sh.
#
# run.sh [BUILD [PROGRAM...]]
#   BUILD    the programs are in BUILD/tests/mpi (default: build)
#   PROGRAM  names as in tests/mpi (test_basic ...); default: all, and the two scripts
# ENDS=no  by default not the scripts, whose jobs die or hang
# MPIRUN   how to start a job (default "mpirun --oversubscribe")
# PES      numbers of PEs (default "1 2 3 4 7")
# FILTER   handed to the programs: run only tests whose name has this in it
# HEARTH_TEST_SECONDS   the time limit of a program (default 120); timeout(1) comes 30 s later
# HEARTH_TEST_PERCENT   how much of what is repeated often (default 100)
# V=1      show every program's output
set -u

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/lib.sh
. "$here/../lib.sh"
BUILD=${1:-${BUILD:-build}}
[ $# -eq 0 ] || shift
MPIRUN=${MPIRUN:-mpirun --oversubscribe}
PES=${PES:-1 2 3 4 7}
soak=${HEARTH_TEST_SECONDS_RANDOM:-0}
limit=$((${HEARTH_TEST_SECONDS:-120} + 30 + 3 * soak))
if [ $# -eq 0 ]; then
    for source in "$here"/test_*.c; do
        case ${ENDS:-yes}/$source in
        no/*/test_faults.c | no/*/test_hang.c) ;;
        *) set -- "$@" "$(basename "$source" .c)" ;;
        esac
    done
fi

# Why a run failed, in a line.
reason() {
    case $1 in
    124) echo "out of time" ;;
    137) echo "out of time, killed by timeout(1)" ;;
    139) echo "SIGSEGV" ;;
    *) echo "exit status $1" ;;
    esac
}

# run NAME PES: one job, one line.
run() {
    verdict=ok
    began=$(date +%s%N)
    # shellcheck disable=SC2086
    timeout -k 10 $limit $MPIRUN -np "$2" "$BUILD/tests/mpi/$1" ${FILTER:+"$FILTER"} \
        >"$output" 2>&1 </dev/null
    status=$?
    ended=$(date +%s%N)
    # A program that says it passed must also have said what it did.
    if [ $status -ne 0 ]; then
        verdict="FAILED: $(reason $status)"
    elif ! grep -q asserts "$output"; then
        verdict="FAILED: no summary"
    fi
    printf '%-16s %2d PEs %8.2f s  %s\n' "$1" "$2" "$(((ended - began) / 10000000))e-2" "$verdict"
    if [ "$verdict" = ok ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        failures="$failures$1, $2 PEs: ${verdict#FAILED: }
"
    fi
    if [ "$verdict" != ok ] || [ -n "${V:-}" ]; then
        sed 's/^/    | /' "$output"
    fi
}

# The programs that are meant to die or to hang have a script each, whose count is added to ours.
run_script() {
    sh "$here/$1" "$BUILD" >"$output" 2>&1
    absorb
}

for name in "$@"; do
    case $name in
    test_faults | test_hang)
        run_script "run_${name#test_}.sh"
        continue
        ;;
    esac
    for pes in $PES; do
        run "$name" "$pes"
    done
done

tally
