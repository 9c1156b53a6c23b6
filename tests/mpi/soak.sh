#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Random tests with new seeds until the time is up. soak.sh [BUILD [SECONDS]]
#
# PES     numbers of PEs among which the time is divided (default "2 3 4 7")
# HEARTH_TEST_SEED   where to begin (default: the clock, so that every soak is another)
set -u

here=$(cd "$(dirname "$0")" && pwd)
BUILD=${1:-${BUILD:-build}}
seconds=${2:-600}
PES=${PES:-2 3 4 7}
# shellcheck disable=SC2086
set -- $PES

HEARTH_TEST_SEED=${HEARTH_TEST_SEED:-$(date +%s)}
HEARTH_TEST_SECONDS_RANDOM=$((seconds / $# / 2 + 1)) # for each of two protocols
export HEARTH_TEST_SEED HEARTH_TEST_SECONDS_RANDOM PES
echo "from seed $HEARTH_TEST_SEED on, $HEARTH_TEST_SECONDS_RANDOM s for each protocol and number of PEs"
V=1 exec sh "$here/run.sh" "$BUILD" test_random
