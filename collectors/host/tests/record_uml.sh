#!/bin/bash
# Record arrays and mapped disks in user-mode-linux, whose root is this host's, read-only.
# usage: record_uml.sh OUTDIR   (needs the packages user-mode-linux, mdadm, dmsetup, kmod; no root)
set -eu
HERE=$(realpath "$(dirname "$0")"); mkdir -p "$1"; OUT=$(realpath "$1")
M=$(echo /usr/lib/uml/modules/*/kernel)
cat > "$OUT/init.sh" <<I
#!/bin/bash
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8
insmod() { (exec -a insmod kmod "\$@"); }  # kmod is one program under many names
mount -t proc p /proc; mount -t sysfs s /sys; mount -t tmpfs t /run
mkdir -p /run/out; mount -t hostfs -o $OUT none /run/out

for m in drivers/block/loop drivers/md/md-mod drivers/md/raid1 drivers/md/raid0 drivers/md/dm-mod; do insmod $M/\$m.ko; done
snap() { bash $HERE/record.sh /run/out/\$1; echo "\$(cut -d' ' -f1 /proc/uptime) \$1"; cat /proc/mdstat; }
ip link set lo up
for i in 1 2 3 4 5 6; do truncate -s 24M /run/\$i; losetup /dev/loop\$i /run/\$i; done
mdadm --create /dev/md0 --run --level=1 --raid-devices=2 --metadata=1.2 --assume-clean --homehost=db1 --name=root /dev/loop1 /dev/loop2 2>&1
mdadm --create /dev/md1 --run --level=0 --raid-devices=2 --metadata=1.2 /dev/loop3 /dev/loop4 2>&1
dmsetup --noudevrules --noudevsync create vg-root --table "0 16384 linear /dev/loop5 0"
dmsetup --noudevrules --noudevsync create "my disk" --table "0 16384 linear /dev/loop6 0"
ls -l /dev/mapper /dev/dm* 2>&1
for d in /dev/md0 /dev/md1 /dev/dm-0 /dev/dm-1; do dd if=/dev/zero of=\$d bs=64k count=64 oflag=direct; dd if=\$d of=/dev/null bs=64k count=32 iflag=direct; done 2>&1 | grep -v records
sync; snap healthy
mdadm /dev/md0 --fail /dev/loop2 2>&1; sleep 0.5; snap failed
mdadm /dev/md0 --remove /dev/loop2 2>&1; echo 100 > /proc/sys/dev/raid/speed_limit_max; echo 50 > /proc/sys/dev/raid/speed_limit_min
mdadm --zero-superblock /dev/loop2; mdadm /dev/md0 --add /dev/loop2 2>&1; sleep 3; snap rebuilding
mdadm --stop /dev/md1 2>&1; mdadm --incremental /dev/loop3 2>&1; snap inactive
cat /sys/block/md*/md/array_state
echo o > /proc/sysrq-trigger; sleep 3
I
chmod +x "$OUT/init.sh"
TMPDIR=/dev/shm timeout "${TIME:-180}" linux.uml mem=256M root=/dev/root rootfstype=hostfs \
    rootflags=/ ro init="$OUT/init.sh" con=null con0=fd:0,fd:1 < /dev/null > "$OUT/console" 2>&1
