"""What there is on a real kernel: loop devices, tmpfs, bind mounts, automounters, odd names."""

import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from harness import free_port, until

from collectors.filesystem.tests.mounting import ONLY

pytestmark = pytest.mark.needs(*ONLY)
NAMES = {
    "with blank": "with blank",
    "line\nbreak": r"line\nbreak",
    "tab\tand\\slash": r"tab\tand\\slash",
    "\\040": "\\040",
    "wlanü-名": "wlanü-名",
    b"no\xffutf8": r"no\xffutf8",
    "e\x1b[2Jx": r"e\x1b[2Jx",
    "#'\"$(id)`": "#'\"$(id)`",
    "left\u202eright": "left",
}


@pytest.fixture
def state(tmp_path):
    """Return the path of a state file."""
    return tmp_path / "state.json"


def mountpoints(watched, metric="read_only"):
    """Return what the last tick has told of."""
    found = re.compile(rf'filesystem_{metric}{{mountpoint="(.*)"}}', re.DOTALL)
    return [match[1] for series in watched.values if (match := found.fullmatch(series))]


def below(watched, base):
    """Return the mount points below a directory, relative to it."""
    return sorted(
        each.removeprefix(f"{base}/") for each in mountpoints(watched) if each.startswith(f"{base}/")
    )


def test_numbers_are_those_of_df(mounts, state):
    """Size, what is free for everybody and inodes of a tmpfs with files in it are what df shows."""
    mounts.sh(
        "mkdir t; mount -t tmpfs -o size=10m,nr_inodes=100 t t; head -c 3000000 /dev/zero > t/file; touch t/a t/b"
    )
    watched = mounts.watch(state)
    watched.tick()
    there = mounts.base / "t"
    shown = (
        mounts.run("df", "--block-size=1", "--output=size,avail,itotal,iavail", there).splitlines()[1].split()
    )
    names = ("size_bytes", "available_bytes", "files", "files_free")
    assert [watched.of(name, there) for name in names] == list(map(int, shown))


@pytest.fixture
def ext4(mounts):
    """Mount a small ext4 on a loop device at `e`, a twentieth of which is root's."""
    mounts.sh(
        "mkdir e; head -c 20000000 /dev/zero > image; mkfs.ext4 -q image; mount -o loop,errors=remount-ro image e"
    )
    device = mounts.run("findmnt", "-no", "SOURCE", mounts.base / "e").strip()
    yield mounts.base / "e", device
    mounts.sh("umount -R e")


@pytest.mark.needs("mkfs.ext4", "losetup", "findmnt")
def test_what_is_free_is_not_what_is_available_and_a_full_one_has_nothing(mounts, state, ext4):
    """Root's reserve is free and not available; filled to the brim, nothing is either, and a sentence says so."""
    there, device = ext4
    watched = mounts.watch(state)
    watched.tick()
    assert watched.of("free_bytes", there) > watched.of("available_bytes", there) > 0
    assert (
        f'filesystem_mount_info{{mountpoint="{there}",device="{device}",type="ext4",automounted="no"}}'
        in watched.values
    )
    mounts.sh("head -c 30000000 /dev/zero > e/file || true")
    watched.tick()
    assert watched.of("available_bytes", there) == 0
    assert f"{there} is 100 % full: 0 B left (filesystem_available_bytes)." in watched.sentences


@pytest.mark.needs("mkfs.ext4", "losetup", "findmnt")
def test_an_error_that_takes_its_writes_is_seen_and_a_bind_mount_that_does_is_not(mounts, state, ext4):
    """The file system is read-only after an error; `ro` of a mount, as the agent's unit has it, is no such thing."""
    there, device = ext4
    mounts.sh("mount -o remount,bind,ro e")
    watched = mounts.watch(state)
    watched.tick()
    assert watched.of("read_only", there) == 0
    mounts.run("sh", "-c", f"echo broken > /sys/fs/ext4/{Path(device).name}/trigger_fs_error")
    mounts.sh("touch e/x || true")
    until(lambda: watched.tick() and watched.of("read_only", there) == 1)
    assert f"{there} (ext4 from {device}) is read-only (filesystem_read_only)." in watched.sentences


