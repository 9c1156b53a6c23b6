# Time against page size: a panel a pattern.
set terminal pngcairo size 1000,640 font 'Sans,10'
set output out
names = 'false_sharing migratory producer-consumer rarely_read read-mostly all-to-all'
set multiplot layout 2,3 title 'Time of an iteration against page size: 2 PEs, least of 9' font ',12' \
    margins 0.08,0.98,0.16,0.89 spacing 0.06,0.12
set logscale xy
set xtics (4, 16, 64)
set xrange [3:85]
set grid lc rgb '#cccccc'
unset key
# A key of our own: gnuplot's is no wider than a panel.
set label 1 '{/:Bold ●} write-invalidate' at screen 0.22,0.03 tc rgb '#1b6ca8'
set label 2 '{/:Bold ■} write-update' at screen 0.42,0.03 tc rgb '#e07b00'
set label 3 '{/:Bold ▲} sequential' at screen 0.59,0.03 tc rgb '#4c9a2a'
set label 4 '- - the same in MPI' at screen 0.74,0.03 tc rgb '#777777'
do for [i=0:5] {
    set title system('echo '.word(names, i + 1).' | tr _ " "')
    if (i > 2) { set xlabel 'page, KiB' } else { unset xlabel }
    if (i % 3 == 0) { set ylabel 'microseconds' } else { unset ylabel }
    plot data.'/page_size' index i using 1:2 with linespoints lw 2 pt 7 lc rgb '#1b6ca8' title 'write-invalidate', \
         '' index i using 1:3 with linespoints lw 2 pt 5 lc rgb '#e07b00' title 'write-update', \
         '' index i using 1:4 with linespoints lw 2 pt 9 lc rgb '#4c9a2a' title 'sequential', \
         '' index i using 1:5 with lines lw 2 dt 2 lc rgb '#999999' title 'MPI'
}
unset multiplot
