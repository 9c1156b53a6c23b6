#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Run the MPI tests in other worlds: by messages instead of MPI's windows, with messages that come
# late, with no or few shared buffers for them, with a progress thread that naps, and by mprotect where
# userfaultfd is what is chosen.
#
# run_variants.sh [BUILD]
# VARIANTS=some   what `make check` has time for (default: all)
# MPIRUN, HEARTH_TEST_SECONDS, V: as run.sh
set -u

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/lib.sh
. "$here/../lib.sh"
BUILD=${1:-${BUILD:-build}}
MPIRUN=${MPIRUN:-mpirun --oversubscribe}

programs=$(for source in "$here"/test_*.c; do basename "$source" .c; done | grep -v 'test_faults\|test_hang')

# variant PES PROGRAMS [NAME=VALUE...]: what was set is the variant's name.
variant() {
    pes=$1
    names=$2
    shift 2
    echo "-- $* ($pes PEs)"
    # shellcheck disable=SC2086
    env "$@" MPIRUN="$MPIRUN" PES="$pes" sh "$here/run.sh" "$BUILD" $names >"$output" 2>&1
    absorb
}

# says PES WORDS [NAME=VALUE...]: a program starts, works, and PE 0 alone says so. $wrap goes before
# the command.
wrap=
says() {
    pes=$1
    words=$2
    shift 2
    echo "-- $* ($pes PEs): says '$words'"
    # shellcheck disable=SC2086
    if env "$@" HEARTH_LOG=warn sh -c "$wrap \"\$@\"" sh timeout 60 $MPIRUN -np "$pes" \
        "$BUILD/tests/mpi/test_basic" facts >"$output" 2>&1 </dev/null &&
        [ "$(grep -c "$words" "$output")" = 1 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        sed 's/^/    | /' "$output"
    fi
}

no_cma=OMPI_MCA_btl_vader_single_copy_mechanism=none
open_mpi=
if $MPIRUN --version 2>/dev/null | grep -qi "open *mpi\|open-mpi"; then
    open_mpi=yes
fi
says 3 "wait until the target calls MPI" HEARTH_TEST_RMA=late
if [ -n "$open_mpi" ]; then # MPICH's do wait
    says 3 "do the wrong thing" HEARTH_TEST_RMA=wrong
    says 2 "cross-memory attach" $no_cma
fi
# As Docker gives 64 MiB: here too little for the directory.
if [ -n "$open_mpi" ] && [ "$(id -u)" = 0 ] &&
    unshare --mount mount -t tmpfs -o size=16m tmpfs /dev/shm 2>/dev/null; then
    small_shm="unshare --mount sh -c 'mount -t tmpfs -o size=16m tmpfs /dev/shm && exec \"\$@\"' sh"
    wrap=$small_shm says 3 "enlarge /dev/shm" TMPFS=16m
fi
other_pager=
if "$BUILD/hearth-info" | grep -q "^pager: userfaultfd"; then
    other_pager=HEARTH_PAGER=mprotect
fi
variant 2 test_waiting HEARTH_PROGRESS=poll FILTER=between
if [ "${VARIANTS:-all}" = some ]; then
    variant 3 "$(echo "$programs" | grep -v 'test_cache\|test_large_pages\|test_pager\|test_waiting')" \
        HEARTH_RMA=relay
    # Of 200,000 pages by mprotect, which take a while, one protocol; not what is about no pages.
    [ -z "$other_pager" ] ||
        variant 2 "$(echo "$programs" | grep -v 'test_pager\|errors\|objects\|test_passive\|test_waiting')" \
            $other_pager
    [ -z "$other_pager" ] || variant 2 test_pager $other_pager FILTER=invalidate
    variant 2 "test_basic test_order test_sharing test_state test_sync" HEARTH_TEST_DELAY_US=1000
    variant 3 "test_steady test_sharing test_random" HEARTH_SHARED_BUFFERS=0
    variant 3 "test_steady test_sharing" HEARTH_SHARED_BUFFERS=1
    variant 3 "test_order test_sync" HEARTH_PROGRESS=poll
else
    variant "1 2 3 4 7" "$programs" HEARTH_RMA=relay
    [ -z "$other_pager" ] || variant "1 2 3 4 7" "$programs test_faults" $other_pager
    [ -z "$open_mpi" ] || variant "1 2 4" "$programs" $no_cma
    variant "2 4" "$programs" HEARTH_TEST_DELAY_US=1000
    variant "2 4" "$programs" HEARTH_SHARED_BUFFERS=0
    variant "2 4" "$programs" HEARTH_SHARED_BUFFERS=2
    variant "2 4" "$programs" HEARTH_PROGRESS=poll
    export HEARTH_TEST_SECONDS=400
    variant 3 "$programs" HEARTH_RMA=relay HEARTH_TEST_DELAY_US=1000
fi

tally
