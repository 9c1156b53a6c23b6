#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Check the models with spin: every configuration must pass, every mutant must fail.
#
# run.sh [short]             the small configurations and all mutants: minutes (`make models`)
# run.sh long                the large configurations: about half an hour, up to 10 GB of memory
# run.sh one MODEL FLAGS...  one configuration; if it fails, what its threads did
# FILTER      only lines of the table that match this (grep -E)
# MEMORY_KB   address space that a search may use (default 10000000)
# SECONDS_MAX a search is cut off after that long, which counts as failed (default 900; long 7200)
# CC          default gcc
set -u

here=$(cd "$(dirname "$0")" && pwd)
mode=${1:-short}
[ $# -eq 0 ] || shift
case $mode in
long) limit=${SECONDS_MAX:-7200} ;;
*) limit=${SECONDS_MAX:-900} ;;
esac
memory=${MEMORY_KB:-10000000}
CC=${CC:-gcc}
for needed in "spin spin" "$CC gcc" "cpp cpp"; do
    if ! command -v "${needed% *}" >/dev/null 2>&1; then
        echo "run.sh: ${needed% *} is missing: install the package '${needed#* }'" >&2
        exit 1
    fi
done

work=$(mktemp -d) || exit 1
pid=
trap 'rm -rf "$work"' EXIT
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null; exit 130' INT TERM HUP
cd "$work" || exit 1
passed=0
failed=0

# The kinds of verdict: ok, or how it fails: assertion, deadlock, cycle (of an LTL property); and
# what is neither: "no model", "no compiler", "cut off", "too deep", "out of memory".
verdict() {
    if grep -q 'max search depth too small' out; then
        echo "too deep"
    elif grep -q '^pan:[0-9]*: acceptance cycle' out; then
        echo cycle
    elif grep -q '^pan:[0-9]*: invalid end state' out; then
        echo deadlock
    elif grep -q '^pan:[0-9]*: assertion violated' out; then
        echo assertion
    elif grep -q 'out of memory' out; then
        echo "out of memory"
    elif grep -q 'errors: 0' out && ! grep -q 'Search not completed' out; then
        echo ok
    else
        echo "cut off"
    fi
}

# search MODEL EXPECTED FLAGS: sets actual, states, seconds.
search() {
    model=$1 expected=$2 flags=$3
    states=- seconds=-
    rm -rf ./*
    # Most mutants fail at once, and small configurations end soon: compiling takes longer.
    optimise=-O0
    depth=1000000
    case $flags in
    *-DBIG*) optimise=-O1 depth=20000000 ;;
    esac
    case $flags in
    *-DLIVE* | *-DTERMINATION*) search="-a -f" checks="-DNFAIR=4" ;;
    *) search="" checks="-DSAFETY" ;;
    esac
    # shellcheck disable=SC2086
    if ! spin -a $flags "$here/$model.pml" >spin.out 2>&1; then
        actual="no model"
        return
    fi
    # shellcheck disable=SC2086
    if ! "$CC" -w $optimise $checks -DCOLLAPSE -DVECTORSZ=2048 -o pan pan.c >gcc.out 2>&1; then
        actual="no compiler"
        return
    fi
    # shellcheck disable=SC2086
    (
        ulimit -v "$memory"
        exec timeout "$limit" ./pan $search -m$depth
    ) >out 2>&1 </dev/null &
    pid=$!
    wait $pid
    pid=
    actual=$(verdict)
    states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' out)
    seconds=$(sed -n 's/^pan: elapsed time \([0-9.e+]*\) seconds.*/\1/p' out)
}

if [ "$mode" = one ]; then
    model=${1:?"run.sh one MODEL FLAGS..."}
    shift
    search "$model" ok "$*"
    [ ! -f "$model.pml.trail" ] || spin -k "$model.pml.trail" -p -g "$@" "$here/$model.pml"
    cat spin.out out 2>/dev/null | grep -v '^$' | tail -n 40
    echo "$model $*: $actual, $states states, $seconds s"
    [ "$actual" = ok ]
    exit
