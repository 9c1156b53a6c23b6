# Heat: strong scaling (one field) and weak scaling (a field that grows with the PEs). The line is the
# least of the runs, since what else the machine does only adds; the bar goes up to their median.
set terminal pngcairo size 1000,440 font 'Sans,11'
set output out
set multiplot layout 1,2 title 'heat, 200 steps: least of 9 runs, bars up to the median; 2 cores' font ',12' \
    margins 0.08,0.98,0.24,0.84 spacing 0.09,0.1
set xrange [0.7:4.3]
set yrange [0:*]
set xtics 1,1,4
set xlabel 'PEs'
set ylabel 'seconds'
set grid lc rgb '#cccccc'
unset key
# A key of our own: gnuplot's is no wider than a panel.
set label 1 '{/:Bold ●} write-invalidate' at screen 0.28,0.06 tc rgb '#1b6ca8'
set label 2 '{/:Bold ■} write-update' at screen 0.48,0.06 tc rgb '#e07b00'
set label 3 '{/:Bold □} MPI' at screen 0.66,0.06 tc rgb '#777777'
do for [how in 'strong weak'] {
    set title how eq 'strong' ? 'strong scaling: 1024x1024 points' : 'weak scaling: 1024x256 points a PE'
    file = data.'/heat_'.how
    plot file using 1:4 with linespoints lw 2 pt 7 lc rgb '#1b6ca8' title 'write-invalidate', \
         file using 1:6 with linespoints lw 2 pt 5 lc rgb '#e07b00' title 'write-update', \
         file using 1:2 with linespoints lw 2 pt 4 dt 2 lc rgb '#777777' title 'MPI', \
         file using ($1-0.05):4:(0):($5-$4) with vectors nohead lc rgb '#1b6ca8' notitle, \
         file using ($1+0.05):6:(0):($7-$6) with vectors nohead lc rgb '#e07b00' notitle, \
         file using 1:2:(0):($3-$2) with vectors nohead lc rgb '#777777' notitle
}
unset multiplot
