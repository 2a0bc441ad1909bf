"""Lists of mounts: recorded ones, made up ones, and ones that lie."""

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.filesystem import Filesystem
from collectors.filesystem.asking import Waiting
from collectors.filesystem.explain import explain, troubles
from collectors.filesystem.findings import Finding, Space, found, lasting
from collectors.filesystem.mountinfo import Tree, parsed, read
from collectors.filesystem.question import Answer
from collectors.filesystem.systems import FilesystemSettings, systems
from rscollector.testing import FakeContext, Root, collect, values

ROOT = b"20 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro\n"


def told(text, settings=None, user=0, ours=None):
    """Return the file systems of a list by their mount points."""
    found = systems(text, text if ours is None else ours, settings or FilesystemSettings(), user)
    return {each.mountpoint: each for each in found}


def test_a_line_is_read_with_any_number_of_optional_fields():
    """None, one or several stand before the dash; the super block's options are what decides."""
    text = (
        b"21 20 8:2 / /a ro - xfs /dev/b rw\n22 20 8:3 / /b rw shared:1 master:2 propagate_from:3 - xfs /dev/c ro,x\n"
        b"23 20 8:4 / /c rw - ext4 /dev/d rw,emergency_ro\n24 20 8:5 / /d rw - ext4  rw\n"
    )
    found = told(ROOT + text)
    assert {name: each.read_only for name, each in found.items()} == {
        "/": False, "/a": False, "/b": True, "/c": True, "/d": False,
    }  # fmt: skip
    assert found["/d"].source == "none"


def test_subvolumes_of_btrfs_are_one_file_system():
    """They have one number in the list, whatever stat(2) says of them; `/` names it, though another shows more of it."""
    text = b"""\
30 1 0:35 /@ / rw - btrfs /dev/sda2 rw,subvol=/@
31 30 0:35 /@home /home rw - btrfs /dev/sda2 rw,subvol=/@home
32 30 0:35 / /mnt/pool rw - btrfs /dev/sda2 rw,subvol=/
"""
    assert list(told(text)) == ["/"]


def test_what_a_unit_adds_to_its_own_view_adds_nothing():
    """ProtectSystem, ProtectHome, PrivateTmp and StateDirectory are mounts of what is there already."""
    unit = b"""\
300 200 8:1 / / ro,relatime - ext4 /dev/sda1 rw
301 300 8:1 /home /home ro - ext4 /dev/sda1 rw
302 300 8:1 /tmp/systemd-private-1-rscollector.service-2/tmp /tmp rw - ext4 /dev/sda1 rw
303 300 8:1 /var/lib/rscollector /var/lib/rscollector rw - ext4 /dev/sda1 rw
"""
    found = told(ROOT, ours=unit)
    assert list(found) == list(told(unit)) == ["/"]
    assert not found["/"].read_only
    assert found["/"].mount.id == 300


def test_what_lies_below_a_private_tmp_is_not_confused_with_it():
    """The host's tmpfs at /tmp is covered by the unit's: it is listed and has no mount that could be asked."""
    host = ROOT + b"25 20 0:40 / /tmp rw - tmpfs tmpfs rw\n26 25 8:9 / /tmp/disk rw - ext4 /dev/x rw\n"
    unit = b"""\
300 200 8:1 / / ro - ext4 /dev/sda1 rw
305 300 0:40 / /tmp rw - tmpfs tmpfs rw
306 305 8:9 / /tmp/disk rw - ext4 /dev/x rw
307 305 0:40 /systemd-private-1/tmp /tmp rw - tmpfs tmpfs rw
"""
    found = told(host, ours=unit)
    assert found["/tmp"].mount.id == 307
    assert found["/tmp/disk"].mount is None


@pytest.mark.parametrize(
    ("type_", "device", "alone"),
    [
        ("nfs4", "0:50", True), ("cifs", "0:50", True), ("ceph", "0:50", True), ("fuse.glusterfs", "0:50", True),
        ("9p", "0:50", True), ("lustre", "0:50", True), ("fuseblk", "8:2", True), ("ocfs2", "8:2", True),
        ("nobody-knows", "0:50", True), ("virtiofs", "0:50", True), ("nobody-knows", "8:2", False),
        ("ext4", "8:2", False), ("btrfs", "0:50", False), ("zfs", "0:50", False), ("tmpfs", "0:50", False),
    ],
)  # fmt: skip
def test_who_depends_on_others_is_asked_alone(type_, device, alone):
    """A type that is not known to need this kernel only is taken for one that needs more."""
    found = told(ROOT + f"21 20 {device} / /x rw - {type_} x rw\n".encode())
    assert found["/x"].alone is alone