fi

# The table: mode, model, expected verdict, flags. BIG: worth optimising for. README.md explains.
table() {
    cat <<'TABLE'
short stale ok
short invalidate ok -DOPS0=2 -DOPS1=2 -DEVICT
short invalidate ok -DT1=2 -DEVICT -DBIG
short invalidate ok -DT1=2 -DOPS0=2 -DMOD=2 -DBIG
short invalidate ok -DT0=2 -DOPS1=2 -DMOD=2
short invalidate ok -DN=3 -DT2=1 -DMOD=2 -DBIG
short invalidate ok -DT1=2 -DABA -DMOD=2
short invalidate ok -DP=2 -DEVICT
short invalidate ok -DP=2 -DEVICT -DBATCH=1 -DMOD=2
short invalidate ok -DP=2 -DHOME1=1 -DEVICT -DMOD=2
short invalidate ok -DP=2 -DW=1 -DT1=2 -DOPS0=2
short invalidate ok -DP=2 -DW=1 -DOPS0=2 -DSTRAY=acquire -DABA -DMOD=2
short invalidate ok -DFORGET -DEVICT
short invalidate ok -DFORGET -DSTRAY=evict -DMOD=2
short invalidate ok -DFORGET -DSTRAY=acquire -DMOD=2
short invalidate ok -DHOT -DOPS0=2 -DOPS1=2 -DMOD=2 -DBIG
short invalidate ok -DHOT -DEVICT
short invalidate ok -DHOT -DT1=2 -DMOD=2 -DABA -DBIG
short invalidate ok -DHOT -DP=2 -DW=1 -DOPS0=2 -DEVICT
short invalidate ok -DWANTED -DOPS0=2 -DOPS1=2 -DMOD=2 -DBIG
short invalidate ok -DWANTED -DT1=2 -DOPS0=2 -DABA -DMOD=2 -DBIG
short invalidate ok -DWANTED -DHOT -DEVICT -DOPS1=2 -DBIG
short invalidate ok -DWANTED -DFORGET -DSTRAY=acquire -DBIG
short invalidate ok -DWANTED -DFORGET -DSTRAY=acquire -DOPS1=2 -DBIG
short invalidate ok -DWANTED -DP=2 -DW=1 -DOPS0=2 -DEVICT
short invalidate ok -DTERMINATION -DT1=2 -DMOD=2
short invalidate ok -DTERMINATION -DP=2 -DW=1 -DEVICT
short invalidate ok -DLIVE -DW=1 -DWATCH=0 -DBIG
short invalidate ok -DLIVE -DW=1 -DWATCH=1 -DBIG
short invalidate ok -DLIVE -DW=1 -DT0=0 -DT1=2 -DEVICT -DWATCH=0
short update ok -DOPS0=2 -DOPS1=2 -DEVICT
short update ok -DT1=2 -DEVICT
short update ok -DT0=2 -DOPS1=2 -DMOD=2
short update ok -DN=3 -DT2=1 -DMOD=2
short update ok -DT1=2 -DABA -DMOD=2
short update ok -DOPS0=2 -DOPS1=2 -DABA -DMOD=2 -DEVICT
short update ok -DP=2 -DMOD=2 -DEVICT
short update ok -DP=2 -DMOD=2 -DBATCH=1
short update ok -DP=2 -DHOME1=1 -DEVICT -DMOD=2
short update ok -DP=2 -DW=1 -DT1=2 -DOPS0=2
short update ok -DFORGET -DEVICT
short update ok -DFORGET -DSTRAY=evict
short update ok -DTERMINATION -DT1=2 -DMOD=2
short update ok -DTERMINATION -DP=2 -DW=1 -DEVICT
short update ok -DLIVE -DW=1 -DEVICT -DWATCH=0
short update ok -DLIVE -DW=1 -DEVICT -DWATCH=1
short update ok -DLIVE -DW=1 -DT0=0 -DT1=2 -DEVICT -DWATCH=0
short update ok -DLIVE -DW=1 -DP=2 -DSAME -DWATCH=1
short sequential ok -DOPS0=2 -DOPS1=2 -DEVICT -DMOD=2
short sequential ok -DT1=2 -DMOD=2
short sequential ok -DN=3 -DT0=0 -DT2=1 -DMOD=2
short sequential ok -DP=2 -DMOD=2
short sequential ok -DP=2 -DHOME1=1 -DMOD=2
short sequential ok -DW=2 -DMOD=2
short sequential ok -DZERO -DOPS0=2
short sequential ok -DFORGET -DEVICT -DMOD=2
short sequential ok -DFORGET -DSTRAY=evict -DMOD=2
short sequential ok -DTERMINATION
short sequential ok -DTERMINATION -DN=3 -DT0=0 -DT2=1 -DMOD=2
short sequential ok -DLIVE -DWATCH=1
short sequential ok -DLIVE -DPROMPT -DWATCH=0
short stale assertion -DBUG_TOPFIRST
short stale assertion -DBUG_MIDDLEFIRST
short stale assertion -DBUG_TOPLAST
short stale assertion -DBUG_MIDDLELAST
short stale assertion -DBUG_NOACQLOCK
short invalidate assertion -DBUG_HINTBEFORE -DOPS0=2 -DOPS1=2
short invalidate assertion -DBUG_NOHINT
short invalidate assertion -DBUG_HINTLAST -DOPS0=2 -DOPS1=2 -DEVICT
short invalidate assertion -DBUG_HINTSUMFIRST -DP=2 -DOPS0=2 -DMOD=2
short invalidate assertion -DBUG_HINTSUMLAST -DP=2 -DOPS0=2 -DMOD=2
short invalidate assertion -DBUG_READFIRST -DN=3 -DT0=0 -DT2=1
short invalidate assertion -DBUG_SUMFIRST -DT1=2 -DOPS1=2
short invalidate assertion -DBUG_SUMLAST -DP=2 -DW=1 -DOPS0=3 -DOPS1=2 -DSTRAY=acquire -DBIG
short invalidate assertion -DBUG_NOPROTECT -DOPS1=2
short invalidate assertion -DBUG_DIFFNOBUSY -DT1=2 -DOPS1=2
short invalidate assertion -DBUG_PUTNOBUSY -DT1=2 -DOPS1=2
short invalidate assertion -DBUG_FAULTNOBUSY -DT1=2 -DOPS1=2
short invalidate assertion -DBUG_ACQNOBUSY -DT1=2 -DOPS1=2
short invalidate assertion -DBUG_NORELLOCK -DT1=2
short invalidate assertion -DBUG_NOACQLOCK -DT1=2 -DOPS1=2
short invalidate assertion -DBUG_DROPGAP -DT1=2 -DOPS1=2
short invalidate assertion -DBUG_DROPNORELLOCK -DN=3 -DT0=0 -DT1=2 -DT2=1 -DOPS2=2
short invalidate assertion -DBUG_EVICTNORELLOCK -DN=3 -DT0=0 -DT1=2 -DT2=1 -DOPS2=2 -DEVICT
short invalidate assertion -DBUG_UNREGNOBUSY -DT1=2 -DOPS1=2 -DEVICT
short invalidate assertion -DBUG_UNREGLATE -DT1=2 -DOPS1=2 -DEVICT
short invalidate assertion -DBUG_EARLYEXCLUSIVE -DOPS0=2 -DOPS1=2
short invalidate assertion -DBUG_OLDTWIN -DOPS1=2 -DMOD=2
short invalidate assertion -DBUG_UNLISTEARLY -DT1=2 -DP=2 -DBATCH=1 -DMOD=2
short invalidate assertion -DBUG_ACKEARLY -DN=3 -DT0=0 -DT2=1
short invalidate assertion -DBUG_HOTUNLISTED -DHOT -DOPS1=2
short invalidate assertion -DBUG_MISSUNLISTED -DHOT
short invalidate assertion -DBUG_TWINOLD -DHOT -DOPS1=2
short invalidate assertion -DBUG_TWINFRAME -DHOT -DT1=2 -DMOD=2 -DABA -DBIG
short invalidate assertion -DBUG_REFRESHNOTWIN -DHOT -DOPS0=2 -DOPS1=2 -DMOD=2 -DBIG
short invalidate assertion -DBUG_REFRESHALL -DHOT -DT1=2 -DOPS0=2 -DMOD=2 -DBIG
short invalidate assertion -DBUG_REFRESHNOBUSY -DHOT -DT1=2 -DOPS0=2 -DMOD=2 -DBIG
short invalidate assertion -DBUG_WANTEDNOGET -DWANTED -DOPS0=2 -DOPS1=2 -DMOD=2 -DBIG
short invalidate assertion -DBUG_WANTEDNOBUSY -DWANTED -DT1=2 -DMOD=2 -DBIG
short invalidate assertion -DBUG_FORGETHINT -DFORGET
short invalidate assertion -DBUG_FORGETREG -DFORGET -DN=3 -DT2=1 -DMOD=2
short invalidate deadlock -DBUG_WAITHOLDING -DT1=2 -DEVICT
short invalidate cycle -DBUG_NODETACH -DLIVE -DSAME -DT0=0 -DT1=2 -DWATCH=0
short invalidate cycle -DBUG_TAKEUNTILEMPTY -DLIVE -DSAME -DT1=2 -DWATCH=1 -DBIG
short update assertion -DBUG_LISTLATE -DOPS0=2 -DT0=2
short update assertion -DBUG_NOTLISTED -DOPS0=2
short update assertion -DBUG_DATALATE -DOPS0=2 -DOPS1=2
short update assertion -DBUG_DATAPOSTLATE -DOPS0=2
short update assertion -DBUG_DATAFRAME -DABA -DMOD=2 -DOPS0=2 -DOPS1=2
short update assertion -DBUG_NOTWIN -DOPS0=2 -DOPS1=2
short update assertion -DBUG_NOTPUBLISHED -DOPS0=2 -DOPS1=2
short update assertion -DBUG_ECHO -DABA -DMOD=2 -DT1=2
short update assertion -DBUG_HOMEPROTECTLATE -DT0=2 -DOPS0=2
short update assertion -DBUG_PROTECTLATE -DT1=2 -DOPS1=2
short update assertion -DBUG_NORELLOCK -DT1=2
short update assertion -DBUG_NOWAIT -DOPS0=2
short update assertion -DBUG_ACKEARLY -DN=3 -DT2=1 -DOPS2=2
short update assertion -DBUG_UNSUBFIRST -DOPS0=2 -DOPS1=2 -DEVICT
short update assertion -DBUG_NOUNSUBACK -DFORGET -DEVICT
short update assertion -DBUG_NOPIN -DFORGET -DSTRAY=evict
short update deadlock -DBUG_EVICTNOBUSY -DT1=2 -DEVICT -DOPS1=2
short update deadlock -DBUG_DROPNOACK -DOPS0=2 -DOPS1=2 -DEVICT
short update cycle -DBUG_DROPNOACK -DLIVE -DW=1 -DEVICT -DWATCH=0
short update cycle -DBUG_NODETACH -DLIVE -DSAME -DT0=0 -DT1=2 -DWATCH=0
short sequential assertion -DBUG_ACKFIRST -DOPS1=2
short sequential assertion -DBUG_NOACK -DOPS0=2
short sequential assertion -DBUG_NODATABYFLAG -DOPS0=2 -DOPS1=2
short sequential assertion -DBUG_NODATABYCOPYSET -DOPS1=2 -DEVICT
short sequential assertion -DBUG_EVICTSPLIT -DT1=2 -DOPS1=2 -DEVICT
short sequential assertion -DBUG_EVICTNOLOCK -DOPS1=2 -DEVICT
short sequential assertion -DBUG_RECALLSPLIT -DOPS1=2
short sequential assertion -DBUG_RECALLANSWERED -DOPS1=2 -DEVICT
short sequential assertion -DBUG_NOTCANCELLED -DOPS0=2 -DOPS1=3 -DEVICT
short sequential assertion -DBUG_TWOATATIME -DOPS0=2 -DOPS1=2
short sequential assertion -DBUG_WRITTENEARLY -DFORGET -DOPS1=2 -DEVICT
short sequential assertion -DBUG_NOWRITTEN -DFORGET -DEVICT
short sequential assertion -DBUG_READERUNKNOWN
short sequential assertion -DBUG_KEEPERUNKNOWN
short sequential assertion -DBUG_DATAFIRST
short sequential assertion -DBUG_GRANTFIRST
short sequential assertion -DBUG_HOMEGOESON
short sequential assertion -DBUG_HOMEKEEPSVIEW
short sequential assertion -DBUG_VIEWATFIRST -DW=2
short sequential assertion -DBUG_ZEROUNGUARDED -DZERO
short sequential assertion -DBUG_FORGETLEDGER -DFORGET -DNEWHOME=0
short sequential assertion -DBUG_HOMETWICE -DFORGET
short sequential assertion -DBUG_NOBUSY -DT1=2
short sequential assertion -DBUG_NOPIN -DFORGET -DSTRAY=evict
short sequential deadlock -DBUG_WBNOTANSWER -DOPS1=2 -DEVICT
short sequential deadlock -DBUG_HANDLERBUSY -DOPS0=2 -DOPS1=2
short sequential deadlock -DBUG_NOFIFO -DOPS1=2 -DEVICT
short sequential deadlock -DBUG_NOALARM
short sequential deadlock -DBUG_HOMENOALARM
short sequential deadlock -DBUG_ALARMONCE -DOPS1=2
short sequential deadlock -DBUG_DEFERREDLOST
short sequential cycle -DBUG_NOHOLD -DLIVE -DPROMPT -DWATCH=1
short sequential cycle -DBUG_HOMENOHOLD -DLIVE -DPROMPT -DWATCH=0
short sequential cycle -DBUG_AWAKEENDSHOLD -DLIVE -DPROMPT -DWATCH=0
long stale ok -DTELLS1=1 -DBIG
long invalidate ok -DT0=2 -DT1=2 -DMOD=2 -DBIG
long invalidate ok -DT1=2 -DOPS0=2 -DOPS1=2 -DBIG
long invalidate ok -DT1=2 -DOPS1=2 -DEVICT -DMOD=2 -DBIG
long invalidate ok -DT1=2 -DOPS1=2 -DABA -DMOD=2 -DBIG
long invalidate ok -DN=3 -DT1=2 -DT2=1 -DT0=0 -DOPS2=2 -DEVICT -DMOD=2 -DBIG
long invalidate ok -DN=3 -DT2=1 -DOPS2=2 -DEVICT -DMOD=2 -DBIG
long invalidate ok -DHOT -DT1=2 -DOPS1=2 -DMOD=2 -DBIG
long invalidate ok -DHOT -DN=3 -DT2=1 -DMOD=2 -DBIG
long invalidate ok -DWANTED -DHOT -DT1=2 -DOPS0=2 -DMOD=2 -DBIG
long invalidate ok -DWANTED -DN=3 -DT2=1 -DOPS2=2 -DMOD=2 -DBIG
long invalidate ok -DP=2 -DT1=2 -DMOD=2 -DBIG
long invalidate ok -DP=2 -DOPS0=2 -DOPS1=2 -DMOD=2 -DBIG
long invalidate ok -DP=2 -DHOME1=1 -DOPS1=2 -DEVICT -DMOD=2 -DBIG
long invalidate ok -DP=2 -DN=3 -DT2=1 -DW=1 -DOPS1=2 -DEVICT -DMOD=2 -DBIG
long invalidate ok -DFORGET -DN=3 -DT2=1 -DW=1 -DMOD=2 -DBIG
long invalidate ok -DLIVE -DSAME -DW=1 -DT0=0 -DT1=2 -DWATCH=1 -DBIG
long invalidate ok -DLIVE -DSAME -DW=1 -DP=2 -DT0=0 -DT1=2 -DEVICT -DWATCH=0 -DBIG
long invalidate ok -DTERMINATION -DP=2 -DEVICT -DMOD=2 -DBIG
long update ok -DT0=2 -DT1=2 -DEVICT -DMOD=2 -DBIG
long update ok -DT1=2 -DOPS0=2 -DOPS1=2 -DEVICT -DMOD=2 -DBIG
long update ok -DT1=2 -DOPS1=2 -DABA -DMOD=2 -DEVICT -DBIG
long update ok -DN=3 -DT2=1 -DOPS2=2 -DEVICT -DMOD=2 -DBIG
long update ok -DN=3 -DT0=2 -DT2=1 -DMOD=2 -DBIG
long update ok -DP=2 -DT1=2 -DMOD=2 -DBIG
long update ok -DP=2 -DHOME1=1 -DOPS1=2 -DEVICT -DMOD=2 -DBIG
long update ok -DP=2 -DN=3 -DT2=1 -DW=1 -DOPS1=2 -DEVICT -DMOD=2 -DBIG
long update ok -DFORGET -DN=3 -DT2=1 -DEVICT -DMOD=2 -DBIG
long update ok -DLIVE -DW=1 -DT1=2 -DWATCH=1 -DBIG
long update ok -DLIVE -DW=1 -DP=2 -DWATCH=0 -DBIG
long sequential ok -DT1=2 -DOPS0=2 -DMOD=2 -DBIG
long sequential ok -DN=3 -DT2=1 -DMOD=2 -DBIG
long sequential ok -DP=2 -DHOME1=1 -DEVICT -DOPS1=2 -DMOD=2 -DBIG
long sequential ok -DP=2 -DT1=2 -DMOD=2 -DBIG
long sequential ok -DW=2 -DOPS1=2 -DEVICT -DMOD=2 -DBIG
long sequential ok -DFORGET -DNEWHOME=0 -DOPS1=2 -DEVICT -DMOD=2 -DBIG
long sequential ok -DFORGET -DOPS1=2 -DEVICT -DMOD=2 -DBIG
long sequential ok -DTERMINATION -DT1=2 -DMOD=2 -DBIG
long sequential ok -DTERMINATION -DOPS0=2 -DOPS1=2 -DEVICT -DMOD=2 -DBIG
long sequential ok -DLIVE -DWATCH=0 -DBIG
long sequential ok -DLIVE -DPROMPT -DWATCH=1 -DBIG
TABLE
}

case $mode in
short | long) ;;
*)
    echo "run.sh: '$mode' is none of short, long, one" >&2
    exit 1
    ;;
esac
table | grep -E "^$mode " | grep -E -- "${FILTER:-.}" >"$work.table"
trap 'rm -rf "$work" "$work.table"' EXIT
printf '%-10s  %-58s %11s %8s  %-9s %s\n' model configuration states seconds expected actual
while read -r _ model expected flags; do
    search "$model" "$expected" "$flags"
    note=
    if [ "$actual" = "$expected" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        note="  FAILED"
    fi
    shown=$(echo "$flags" | sed 's/ *-DBIG//; s/-D//g')
    printf '%-10s  %-58s %11s %8s  %-9s %s\n' "$model" "$shown" "$states" "$seconds" "$expected" \
        "$actual$note"
    case $actual in
    "no model") tail -n 3 spin.out ;;
    "no compiler") tail -n 3 gcc.out ;;
    esac
done <"$work.table"
echo "$passed passed, $failed failed"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
