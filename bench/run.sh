#!/bin/sh
# Run the benchmarks and keep what they print in bench/results/. Usage: bench/run.sh BUILD_DIR
set -eu
build=$1
results=$(dirname "$0")/results
mkdir -p "$results"
# Waiting is about more PEs than cores.
for pes in 5 4; do
    echo "== waiting, $pes PEs"
    # shellcheck disable=SC2086
    timeout 300 ${MPIRUN:-mpirun} --oversubscribe -n $pes "$build/bench/waiting" | tee "$results/waiting-$pes.txt"
done
export HEARTH_NODE_PES=1
for bench in miss ownership; do
    echo "== $bench"
    # shellcheck disable=SC2086
    timeout 300 ${MPIRUN:-mpirun} -n 2 "$build/bench/$bench" | tee "$results/$bench.txt"
done
