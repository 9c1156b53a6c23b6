#!/bin/sh
# Run the benchmarks and keep what they say in bench/results/: what each prints, all results in
# bench.csv (columns: bench/bench.h), the table bench.md, and pictures (bench/plot.sh).
#
# run.sh BUILD_DIR [PROGRAM...]   without PROGRAM: all, the heat scaling and OpenSHMEM included
#
# BENCH_WAIT=N: before each program wait for two seconds in which the machine does nothing else, at
# most N seconds. A program needs no entry here: it is run with two PEs. Exit code 1 if one failed.
set -u
build=$1
shift
here=$(cd "$(dirname "$0")" && pwd)
results=$here/results
csv=$results/bench.csv
mpirun=${MPIRUN:-mpirun --oversubscribe}
failed=0
mkdir -p "$results"

# Others that run, or would if they had a core (this script's own are two).
quiet() {
    left=${BENCH_WAIT:-0} still=0
    while [ "$left" -gt 0 ] && [ $still -lt 8 ]; do
        case $(cut -d' ' -f4 /proc/loadavg) in
        1/* | 2/*) still=$((still + 1)) ;;
        *) still=0 ;;
        esac
        sleep 0.25
        ticks=$((${ticks:-0} + 1))
        [ $((ticks % 4)) = 0 ] && left=$((left - 1))
    done
}

load() { cut -d' ' -f1-3 /proc/loadavg 2>/dev/null || echo unknown; }

# run LABEL SECONDS COMMAND...
run() {
    label=$1 limit=$2
    shift 2
    quiet
    echo "== $label"
    since=$(date +%s)
    if BENCH_CSV=$csv timeout "$limit" "$@" >"$results/$label.txt" 2>&1; then
        cat "$results/$label.txt"
    else
        echo "bench: $label failed ($?):" >&2
        tail -n 5 "$results/$label.txt" >&2
        failed=1
    fi
    echo "-- $label: $(($(date +%s) - since)) s"
}

# with PAGER, or without one: hearth LABEL PES PROGRAM
hearth() {
    # shellcheck disable=SC2086
    BENCH_PES=$2 run "$1" 240 $mpirun -n "$2" "$build/bench/$3"
}

# Those that fault: by each pager that works here.
by_each_pager() {
    for pager in $pagers; do
        export HEARTH_PAGER="$pager"
        hearth "$1-$pager" "$2" "$1"
        unset HEARTH_PAGER
    done
}

openshmem() {
    if ! [ -x "$build/bench/shmem_patterns" ] || ! command -v oshrun >/dev/null 2>&1; then
        echo "== OpenSHMEM left out: there is no oshcc here (Open MPI's packages have it)"
        return
    fi
    BENCH_PES=2 run shmem_patterns 120 oshrun --oversubscribe --mca memory ^patcher -n 2 "$build/bench/shmem_patterns"
}

# --- heat: strong and weak scaling, 9 runs each in turn, seconds of the steps ---

heat_run() { # heat_run PES SIZE LABEL COMMAND...: one line for heat.csv
    pes=$1 size=$2 label=$3
    shift 3
    # shellcheck disable=SC2086
    timeout 60 $mpirun -n "$pes" "$@" --csv --steps 200 --size "$size" "$here/../apps/hearth.pgm" 2>>"$results/heat.txt" |
        awk -F, -v how="$how" -v label="$label" 'NF > 6 {print how "," label "," $3 "," $4 "x" $5 "," $7; ok = 1}
                                                 END {exit !ok}' >>"$results/heat_runs.csv" || failed=1
}

heat_scaling() {
    echo "== heat, strong and weak scaling"
    : >"$results/heat.txt"
    : >"$results/heat_runs.csv"
    for repetition in 1 2 3 4 5 6 7 8 9; do
        for pes in 1 2 3 4; do
            for how in strong weak; do
                [ $how = strong ] && size=1024 || size=1024x$((256 * pes))
                heat_run $pes $size MPI "$build/apps/heat_mpi"
                heat_run $pes $size invalidate "$build/apps/heat" --protocol invalidate
                heat_run $pes $size update "$build/apps/heat" --protocol update
            done
        done
    done
    # scaling,program,PEs,size,min,median,max; and as the others' lines
    sort -t, -k1,4 -k5,5g "$results/heat_runs.csv" | awk -F, '
        function put() {
            if (n == 0) return
            print key "," t[1] "," t[int(n / 2) + 1] "," t[n]
        }
        {
            k = $1 "," $2 "," $3 "," $4
            if (k != key) { put(); n = 0; key = k }
            t[++n] = $5
        }
        END {put()}' >"$results/heat.csv"
    awk -F, '
        NR == FNR {if ($2 == "MPI") {mpi[$1, $3] = $6; least[$1, $3] = $5}; next}
        $2 == "MPI" {printf "heat %s,MPI %s,,4096,%d,s,%s,%s,%s,,,,\n", $1, $4, $3, $5, $6, $7}
        $2 != "MPI" {printf "heat %s,Hearth %s,%s,4096,%d,s,%s,%s,%s,%s,%.3f,,%s\n", $1, $4, $2, $3, $5, $6, $7,
                            mpi[$1, $3], $6 / mpi[$1, $3], least[$1, $3]}' "$results/heat.csv" "$results/heat.csv" >>"$csv"
    column -s, -t "$results/heat.csv" 2>/dev/null || cat "$results/heat.csv"
}

# --- the table ---

table() {
    echo "# Results of bench/run.sh"
    echo
    echo "$(nproc) cores, $(uname -sr), $(${mpirun%% *} --version 2>/dev/null | head -n 1); load average $load_before before, $(load) after: $busy"
    echo "Each line: min, median and max of 9 or more repetitions; ratio: to the counterpart of the same run, of the medians and of the least."
    awk -F, '
        $1 != work {work = $1; gsub(/;/, ",", $1); printf "\n## %s\n\n| | protocol | pager | page, KiB | PEs | unit | min | median | max | counterpart | ratio | of minima |\n", $1
                    print "|---|---|---|---|---|---|---|---|---|---|---|---|"}
        {gsub(/;/, ",", $2); printf "| %s | %s | %s | %g | %s | %s | %.4g | **%.4g** | %.4g | %s | %s | %s |\n",
         $2, $3, $12, $4 / 1024, $5, $6, $7, $8, $9, $10 == "" ? "" : sprintf("%.4g", $10), $11 == "" ? "" : sprintf("%.2f", $11),
         $13 == "" ? "" : sprintf("%.2f", $7 / $13)}' "$1"
}

load_before=$(load)
case $(echo "$load_before" | awk '{print ($1 > 0.5)}') in
1) busy="the machine had other work, so look at ratios and minima" ;;
*) busy="the machine was idle before" ;;
esac
pagers=mprotect
# It says so only if it works.
if [ -x "$build/hearth-info" ] && "$build/hearth-info" 2>/dev/null | grep -q '^pager: userfaultfd'; then
    pagers="userfaultfd mprotect"
fi
: >"$csv"
export HEARTH_NODE_PES=1
begun=$(date +%s)
if [ $# -eq 0 ]; then
    set -- waiting miss stream sync sharing jacobi patterns
    for program in "$build"/bench/*; do
        name=$(basename "$program")
        case " $* shmem_patterns loggp " in *" $name "*) continue ;; esac
        [ -f "$here/$name.c" ] && [ -x "$program" ] && set -- "$@" "$name"
    done
    set -- "$@" openshmem heat
fi
for name; do
    case $name in
    waiting) # more PEs than cores, as many as can be on one node
        unset HEARTH_NODE_PES
        hearth waiting-5 5 waiting
        hearth waiting-4 4 waiting
        export HEARTH_NODE_PES=1
        ;;
    miss | stream | sync | sharing | jacobi) by_each_pager "$name" 2 ;;
    patterns)
        hearth patterns-2 2 patterns
        hearth patterns-4 4 patterns
        ;;
    threads) # which are not to share the core that mpirun would bind their PE to
        bound=$mpirun
        mpirun="$mpirun --bind-to none"
        hearth threads 2 threads
        mpirun=$bound
        ;;
    openshmem) openshmem ;;
    heat) heat_scaling ;;
    *) hearth "$name" 2 "$name" ;;
    esac
done
# A work's lines together, in the order in which they first came.
awk -F, '!($1 in at) {at[$1] = ++n} {print at[$1] "," NR "," $0}' "$csv" | sort -t, -k1,1n -k2,2n | cut -d, -f3- >"$csv.sorted"
{ echo "name,variant,protocol,page_bytes,pes,unit,min,median,max,counterpart_median,ratio,pager,counterpart_min"; cat "$csv.sorted"; } >"$csv"
table "$csv.sorted" >"$results/bench.md"
rm -f "$csv.sorted"
sh "$here/plot.sh" "$results" || failed=1
echo "results in $results/bench.md and bench.csv; $(($(date +%s) - begun)) s"
exit $failed
