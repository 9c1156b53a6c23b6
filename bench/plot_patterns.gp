# Which protocol wins where: a group of bars a pattern.
set terminal pngcairo size 1000,480 font 'Sans,11'
set output out
set title 'Time of an iteration by sharing pattern and protocol: 2 PEs, pages of 4 KiB (less is better)'
set ylabel 'microseconds, least of 9'
set logscale y
set yrange [1:*]
set style data histograms
set style histogram clustered gap 1
set style fill solid 0.85 border -1
set boxwidth 0.9
set grid ytics lc rgb '#cccccc'
set key outside bottom center horizontal
set xtics scale 0
plot data.'/patterns' using 3:xtic(1) lc rgb '#1b6ca8' title 'write-invalidate', \
     '' using 4 lc rgb '#e07b00' title 'write-update', \
     '' using 5 lc rgb '#4c9a2a' title 'sequential', \
     '' using 2 lc rgb '#999999' title 'the same in MPI'
