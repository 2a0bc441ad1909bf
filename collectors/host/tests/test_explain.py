"""What two ticks mean, in sentences: each says where it was read, and none is false."""

import re

import pytest

from collectors.host.clock import Timex
from collectors.host.tests.recorded_host import Watched, host

MODERN = "linux-6.12-written"
QUIET = [
    "Since boot the kernel has killed 2 processes for want of memory (oom_kill in /proc/vmstat).",
    "The clock is synchronised, and off by at most 16 ms (adjtimex).",
    "The clock is 1.5 ms ahead (adjtimex).",
    "The load is 1.5, on 2 CPUs (/proc/loadavg).",
    "Memory: 56% available, 9.3 GB of 16.7 GB (MemAvailable in /proc/meminfo).",
]


@pytest.fixture
def watched(root):
    """Return a host at rest, whose files the test changes between two ticks."""
    found = Watched(host(root, MODERN))
    found.tick()
    return found


def change(watched, name, *changes):
    """Replace texts in a file of the host."""
    text = (watched.root.path / name).read_text()
    for old, new in changes:
        assert old in text, (name, old)
        text = text.replace(old, new)
    watched.root.write(name, text)


def test_of_a_host_at_rest_nothing_is_said_to_be_wrong(watched):
    """Nothing has changed between two ticks."""
    assert watched.said == QUIET


def test_cpu_and_disk(watched):
    """A disk that is busy, and CPUs that wait for it."""
    change(
        watched,
        "proc/stat",
        ("cpu  10132153 290696 3084719 46828483 16683", "cpu  10132953 290696 3085719 46828693 17913"),
    )
    change(
        watched,
        "proc/diskstats",
        ("194027 33770 10435826 589961 506300 207058 35785088 1303807 0 185052 2043318",
         "194127 33770 10435826 601161 506310 207058 35785088 1304117 7 199602 2059318"),
    )  # fmt: skip
    change(
        watched,
        "proc/pressure/io",
        ("total=134751776", "total=139851776"),
        ("total=52968070", "total=54768070"),
    )
    watched.tick()
    assert watched.said[1:3] == [
        (
            "Under pressure: for 34% of the time at least one task waited for a disk, for 12% all that had work "
            "(/proc/pressure/io)."
        ),
        (
            "The disk nvme0n1 has something under way 97% of the time, a read takes 112 ms, a write takes 31 ms "
            "(/proc/diskstats)."
        ),
    ]
    assert "CPU 94% busy, 41% of it waiting for a disk (/proc/stat, the last 15 s)." in watched.said


def test_memory(watched):
    """Swapping, and a process that was killed."""
    change(watched, "proc/meminfo", ("9120332", " 487992"))
    change(
        watched,
        "proc/vmstat",
        ("pswpin 4021", "pswpin 5521"),
        ("pswpout 26107", "pswpout 29107"),
        ("kill 2", "kill 5"),
    )
    watched.tick()
    assert watched.said[:2] == [
        "In the last 15 s the kernel has killed 3 processes for want of memory (oom_kill in /proc/vmstat).",
        "Swapping: 100 pages a second are read, 200 written (pswpin, pswpout in /proc/vmstat).",
    ]
    assert watched.said[-1] == "Memory: 3% available, 500 MB of 16.7 GB (MemAvailable in /proc/meminfo)."


def test_the_network_stack_and_tables(watched):
    """What is lost, and what is nearly full."""
    change(watched, "proc/net/snmp", ("8000000 4200", "8009500 4700"), ("68000 5", "68000 20"))
    change(watched, "proc/net/snmp6", ("\t2\n", "\t32\n"))
    change(watched, "proc/net/netstat", ("0 0 7 9", "0 0 37 39"))
    change(watched, "proc/net/softnet_stat", ("00000003", "00000030"))
    change(watched, "proc/sys/net/netfilter/nf_conntrack_count", ("1312", "240000"))
    change(watched, "proc/sys/fs/file-nr", ("3904\t0\t9223372036854775807", "95000\t0\t100000"))
    watched.tick()
    assert watched.said[1:8] == [
        "Of the 262144 connections that may be tracked, 92% are there (/proc/sys/net/netfilter/nf_conntrack_count).",
        "Of the 100000 files that may be open, 95% are there (/proc/sys/fs/file-nr).",
        (
            "2.0 connections a second are lost, for a program does not accept them in time "
            "(ListenOverflows in /proc/net/netstat)."
        ),
        "CPUs lose 3.0 packets a second, for their queues are full (/proc/net/softnet_stat).",
        "1.0 datagrams of ipv4 a second are lost, for a program does not read in time (RcvbufErrors in /proc/net/snmp).",
        "2.0 datagrams of ipv6 a second are lost, for a program does not read in time (Udp6RcvbufErrors in /proc/net/snmp6).",
        "5.0% of the segments of TCP are sent again (RetransSegs in /proc/net/snmp).",
    ]


def test_the_clock(root):
    """Nobody keeps it, and no offset is known."""
    watched = Watched(host(root, MODERN), timex=Timex(5, 64, 0, 16_000_000))
    watched.tick()
    assert watched.said[1] == "The clock is not synchronised, says the kernel (adjtimex)."
    assert [each for each in watched.said if "ahead" in each or "behind" in each] == []


