#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Every app with 1, 2 and 4 PEs under each protocol, in plain MPI where there is such a version, and on
# threads: a table in Markdown, and all runs as CSV. Usage: apps/table.sh BUILD_DIR [PES...]
#
# The variants of an app take turns, ROUNDS times (5), and the table has each one's run with the median
# time, whole: its counts belong to its time. APPS="cg sort" runs these alone; OUT is the CSV's name.
set -eu
build=$1
shift
pes_list=${*:-1 2 4}
rounds=${ROUNDS:-5}
apps=${APPS:-heat cg sort nbody tsp pagerank paint}
csv=${OUT:-$build/table.csv}
if [ "$(id -u)" = 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
die() {
    echo "table: $*" >&2
    exit 1
}

# What each app is given: about a second's work for one PE.
arguments() {
    case $1 in
    heat) echo "--size 1024 --steps 200 apps/hearth.pgm" ;;
    cg) echo "--poisson2d 512 --iterations 200" ;;
    sort) echo "--keys 2000000 --rounds 5" ;;
    nbody) echo "--bodies 16384 --steps 2" ;;
    tsp) echo "--random 50 --seed 2" ;;
    pagerank) echo "--rmat 17 --iterations 20" ;;
    paint) echo "--size 1200x800 --iterations 1000" ;;
    *) die "there is no app $1" ;;
    esac
}

# one APP PES VARIANT COMMAND...: a line of CSV, APP and VARIANT in front. heat has columns of its own.
one() {
    app=$1 variant=$3 n=$2
    shift 3
    line=$(timeout 300 "$@" --csv) || die "failed: $* --csv"
    case $app in
    heat) line=$(echo "$line" | awk -F, -v OFS=, '{print $1, $2, $15, $3, "-", $7, "", $8, $9, $16, $17, $11, $13, $14}') ;;
    esac
    echo "$app,$n,$variant,$line" >>"$csv"
}

: >"$csv"
for app in $apps; do
    # shellcheck disable=SC2046
    set -- $(arguments "$app")
    for pes in $pes_list; do
        run="${MPIRUN:-mpirun} -n $pes"
        round=0
        while [ $round -lt "$rounds" ]; do
            if [ -x "$build/apps/${app}_mpi" ]; then
                # shellcheck disable=SC2086
                one "$app" "$pes" MPI $run "$build/apps/${app}_mpi" "$@"
            fi
            if [ -x "$build/apps/${app}_threads" ]; then
                one "$app" "$pes" threads "$build/apps/${app}_threads" -n "$pes" "$@"
            fi
            # shellcheck disable=SC2086
            one "$app" "$pes" write-invalidate $run "$build/apps/$app" --protocol invalidate "$@"
            # shellcheck disable=SC2086
            one "$app" "$pes" write-update $run "$build/apps/$app" --protocol update "$@"
            # shellcheck disable=SC2086
            one "$app" "$pes" sequential $run "$build/apps/$app" --consistency sequential "$@"
            if [ "$app" = sort ]; then
                # shellcheck disable=SC2086
                one "$app" "$pes" "write-invalidate by reads" $run "$build/apps/sort" --exchange read "$@"
            fi
            round=$((round + 1))
        done
    done
done

# The run with the median time of each variant.
sort -t, -k1,1 -k2,2n -k3,3 -k9,9g "$csv" | awk -F, -v rounds="$rounds" '
    NR % rounds == int((rounds + 1) / 2) % rounds' >"$csv.median"

echo "| app | PEs | | time, s | to MPI | waiting, s | read misses | write faults | MiB out | MiB in |"
echo "|---|---|---|---|---|---|---|---|---|---|"
for app in $apps; do
    for pes in $pes_list; do
        for variant in MPI threads write-invalidate write-update sequential "write-invalidate by reads"; do
            awk -F, -v app="$app" -v pes="$pes" -v variant="$variant" '
                function count(n) { return variant == "MPI" || variant == "threads" ? "" : n }
                $1 == app && $2 == pes && $3 == "MPI" {mpi = $9}
                $1 == app && $2 == pes && $3 == variant {found = 1; split($0, f, ",")}
                END {
                    if (!found)
                        exit
                    ratio = mpi > 0 ? sprintf("%.2f", f[9] / mpi) : ""
                    waiting = f[10] == "" ? "" : sprintf("%.3f", f[10])
                    out = variant == "threads" ? "" : sprintf("%.2f", f[13] / 1048576)
                    printf "| %s | %d | %s | %.3f | %s | %s | %s | %s | %s | %s |\n", app, pes, variant, f[9], ratio,
                        waiting, count(f[11]), count(f[12]), out, count(sprintf("%.2f", f[14] / 1048576))
                }' "$csv.median"
        done
    done
done