@pytest.mark.parametrize(
    ("options", "refused"), [(b"rw,timeout=300", True), (b"rw,timeout=0", False), (b"rw", False)]
)
def test_an_automounter_that_never_unmounts_is_no_reason_not_to_ask(options, refused):
    """Where nothing is taken away, a question keeps nothing."""
    text = b"31 20 0:40 / /net rw - autofs auto.net %s\n32 31 0:41 / /net/x rw - nfs4 srv:/x rw\n" % options
    system = told(ROOT + text)["/net/x"]
    assert (system.automounted, bool(system.refused)) == (True, refused)


@pytest.mark.parametrize("secret", [b"secret", b"sec@ret"])
def test_no_password_becomes_a_label(secret):
    """A server's name is told, and who logs in there with what is not, whatever is in it."""
    source = b"https://me:%s@dav.example.org/x" % secret
    text = b"21 20 0:50 / /dav rw - fuse.davfs %s rw,user_id=0,allow_other\n" % source
    assert told(ROOT + text)["/dav"].source == "https://dav.example.org/x"


def test_two_names_that_look_alike_are_two():
    """What cannot be shown becomes another one's name only with its number behind it."""
    text = b"21 20 0:50 / /\\134xff rw - tmpfs x rw\n22 20 0:51 / /\xff rw - tmpfs x rw\n"
    assert list(told(ROOT + text)) == ["/", r"/\xff", r"/\xff#0:51"]


def test_a_list_that_leads_in_a_circle_ends():
    """No such list can be; it is read to its end all the same."""
    text = b"1 2 8:1 / / rw - ext4 a rw\n2 1 8:2 / / rw - ext4 b rw\n3 3 8:3 / /x rw - ext4 c rw\n"
    assert isinstance(told(text), dict)


LINE = st.builds(
    lambda *each: b" ".join(each),
    st.integers(-1, 6).map(lambda n: b"%d" % n),
    st.integers(-1, 6).map(lambda n: b"%d" % n),
    st.sampled_from([b"8:1", b"0:40", b"0:41", b"x", b""]),
    st.sampled_from([b"/", b"/a", b"", b"//deleted"]),
    st.sampled_from(
        [b"/", b"/a", b"/a/b", b"//", b"a", b"/\\040", b"/\\000", b"/\\777", b"/\xff", b"/" + b"x/" * 300]
    ),
    st.sampled_from([b"rw", b"rw shared:1", b"rw unbindable -"]),
    st.just(b"-"),
    st.sampled_from([b"ext4", b"autofs", b"fuse", b"fuse.x", b"", b"\xff\\012", b"t" * 3000]),
    st.sampled_from([b"/dev/sda1", b"", b"a:b", b"//u:p@h/\xff", b"s" * 5000]),
    st.sampled_from([b"rw", b"ro,user_id=1000", b"user_id=,allow_other", b"", b"rw,a=\\040"]),
)


@given(st.lists(st.one_of(LINE, st.binary(max_size=60)), max_size=12).map(b"\n".join), st.integers(0, 5))
def test_no_list_is_a_traceback(text, cut):
    """Whatever stands in it, what comes out can be shown: labels of one line, bounded, no two alike."""
    there = systems(text, text[cut:], FilesystemSettings(skip_types=(), skip_mountpoints=()), 0)
    names = [each.mountpoint for each in there]
    assert len(names) == len(set(names))
    for each in there:
        for label in (each.mountpoint, each.source, each.type):
            assert label.isprintable()
            assert len(label) <= 450
        assert each.mount is None or b"\0" not in each.mount.point


NUMBER = st.one_of(st.integers(-(2**63), 2**63 - 1), st.sampled_from([0, 1, -1, 2**63 - 1, -(2**63)]))


@given(st.tuples(NUMBER, NUMBER, NUMBER, NUMBER, NUMBER, NUMBER))
def test_no_numbers_are_a_traceback_or_a_lie(numbers):
    """What is told lies between nothing and all, and there is a sentence for it."""
    (system,) = told(ROOT).values()
    finding = found(system, Answer(0, *numbers))
    space = finding.space
    assert 0 <= space.free <= space.size
    assert 0 <= space.available <= space.size
    assert 0 <= space.files_free <= space.files
    assert 0 <= space.percent_full <= 100
    assert all(each.isprintable() for each in explain([finding]))


