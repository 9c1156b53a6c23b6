#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# All tests, once everything is built. Usage: check.sh BUILD_DIR
#
# The others wait for clocks more than they compute. So beside them go, at the lowest priority, what
# needs a core and no MPI (the simulator), then, at a low one, what mostly sleeps (jobs that hang or
# die); they have their say at the end. A part that fails does not keep the others from running; the
# last line says what failed.
set -u
build=$1
make="${MAKE:-make} --no-print-directory B=$build"
aside=$build/check-aside.out
failed=

# part NAME: run it, and say how long it took.
part() {
    began=$(date +%s)
    $make "$1"
    status=$?
    echo "$1: $(($(date +%s) - began)) s"
    return $status
}

export HOSTS=some ENDS=no HEARTH_LITMUS_RUNS="${HEARTH_LITMUS_RUNS:-4000}"
if [ "${2:-}" = aside ]; then
    (make="nice -n 9 $make" && part test-sim) || failed="$failed test-sim"
    part test-ends || failed="$failed test-ends"
    [ -z "$failed" ] || echo "FAILED:$failed"
    [ -z "$failed" ]
    exit
fi
nice -n 10 sh "$0" "$build" aside >"$aside" 2>&1 &
pid=$!
trap 'kill $pid 2>/dev/null; exit 1' INT TERM
for name in test-unit test-mpi test-wrap test-variants test-hosts test-litmus test-apps test-info \
    test-install test-parmacs; do
    part $name || failed="$failed $name"
done
wait $pid || failed="$failed$(sed -n 's/^FAILED://p' "$aside")"
cat "$aside"
[ -z "$failed" ] || echo "FAILED:$failed"
[ -z "$failed" ]
