"""Links that are read once: what is told of them is what a fresh look tells, whatever has changed meanwhile."""

import struct
from pathlib import Path

import pytest
from harness import until
from hypothesis import given
from hypothesis import strategies as st
from netns import namespace

from rscollector.api import Context
from rscollector.kit import netlink, rtnetlink
from rscollector.kit.links import Links, labels
from rscollector.kit.rtnetlink import IFLA_IFNAME, IFLA_STATS64, Link

RECORDINGS = Path(__file__).parent / "recordings/netlink"
MOVING = {7, 26}  # IFLA_STATS, IFLA_AF_SPEC: of these what was first is kept


def messages(path):
    """Return the messages of a recording that are about links."""
    return [each for each in rtnetlink.messages(path.read_bytes()) if rtnetlink.change(each)]


def asked(*dumps):
    """Return what is told of dumps in a row: the links of each, as they are then."""
    coming = iter(dumps)
    links = Links(lambda _context, read: list(filter(None, map(read, next(coming)))))
    return [[_copied(each) for each in links.ask(None)] for _ in dumps]


def _copied(link):
    kept = {kind: value for kind, value in link.attributes.items() if kind not in MOVING}
    return link._replace(attributes=kept)


def fresh(dump):
    """Return what a fresh look tells."""
    return [_copied(rtnetlink.change(each)) for each in dump]


@pytest.mark.parametrize("path", sorted(RECORDINGS.glob("*/*.link.bin")), ids=lambda path: path.name)
def test_a_recording_is_told_again_as_it_was(path):
    """A second look at the same links gives the same."""
    dump = messages(path)
    assert asked(dump, dump) == [fresh(dump)] * 2


def test_states_that_follow_each_other_are_told_as_they_are():
    """The links of one recorded state after those of another, which share indexes and names."""
    dumps = [messages(path) for path in sorted(RECORDINGS.glob("linux-6.1-uml/*.link.bin"))]
    assert len(dumps) >= 7
    assert asked(*dumps) == list(map(fresh, dumps))


@given(st.integers(0, 2000), st.integers(0, 255))
def test_a_byte_that_changes_is_told(place, value):
    """Wherever it stands: what is told then is what a fresh look tells, or refused as that is."""
    first = messages(RECORDINGS / "linux-6.1-uml" / "bond-healthy.link.bin")
    changed = bytearray(first[2].payload)
    changed[16 + place % (len(changed) - 16)] = value
    second = [*first[:2], first[2]._replace(payload=bytes(changed)), *first[3:]]
    try:
        expected = fresh(second)
    except ValueError:
        with pytest.raises(ValueError, match=r"bytes"):
            asked(first, second)
        return
    assert asked(first, second) == [fresh(first), expected]


def test_a_dump_that_was_interrupted_leaves_nothing_behind():
    """What was read of it is not taken for what is so: the dump that was whole is told, now and at the next tick."""
    well, cut = (
        messages(RECORDINGS / "linux-6.1-uml" / f"bond-{each}.link.bin") for each in ("healthy", "no-partner")
    )
    attempts = iter([[well], [cut[:3], cut[2:], well], [cut, well[1:], cut], [cut]])
    links = Links(lambda _context, read: [list(map(read, each)) for each in next(attempts)][-1])
    for expected in (well, well, cut, cut):
        assert list(map(_copied, links.ask(None))) == fresh(expected)


def test_counters_are_new_and_the_link_is_the_same():
    """Who remembers a link knows by that that nothing else has changed."""
    dump = messages(RECORDINGS / "linux-6.1-uml" / "bond-healthy.link.bin")
    counters = rtnetlink.change(dump[1]).attributes[IFLA_STATS64]
    moved = dump[1]._replace(payload=dump[1].payload.replace(counters, bytes(len(counters))))
    coming = iter([[dump[1]], [moved]])
    links = Links(lambda _context, read: list(map(read, next(coming))))
    (before,) = links.ask(None)
    (after,) = links.ask(None)
    assert after is before
    assert after.attributes[IFLA_STATS64] == bytes(len(counters))


