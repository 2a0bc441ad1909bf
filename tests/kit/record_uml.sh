#!/bin/bash
# Record bonds, VLANs and dummies in user-mode-linux, whose root is this host's, read-only.
# usage: record_uml.sh OUTDIR   (needs the packages user-mode-linux, iproute2, kmod, python3; no root.
#        UML=directory of an unpacked package)
set -eu
HERE=$(realpath "$(dirname "$0")"); mkdir -p "$1"; OUT=$(realpath "$1"); UML=${UML:-/}
M=$(echo "$UML"/usr/lib/uml/modules/*/kernel)
cat > "$OUT/init.sh" <<I
#!/bin/bash
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:$UML/bin PYTHONDONTWRITEBYTECODE=1 LC_ALL=C.UTF-8
insmod() { (exec -a insmod kmod "\$@"); }  # kmod is one program under many names
mount -t proc p /proc; mount -t sysfs s /sys; mount -t tmpfs t /run
mkdir -p /run/netns /run/out; mount -t hostfs -o $OUT none /run/out
for m in lib/crc-ccitt net/ipv6/ipv6 net/tls/tls drivers/net/bonding/bonding drivers/net/veth drivers/net/dummy \
         net/llc/llc net/802/stp net/802/garp net/802/mrp net/8021q/8021q; do
    insmod $M/\$m.ko \$([ \${m##*/} = bonding ] && echo max_bonds=0)
done
snap() { /usr/bin/python3 $HERE/record_netlink.py dump /run/out \$1; echo "\$(cut -d' ' -f1 /proc/uptime) \$1"; }
S="ip netns exec S"; ip netns add S; NO6='echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6'; eval "\$NO6"; \$S bash -c "\$NO6"
uname -r > /run/out/kernel
for i in 1 2; do ip link add h\$i type veth peer name s\$i netns S; done
\$S ip link add sbond type bond mode 802.3ad miimon 100 lacp_rate fast
ip link add bond0 type bond mode 802.3ad miimon 100 lacp_rate fast min_links 1
for i in 1 2; do \$S ip link set s\$i master sbond; ip link set h\$i master bond0; done
\$S ip link set sbond up; ip link set bond0 up
ip link set dummy0 mtu 9000 up
ip link add link bond0 name bond0.7 type vlan id 7; ip link set bond0.7 up; ip address add 192.0.2.7/24 dev bond0.7
ip link add link dummy0 name outer type vlan proto 802.1ad id 4094
sleep 6; snap bond-healthy
\$S ip link set s2 down; sleep 2; snap bond-link-down; \$S ip link set s2 nomaster
\$S ip link add obond type bond mode 802.3ad miimon 100 lacp_rate fast; \$S ip link set s2 master obond
\$S ip link set obond up; sleep 7; snap bond-other-switch
\$S ip link set s2 nomaster; \$S ip link set s2 up; sleep 7; snap bond-partner-silent
\$S ip link set s1 nomaster; \$S ip link set s1 up; sleep 7; snap bond-no-partner
ip link del bond0; ip link add bond1 type bond mode active-backup miimon 100
for i in 1 2; do ip link set h\$i down; ip link set h\$i master bond1; done; ip link set bond1 up
sleep 1; snap bond-active-backup
\$S ip link set s1 down; sleep 1; snap bond-failed-over
echo o > /proc/sysrq-trigger; sleep 3
I
chmod +x "$OUT/init.sh"
TMPDIR=/dev/shm timeout "${TIME:-180}" "$UML/usr/bin/linux.uml" mem=256M root=/dev/root rootfstype=hostfs \
    rootflags=/ ro init="$OUT/init.sh" con=null con0=fd:0,fd:1 < /dev/null > "$OUT/console" 2>&1
