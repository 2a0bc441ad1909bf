"""A /proc that lies: what can be read is published, what cannot is noted, and nothing raises."""

import os
import random
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collectors.host.proc import LIMIT
from collectors.host.tests.recorded_host import HEALTHY, RECORDINGS, Still, Watched, host
from rscollector.testing import FakeContext, Root, assert_values, collect, values

FILES = sorted(
    str(path.relative_to(RECORDINGS / "linux-5.10-written"))
    for path in (RECORDINGS / "linux-5.10-written").rglob("*")
    if path.is_file() and path.name not in (".kept", "kernel")
)
MODERN = "linux-5.10-written"


@pytest.fixture
def odd(root):
    """Return a host whose files the test spoils."""
    return host(root, MODERN)


def seen(root):
    """Return what is published of a host, all of which the agent would take, and the notes."""
    context = FakeContext(root=root)
    return values(collect(Still, context=context)), context.notes


def test_an_empty_host_is_no_failure(root):
    """Where there is no /proc at all there is the clock, and a note for each part."""
    found, notes = seen(root)
    assert {name.partition("{")[0] for name in found} == {
        "host_clock_synchronized", "host_clock_error_max_seconds", "host_clock_offset_seconds",
    }  # fmt: skip
    assert len(notes) == len(set(notes)) == 11


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "content",
    [b"", b"\n\n", b"\0" * 100, b"\xff\xfe\xc0", b"-1", b"1e999", b"nan", "٣٤ ٥".encode(), b"9" * 5000, b"x" * 9000],
    ids=["empty", "lines", "zeroes", "no-utf8", "negative", "infinite", "nan", "arabic", "digits", "letters"],
)  # fmt: skip
def test_each_file_may_say_anything(odd, name, content):
    """One that says something else costs its own numbers only."""
    whole, _ = seen(odd)
    odd.write(name, content)
    found, _ = seen(odd)
    assert set(found) <= set(whole) | {
        name for name in found if "md126" in name or "disk" in name or "md_" in name
    }
    assert len(found) >= len(whole) - 40


@pytest.mark.parametrize("name", FILES)
def test_each_file_may_end_anywhere(odd, name):
    """A read that was cut off never raises; what stands before the cut is published."""
    content = (RECORDINGS / MODERN / name).read_bytes()
    for end in random.Random(name).sample(range(len(content)), min(12, len(content))):
        odd.write(name, content[:end])
        found, _ = seen(odd)
        assert len(found) > 50


@pytest.mark.parametrize("name", FILES)
def test_each_file_may_be_no_file(odd, name):
    """A directory, a pipe that nobody writes to, a link that leads to itself: nothing of it is waited for."""
    odd.remove(name)
    path = odd.path / name
    for make in (path.mkdir, lambda: os.mkfifo(path), lambda: path.symlink_to(path.name)):
        make()
        found, _ = seen(odd)
        assert len(found) > 50
        path.rmdir() if path.is_dir() else path.unlink()


WORDS = st.sampled_from([b"cpu", b"0", b"-1", b"18446744073709551615", b"4294967296", b"md0", b"MemTotal:", b"kB",
                         b"total=", b"some", b"full", b"Tcp:", b"sda", b"dm-0", b"\xff", b" ", b"\n", b"1.5", b"ff"])  # fmt: skip


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(FILES), st.one_of(st.binary(max_size=400), st.lists(WORDS, max_size=80).map(b" ".join))
)
def test_nothing_that_a_file_says_raises(tmp_path_factory, name, content):
    """Whatever bytes and words come, the agent would take each sample."""
    if not hasattr(test_nothing_that_a_file_says_raises, "root"):
        test_nothing_that_a_file_says_raises.root = host(Root(tmp_path_factory.mktemp("fuzz")), MODERN)
    root = test_nothing_that_a_file_says_raises.root
    root.write(name, content)
    try:
        found, notes = seen(root)
    finally:
        root.write(name, (RECORDINGS / MODERN / name).read_bytes())
    assert len(found) > 30
    assert all(len(note) < 1000 for note in notes)


