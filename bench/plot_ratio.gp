# The ratio to MPI of each work: a bar each, from the bottom up.
set terminal pngcairo size 1000,720 font 'Sans,10'
set output out
set title 'Time to that of the same in MPI, or of the bare pieces (less is better)' font ',12'
set lmargin 44
set logscale x
stats data.'/ratio' using 2 nooutput
n = STATS_records
low = STATS_min < 0.6 ? STATS_min / 1.3 : 0.5
set xrange [low:STATS_max * 2]
set yrange [-0.7:n - 0.3]
set ytics scale 0
set grid xtics lc rgb '#cccccc'
set arrow 1 from 1,graph 0 to 1,graph 1 nohead lw 2 lc rgb '#333333' front
set key bottom right opaque box
color(i) = i == 1 ? 0x1b6ca8 : i == 2 ? 0xe07b00 : 0x4c9a2a
set xlabel 'ratio of the least of 9, logarithmic'
set style fill solid 0.85 noborder
plot data.'/ratio' using (low):0:(low):2:($0 - 0.35):($0 + 0.35):(color($3)):ytic(1) with boxxyerror lc rgb variable notitle, \
     '' using ($2 < 1 ? 1 : $2):0:(sprintf('%.2f', $2)) with labels offset 2.5,0 font ',9' notitle, \
     NaN with boxes lc rgb '#1b6ca8' title 'write-invalidate, or no protocol involved', \
     NaN with boxes lc rgb '#e07b00' title 'write-update'
