#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# hearth-info, alone and under mpirun: its main lines, and every variable that config.c knows.
# Usage: tests/info.sh BUILD_DIR
set -u
build=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0
here=$(dirname "$0")/..
variables=$(sed -n 's/^ *{{"\(HEARTH_[A-Z_]*\)".*/\1/p' "$here/src/config.c")
for name in $variables; do
    unset "$name"
done

step() { # step NAME COMMAND...
    name=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "info: $name failed, with this output:"
        sed 's/^/    /' "$work/out"
    fi
}

info() {
    timeout 60 "$@" >"$work/out" 2>&1
}

has() {
    grep -Eq -- "$1" "$work/out"
}

lists_all() {
    [ "$(echo "$variables" | wc -w)" -ge 9 ] || return 1
    for variable in $variables; do
        has "^  $variable=" || return 1
    done
}

# $1: PEs, $2: one-sided operations, $3: the name
main_lines() {
    step "$3: version" has '^Hearth [0-9]+\.[0-9]+\.[0-9]+$'
    step "$3: MPI" has '^MPI: .*MPI_THREAD_'
    step "$3: one-sided" has "^one-sided operations: $2"
    step "$3: pager" has '^pager: (mprotect|userfaultfd)'
    step "$3: page size" has '^page: [0-9]+ bytes'
    step "$3: PEs" has "^PEs: $1 on 1 machine"
    step "$3: all of them" [ "$(grep -c '^    PE [0-9]*: units .*; progress thread: doorbell' "$work/out")" = "$1" ]
    step "$3: variables" lists_all
    step "$3: once" [ "$(grep -c '^Hearth ' "$work/out")" = 1 ]
}

step "alone" info "$build/hearth-info"
main_lines 1 'not needed' alone
# shellcheck disable=SC2086
step "with 3 PEs" info ${MPIRUN:-mpirun --oversubscribe} -n 3 "$build/hearth-info"
main_lines 3 '(MPI windows|relay)' "3 PEs"
step "3 PEs: one node" [ "$(grep -c '^  node ' "$work/out")" = 1 ]

# Bound to a core where there are others, the program has it for itself.
# shellcheck disable=SC2086
info ${MPIRUN:-mpirun --oversubscribe} --bind-to core -n 1 "$build/hearth-info"
if has 'for these PEs and ([2-9]|[1-9][0-9]+) cores'; then
    units=$(sed -n 's/^    PE 0: units \([^;]*\);.*/\1/p' "$work/out")
    progress=$(sed -n 's/.*, on units \([^,]*\(,[0-9][^,]*\)*\), .*/\1/p' "$work/out")
    step "the progress thread keeps off a bound program's core" [ "$units" != "$progress" ]
    # shellcheck disable=SC2086
    OMP_NUM_THREADS=4096 info ${MPIRUN:-mpirun --oversubscribe} --bind-to core -n 1 "$build/hearth-info"
    step "threads that share a core" has 'OMP_NUM_THREADS=4096, but each PE is bound to [0-9]+ processing unit.*--bind-to none'
fi
# shellcheck disable=SC2086
OMP_NUM_THREADS=64 info ${MPIRUN:-mpirun --oversubscribe} --bind-to none -n 1 "$build/hearth-info"
step "threads that nothing binds" eval '! has OMP_NUM_THREADS'

export HEARTH_PAGER=mprotect
info "$build/hearth-info"
step "the pager is what was asked for" has '^pager: mprotect$'
unset HEARTH_PAGER

# Or asked for in vain, with the reason: here, or of this kernel.
info env HEARTH_HUGE_PAGES=1 HEARTH_CACHE_BYTES=1M "$build/hearth-info"
step "huge pages and a bounded cache" has 'HEARTH_HUGE_PAGES=1 has no effect: HEARTH_CACHE_BYTES'
info env HEARTH_HUGE_PAGES=1 HEARTH_LOG=info "$build/hearth-info"
step "huge pages" has 'huge pages asked for$|HEARTH_HUGE_PAGES=1 has no effect: .*(shmem_enabled says|MADV)'

export HEARTH_NODE_PES=2 HEARTH_WATCHDOG=7 HEARTH_PROGRESS=poll
# shellcheck disable=SC2086
step "with variables set" info ${MPIRUN:-mpirun --oversubscribe} -n 3 "$build/hearth-info"
step "a value is shown" has '^  HEARTH_WATCHDOG=7  \(set\)$'
step "the mode is what was asked for" [ "$(grep -c 'progress thread: poll' "$work/out")" = 3 ]
step "two virtual nodes" [ "$(grep -c '^  node ' "$work/out")" = 2 ]
unset HEARTH_NODE_PES HEARTH_WATCHDOG

in_docs() {
    for variable in $variables; do
        grep -q "^| \`$variable\`" "$here/docs/design.md" || return 1
    done
}
step "docs/design.md lists all variables" in_docs

export HEARTH_PROGRESS=nonsense
info "$build/hearth-info"
step "a wrong value fails" [ $? -eq 1 ]
step "with the accepted ones" has 'HEARTH_PROGRESS=nonsense is not understood; accepted: auto'
step "and the variables" lists_all

echo "info: $passed passed, $failed failed"
[ "$failed" = 0 ]
