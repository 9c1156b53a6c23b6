#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The apps against their serial results, under every protocol, with 1 to 4 PEs; and what their readers
# say of files that are not as they should be. Usage: tests/apps.sh BUILD_DIR
# Three jobs at a time: most of a short job's time is mpirun's own, and waiting.
set -u
build=$1

# tests/apps.sh BUILD_DIR one COMMAND...: run it, and print a line.
if [ "${2:-}" = one ]; then
    shift 2
    output=$(timeout 60 "$@" 2>&1)
    status=$?
    case $output in
    *yes*) [ $status = 0 ] && echo "passed $*" && exit 0 ;;
    esac
    echo "failed (status $status) $*"
    echo "$output" | sed 's/^/    | /'
    exit 0
fi

. tests/lib.sh
work=$(mktemp -d)
trap 'rm -rf "$work" "$output"' EXIT
began=$(date +%s)

# What is run is what is shown in docs/apps.md, but smaller.
apps() {
    cat <<END
heat --size 200 --steps 40 --output /dev/null apps/hearth.pgm
cg --poisson2d 90 -i 60
cg $work/cube.mtx
sort --keys 50000 --rounds 2
sort --keys 50000 --skewed --exchange read
nbody --bodies 1500 --steps 3
tsp --random 35
pagerank --rmat 12
pagerank $work/edges.txt
paint --size 301x200 --iterations 200 --task 97 --output $work/paint.png
END
}
commands() {
    for pes in 1 2 3 4; do
        for how in "--protocol invalidate" "--protocol update" "--consistency sequential"; do
            apps | sed "s|^\([a-z]*\)|${MPIRUN:-mpirun} -n $pes $build/apps/\1 --verify $how|"
        done
        for program in "cg_mpi --poisson2d 90 -i 60" "cg_mpi $work/cube.mtx" "sort_mpi --keys 50000 --rounds 2"; do
            echo "${MPIRUN:-mpirun} -n $pes $build/apps/$program --verify"
        done
    done
    for threads in 1 3; do
        apps | grep -v '^heat' | sed "s|^\([a-z]*\)|$build/apps/\1_threads -n $threads --verify|"
    done
    echo "${MPIRUN:-mpirun} -n 2 $build/apps/tsp --verify apps/twelve.tsp"
    echo "${MPIRUN:-mpirun} -n 3 $build/apps/tsp --verify apps/twenty.tsp"
    # More PEs than a PE has pages to be home to.
    echo "${MPIRUN:-mpirun} -n 5 $build/apps/cg --verify --poisson2d 20"
    echo "${MPIRUN:-mpirun} -n 5 $build/apps/nbody --verify --bodies 7"
}

# refuse PROGRAM "LINES OF A FILE" "WORDS": the program must end with an error that has these words.
refuse() {
    printf '%b' "$2" >"$work/bad"
    "$build/apps/$1" "$work/bad" >"$output" 2>&1
    status=$?
    if [ $status != 0 ] && [ $status -lt 128 ] && grep -q -- "$3" "$output"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "$1 (status $status) should have refused with '$3':"
        sed 's/^/    | /' "$output"
    fi
}

# What a file is refused for does not depend on who shares memory how.
refusals() {
    mtx='%%MatrixMarket matrix coordinate real symmetric\n'
    general='%%MatrixMarket matrix coordinate real general\n'
    refuse cg_threads '' 'line 1: the file is empty'
    refuse cg_threads 'hello\n' "should be '%%MatrixMarket"
    refuse cg_threads '%%MatrixMarket matrix array real general\n' "must be a 'matrix coordinate'"
    refuse cg_threads '%%MatrixMarket matrix coordinate pattern general\n' 'must be real or integer'
    refuse cg_threads '%%MatrixMarket matrix coordinate real hermitian\n' 'symmetric or general'
    refuse cg_threads "$mtx% only words\n" 'ends before its sizes'
    refuse cg_threads "${mtx}2 2\n" 'line 2: should be three numbers'
    refuse cg_threads "${mtx}2 3 1\n1 1 1\n" 'must be square'
    refuse cg_threads "${mtx}2 2 9999999999\n" 'has only'
    refuse cg_threads "${mtx}2 2 2\n1 1 1\n% more to come\n" 'the file ends'
    refuse cg_threads "${mtx}2 2 1\n3 1 1\n" 'line 3: should begin with a row'
    refuse cg_threads "${mtx}2 2 1\n2 1 x\n" 'finite value'
    refuse cg_threads "${mtx}2 2 1\n1 1 nan\n" 'finite value'
    refuse cg_threads "${mtx}2 2 1\n1 2 1\n" 'above the diagonal'
    refuse cg_threads "${mtx}2 2 2\n2 1 1\n2 1 1.0\n" 'twice'
    refuse cg_threads "${mtx}1 1 1\n1 1 1\n1 1 2.0\n" 'more than the promised'
    refuse cg_threads "${general}2 2 3\n1 1 1\n2 2 1\n1 2 5\n" 'not symmetric'
    refuse cg_threads "${mtx}2 2 2\n1 1 -1\n2 2 1\n" 'not positive definite'
    refuse pagerank_threads '# nothing\n' 'without an edge'
    refuse pagerank_threads '0 1\n1 -2\n' 'line 2: should be two vertices'
    refuse pagerank_threads '0 1x\n' 'line 1: should have a space'
    refuse tsp_threads 'TYPE : ATSP\n' 'TYPE is ATSP'
    refuse tsp_threads 'DIMENSION : 100\n' 'from 3 to 64'
    refuse tsp_threads 'EDGE_WEIGHT_TYPE : GEO\n' 'EDGE_WEIGHT_TYPE is GEO'
    refuse tsp_threads 'DIMENSION : 3\nEOF\n' 'ends without a NODE_COORD_SECTION'
    euc='DIMENSION: 3\nEDGE_WEIGHT_TYPE: EUC_2D\nNODE_COORD_SECTION\n'
    refuse tsp_threads "${euc}1 0 0\n3 1 1\n" 'city 2 should be next'
    refuse tsp_threads "${euc}1 0 0\n2 1\n" 'the file ends where a number should be'
    full='DIMENSION: 3\nEDGE_WEIGHT_TYPE: EXPLICIT\nEDGE_WEIGHT_FORMAT: FULL_MATRIX\nEDGE_WEIGHT_SECTION\n'
    refuse tsp_threads "${full}0 1 2\n1 0 3\n2 4 0\n" 'not as far as back'
    refuse tsp_threads "${full}0 1 2\n1 0 x\n" 'should be a number'
}

"$build/apps/cg_threads" --poisson3d 12 --write "$work/cube.mtx" >/dev/null || echo "cannot write $work/cube.mtx"
awk 'BEGIN {for (i = 0; i < 3000; i++) print i * i % 1009, i * 7 % 1013}' >"$work/edges.txt"
commands >"$work/commands"
xargs -P 3 -L 1 sh "$0" "$build" one <"$work/commands" >"$work/log"
passed=$(grep -c '^passed' "$work/log")
failed=$(($(wc -l <"$work/commands") - passed))
grep -v '^passed' "$work/log"
refusals
# A PE that cannot read its input ends the job, all of it.
if timeout 30 ${MPIRUN:-mpirun} -n 3 "$build/apps/cg" /nonexistent >"$output" 2>&1 ||
    ! grep -q 'cg: PE 0: cannot open /nonexistent: No such file' "$output"; then
    failed=$((failed + 1))
    echo "cg with a file that is not there:"
    sed 's/^/    | /' "$output"
fi
echo "apps: $(($(date +%s) - began)) s"
tally
