#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# The demonstration behind `make demo`: the same heat flow by messages and in shared memory under
# both protocols, checked, timed and drawn.
#
#     MPIRUN="mpirun --oversubscribe" apps/demo.sh BUILD_DIR
#
# Pictures go to BUILD_DIR/demo. DEMO_PES (4), DEMO_STEPS (400) and DEMO_SIZE (the picture's own)
# change what is run. Exits with 0 only if every run was right and all results are the same.

set -eu

build=${1:?usage: apps/demo.sh BUILD_DIR}
mpirun=${MPIRUN:-mpirun}
pes=${DEMO_PES:-4}
steps=${DEMO_STEPS:-400}
rounds=3
picture=$(dirname "$0")/hearth.pgm
out=$build/demo

# These would override the protocols that are compared, or print between the lines that we read.
unset HEARTH_PROTOCOL HEARTH_CONSISTENCY HEARTH_PAGE_BYTES HEARTH_STATS

die()
{
    echo "demo: $*" >&2
    exit 1
}

# Where the build has put a program.
find_program()
{
    for dir in "$build/apps" "$build/bin" "$build"; do
        if [ -f "$dir/$1" ] && [ -x "$dir/$1" ]; then
            echo "$dir/$1"
            return
        fi
    done
    die "there is no program $1 in $build: run make first"
}

# run NAME PES PROGRAM ARGUMENT...: its csv line goes to the end of NAME.csv, its picture to NAME.png.
run()
{
    name=$1 n=$2
    shift 2
    # shellcheck disable=SC2086 # MPIRUN is several words, and they are to be split
    if ! timeout 60 $mpirun -n "$n" "$@" --csv --output "$out/$name.png" ${DEMO_SIZE:+--size} \
        ${DEMO_SIZE:+"$DEMO_SIZE"} "$picture" >"$out/$name.log" 2>&1 </dev/null; then
        cat "$out/$name.log" >&2
        die "$name failed (or took more than 60 s): $mpirun -n $n $*"
    fi
    grep '^heat' "$out/$name.log" >>"$out/$name.csv" ||
        die "$name printed no result: see $out/$name.log"
}

heat=$(find_program heat)
heat_mpi=$(find_program heat_mpi)
mkdir -p "$out"
rm -f "$out"/*.png "$out"/*.csv "$out"/*.log

cat <<EOF
Heat flows through the picture $picture for $steps steps, computed by $pes PEs in three
ways: with MPI messages, and with plain loads and stores in Hearth's shared memory under each
of its protocols. Each PE computes its share of the rows, and in every step it needs one row of
each neighbour. All results are compared with a serial computation, bit for bit.

EOF

run before 1 "$heat_mpi" --steps 0
round=0
while [ $round -lt $rounds ]; do
    run mpi "$pes" "$heat_mpi" --steps "$steps" --verify
    run invalidate "$pes" "$heat" --steps "$steps" --verify --protocol invalidate
    run update "$pes" "$heat" --steps "$steps" --verify --protocol update
    round=$((round + 1))
done

# Of each program the run with the median time, whole: its counts belong to its time.
for name in mpi invalidate update; do
    sort -t, -k7,7g "$out/$name.csv" | sed -n "$(((rounds + 1) / 2))p"
done >"$out/median.csv"

awk -F, -v steps="$steps" '
    function row(a, b, c, d, e, f, g, h, i, j) {
        printf "%-9s %-11s %4s %9s %8s %8s %8s %10s %9s  %s\n", a, b, c, d, e, f, g, h, i, j
    }
    BEGIN {
        row("program", "protocol", "PEs", "median", "ratio", "read", "write", "MiB", "messages",
            "verified")
        row("", "", "", "seconds", "to MPI", "misses", "faults", "moved", "", "")
    }
    {
        if (NR == 1)
            mpi = $7
        row($1, $2, $3, sprintf("%.3f", $7), mpi > 0 ? sprintf("%.2f", $7 / mpi) : "-", $8, $9,
            sprintf("%.2f", $10 / 1048576), $11, $14)
        misses[$2] = $8
    }
    END {
        if (steps > 0)
            printf "\nRead misses a step, all PEs together: %.2f under invalidate, %.2f under " \
                   "update.\n", misses["invalidate"] / steps, misses["update"] / steps
    }' "$out/median.csv"

cat <<EOF
Under invalidate a PE fetches the neighbours' border rows again, at each barrier once it is known
that it reads them in every step, with a read miss before; under update it is sent what changed.
The ratio is the price, in time, of writing no messages. MiB moved is what was sent plus what
was received: an update counts at both ends, a fetch or an MPI message at one.

EOF

# The verdicts and the checksums of all runs, not just of those in the table.
cat "$out/mpi.csv" "$out/invalidate.csv" "$out/update.csv" >"$out/all.csv"
[ "$(wc -l <"$out/all.csv")" -eq $((3 * rounds)) ] || die "some run printed more than one line"
[ "$(cut -d, -f3 "$out/all.csv" | sort -u)" = "$pes" ] || die "not all runs had $pes PEs"
[ "$(cut -d, -f14 "$out/all.csv" | sort -u)" = yes ] || die "not all results are verified"
checksum=$(cut -d, -f13 "$out/all.csv" | sort -u)
[ "$(echo "$checksum" | wc -l)" -eq 1 ] || die "the checksums differ: $checksum"
for name in invalidate update; do
    cmp -s "$out/mpi.png" "$out/$name.png" || die "$out/mpi.png and $out/$name.png differ"
done
echo "All $((3 * rounds)) results are the same, with checksum $checksum, and so are the pictures."
echo "Look at $out/before.png and at mpi.png, invalidate.png and update.png beside it."
