# shellcheck shell=sh
# SPDX-License-Identifier: BSD-3-Clause
# What the scripts that run jobs share: counts, the output of the last run, leave to run as root.
# Sourced; it sets `passed`, `failed` and `output`, a file that goes when the script ends.

passed=0
failed=0
failures= # a line each
output=$(mktemp)
trap 'rm -f "$output"' EXIT
if [ "$(id -u)" = 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi

# The first complaint about a run counts: it is in $why.
complain() {
    [ -n "$why" ] || why=$1
}

# judge NAME: count the last run, begun at $began, by $why (empty: it passed).
judge() {
    seconds=$(($(date +%s) - began))
    if [ -z "$why" ]; then
        passed=$((passed + 1))
        printf '%-44s %3d s  ok\n' "$1" "$seconds"
    else
        failed=$((failed + 1))
        printf '%-44s %3d s  FAILED: %s\n' "$1" "$seconds" "$why"
        failures="$failures$1: $why
"
    fi
    if [ -n "$why" ] || [ -n "${V:-}" ]; then
        head -n 200 "$output" | sed 's/^/    | /'
    fi
}

# The last run was one of our scripts: show its lines, and add its failures and its counts, which are
# in $counts. One that came to no counts has failed.
absorb() {
    grep -v '^[0-9]* passed, [0-9]* failed$\|^failed: ' "$output"
    failures="$failures$(sed -n 's/^failed: //p' "$output")
"
    counts=$(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$output")
    counts=${counts:-0 1}
    passed=$((passed + ${counts% *}))
    failed=$((failed + ${counts#* }))
}

# The last lines of a script, and its exit status. What failed is said once more: a log may be cut.
tally() {
    printf '%s' "$failures" | sed -n 's/^./failed: &/p'
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
}
