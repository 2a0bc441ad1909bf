#!/bin/bash
# Record addresses in their states, and a sequence of events, in a network namespace of this kernel.
# usage: unshare --net record_here.sh OUTDIR   (needs root, iproute2, python3)
set -eu
HERE=$(realpath "$(dirname "$0")"); OUT=$1; mkdir -p "$OUT"
record() { python3 "$HERE/record_netlink.py" "$@"; }
ip link set lo up
ip link add a0 type veth peer name b0; ip link set a0 up; ip link set b0 up
ip link add c0 type veth peer name d0; ip link set c0 up      # d0 stays down: c0 has no carrier
ip link add link a0 name mv0 type macvlan; ip link set mv0 up
ip link add br0 type bridge; ip link set d0 master br0
ip link add 'wéb.0' type veth peer name 'odd"'\''\'
ip address add 198.51.100.1/24 dev a0
ip address add 198.51.100.2/24 dev a0                          # secondary
ip address add 192.0.2.10/32 dev a0 label a0:vip
ip address add 203.0.113.1 peer 203.0.113.2/31 dev a0
ip address add 192.0.2.11/32 dev mv0 valid_lft 3600 preferred_lft 0
ip address add 2001:db8::10/64 dev a0 nodad noprefixroute home
ip address add 2001:db8::11/128 dev a0 nodad; ip address change 2001:db8::11/128 dev a0 preferred_lft 0
ip address add 2001:db8::12 peer 2001:db8::13/128 dev a0 nodad
ip address add 2001:db8::14/64 dev c0                          # tentative for as long as there is no carrier
ip address add 2001:db8::15/64 dev b0 nodad; ip address add 2001:db8::15/64 dev a0   # in use at the other end
sleep 3
record dump "$OUT" addresses
record events "$OUT" moves <<I
address add 192.0.2.20/32 dev a0 label a0:moved
address change 192.0.2.20/32 dev a0 label a0:moved preferred_lft 0 valid_lft 3600
address del 192.0.2.20/32 dev a0
address add 192.0.2.20/32 dev mv0
address add 2001:db8::20/128 dev a0 nodad
address change 2001:db8::20/128 dev a0 preferred_lft 0
address del 2001:db8::20/128 dev a0
link set mv0 down
link set mv0 name mv1
link set mv1 up
link set d0 nomaster
link del mv1
link del a0
I
uname -r > "$OUT/kernel"
