#!/bin/bash
# A kernel with bonds, VLANs and dummies: a user-mode Linux, the host's own root read-only beneath it; the program behind
# OUTDIR runs in it, as root. The network namespace S is there for the other ends of cables.
# usage: boot_bonds.sh OUTDIR PROGRAM…   (needs: user-mode-linux kmod iproute2)
set -eu
mkdir -p "$1"; OUT=$(realpath "$1"); shift
M=$(echo /usr/lib/uml/modules/*); mkdir -p "$OUT/modules/lib/modules"; ln -sfn "$M" "$OUT/modules/lib/modules/${M##*/}"
cat > "$OUT/init.sh" <<I
#!/bin/bash
export PATH=/usr/sbin:/usr/bin:/sbin:/bin PYTHONDONTWRITEBYTECODE=1 LC_ALL=C.UTF-8 PYTHONPATH="$PYTHONPATH"
mount -t proc p /proc; mount -t sysfs s /sys; mount -t tmpfs t /run; mkdir -p /run/netns /run/out
mount -t hostfs -o $OUT none /run/out
for m in "bonding max_bonds=0" veth dummy 8021q; do (exec -a modprobe kmod -d /run/out/modules \$m); done
echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6
ip netns add S; ip link set lo up
cd $PWD; $* > /run/out/result 2> /run/out/errors; echo \$? > /run/out/status
echo o > /proc/sysrq-trigger; sleep 3
I
chmod +x "$OUT/init.sh"
TMPDIR=/dev/shm timeout "${TIME:-200}" /usr/bin/linux.uml mem=256M root=/dev/root rootfstype=hostfs rootflags=/ ro \
    init="$OUT/init.sh" con=null con0=fd:0,fd:1 < /dev/null > "$OUT/console" 2>&1
