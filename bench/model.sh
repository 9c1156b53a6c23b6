#!/bin/sh
# The cost model: measure LogGP here, in shared memory and over TCP between two network namespaces
# where root may make them, and have the simulator check its formulas and print what follows.
# Usage: model.sh BUILD_DIR
set -u
build=$1
here=$(cd "$(dirname "$0")" && pwd)
hosts=$here/../tests/hosts/hosts.sh
case $build in /*) ;; *) build=$PWD/$build ;; esac
dir=$(mktemp -d)
trap 'sh "$hosts" down "$dir" 2>/dev/null; rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM HUP
set --
# shellcheck disable=SC2086
if line=$(timeout 60 ${MPIRUN:-mpirun --oversubscribe} -n 2 "$build/bench/loggp" "shared memory (measured)"); then
    set -- "$@" "--network=$line"
fi
if ! why=$(sh "$hosts" possible); then
    echo "TCP is not measured: $why"
elif sh "$hosts" up "$dir" 2 && line=$(timeout 60 sh "$hosts" mpirun "$dir" -n 2 "$build/bench/loggp" "TCP over a bridge (measured)" 2>"$dir/errors") &&
    line=$(echo "$line" | grep '^TCP'); then
    set -- "$@" "--network=$line"
else
    echo "TCP is not measured:"
    cat "$dir/errors"
fi
"$build/tests/sim/sim" --mode=model "$@"
