#!/bin/sh
# The random test for a long time, with four PEs. Usage: soak.sh BUILD_DIR SECONDS
# Each round takes a fresh seed, which is printed; a failure names the seed that replays it.
set -u
build=$1 seconds=$2
export HEARTH_TEST_SECONDS_RANDOM="$seconds"
export HEARTH_TEST_SECONDS=$((seconds + 300))
export HEARTH_NODE_PES=1
# shellcheck disable=SC2086
timeout $((seconds + 600)) ${MPIRUN:-mpirun} -n "${PES:-4}" "$build/tests/mpi/test_random"
rc=$?
[ $rc = 0 ] && echo "soak: $seconds s of random operations without a wrong byte or a hang"
exit $rc