def test_what_is_gone_is_forgotten():
    """Indexes come and go for years."""
    dump = messages(RECORDINGS / "linux-6.1-uml" / "bond-healthy.link.bin")
    coming = iter([dump, dump[:1]])
    links = Links(lambda _context, read: list(map(read, next(coming))))
    links.ask(None)
    assert len(links._known) == len(dump)
    links.ask(None)
    assert len(links._known) == 1


@pytest.mark.needs("root", "ip", "unshare", "nsenter")
def test_this_kernel_is_told_as_it_is_while_links_change():
    """Made, renamed, switched off, taken away: each look is that of a fresh one in the same moment."""
    context = Context("main", timeout=30, interval=15, agent=1)
    with namespace() as net, net.inside():
        links = Links()
        for command in (
            "link add c0 type veth peer name d0", "link set c0 down", "link set c0 name e0", "link set e0 mtu 1300",
            "link set e0 address 02:00:00:00:00:07", "link del e0", "link set a0 down",
        ):  # fmt: skip
            net.ip(*command.split())
            for _ in range(2):  # frames are counted, and states change, between two looks as well
                until(
                    lambda: (
                        list(map(_copied, links.ask(context))) == list(map(_copied, netlink.links(context)))
                    )
                )


def test_labels_are_unique_whatever_names_are():
    """One that looks like another's label gets another."""
    names = [b"\\xff#3", b"\\xff", b"\xff", b"eth0"]
    links = [Link(False, index, 0, {IFLA_IFNAME: name + b"\0"}) for index, name in enumerate(names, 1)]
    assert labels(links) == {1: r"\xff#3", 2: r"\xff", 3: r"\xff#3#3", 4: "eth0"}


def attribute(kind, payload):
    """Return an attribute of a message."""
    return struct.pack("=HH", len(payload) + 4, kind) + payload + bytes(-len(payload) % 4)


def about(index, *parts, kind=rtnetlink.RTM_NEWLINK):
    """Return a message about a link."""
    return rtnetlink.Message(kind, 2, 1, 0, rtnetlink.LINK.pack(0, 1, index, 1, 0) + b"".join(parts))


@pytest.mark.parametrize("nested", [0, 0x8000])
def test_all_that_a_kernel_counts_may_move(nested):
    """Counters of 32 and 64 bits, and times in what address families tell, whether that is marked as nested or not."""
    ticks = [
        [about(2, attribute(3, b"eth0\0"), attribute(7, bytes([n]) * 8), attribute(23, bytes([n]) * 8), attribute(26 | nested, bytes([n]) * 8))]
        for n in (1, 2, 3)
    ]  # fmt: skip
    coming = iter(ticks)
    links = Links(lambda _context, read: list(map(read, next(coming))))
    told = [(each, each.attributes[IFLA_STATS64]) for (each,) in map(links.ask, [None] * 3)]
    assert {id(each) for each, _ in told} == {id(told[0][0])}
    assert [counted for _, counted in told] == [bytes([n]) * 8 for n in (1, 2, 3)]


def test_a_link_without_counters_has_none():
    """Not even empty ones, however often it is told."""
    dump = [about(2, attribute(3, b"eth0\0"), attribute(4, bytes(4)))]
    assert asked(dump, dump) == [fresh(dump)] * 2


def test_only_a_link_that_is_there_is_one_that_is_known():
    """That it has gone is news with the same payload, and a message that is cut off is refused in words."""
    known = about(2, attribute(3, b"eth0\0"))
    gone = known._replace(type=rtnetlink.RTM_DELLINK)
    assert [each.gone for (each,) in asked([known], [gone])] == [False, True]
    with pytest.raises(ValueError, match="payload is cut after 3 bytes"):
        asked([known], [known._replace(payload=known.payload[:3])])