@settings(max_examples=100)
@given(st.lists(st.sampled_from(FILES), max_size=6), st.randoms())
def test_bytes_may_be_flipped(tmp_path_factory, names, chance):
    """Files whose bytes are changed here and there are read as far as they are sound, tick after tick."""
    root = host(Root(tmp_path_factory.mktemp("flipped")), MODERN)
    watched = Watched(root)
    for name in names:
        content = bytearray((RECORDINGS / MODERN / name).read_bytes())
        for _ in range(chance.randrange(1, 5)):
            content[chance.randrange(len(content))] = chance.randrange(256)
        root.write(name, bytes(content))
        assert len(watched.tick()) > 30


def test_a_file_without_an_end_is_read_to_a_bound(odd):
    """What comes behind 4 MiB is not read, and a note says so."""
    odd.write("proc/vmstat", b"oom_kill 7\n" + b"nr_pages 1\n" * (LIMIT // 5))
    found, notes = seen(odd)
    assert found["host_oom_kills_total"] == 7
    assert any(note.startswith(f"/proc/vmstat has more than {LIMIT} bytes") for note in notes)


def test_negative_numbers_in_disguise_are_none(odd):
    """A time of 2⁶⁴ − 1 was a steal of 100 % for ever (collectd#3766, psutil#1210)."""
    odd.write("proc/stat", f"cpu  1 2 3 4 5 6 7 {2**64 - 1} 0 0\ncpu0 1 2 3 4 5 6 7 0 0 0\n")
    found, notes = seen(odd)
    assert_values(
        found, {'host_cpu_seconds_total{mode="steal"}': None, 'host_cpu_seconds_total{mode="user"}': 0.01}
    )
    assert notes[0] == "/proc/stat: cannot be read: steal = '18446744073709551615'"


def test_a_part_that_is_more_than_the_whole_is_none(odd):
    """lxcfs tells a container's limit, and what the whole machine has available (glances#3505, btop#473)."""
    text = (odd.path / "proc/meminfo").read_text()
    odd.write("proc/meminfo", re.sub("MemTotal:.*", "MemTotal: 524288 kB", text))
    watched = Watched(odd)
    told = watched.tick()
    assert told["host_memory_total_bytes"] == 512 << 20
    assert "host_memory_available_bytes" not in told
    assert "host_swap_free_bytes" in told
    assert [each for each in watched.said if each.startswith("Memory: ")] == []
    assert any(
        note.startswith("missing: host_memory_available_bytes: /proc/meminfo")
        for note in watched.context.notes
    )


def test_an_old_kernel_has_fewer_modes(odd):
    """The line of Linux 2.4 has four, and what is not told is named."""
    odd.write("proc/stat", "cpu  100 200 300 400\ncpu0 100 200 300 400\nctxt 5\n")
    found, notes = seen(odd)
    assert_values(
        found, {'host_cpu_seconds_total{mode="idle"}': 4, 'host_cpu_seconds_total{mode="iowait"}': None}
    )
    assert notes == [
        "/proc/stat: this kernel does not tell intr, processes, procs_running, procs_blocked, btime"
    ]


def test_missing_fields_are_named_and_never_0(odd):
    """Linux before 3.14 does not estimate what is available."""
    odd.write("proc/meminfo", "MemTotal: 1000 kB\nMemFree: 10 kB\nBuffers: 1 kB\nCached: 5 kB\n")
    found, notes = seen(odd)
    assert_values(found, {"host_memory_free_bytes": 10240, "host_memory_available_bytes": None})
    assert notes == [
        "/proc/meminfo: this kernel does not tell MemAvailable, SUnreclaim, Dirty, Shmem, SwapTotal, SwapFree"
    ]


@pytest.mark.parametrize("steps", [(500, 499, 510), (500, 440 * 100, 500)])
def test_times_that_step_back_stand_still(odd, steps):
    """node_exporter#1686, #1903: idle and iowait fall by some ticks, which is no restart."""
    watched, told = Watched(odd), []
    for iowait in steps:
        odd.write("proc/stat", f"cpu  1 2 3 4 {iowait} 6 7 8 0 0\n")
        told.append(round(watched.tick()['host_cpu_seconds_total{mode="iowait"}'] * 100))
    assert told == ([500, 500, 510] if steps[1] == 499 else list(steps))


def test_counters_of_32_bits_wrap_without_a_fall(odd):
    """Of packets that each CPU dropped; a CPU that goes offline takes none of its own along."""
    watched, told = Watched(odd), []
    tail = " ".join(["00000000"] * 9)
    for lines in (
        [(0xFFFFFFF0, 0), (5, 1)],
        [(0x00000010, 0), (5, 1)],
        [(0x00000010, 0)],
        [(0x00000010, 0), (7, 1)],
        [(0x00000000, 0), (7, 1)],
    ):
        odd.write(
            "proc/net/softnet_stat",
            "".join(f"00000001 {drop:08x} 00000000 {tail} {cpu:08x}\n" for drop, cpu in lines),
        )
        told.append(watched.tick()["host_softnet_dropped_total"])
    assert [each - told[0] for each in told[1:]] == [32, 32, 34, 34]


def test_disks_come_and_go_while_they_are_read(odd):
    """One that is in one file and not in the other is left out, and its mapped name may be gone already."""
    lines = (odd.path / "proc/diskstats").read_text()
    odd.write(
        "proc/diskstats", lines + "   8  16 sdb 1 2 3 4 5 6 7 8 0 9 10\n 253 1 dm-9 1 2 3 4 5 6 7 8 0 9 10\n"
    )
    odd.write("sys/block/dm-9/.kept", "")
    odd.write("sys/block/sdz/.kept", "")
    found, notes = seen(odd)
    assert notes == []
    devices = {name.split('"')[1] for name in found if name.startswith("host_disk_reads")}
    assert devices == {"sda", "nvme0n1", "vg-root", "md126", "dm-9"}


def test_a_disk_that_is_told_twice_is_one(odd):
    """Not one by the device mapper's name and, in the next line, another one by the kernel's."""
    odd.write("sys/block/dm-7/dm/name", "data\n")
    lines = (odd.path / "proc/diskstats").read_text()
    numbers = " 0 8 1 1 0 8 1 0 1 1"
    odd.write("proc/diskstats", f"{lines}254 7 dm-7 5{numbers}\n254 7 dm-7 6{numbers}\n")
    told, _ = seen(odd)
    assert told['host_disk_reads_total{device="data"}'] == 5
    assert 'host_disk_reads_total{device="dm-7"}' not in told


def test_disks_may_be_called_anything(odd):
    """Blanks, bytes that are no UTF-8, and a mapped disk that is called as another disk."""
    odd.write(
        "proc/diskstats",
        b"8 0 my disk 1 2 3 4 5 6 7 8 0 9 10\n8 1 my disk1 1 2 3 4 5 6 7 8 0 9 10\n"
        b"8 2 d\xffsk 1 2 3 4 5 6 7 8 0 9 10 11 12 13 14 15 16 17 18 19 20\n"
        b"253 0 dm-0 2 2 3 4 5 6 7 8 0 9 10\n253 1 dm-1 3 2 3 4 5 6 7 8 0 9 10\n253 2 dm-2 4 2 3 4 5 6 7 8 0 9 10\n",
    )
    odd.remove("sys/block")
    for name in (b"my disk", b"d\xffsk", b"dm-0", b"dm-1", b"dm-2"):
        (odd.path / "sys/block" / os.fsdecode(name)).mkdir(parents=True)
    for number, name in enumerate((b"my disk\n", b"a b\xfe\n", b"a b\xfe\n")):
        odd.write(f"sys/block/dm-{number}/dm/name", name)
    found, _ = seen(odd)
    reads = {name: value for name, value in found.items() if name.startswith("host_disk_reads")}
    assert reads == {
        'host_disk_reads_total{device="my disk"}': 1,
        'host_disk_reads_total{device="d\\xffsk"}': 1,
        'host_disk_reads_total{device="dm-0"}': 2,
        'host_disk_reads_total{device="a b\\xfe"}': 3,
        'host_disk_reads_total{device="dm-2"}': 4,
    }


def test_partitions_are_known_by_their_names_where_sysfs_is_hidden(odd):
    """A container may hide /sys: then names tell what is whole."""
    odd.remove("sys")
    found, notes = seen(odd)
    devices = {name.split('"')[1] for name in found if name.startswith("host_disk_reads")}
    assert devices == {"sda", "nvme0n1", "dm-0", "md126"}
    assert notes[0].startswith(
        "missing: which disks are whole: partitions are guessed by their names: /sys/block"
    )


def test_pressure_that_is_switched_off_is_said_once(odd, monkeypatch):
    """PSI_DEFAULT_DISABLED: the files are there, and reading says EOPNOTSUPP (node_exporter#1961)."""
    import errno

    real = os.read

    def read(file, size):
        if "/proc/pressure/" in str(Path(f"/proc/self/fd/{file}").readlink()):
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        return real(file, size)

    monkeypatch.setattr(os, "read", read)
    found, notes = seen(odd)
    assert [name for name in found if "pressure" in name] == []
    assert [note for note in notes if "pressure" in note] == [
        (
            "missing: pressure: /proc/pressure/cpu: Operation not supported "
            "(this needs a kernel with PSI; Red Hat's wants psi=1 on its command line)"
        )
    ]


def test_an_array_may_be_in_a_state_of_tomorrow(odd):
    """A word that is not known leaves a note, and nothing is guessed."""
    odd.write("sys/block/md126/md/array_state", "quantum\n")
    odd.write("sys/block/md126/md/sync_completed", "delayed\n")
    found, notes = seen(odd)
    assert [name for name in found if "md_array_state" in name or "md_sync" in name] == []
    assert found['host_md_array_degraded{device="md126"}'] == 0
    assert notes == ["/sys/block/md126/md/array_state: cannot be read: 'quantum'"]


def test_no_more_than_all_of_an_array_is_done(odd):
    """Whatever the kernel counts."""
    odd.write("sys/block/md126/md/sync_completed", "110 / 100\n")
    found, _ = seen(odd)
    assert [found[name] for name in found if name.startswith("host_md_sync_ratio")] == [1.0]


def test_a_host_without_what_it_has_no_use_for_misses_nothing(root):
    """IPv6, connection tracking, arrays and randomness are absent without a word (node_exporter#1719)."""
    host(root, MODERN)
    for name in (
        "proc/net/snmp6",
        "proc/net/sockstat6",
        "proc/sys/net",
        "proc/sys/kernel",
        "sys/block/md126",
        "run",
    ):
        root.remove(name)
    found, notes = seen(root)
    assert notes == []
    assert [
        name for name in found if "conntrack" in name or "ipv6" in name or "md_" in name or "entropy" in name
    ] == []


def test_ten_thousand_disks_are_bounded_by_the_agent(root):
    """They are read in one go; how many are shown is `max_series`."""
    host(root, HEALTHY)
    root.write("proc/diskstats", "".join(f"8 {n} sd{n} 1 2 3 4 5 6 7 8 0 9 10\n" for n in range(10_000)))
    for number in range(0, 10_000, 100):
        root.write(f"sys/block/sd{number}/.kept", "")
    context = FakeContext(root=root)
    found = values(collect(Still, context=context))
    assert sum(name.startswith("host_disk_reads") for name in found) == 100


def test_a_protocol_that_is_told_twice_is_one(odd):
    """Two files tell of sockets, and no kernel tells the same in both: the first is believed."""
    before, _ = seen(odd)
    odd.write(
        "proc/net/sockstat6",
        (odd.path / "proc/net/sockstat6").read_text() + "TCP: inuse 99\nUDP6: inuse 99\n",
    )
    after, notes = seen(odd)
    assert_values(after, {name: value for name, value in before.items() if "host_sockets" in name})
    assert notes == []


@pytest.mark.parametrize(("lines", "more"), [(5, ""), (6, " and 1 more"), (8, " and 3 more")])
def test_of_many_that_cannot_be_read_five_are_named(odd, lines, more):
    """A note is one line, however many CPUs there are."""
    odd.write("proc/net/softnet_stat", "".join(f"odd{n}\n" for n in range(lines)))
    _, notes = seen(odd)
    named = "; ".join(f"'odd{n}'" for n in range(5))
    assert notes == [f"/proc/net/softnet_stat: cannot be read: {named}{more}"]
