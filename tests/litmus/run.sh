#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Run the litmus tests: all with 4 PEs, then those that fit with 3 and with 2.
#
# run.sh [BUILD [FILTER]]
#   BUILD    the program is BUILD/tests/litmus/litmus (default: $BUILD_DIR, else build)
#   FILTER   run only tests whose "name/layout/edge/protocol/consistency" has this in it
# MPIRUN   how to start a job (default "mpirun --oversubscribe")
# PES      numbers of PEs (default "4 3 2")
# HEARTH_LITMUS_RUNS   of each test with 4 PEs (default 10000); a quarter of that with fewer
# HEARTH_LITMUS_SEED   as printed by the run that is to be repeated (it repeats what the PEs do, not
#                      how they meet)
# HEARTH_TEST_SECONDS  the time limit of a job (default 300); timeout(1) comes 30 s later
# V=1      show every test, with its histogram
set -u

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/lib.sh
. "$here/../lib.sh"
BUILD=${1:-${BUILD_DIR:-build}}
FILTER=${2:-}
MPIRUN=${MPIRUN:-mpirun --oversubscribe}
PES=${PES:-4 3 2}
runs=${HEARTH_LITMUS_RUNS:-10000}
limit=$((${HEARTH_TEST_SECONDS:-300} + 30))

# What README.md says is what is tested.
"$BUILD/tests/litmus/litmus" --table >"$output" 2>&1
if sed -n '/^<!-- litmus --table -->$/,$p' "$here/README.md" | sed 1,2d | cmp -s - "$output"; then
    passed=$((passed + 1))
else
    failed=$((failed + 1))
    echo "README.md does not end with what litmus --table prints"
fi

for pes in $PES; do
    [ "$pes" -ge 4 ] || export HEARTH_LITMUS_RUNS=$((runs / 4))
    began=$(date +%s%N)
    # shellcheck disable=SC2086
    timeout -k 10 $limit $MPIRUN -np "$pes" "$BUILD/tests/litmus/litmus" ${FILTER:+"$FILTER"} \
        >"$output" 2>&1 </dev/null
    status=$?
    ended=$(date +%s%N)
    counts=$(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$output" | tail -n 1)
    verdict=ok
    # A program that says it passed must also have said what it did, and the other way round.
    if [ $status -ne 0 ] || [ -z "$counts" ] || [ "${counts#* }" != 0 ]; then
        verdict="FAILED (exit status $status)"
        [ "${counts#* }" != 0 ] && [ -n "$counts" ] || counts="${counts:-0 0}" failed=$((failed + 1))
    fi
    passed=$((passed + ${counts% *}))
    failed=$((failed + ${counts#* }))
    printf 'litmus %d PEs %7.2f s  %4d passed, %d failed  %s\n' "$pes" \
        "$(((ended - began) / 10000000))e-2" "${counts% *}" "${counts#* }" "$verdict"
    if [ -n "${V:-}" ]; then
        sed 's/^/    | /' "$output"
    elif [ "$verdict" != ok ]; then
        grep -v ' ok$' "$output" | sed 's/^/    | /'
    fi
done

tally
