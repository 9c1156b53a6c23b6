#!/bin/sh
# Draw the results of bench/run.sh. Usage: plot.sh RESULTS_DIR
#
#   patterns.png   which protocol wins where: time by sharing pattern and protocol, pages of 4 KiB
#   page_size.png  time against page size, a panel a pattern
#   ratio.png      the ratio to MPI (or the bare pieces) of each work of the suite
#   heat.png       heat, strong and weak scaling
#
# Of the repetitions the least is drawn, and ratios are those of the least: what else the machine does
# only adds. A picture whose data are not there is not drawn.
set -u
results=$1
csv=$results/bench.csv
here=$(cd "$(dirname "$0")" && pwd)
if ! command -v gnuplot >/dev/null 2>&1; then
    echo "bench: no pictures, since there is no gnuplot (package gnuplot-nox)"
    exit 0
fi
data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT
failed=0

draw() { # draw NAME: by plot_NAME.gp
    gnuplot -e "data='$data'; out='$results/$1.png'" "$here/plot_$1.gp" 2>"$data/errors" || {
        echo "bench: gnuplot could not draw $1.png:" >&2
        cat "$data/errors" >&2
        failed=1
    }
}

patterns='false sharing|migratory|producer-consumer|rarely read|read-mostly|all-to-all'

# Pattern, MPI, invalidate, update, sequential: us.
awk -F, -v patterns="$patterns" '
    BEGIN {n = split(patterns, order, "|")}
    $5 == 2 && ($2 == "MPI" || $2 == "Hearth" && $4 == 4096) {t[$1, $2 == "MPI" ? "MPI" : $3] = $7; seen[$1] = 1}
    END {
        for (i = 1; i <= n; i++)
            if (seen[order[i]]) {
                p = order[i]
                printf "\"%s\" %s %s %s %s\n", p, t[p, "MPI"], t[p, "invalidate"], t[p, "update"], t[p, "sequential"]
            }
    }' "$csv" >"$data/patterns"
[ ! -s "$data/patterns" ] || draw patterns

# A block for each pattern: KiB, invalidate, update, sequential, MPI.
awk -F, -v patterns="$patterns" '
    BEGIN {n = split(patterns, order, "|"); split("4096 16384 65536", size, " ")}
    $5 == 2 && ($2 == "MPI" || $2 == "Hearth") {t[$1, $2 == "MPI" ? "MPI" : $3 $4] = $7; seen[$1] = 1}
    END {
        for (i = 1; i <= n; i++)
            if (seen[order[i]]) {
                p = order[i]
                for (s = 1; s <= 3; s++)
                    print size[s] / 1024, t[p, "invalidate" size[s]], t[p, "update" size[s]], t[p, "sequential" size[s]], t[p, "MPI"]
                print ""; print ""
            }
    }' "$csv" >"$data/page_size"
[ ! -s "$data/page_size" ] || draw page_size

# The works of the suite in this order; by the first pager of those that were measured.
awk -F, '
    function add(label, key) {if (key in r && r[key] != "") printf "\"%s\" %s %s\n", label, r[key], color(label)}
    function color(label) {return label ~ /update$/ ? 2 : label ~ /sequential$/ ? 3 : 1}
    {k = $1 "|" $2 "|" $3; if (!(k in r)) r[k] = $13 == "" ? "" : $7 / $13}
    END {
        add("counter homed elsewhere", "counter|hearth_counter_fetch_add|")
        add("uncontended lock, home elsewhere", "uncontended lock|lock; unlock; home elsewhere|invalidate")
        add("barrier, 1 MiB", "barrier|with a region of 1 MiB|invalidate")
        add("barrier, 16 GiB", "barrier|with a region of 16 GiB|invalidate")
        add("random miss, first touch", "miss; random|Hearth read miss; first touch|")
        add("random miss, again", "miss; random|Hearth read miss; again|")
        add("sequential read, fresh", "sequential read 64 MiB|Hearth; fresh frames|invalidate")
        add("sequential read, warm", "sequential read 64 MiB|Hearth; warm frames|invalidate")
        split("1 16 256", pages, " ")
        split("producer consumer", home, " ")
        split("invalidate update", protocol, " ")
        for (i = 1; i <= 3; i++)
            for (h = 1; h <= 2; h++)
                for (p = 1; p <= 2; p++)
                    add("producer-consumer " pages[i] ", " home[h] " home, " protocol[p],
                        "producer-consumer " pages[i] "|the " home[h] " is home|" protocol[p])
        add("alternate words, invalidate", "alternate words|stores|invalidate")
        add("alternate words, update", "alternate words|stores|update")
        add("lock hand-over, invalidate", "lock hand-over|lock; counter; unlock|invalidate")
        add("lock hand-over, update", "lock hand-over|lock; counter; unlock|update")
        add("Jacobi 2048, invalidate", "jacobi 2048|Hearth; hearth_malloc|invalidate")
        add("Jacobi 2048, update", "jacobi 2048|Hearth; a region|update")
    }' "$csv" | awk '{a[NR] = $0} END {for (i = NR; i > 0; i--) print a[i]}' >"$data/ratio"
[ ! -s "$data/ratio" ] || draw ratio

# heat.csv: scaling,program,PEs,size,min,median,max. Columns: PEs, then min and median of each program.
for how in strong weak; do
    awk -F, -v how=$how '
        $1 == how {t[$2, $3] = $5 " " $6; if ($3 > most) most = $3}
        END {for (pe = 1; pe <= most; pe++) print pe, t["MPI", pe], t["invalidate", pe], t["update", pe]}' \
        "$results/heat.csv" 2>/dev/null >"$data/heat_$how"
done
[ ! -s "$data/heat_strong" ] || draw heat
exit $failed
