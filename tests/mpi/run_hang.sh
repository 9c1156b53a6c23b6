#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Programs that hang, or lose a PE: what the watchdog says of the first, and how the second end.
#
# run_hang.sh [BUILD]   the program is BUILD/tests/mpi/test_hang (default: build)
# MPIRUN  how to start a job (default "mpirun --oversubscribe")
# V=1     show every program's output
set -u

BUILD=${1:-${BUILD:-build}}
MPIRUN=${MPIRUN:-mpirun --oversubscribe}
program=$BUILD/tests/mpi/test_hang
limit=40
passed=0
failed=0
output=$(mktemp)
trap 'rm -f "$output"' EXIT
if [ "$(id -u)" = 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
# shellcheck disable=SC3045
ulimit -c 0
unset HEARTH_WATCHDOG
export HEARTH_LOG=error # no warning that one-sided operations go by messages: words are counted
# What Hearth might leave behind; others' jobs may run on this machine, so by name.
left() {
    find /dev/shm /tmp -maxdepth 1 -iname '*hearth*' ! -name 'hearth_test_*' 2>/dev/null | sort
}
before=$(left)

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
        head -n 200 "$output" | sed 's/^/    | /'
    fi
}

complain() {
    [ -n "$why" ] || why=$1
}

# job PES MODE: run it; its exit status is in $status.
job() {
    pes=$1
    began=$(date +%s)
    why=
    # shellcheck disable=SC2086
    timeout -k 5 $limit $MPIRUN -np "$pes" "$program" "$2" >"$output" 2>&1 </dev/null
    status=$?
    [ $status -ne 124 ] || complain "still running after $limit s"
    [ "$(left)" = "$before" ] || complain "something of Hearth's was left behind: $(left)"
}

# hang PES MODE [SECONDS]: with the watchdog at SECONDS.
hang() {
    if [ -n "${3:-}" ]; then
        export HEARTH_WATCHDOG="$3"
    fi
    job "$1" "$2"
    unset HEARTH_WATCHDOG
    # The watchdog ends nothing.
    [ "$status" -eq 0 ] || complain "exit status $status"
    grep -q survived "$output" || complain "the program did not come to its end"
}

# says PE PATTERN: a line of that PE's watchdog.
says() {
    grep "^hearth: PE $1: watchdog: .*" "$output" | grep -q -- "$2" ||
        complain "PE $1's watchdog does not say '$2'"
}

# must_end MOST: with a failure, and at most so many words of ours.
must_end() {
    [ "$status" -ne 0 ] || complain "the job ended with 0"
    ! grep -q survived "$output" || complain "the job lived on"
    lines=$(grep -c '^hearth: ' "$output")
    [ "$lines" -le "$1" ] || complain "$lines messages, not $1"
    [ $(($(date +%s) - began)) -le 20 ] || complain "it took too long"
}

if [ ! -x "$program" ]; then
    echo "no $program" >&2
    exit 2
fi

# --- what hangs explains itself, and goes on when it can ---

for pes in 2 3; do
    last=$((pes - 1))
    hang $pes barrier 1
    says 0 "in hearth_barrier_all for all PEs, collective [0-9]*; not come yet: PE $last\$"
    says 0 'waits for 1\.[0-9] s, since [0-9:]* UTC'
    says 0 'waits for 2\.[0-9] s'
    lines=$(grep -c "^hearth: PE 0: watchdog" "$output")
    [ "$lines" -le 3 ] || complain "$lines lines of PE 0, in 3 seconds"
    judge "barrier, $pes PEs"

    hang $pes lock 1
    says 0 "in hearth_lock_acquire for lock 0x[0-9a-f]*, made by PE 0, .* in region 'heap'"
    says 0 "held by PE $last\$"
    judge "lock, $pes PEs"

    hang $pes turn 1
    says $last "in hearth_lock_acquire for lock .*; held by PE $last\$"
    judge "lock, two threads of a PE, $pes PEs"

    hang $pes fault 1
    says 0 "in a read for page $last .* of region 'victim', invalid here, home PE $last, sequential"
    says 0 "no answer .*from PE $last\$"
    judge "fault, the home is stopped, $pes PEs"

    hang $pes owner 1
    says 0 "in a read for page 0 .* of region 'victim', away here, home PE 0, sequential"
    says 0 "for its home, PE $last has it; no answer .*from PE $last\$"
    judge "fault, the owner is stopped, $pes PEs"

    hang $pes signal
    says 0 'no thread of this PE waits'
    says 1 'not come yet: PE 0$'
    lines=$(grep -c '^hearth: ' "$output")
    [ "$lines" -eq $pes ] || complain "$lines lines, not one a PE"
    judge "SIGUSR2, $pes PEs"

    hang $pes barrier
    ! grep -q watchdog "$output" || complain "the watchdog speaks unasked"
    judge "no watchdog, $pes PEs"

    for mode in own own-before; do
        hang $pes $mode
        ! grep -q watchdog "$output" || complain "the watchdog took the program's signal"
        judge "the program's SIGUSR2 ($mode), $pes PEs"
    done

    hang $pes child
    judge "a child that exits, $pes PEs"
done

# --- a PE is lost, and with it the job ---

for pes in 2 3; do
    for mode in kill-barrier kill-lock kill-fault kill-home; do
        job $pes $mode
        must_end 0
        grep -q 'signal 9' "$output" || complain "no word of signal 9"
        judge "$mode, $pes PEs"
    done
    for mode in exit0 exit7 return all; do
        job $pes $mode
        must_end 1
        grep -q '^hearth: PE [0-9]*: exit with status [07] before hearth_finalize' "$output" ||
            complain "no message"
        judge "$mode, $pes PEs"
    done
    job $pes mpi
    must_end 1
    grep -q '^hearth: PE [0-9]*: MPI_Finalize before hearth_finalize' "$output" ||
        complain "no message"
    judge "MPI_Finalize too early, $pes PEs"
done

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
