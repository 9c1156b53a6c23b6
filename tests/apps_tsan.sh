#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The apps as threaded programs under thread sanitizer. Usage: tests/apps_tsan.sh BUILD_DIR
set -u
build=$1
. tests/lib.sh
while read -r app arguments; do
    # shellcheck disable=SC2086
    if timeout 120 "$build/apps/${app}_threads" -n 3 --verify $arguments >"$output" 2>&1 &&
        grep -q 'verified: yes' "$output" && ! grep -q 'WARNING: ThreadSanitizer' "$output"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "$app $arguments failed:"
        head -n 60 "$output" | sed 's/^/    | /'
    fi
done <<END
cg --poisson2d 60
sort --keys 20000 --rounds 2
sort --keys 20000 --rounds 2 --exchange read
nbody --bodies 2000 --steps 3
tsp --random 35
pagerank --rmat 12
paint --size 300x200 --iterations 200 --task 97
END
tally