def test_sentences_begin_with_what_hangs_and_end_with_what_is_well():
    """Those that do not answer come before those that are not asked, and long lists end."""
    text = ROOT + b"".join(b"%d 20 0:%d / /n%d rw - nfs4 nas:/%d rw\n" % (n, n, n, n) for n in range(21, 40))
    there = list(told(text).values())
    findings = [found(each, None) for each in there[:-1]]
    findings += [found(there[-1], Waiting(200, "rpc_wait_bit_killable"))]
    sentences = troubles(findings)
    assert sentences[0] == (
        "missing: /n39 (nfs4 from nas:/39) does not answer for 3 min; the question waits in rpc_wait_bit_killable"
    )
    assert sentences[-1] == "and 10 more like these"
    full = Finding(there[0], responding=True, space=Space(400 * 10**9, 12 * 10**9, 12 * 10**9, 1000, 20))
    assert list(explain([full])) == [
        "/ is 97 % full: 12 GB left (filesystem_available_bytes).",
        "/ has 20 of 1000 inodes left (filesystem_files_free).",
        "One answers; the fullest is / with 97 %.",
    ]


@pytest.mark.parametrize(
    ("free", "files_free", "told"),
    [
        (11, 100, []),
        (10, 100, ["/ is 90 % full: 10 B left (filesystem_available_bytes)."]),
        (11, 99, ["/ has 99 of 1000 inodes left (filesystem_files_free)."]),
    ],
)
def test_little_is_left_from_nine_tenths_on(free, files_free, told):
    """Before that nothing is said of it but how full the fullest is."""
    (system,) = systems(ROOT, ROOT, FilesystemSettings(), 0)
    finding = Finding(system, responding=True, space=Space(100, free, free, 1000, files_free))
    assert list(explain([finding]))[:-1] == told


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "120 min"), (7200, "2 h"), (172800, "2 d")],
)
def test_a_time_is_told_in_one_unit(seconds, text):
    """Nobody reads seconds beyond two minutes."""
    assert lasting(seconds) == text


@pytest.mark.parametrize("error", [errno.ENOENT, errno.ENOTDIR, errno.ELOOP])
def test_a_path_that_leads_elsewhere_by_now_is_no_file_system_that_fails(error):
    """It was unmounted, or replaced, between the list and the question."""
    (system,) = systems(ROOT, ROOT, FilesystemSettings(), 0)
    assert found(system, Answer(error)) is None


def test_a_host_without_any_list_is_unavailable(tmp_path):
    """There is nobody to ask; a note is not enough then."""
    from rscollector.api import Unavailable

    with pytest.raises(Unavailable, match="cannot read /proc/self/mountinfo: No such file"):
        collect(Filesystem, context=FakeContext(root=Root(tmp_path)))


def test_another_host_s_list_is_shown_and_its_numbers_are_not_those_of_this_one(root):
    """Below another root the mounts have other ids: what is asked is not what is meant, and is not told."""
    for name in ("1", "self"):
        root.write(f"proc/{name}/mountinfo", b"1000000 1 8:1 / / rw - ext4 /dev/sda1 rw\n")
    assert values(collect(Filesystem, context=FakeContext(root=root))) == {}


def test_a_pattern_that_no_mount_point_can_have_is_a_mistake():
    """It names what to write."""
    with pytest.raises(ValueError, match=r'skip_mountpoints: expected such as "/mnt/\*", not \'mnt\''):
        collect(Filesystem, {"skip_mountpoints": ["mnt"]})


def test_a_list_that_is_no_file_of_the_kernel_is_read(tmp_path):
    """A plain file never tells that it has changed."""
    (tmp_path / "list").write_bytes(ROOT)
    assert read(tmp_path / "list") == ROOT


def test_the_way_leads_through_what_is_mounted_over_it():
    """The mounts on the way, the lowest first."""
    text = (
        ROOT
        + b"21 20 0:40 / /a rw - autofs x rw\n22 21 0:41 / /a rw - nfs4 y rw\n23 22 0:42 / /a/b rw - tmpfs z rw\n"
    )
    tree = Tree(parsed(text))
    assert [each.id for each in tree.way(b"/a/b/c")] == [20, 21, 22, 23]
    assert told(text)["/a/b"].automounted
    assert "/a" in told(text)
