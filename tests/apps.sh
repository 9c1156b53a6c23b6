#!/bin/sh
# The apps against their serial results, under every protocol. Usage: tests/apps.sh BUILD_DIR
set -u
build=$1
out=$(mktemp)
trap 'rm -f "$out"' EXIT
passed=0 failed=0
for pes in 1 2 3 4; do
    for how in "--protocol invalidate" "--protocol update" "--consistency sequential"; do
        # shellcheck disable=SC2086
        if timeout 60 ${MPIRUN:-mpirun} -n $pes "$build/apps/heat" $how --verify --size 200 \
            --steps 40 --output /dev/null apps/hearth.pgm >"$out" 2>&1 && grep -q 'verified: yes' "$out"; then
            passed=$((passed + 1))
        else
            failed=$((failed + 1))
            echo "heat $how with $pes PEs failed:"
            sed 's/^/    /' "$out"
        fi
    done
done
echo "apps: $passed passed, $failed failed"
[ $failed = 0 ]