def test_a_file_system_counts_once_however_often_it_is_mounted(mounts, state):
    """Bind mounts of it and of its directories share its numbers; the first that shows all of it names it."""
    mounts.sh("""
        mkdir t u v w; mount -t tmpfs t t; mkdir t/d
        mount --bind t/d u; mount --bind t v; mount --bind t/d w
    """)
    watched = mounts.watch(state)
    watched.tick()
    assert below(watched, mounts.base) == ["t"]
    mounts.sh("umount t")
    watched.tick()
    assert below(watched, mounts.base) == ["v"]
    mounts.sh("umount v")
    watched.tick()
    assert below(watched, mounts.base) == ["u"]


@pytest.mark.needs("mkfs.btrfs", "btrfs", "losetup")
def test_a_name_stays_when_the_whole_is_mounted_as_well(mounts, state):
    """btrbk and snapper mount the top level of a btrfs: its subvolume has not gone, for the next worker neither."""
    mounts.sh("""
        head -c 130000000 /dev/zero > image; mkfs.btrfs -q image; mkdir top data; mount -o loop image top
        btrfs -q subvolume create top/@data; umount top; mount -o loop,subvol=@data image data
    """)
    try:
        watched = mounts.watch(state)
        watched.tick()
        assert below(watched, mounts.base) == ["data"]
        mounts.sh("mount -o loop image top")
        for _ in range(2):
            watched.tick()
            assert below(watched, mounts.base) == ["data"]
            watched.renew()
        mounts.sh("umount data")
        watched.tick()
        assert below(watched, mounts.base) == ["top"]
        mounts.sh("mount -o loop,subvol=@data image data")
        watched.tick()
        assert below(watched, mounts.base) == ["data"]
    finally:
        mounts.sh("umount -q data top || true")


def test_what_is_covered_is_not_there(mounts, state):
    """Of two that are mounted over each other the upper one is told, and nothing that was below it."""
    mounts.sh("""
        mkdir t; mount -t tmpfs -o size=4m lower t; mkdir t/inner; mount -t tmpfs inner t/inner
        mount -t tmpfs -o size=8m upper t
    """)
    watched = mounts.watch(state)
    watched.tick()
    assert below(watched, mounts.base) == ["t"]
    assert watched.of("size_bytes", mounts.base / "t") == 8 << 20


def test_left_out_are_the_kernel_s_own_and_overlays_unless_somebody_wants_them(mounts, state):
    """Types and places are patterns, and who sets them has what he sets."""
    mounts.sh("""
        mkdir o r l u w t; mount -t ramfs r r
        mount -t tmpfs t t; mkdir t/u t/w; mount -t overlay -o lowerdir=l,upperdir=t/u,workdir=t/w o o
    """)
    watched = mounts.watch(state)
    watched.tick()
    assert below(watched, mounts.base) == ["t"]
    wanted = mounts.watch(state, skip_types=["tmp*", "proc"], skip_mountpoints=["*/r"])
    wanted.tick()
    assert below(wanted, mounts.base) == ["o"]


def test_a_name_may_be_any_bytes(mounts, state):
    """Blanks, newlines, backslashes and what is no UTF-8 or cannot be seen: one line each, and each is asked."""
    for name in NAMES:
        path = os.fsencode(mounts.base) + b"/" + os.fsencode(name)
        mounts.run("mkdir", path.decode("utf-8", "surrogateescape"))
        mounts.mount("-t", "tmpfs", "x", os.fsdecode(path))
    watched = mounts.watch(state)
    watched.tick()
    shown = below(watched, mounts.base)
    assert sorted(set(shown) - set(NAMES.values())) == [
        next(each for each in shown if each.startswith("left"))
    ]
    assert (
        len(shown)
        == len(NAMES)
        == len([each for each in mountpoints(watched, "size_bytes") if f"{mounts.base}/" in each])
    )
    assert all(each.isprintable() for each in shown)


def test_a_path_that_is_very_long_is_cut_and_still_its_own(mounts, state):
    """Two that differ only in the middle are two."""
    for middle in ("a", "b"):
        deep = "/".join(["x" * 200] * 2 + [middle] + ["y" * 200] * 2)
        mounts.sh(f"mkdir -p {deep}; mount -t tmpfs x {deep}")
    watched = mounts.watch(state)
    watched.tick()
    shown = [each for each in mountpoints(watched, "size_bytes") if "…" in each]
    assert len(shown) == 2
    assert max(map(len, shown)) < 420


