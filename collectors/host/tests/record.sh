#!/bin/bash
# Copy what the collector reads of the host that this runs on: record.sh DIRECTORY
set -u
OUT=$1
keep() { [ -r "$1" ] && mkdir -p "$OUT${1%/*}" && cat "$1" > "$OUT$1" 2>/dev/null || rm -f "$OUT$1"; }
for file in stat loadavg meminfo vmstat diskstats pressure/cpu pressure/io pressure/memory pressure/irq net/snmp \
            net/snmp6 net/netstat net/sockstat net/sockstat6 net/softnet_stat sys/fs/file-nr \
            sys/net/netfilter/nf_conntrack_count sys/net/netfilter/nf_conntrack_max \
            sys/kernel/random/poolsize sys/kernel/random/entropy_avail 1/cgroup 2/comm; do
    keep "/proc/$file"
done
for disk in /sys/block/*; do
    mkdir -p "$OUT$disk"
    [ -e "$disk/md" ] && keep "$disk/dev"
    [ -e "$disk/dm/name" ] && keep "$disk/dm/name"
    for file in array_state degraded raid_disks level metadata_version sync_action sync_completed; do
        [ -e "$disk/md/$file" ] && keep "$disk/md/$file"
    done
    : > "$OUT$disk/.kept"
done
uname -r > "$OUT/kernel"