def test_a_clock_that_chrony_keeps_without_a_word_to_the_kernel(root):
    """Without `rtcsync` it says only how far the clock may be off (bottlerocket#1183)."""
    watched = Watched(host(root, MODERN), timex=Timex(5, 64, 0, 2_000))
    watched.tick()
    assert watched.said[1] == (
        "The clock is kept, and off by at most 2 ms, but the kernel was not told that it is synchronised "
        "(adjtimex; chrony does not without rtcsync)."
    )


def test_a_restart_between_two_ticks_is_no_news_of_a_million_events(watched):
    """Counters that fell are not compared: nothing is said of them."""
    change(
        watched,
        "proc/vmstat",
        ("pswpin 4021", "pswpin 0"),
        ("pswpout 26107", "pswpout 1"),
        ("kill 2", "kill 0"),
    )
    change(watched, "proc/stat", ("cpu  10132153", "cpu  5"))
    change(watched, "proc/net/netstat", ("0 0 7 9", "0 0 0 0"))
    watched.tick()
    assert watched.said == QUIET[1:]


@pytest.mark.parametrize("name", [MODERN, "linux-5.10-written", "linux-6.1-uml-rebuilding", "linux-6.18-vm"])
def test_each_sentence_ends_with_where_it_was_read(root, name):
    """At 3 a.m. one wants to look for oneself."""
    watched = Watched(host(root, name))
    watched.tick()
    assert watched.said
    assert [
        each
        for each in watched.said
        if not re.search(r" \(.*(/proc|/sys|/run|adjtimex|chronyc).*\)\.$", each)
    ] == []


def test_the_first_collect_has_something_to_compare_with():
    """`collect --explain` asks once: on this host, whose CPUs do something in a quarter of a second."""
    from collectors.host import Host
    from rscollector.runtime.foreground import collect_once, context_for, settings_of

    found = collect_once(Host, settings_of(Host, {}, None), context_for("main", 10))
    assert any(re.match(r"CPU \d+% busy", each) for each in found.sentences)


SNMP, CONNTRACK = "proc/net/snmp", "proc/sys/net/netfilter/nf_conntrack_count"


@pytest.mark.parametrize(
    ("name", "old", "enough", "less", "said"),
    [
        ("proc/diskstats", "0 185052 ", "0 198552 ", "0 198547 ", "has something under way 90% of"),
        ("proc/diskstats", " 194027 33770 10435826 589961 ", " 194127 33770 10435826 599961 ",
         " 194127 33770 10435826 599861 ", "a read takes 100 ms"),
        ("proc/pressure/memory", "total=4000000", "total=5500000", "total=5490000", "for 10% of the time at least one"),
        ("proc/pressure/memory", "total=4000000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=1500000",
         "total=7000000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=3000000",
         "total=7000000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=2990000", "for 10% all that had work"),
        (CONNTRACK, "1312", "209716", "209715", "connections that may be tracked, 80% are"),
        ("proc/sys/fs/file-nr", "3904\t0\t9223372036854775807", "80000\t0\t100000", "79999\t0\t100000", "files that may be open, 80%"),
        (SNMP, "8000000 4200", "8000979 4221", "8000980 4220", "% of the segments"),
        (SNMP, "8000000 4200", "8000000 4211", "8000000 4210", "% of the segments"),
        ("proc/stat", "cpu  10132153 290696 3084719 46828483 16683", "cpu  10133053 290696 3084719 46828483 16785",
         "cpu  10133053 290696 3084719 46828483 16781", "10% of it waiting for a disk"),
        ("proc/stat", "cpu  10132153 290696 3084719 46828483 16683 0 25195 1201", "cpu  10133053 290696 3084719 46828483 16683 0 25195 1303",
         "cpu  10133053 290696 3084719 46828483 16683 0 25195 1299", "10% of the time went to others"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("is_enough", [True, False])
def test_a_sentence_begins_where_its_bound_is(watched, name, old, enough, less, said, is_enough):
    """And not a step before."""
    change(watched, name, (old, enough if is_enough else less))
    watched.tick()
    assert bool([each for each in watched.said if said in each]) == is_enough


@pytest.mark.parametrize(
    ("offset", "said"),
    [
        (-3_600_000_000_000, "3600 s ahead"),
        (59_964_000_000, "60 s behind"),
        (999_700_000, "1 s behind"),
        (99_700, "99.7 µs behind"),
        (999, "999 ns behind"),
    ],
)
def test_a_time_is_said_as_people_say_it(root, offset, said):
    """Without an exponent, from nanoseconds to hours."""
    watched = Watched(host(root, MODERN), timex=Timex(0, 0x2001, offset, 16_000))
    watched.tick(300.0)
    assert f"The clock is {said} (adjtimex)." in watched.said


def test_a_tick_of_minutes_is_told_in_seconds(watched):
    """Not as 3e+02 of them."""
    change(watched, "proc/stat", ("cpu  10132153", "cpu  10132953"))
    watched.tick(300.0)
    assert "CPU 100% busy (/proc/stat, the last 300 s)." in watched.said