def test_no_automounter_is_woken(mounts, state):
    """Nobody asks a trap, direct or indirect, and what is mounted on one is told as mounted by it."""
    there, here = os.pipe()
    mounts.sh("mkdir direct indirect")
    for kind in ("direct", "indirect"):
        code = (
            f"import ctypes; d = b'fd={here},pgrp={os.getpgrp()},minproto=5,maxproto=5,{kind}'; l = ctypes.CDLL(None, use_errno=True)\n"
            f"assert l.mount(b'auto', b'{mounts.base}/{kind}', b'autofs', 0, d) == 0, ctypes.get_errno()"
        )
        # The daemon is whoever is in the process group that is named: this one may look behind the trap.
        subprocess.run([*mounts.enter, sys.executable, "-c", code], check=True, pass_fds=[here])
    os.set_blocking(there, False)
    watched = mounts.watch(state)
    mounts.sh("mkdir indirect/nas; mount -t tmpfs nas indirect/nas")
    watched.tick()
    with pytest.raises(BlockingIOError):
        os.read(there, 100)
    assert below(watched, mounts.base) == ["indirect/nas"]
    info = f'filesystem_mount_info{{mountpoint="{mounts.base}/indirect/nas",device="nas",type="tmpfs",automounted="yes"}}'
    assert info in watched.values
    os.close(there)
    os.close(here)


def test_what_an_automounter_takes_away_is_not_kept_by_questions(mounts, state):
    """With a time of idleness each question would be a use: it is listed, and not asked (collectd#3780)."""
    mounts.sh("mkdir idle")
    code = (
        "import ctypes, fcntl, os, struct; there, here = os.pipe(); l = ctypes.CDLL(None, use_errno=True)\n"
        "d = f'fd={here},pgrp={os.getpgrp()},minproto=5,maxproto=5,direct'.encode()\n"
        f"p = b'{mounts.base}/idle'; assert l.mount(b'auto', p, b'autofs', 0, d) == 0, ctypes.get_errno()\n"
        "fcntl.ioctl(os.open(p, os.O_RDONLY), 0xC0089364, struct.pack('L', 60))\n"
        "assert l.mount(b'nas', p, b'tmpfs', 0, b'') == 0"
    )
    mounts.run(sys.executable, "-c", code)
    watched = mounts.watch(state)
    watched.tick()
    assert watched.of("read_only", mounts.base / "idle") == 0
    assert watched.of("responding", mounts.base / "idle") is None
    assert watched.notes == [
        f"{mounts.base}/idle (tmpfs from nas) is not asked: its automounter takes it away after 60 s without use, which this would be"
    ]


def test_where_the_user_may_not_go_is_not_ours_to_ask(mounts, tmp_path):
    """A directory above that is closed is no hang: there is a note, and what the list tells is told."""
    for directory in (mounts.base, *mounts.base.parents):
        if directory != Path("/tmp") and directory.is_relative_to("/tmp"):
            directory.chmod(0o755)
    mounts.run("chmod", "755", mounts.base)
    mounts.sh("mkdir -p closed/t open; chmod 700 closed; mount -t tmpfs t closed/t; mount -t tmpfs o open")
    watched = mounts.watch(tmp_path / "none" / "state", user=65534)
    watched.tick()
    assert watched.of("responding", mounts.base / "open") == 1
    assert watched.of("responding", mounts.base / "closed/t") is None
    assert watched.of("read_only", mounts.base / "closed/t") == 0
    assert watched.notes[0].startswith(f"{tmp_path}/none/state: Permission denied: the next worker")
    assert watched.notes[1:] == [
        f"{mounts.base}/closed/t (tmpfs from t) is not asked: this user may not (a directory above may be closed)"
    ]


def test_what_the_unit_hides_is_listed_and_not_asked(mounts, state):
    """The host's list has it and this process's namespace has not: no number of another one stands in its place."""
    mounts.sh("mkdir t; mount -t tmpfs -o size=4m t t")
    hide = ["unshare", "--mount", "sh", "-c", f'umount {mounts.base}/t; exec "$@"', "sh"]
    watched = mounts.watch(state, prefix=[*mounts.enter, *hide])
    watched.tick()
    assert watched.of("read_only", mounts.base / "t") == 0
    assert watched.of("responding", mounts.base / "t") is None
    assert watched.notes == [
        f"{mounts.base}/t (tmpfs from t) is not asked: this process does not see it (the agent's unit may hide it)"
    ]


