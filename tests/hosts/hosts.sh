#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Several hosts on one machine, of network namespaces: each has an address, a name and a loopback of
# its own, and a bridge joins them. For root, on Linux.
#
# hosts.sh up DIR N        make N hosts; what belongs to them is written below DIR
# hosts.sh down DIR        end their processes and take them away; never fails
# hosts.sh in DIR I CMD... run a command on host I (0 to N-1)
# hosts.sh mpirun DIR ARGS...  Open MPI's mpirun, on host 0, for PEs on all of them by turns
# hosts.sh possible        can it be done here? If not, says why
set -u

self=$(cd "$(dirname "$0")" && pwd)/hosts.sh

# The namespaces' names hold the folder's inode: several sets can be up at once.
name() {
    echo "hearth$(stat -c %i "$1")-$2"
}

possible() {
    if [ "$(id -u)" != 0 ]; then
        echo "not root"
        return 1
    fi
    for tool in ip unshare mount hostname; do
        if ! command -v $tool >/dev/null 2>&1; then
            echo "no $tool (package iproute2, util-linux, mount or hostname)"
            return 1
        fi
    done
    probe=hearthprobe$$
    if ! ip netns add $probe 2>/dev/null; then
        echo "network namespaces are not allowed"
        return 1
    fi
    words=
    if ! ip -n $probe link add name switch0 type bridge 2>/dev/null; then
        words="no bridge in this kernel"
    elif ! ip -n $probe link add name end0 type veth peer name end1 2>/dev/null; then
        words="no veth in this kernel"
    elif ! ip netns exec $probe unshare --uts hostname probe 2>/dev/null; then
        words="host names cannot be changed"
    fi
    ip netns del $probe
    [ -z "$words" ] || echo "$words"
    [ -z "$words" ]
}

up() {
    dir=$1 n=$2
    net=$(name "$dir" net)
    echo "$n" >"$dir/n"
    echo "127.0.0.1 localhost" >"$dir/hosts"
    ip netns add "$net" || return 1
    ip -n "$net" link add name switch0 type bridge && ip -n "$net" link set switch0 up || return 1
    i=0
    : >"$dir/hostfile"
    while [ $i -lt "$n" ]; do
        host=$(name "$dir" $i)
        ip netns add "$host" &&
            ip -n "$host" link set lo up &&
            ip -n "$host" link add eth0 type veth peer name "port$i" netns "$net" &&
            ip -n "$host" addr add "10.77.0.$((i + 1))/24" dev eth0 &&
            ip -n "$host" link set eth0 up &&
            ip -n "$net" link set "port$i" master switch0 &&
            ip -n "$net" link set "port$i" up || return 1
        echo "10.77.0.$((i + 1)) node$i" >>"$dir/hosts"
        echo "node$i slots=64" >>"$dir/hostfile"
        i=$((i + 1))
    done
}

down() {
    dir=$1
    n=$(cat "$dir/n" 2>/dev/null || echo 0)
    i=0
    while [ $i -lt "$n" ]; do
        host=$(name "$dir" $i)
        # shellcheck disable=SC2046
        kill -9 $(ip netns pids "$host" 2>/dev/null) 2>/dev/null
        i=$((i + 1))
    done
    i=0
    while [ $i -lt "$n" ]; do
        ip netns del "$(name "$dir" $i)" 2>/dev/null
        i=$((i + 1))
    done
    ip netns del "$(name "$dir" net)" 2>/dev/null
    # What Open MPI leaves of a job that was killed bears the hosts' names.
    rm -rf /tmp/ompi.node[0-9]*.0 /dev/shm/vader_segment.node[0-9]*.0.*
    return 0
}

# A host sees its own name, and its neighbours' in /etc/hosts.
on_host() {
    dir=$1 i=$2
    shift 2
    # shellcheck disable=SC2016
    exec ip netns exec "$(name "$dir" "$i")" unshare --uts --mount sh -c '
        mount --bind "$1" /etc/hosts && hostname "$2" || exit 1
        shift 2
        exec "$@"' sh "$dir/hosts" "node$i" "$@"
}

# What mpirun takes for ssh: agent DIR HOST COMMAND.
agent() {
    dir=$1 host=$2
    shift 2
    on_host "$dir" "${host#node}" sh -c "$*"
}

launch() {
    dir=$1
    shift
    # Without --bind-to none each host would bind its first PE to core 0.
    on_host "$dir" 0 mpirun --mca plm_rsh_agent "sh $self agent $dir" --mca orte_keep_fqdn_hostnames 1 \
        --hostfile "$dir/hostfile" --map-by node --bind-to none --oversubscribe "$@"
}

verb=${1:-}
[ $# -eq 0 ] || shift
case $verb in
possible) possible ;;
up) up "$@" ;;
down) down "$@" ;;
in) on_host "$@" ;;
mpirun) launch "$@" ;;
agent) agent "$@" ;;
*)
    sed -n '3,11s/^# \{0,1\}//p' "$self"
    exit 2
    ;;
esac
