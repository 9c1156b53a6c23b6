#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The MPI tests and heat across two and three hosts, made on this machine (hosts.sh).
#
# run.sh [BUILD]        BUILD/tests/mpi and BUILD/apps (default: build)
# HOSTS=some            what `make check` has time for (default: all, with UCX and late messages)
# V=1                   show every program's output
set -u

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/lib.sh
. "$here/../lib.sh"
BUILD=${1:-${BUILD:-build}}
case $BUILD in /*) ;; *) BUILD=$PWD/$BUILD ;; esac

if ! why=$(sh "$here/hosts.sh" possible); then
    echo "tests/hosts skipped: $why"
    exit 0
fi
if ! mpirun --version 2>/dev/null | grep -q "Open MPI"; then
    echo "tests/hosts skipped: mpirun is not Open MPI's"
    exit 0
fi

dir=$(mktemp -d)
clean() {
    sh "$here/hosts.sh" down "$dir"
    rm -rf "$dir" "$output"
}
trap clean EXIT
trap 'exit 130' INT TERM HUP

verdict() { # verdict NAME STATUS
    if [ "$2" = 0 ]; then
        passed=$((passed + 1))
        echo "$1: ok"
    else
        failed=$((failed + 1))
        echo "$1: FAILED ($2)"
        sed 's/^/    | /' "$output"
    fi
}

# tests NAME PES "MCA SETTINGS" PROGRAM...
tests() {
    echo "-- $1 ($2 PEs)"
    mpirun="sh $here/hosts.sh mpirun $dir -x HEARTH_PROGRESS $3"
    pes=$2
    shift 3
    MPIRUN=$mpirun PES=$pes sh "$here/../mpi/run.sh" "$BUILD" "$@" >"$output" 2>&1
    absorb
}

heat() { # heat NAME PES "MCA SETTINGS"
    for how in "--protocol invalidate" "--protocol update" "--consistency sequential"; do
        # shellcheck disable=SC2086
        timeout 120 sh "$here/hosts.sh" mpirun "$dir" -x HEARTH_PROGRESS $3 -np "$2" "$BUILD/apps/heat" $how --verify \
            --size 200 --steps 60 --output "$dir/heat.png" "$here/../../apps/hearth.pgm" \
            >"$output" 2>&1 && grep -q "verified: yes" "$output"
        verdict "heat $how, $1, $2 PEs" $?
    done
}

# Each host takes this machine's cores for its own, and would let its progress threads spin on them.
export HEARTH_PROGRESS="${HEARTH_PROGRESS:-poll}"
# run_hang.sh and test_waiting are about one machine: signals to PEs, and the doorbell.
programs=$(for source in "$here"/../mpi/test_*.c; do basename "$source" .c; done |
    grep -v 'test_hang\|test_waiting')
most=$(echo "$programs" | grep -v 'test_faults')
few="test_basic test_sharing test_sync"
ucx="--mca pml ucx --mca osc ucx,sm --mca opal_common_ucx_tls any --mca opal_common_ucx_devices any"

sh "$here/hosts.sh" up "$dir" 2 || exit 1
# shellcheck disable=SC2086
tests "2 hosts, TCP" 4 "" $([ "${HOSTS:-all}" = some ] && echo test_basic test_sharing || echo "$most")
heat "2 hosts, TCP" 4 ""
if [ "${HOSTS:-all}" != some ]; then
    # 8 threads a PE that want a lock take minutes where each must poll, and there are no cores.
    export HEARTH_TEST_SECONDS="${HEARTH_TEST_SECONDS:-400}"
    # shellcheck disable=SC2086
    tests "2 hosts, TCP" 2 "" $programs
    # shellcheck disable=SC2086
    tests "2 hosts, UCX" "2 4" "$ucx" $most
    heat "2 hosts, UCX" 4 "$ucx"
    HEARTH_TEST_DELAY_US=1000 tests "2 hosts, TCP, late messages" 2 "-x HEARTH_TEST_DELAY_US" \
        test_basic test_sharing test_sync test_order
fi
sh "$here/hosts.sh" down "$dir"
sh "$here/hosts.sh" up "$dir" 3 || exit 1
# shellcheck disable=SC2086
tests "3 hosts, TCP" 3 "" $([ "${HOSTS:-all}" = some ] && echo "$few" || echo "$most")
[ "${HOSTS:-all}" = some ] || heat "3 hosts, TCP" 3 ""

tally