def test_without_the_host_s_list_its_own_is_shown(mounts, state):
    """A host that hides processes (hidepid) hides the list of process 1: a note says so."""
    mounts.run("umount", "/proc/1/mountinfo", "/proc/1/mounts")
    mounts.sh("mkdir t empty; mount -t tmpfs t t; mount --bind empty /proc/1")
    watched = mounts.watch(state)
    watched.tick()
    assert watched.of("responding", mounts.base / "t") == 1
    assert watched.notes == [
        "/proc/1/mountinfo: No such file or directory: only what the agent's own unit shows is known"
    ]


def test_a_file_system_that_is_bound_to_its_own_place_is_one(mounts, state):
    """Nix does so with its store, and makes the mount read-only: one series, that can be written (node_exporter#3261)."""
    mounts.sh("mkdir store; mount -t tmpfs t store; mount --bind store store; mount -o remount,bind,ro store")
    watched = mounts.watch(state)
    watched.tick()
    assert below(watched, mounts.base) == ["store"]
    assert watched.of("responding", mounts.base / "store") == 1
    assert watched.of("read_only", mounts.base / "store") == 0


def test_one_place_that_the_unit_covers_has_no_number_of_the_cover(mounts, state):
    """ProtectHome=tmpfs: /home would be told as large as the tmpfs over it (node_exporter#1505, #2077, #2470)."""
    mounts.sh("mkdir home; mount -t tmpfs -o size=8m home home")
    cover = [
        "unshare",
        "--mount",
        "sh",
        "-c",
        f'mount -t tmpfs -o ro,size=4k cover {mounts.base}/home; exec "$@"',
        "sh",
    ]
    watched = mounts.watch(state, prefix=[*mounts.enter, *cover])
    watched.tick()
    assert watched.of("size_bytes", mounts.base / "home") is None
    assert watched.of("read_only", mounts.base / "home") == 0


def test_of_two_at_one_place_the_one_that_is_seen_is_told(mounts, state):
    """A read-only root has a tmpfs and then a disk at /var/log (collectd#231); a dash in a name is no end of it (#1401)."""
    mounts.sh("mkdir 'a - b'; mount -t tmpfs -o size=4m one 'a - b'; mount -t tmpfs -o size=8m two 'a - b'")
    watched = mounts.watch(state)
    watched.tick()
    assert below(watched, mounts.base) == ["a - b"]
    assert watched.of("size_bytes", mounts.base / "a - b") == 8 << 20


def test_what_is_mounted_on_a_file_or_too_deep_is_no_hang(mounts, state):
    """A file can be asked as a directory can; a path beyond the kernel's limit cannot, and does not count as silent."""
    mounts.sh("""
        mkdir t deep; mount -t tmpfs -o size=4m t t; echo > t/hosts; echo > file; mount --bind t/hosts file; umount t
        cd deep; for n in $(seq 25); do d=$(printf '%0200d' $n); mkdir $d; cd -P $d; done; mkdir m; mount -t tmpfs x m
    """)
    watched = mounts.watch(state)
    watched.tick()
    assert watched.of("size_bytes", mounts.base / "file") == 4 << 20
    deep = [each for each in below(watched, mounts.base) if each.startswith("deep") or "…" in each]
    print(deep, watched.notes)
    assert mountpoints(watched, "responding") == [each for each in mountpoints(watched) if "…" not in each]


def test_who_appears_after_the_start_has_numbers_of_its_own(mounts, state):
    """A mount that is made while the collector runs is not told with the root's numbers (node_exporter#1339)."""
    watched = mounts.watch(state)
    watched.tick()
    mounts.sh("mkdir t; mount -t tmpfs -o size=8m t t")
    watched.tick()
    assert watched.of("size_bytes", mounts.base / "t") == 8 << 20


CRAFTED = {
    "zero": {"blocks": 0, "bfree": 0, "bavail": 0, "files": 0, "ffree": 0},
    "negative": {"blocks": 100, "bfree": 5, "bavail": 2**64 - 7},
    "more-than-all": {"blocks": 100, "bfree": 200, "bavail": 300, "files": 10, "ffree": 20},
    "huge": {"blocks": 2**63 - 1, "bfree": 2**62, "bavail": 2**62, "frsize": 2**31, "files": 2**63 - 1, "ffree": 2**62},
    "unknown": {"blocks": 2**64 - 1, "bfree": 2**64 - 1, "files": 2**64 - 1, "ffree": 2**64 - 1},
    "no-end-of-inodes": {"files": 5079, "ffree": 2**64 - 1},
    "no-fragments": {"frsize": 0, "bsize": 512},
    "no-block-size": {"frsize": 0, "bsize": 0},
}  # fmt: skip


