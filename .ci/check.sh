#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# All tests, once everything is built. Usage: check.sh BUILD_DIR
#
# PARTS   which (default: all of them)
# MPI_PES numbers of PEs for test-mpi and test-wrap (default "1 2 4")
# HEARTH_TEST_PERCENT, HEARTH_LITMUS_RUNS: how much of the MPI tests (default 40) and of test-litmus
# The defaults are what ten minutes have room for; `make soak` has room for the rest.
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
PARTS="${PARTS:-test-unit test-mpi test-wrap test-variants test-hosts test-litmus test-apps test-info \
    test-install test-parmacs test-sim test-ends}"
export PARTS HEARTH_TEST_PERCENT="${HEARTH_TEST_PERCENT:-40}" HOSTS=some ENDS=no
export HEARTH_LITMUS_RUNS="${HEARTH_LITMUS_RUNS:-1000}"

# part NAME [PREFIX...]: run it, and say how long it took.
part() {
    name=$1
    shift
    began=$(date +%s)
    "$@" $make "$name"
    status=$?
    echo "$name: $(($(date +%s) - began)) s"
    [ $status = 0 ] || failed="$failed $name"
}

if [ "${2:-}" = aside ]; then
    for each in $PARTS; do
        case $each in
        test-sim) part test-sim nice -n 9 ;;
        test-ends) part test-ends ;;
        esac
    done
    [ -z "$failed" ] || echo "FAILED:$failed"
    [ -z "$failed" ]
    exit
fi
nice -n 10 sh "$0" "$build" aside >"$aside" 2>&1 &
pid=$!
trap 'kill $pid 2>/dev/null; exit 1' INT TERM
for each in $PARTS; do
    case $each in
    test-sim | test-ends) ;;
    test-mpi | test-wrap) part "$each" env PES="${MPI_PES:-1 2 4}" ;;
    *) part "$each" ;;
    esac
done
wait $pid || failed="$failed$(sed -n 's/^FAILED://p' "$aside" | grep . || echo " aside")"
cat "$aside"
[ -z "$failed" ] || echo "FAILED:$failed"
[ -z "$failed" ]
