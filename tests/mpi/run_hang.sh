#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Programs that hang, or lose a PE: what the watchdog says of the first, and how the second end.
#
# run_hang.sh [BUILD]   the program is BUILD/tests/mpi/test_hang (default: build)
# MPIRUN  how to start a job (default "mpirun --oversubscribe")
# V=1     show every program's output
set -u

# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
BUILD=${1:-${BUILD:-build}}
MPIRUN=${MPIRUN:-mpirun --oversubscribe}
program=$BUILD/tests/mpi/test_hang
limit=120   # of a job, that nothing ends
chatter=300 # fifths of a second, in which what should be said is said
export HEARTH_TEST_LATCH="$output.latch"
trap 'rm -f "$output" "$HEARTH_TEST_LATCH"' EXIT
# shellcheck disable=SC3045
ulimit -c 0
unset HEARTH_WATCHDOG
export HEARTH_LOG=error # no warning that one-sided operations go by messages: words are counted
# What Hearth might leave behind; others' jobs may run on this machine, so by name. Files of tests that
# run beside this one have hearth_test_ in theirs, wherever MPI-IO adds to it.
left() {
    find /dev/shm /tmp -maxdepth 1 -iname '*hearth*' ! -name '*hearth_test_*' 2>/dev/null | sort
}
before=$(left)

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

# The first line of $expected, a PE and a pattern, of which the job has said nothing.
missing() {
    printf '%s' "$expected" | while read -r pe pattern; do
        grep -q -- "^hearth: PE $pe: watchdog: .*$pattern" "$output" || echo "PE $pe: '$pattern'"
    done | head -n 1
}

# Ends the hang of the job when it has said all, or, if there is nothing to be said, after 3 seconds.
release() {
    waited=0
    if [ -z "$expected" ]; then
        sleep 3
    else
        while [ -n "$(missing)" ] && [ $waited -lt $chatter ]; do
            sleep 0.2
            waited=$((waited + 1))
        done
    fi
    : >"$HEARTH_TEST_LATCH"
}

# hang PES MODE [SECONDS]: with the watchdog at SECONDS.
hang() {
    if [ -n "${3:-}" ]; then
        export HEARTH_WATCHDOG="$3"
    fi
    rm -f "$HEARTH_TEST_LATCH"
    : >"$output"
    release &
    job "$1" "$2"
    # Some come to their end without a hang.
    kill $! 2>/dev/null
    wait $! 2>/dev/null
    unset HEARTH_WATCHDOG
    # The watchdog ends nothing.
    [ "$status" -eq 0 ] || complain "exit status $status"
    grep -q survived "$output" || complain "the program did not come to its end"
    unsaid=$(missing)
    [ -z "$unsaid" ] || complain "not said by the watchdog of $unsaid"
    expected=
}
expected=

# expect PE PATTERN: the next hang is to make that PE's watchdog say this.
expect() {
    expected="$expected$1 $2
"
}

# grows: each time that PE 0 says that it waits, it has waited twice as long as when it last did.
grows() {
    sed -n 's/^hearth: PE 0: watchdog: .* waits for \([0-9.]*\) s.*/\1/p' "$output" |
        awk 'NR > 1 && $1 < 1.9 * last { exit 1 } { last = $1 }' || complain "it says too much"
}

# must_end MOST: with a failure, and at most so many words of ours.
must_end() {
    [ "$status" -ne 0 ] || complain "the job ended with 0"
    ! grep -q survived "$output" || complain "the job lived on"
    lines=$(grep -c '^hearth: ' "$output")
    [ "$lines" -le "$1" ] || complain "$lines messages, not $1"
}

if [ ! -x "$program" ]; then
    echo "no $program" >&2
    exit 2
fi

# --- what hangs explains itself, and goes on when it can ---

for pes in 2 3; do
    last=$((pes - 1))
    expect 0 "in hearth_barrier_all for all PEs, collective [0-9]*; not come yet: PE $last\$"
    expect 0 'waits for [0-9]*\.[0-9] s, since [0-9:]* UTC'
    expect 0 'waits for \([2-9]\|[1-9][0-9]\)\.[0-9] s'
    hang $pes barrier 1
    grows
    judge "barrier, $pes PEs"

    expect 0 "in hearth_lock_acquire for lock 0x[0-9a-f]*, made by PE 0, .* in region 'heap'"
    expect 0 "held by PE $last\$"
    hang $pes lock 1
    judge "lock, $pes PEs"

    expect 0 "in hearth_barrier_wait for barrier 0x[0-9a-f]*, made by PE 0, .* in region 'heap'"
    expect 0 "; $last of $pes have come\$"
    hang $pes some 1
    judge "barrier of some, $pes PEs"

    expect 0 "in hearth_cond_wait for condition variable 0x[0-9a-f]*, made by PE 0"
    expect 0 "; $last wait for it\$"
    hang $pes cond 1
    judge "condition variable, $pes PEs"

    expect 0 "in hearth_sema_wait for semaphore 0x[0-9a-f]*, made by PE 0"
    expect 0 "; $last wait for it\$"
    hang $pes sema 1
    judge "semaphore, $pes PEs"

    expect $last "in hearth_lock_acquire for lock .*; held by PE $last\$"
    hang $pes turn 1
    judge "lock, two threads of a PE, $pes PEs"

    expect 0 "in a read for page $last .* of region 'victim', invalid here, home PE $last, sequential"
    expect 0 "no answer .*from PE $last\$"
    hang $pes fault 1
    judge "fault, the home is stopped, $pes PEs"

    expect 0 "in a read for page 0 .* of region 'victim', away here, home PE 0, sequential"
    expect 0 "for its home, PE $last has it; no answer .*from PE $last\$"
    hang $pes owner 1
    judge "fault, the owner is stopped, $pes PEs"

    expect 0 'no thread of this PE waits'
    expect 1 'not come yet: PE 0$'
    hang $pes signal
    signals=$(sed -n 's/^\([0-9]*\) signals$/\1/p' "$output")
    lines=$(grep -c '^hearth: ' "$output")
    [ "$lines" -le $((pes * signals)) ] || complain "$lines lines for $signals signals to each PE"
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

tally