def test_sizes_that_cannot_be_are_told_as_what_can(mounts, state):
    """Nothing is negative, nothing is more than all, nothing is a traceback, and a size of nothing is not told."""
    for name, numbers in CRAFTED.items():
        mounts.fuse(name, **numbers)
    watched = mounts.watch(state)
    watched.tick()
    told = {
        name: [
            watched.of(each, mounts.base / name)
            for each in ("size_bytes", "free_bytes", "available_bytes", "files", "files_free")
        ]
        for name in CRAFTED
    }
    assert told == {
        "zero": [None] * 5,
        "negative": [409600, 20480, 0, 50, 20],
        "more-than-all": [409600, 409600, 409600, 10, 10],
        "huge": [(2**63 - 1) * 2**31, 2**93, 2**93, 2**63 - 1, 2**62],
        "unknown": [None] * 5,
        "no-end-of-inodes": [4096000, 1638400, 1228800, None, None],
        "no-fragments": [512000, 204800, 153600, 50, 20],
        "no-block-size": [None] * 3 + [50, 20],
    }
    assert {watched.of("responding", mounts.base / name) for name in CRAFTED} == {1}


def test_mounts_come_and_go_under_the_reader(mounts, state):
    """Whatever happens between the list and the question, no number is another one's and none of the others is lost."""
    mounts.sh("mkdir still moving; mount -t tmpfs -o size=4m still still")
    loop = f"cd {mounts.base}; while :; do mount -t tmpfs -o size=8m m moving; umount moving; done"
    busy = subprocess.Popen([*mounts.enter, "sh", "-c", loop], stderr=subprocess.DEVNULL)
    try:
        watched = mounts.watch(state)
        for _ in range(200):
            watched.tick()
            assert watched.of("size_bytes", mounts.base / "still") == 4 << 20
            assert watched.of("size_bytes", mounts.base / "moving") in (None, 8 << 20)
    finally:
        busy.kill()
        busy.wait()


def test_two_thousand_mounts_are_told_in_a_tick(mounts, state):
    """All of them, and what it costs is printed."""
    mounts.sh("for n in $(seq 2000); do mkdir $n; mount -t tmpfs -o size=4k t $n; done")
    watched = mounts.watch(state, timeout=10)
    for _ in range(2):
        watched.tick()
        print(
            f"2,000 mounts: {watched.seconds:.3f} s, {watched.cpu:.3f} s of CPU in the worker and its children"
        )
    assert len(mountpoints(watched, "size_bytes")) > 2000


@pytest.mark.needs("prometheus-node-exporter")
def test_node_exporter_says_the_same_of_the_same_moment(mounts, state):
    """Where both tell of a file system that nobody writes to, their numbers are the same."""
    mounts.sh(
        "mkdir t u; mount -t tmpfs -o size=4m,nr_inodes=77 t t; head -c 100000 /dev/zero > t/x; mount -t tmpfs -o ro,size=8k u u"
    )
    port = free_port()
    command = [
        "prometheus-node-exporter",
        f"--web.listen-address=127.0.0.1:{port}",
        "--collector.disable-defaults",
        "--collector.filesystem",
    ]
    exporter = subprocess.Popen([*mounts.enter, *command], stderr=subprocess.DEVNULL)
    try:

        def page():
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                    return answer.read().decode()
            except OSError:
                return ""

        text = until(page)
    finally:
        exporter.kill()
        exporter.wait()
    watched = mounts.watch(state)
    watched.tick()
    theirs = {
        "size": "size_bytes",
        "free": "free_bytes",
        "avail": "available_bytes",
        "files": "files",
        "files_free": "files_free",
        "readonly": "read_only",
    }
    version = subprocess.run([command[0], "--version"], capture_output=True, text=True, check=True)
    if re.search(r"version 1\.1[01]\.", version.stdout + version.stderr):
        del theirs["readonly"]  # is always 0 there: prometheus/node_exporter#3484
    for name in ("t", "u"):
        there = f"{mounts.base}/{name}"
        found = dict(
            re.findall(rf'node_filesystem_(\w+?)(?:_bytes)?{{[^}}]*mountpoint="{there}"}} (\S+)', text)
        )
        assert {ours: float(found[each]) for each, ours in theirs.items()} == {
            ours: watched.of(ours, there) for ours in theirs.values()
        }
