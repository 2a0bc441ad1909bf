#!/bin/bash
# A real NFSv4 server and a real mount of it in a user-mode Linux, the host's own root read-only beneath it; the program
# behind OUTDIR runs in it. The server is in the network namespace S, behind the veth `cable`.
# usage: boot_nfs.sh OUTDIR PROGRAM…   (needs: user-mode-linux nfs-kernel-server nfs-common kmod iproute2)
set -eu
mkdir -p "$1"; OUT=$(realpath "$1"); shift
M=$(echo /usr/lib/uml/modules/*); mkdir -p "$OUT/modules/lib/modules"; ln -sfn "$M" "$OUT/modules/lib/modules/${M##*/}"
cat > "$OUT/init.sh" <<I
#!/bin/bash
export PATH=/usr/sbin:/usr/bin:/sbin:/bin PYTHONDONTWRITEBYTECODE=1 LC_ALL=C.UTF-8 PYTHONPATH="$PYTHONPATH"
mount -t proc p /proc; mount -t sysfs s /sys; mount -t tmpfs t /run; mount -t tmpfs v /var/lib/nfs; mount -t tmpfs m /mnt
mkdir -p /run/netns /run/out /run/rpcbind /run/sendsigs.omit.d /mnt/nas /mnt/exp /var/lib/nfs/{v4recovery,rpc_pipefs,sm,sm.bak}
touch /var/lib/nfs/{etab,rmtab,state}
mount -t hostfs -o $OUT none /run/out
for m in veth nfsd nfsv4; do (exec -a modprobe kmod -d /run/out/modules \$m); done
mount -t tmpfs -o size=64m export /mnt/exp; head -c 5000000 /dev/zero > /mnt/exp/file
echo '/mnt/exp *(rw,fsid=0,insecure,no_subtree_check,no_root_squash)' > /run/exports; mount --bind /run/exports /etc/exports
ip link set lo up; ip netns add S; S="ip netns exec S"; \$S ip link set lo up
ip link add cable type veth peer name server netns S
ip address add 10.8.0.2/24 dev cable; ip link set cable up
\$S ip address add 10.8.0.1/24 dev server; \$S ip link set server up
\$S bash -c 'mount -t nfsd nfsd /proc/fs/nfsd; rpcbind -w; exportfs -a; rpc.mountd -N 3; rpc.nfsd -N 3 -V 4 2; exec sleep 1000' &
for n in \$(seq 30); do mount -t nfs4 -o vers=4.2,hard,timeo=600 10.8.0.1:/ /mnt/nas && break; sleep 1; done
cat /proc/mounts > /run/out/mounts
cd $PWD; $* > /run/out/result 2> /run/out/errors; echo \$? > /run/out/status
echo o > /proc/sysrq-trigger; sleep 3
I
chmod +x "$OUT/init.sh"
TMPDIR=/dev/shm timeout "${TIME:-150}" /usr/bin/linux.uml mem=256M root=/dev/root rootfstype=hostfs rootflags=/ ro \
    init="$OUT/init.sh" con=null con0=fd:0,fd:1 < /dev/null > "$OUT/console" 2>&1
