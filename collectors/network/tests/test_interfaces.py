"""Interfaces: every number of the kernel in its place, from tick to tick, and whatever else a kernel may say."""

import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.network import Network, collector, hardware
from collectors.network.collector import NetworkSettings
from collectors.network.tests.kernel import attribute, info, link, recorded, saying, told
from rscollector.kit import rtnetlink
from rscollector.testing import (
    FakeContext,
    Root,
    assert_all_metrics_are_emitted,
    assert_values,
    collect,
    values,
)

EVERY = {place: 100 + place for place in range(25)}


def test_each_counter_is_where_it_belongs():
    """The 25 of struct rtnl_link_stats64, each another number; compressed ones are nobody's."""
    series, context = told([link(2, "eth0", counted=EVERY)])
    assert context.notes == []
    counters = {name: value for name, value in series.items() if "_total{" in name}
    one = 'interface="eth0",direction'
    assert counters == {
        f'network_frames_total{{{one}="receive"}}': 100,
        f'network_frames_total{{{one}="transmit"}}': 101,
        f'network_bytes_total{{{one}="receive"}}': 102,
        f'network_bytes_total{{{one}="transmit"}}': 103,
        f'network_errors_total{{{one}="receive"}}': 104,
        f'network_errors_total{{{one}="transmit"}}': 105,
        f'network_dropped_frames_total{{{one}="receive",kind="kernel"}}': 106,
        f'network_dropped_frames_total{{{one}="transmit",kind="kernel"}}': 107,
        'network_multicast_frames_total{interface="eth0"}': 108,
        'network_collisions_total{interface="eth0"}': 109,
        f'network_errors_by_kind_total{{{one}="receive",kind="length"}}': 110,
        f'network_errors_by_kind_total{{{one}="receive",kind="over"}}': 111,
        f'network_errors_by_kind_total{{{one}="receive",kind="crc"}}': 112,
        f'network_errors_by_kind_total{{{one}="receive",kind="frame"}}': 113,
        f'network_errors_by_kind_total{{{one}="receive",kind="fifo"}}': 114,
        f'network_dropped_frames_total{{{one}="receive",kind="ring"}}': 115,
        f'network_errors_by_kind_total{{{one}="transmit",kind="aborted"}}': 116,
        f'network_errors_by_kind_total{{{one}="transmit",kind="carrier"}}': 117,
        f'network_errors_by_kind_total{{{one}="transmit",kind="fifo"}}': 118,
        f'network_errors_by_kind_total{{{one}="transmit",kind="heartbeat"}}': 119,
        f'network_errors_by_kind_total{{{one}="transmit",kind="window"}}': 120,
        f'network_dropped_frames_total{{{one}="receive",kind="nohandler"}}': 123,
        f'network_dropped_frames_total{{{one}="receive",kind="other_host"}}': 124,
    }


def test_every_metric_is_emitted_by_something(tmp_path):
    """A device with all of its files, a bond with a partner, and one of another mode."""
    root = Root(tmp_path)
    for name, text in (("device/vendor", ""), ("speed", "1000\n"), ("duplex", "full\n")):
        root.write(f"sys/class/net/eth0/{name}", text)
    root.write("proc/net/bonding/bond0", "Slave Interface: h1\nActor Churned Count: 1\n")
    context = FakeContext(
        root=root, commands={("ethtool", "-S", "eth0"): b"NIC statistics:\n     rx_drops: 3\n"}
    )
    more = (attribute(4, 1500), attribute(13, 1000), attribute(35, 2))
    device = link(9, "eth0", *more, counted=EVERY)
    runs = [
        collect(saying([*recorded(state), device]), {"driver_statistics": ["rx_*"]}, context=context)
        for state in ("01-lacp-healthy", "10-active-backup")
    ]
    assert context.notes == []
    assert_all_metrics_are_emitted(Network, runs)


def test_a_device_tells_its_speed_and_a_virtual_interface_makes_it_up(tmp_path):
    """Only what has a device and a carrier is asked, and what is no number is none."""
    root = Root(tmp_path)
    for name in ("eth0", "eth1", "eth2", "eth3", "virt0"):
        if name != "virt0":
            root.write(f"sys/class/net/{name}/device/vendor", "")
        root.write(
            f"sys/class/net/{name}/speed", {"eth1": "-1\n", "eth3": "4294967295\n"}.get(name, "2500\n")
        )
        root.write(
            f"sys/class/net/{name}/duplex", {"eth1": "unknown\n", "eth3": "half\n"}.get(name, "full\n")
        )
    links = [
        link(1, "eth0"),
        link(2, "eth1"),
        link(3, "eth2", flags=("UP",)),
        link(4, "eth3"),
        link(5, "virt0"),
    ]
    series, context = told(links, root=root)
    found = {name: value for name, value in series.items() if "speed" in name or "duplex" in name}
    assert found == {
        'network_speed_bytes{interface="eth0"}': 312_500_000,
        'network_full_duplex{interface="eth0"}': 1,
        'network_full_duplex{interface="eth3"}': 0,
    }
    assert (
        'network_interface_info{interface="eth0",kind="physical",address="",parent="",master="",vlan=""}'
        in series
    )
    assert "eth2 is switched on and has no carrier (network_carrier)." in context.sentences
    assert "eth3 sends and receives in turns: half duplex (network_full_duplex)." in context.sentences


def test_what_an_interface_is_made_of_is_told():
    """Kind, address, parent, master and VLAN, by names."""
    series, _ = told(recorded("10-active-backup"))
    infos = sorted(name.partition("{")[2] for name in series if name.startswith("network_interface_info"))
    assert infos == [
        'interface="a1",kind="veth",address="be:f8:d6:57:73:29",parent="",master="bond1",vlan=""}',
        'interface="a2",kind="veth",address="be:f8:d6:57:73:29",parent="",master="bond1",vlan=""}',
        'interface="bond1",kind="bond",address="be:f8:d6:57:73:29",parent="",master="",vlan=""}',
        'interface="bond1.42",kind="vlan",address="be:f8:d6:57:73:29",parent="bond1",master="",vlan="42"}',
    ]


def shown(series):
    """Return which interfaces are shown."""
    return sorted(name.split('"')[1] for name in series if name.startswith("network_up"))


def test_interfaces_of_containers_are_left_out_and_those_of_bonds_are_not():
    """By patterns that can be changed; the peer of a container is nobody's interest, the slave of a bond is."""
    slave = info("veth", slave_kind="bond", slave_data=[attribute(2, b"\0")])
    links = [
        link(1, "lo"), link(2, "veth1a2b"), link(3, "docker0"), link(4, "br-0a1b"), link(5, "cali9"), link(6, "br0"),
        link(7, "vethslave", slave, attribute(10, 8), flags=("UP", "LOWER_UP", "SLAVE")),
        link(8, "cni-bond", info("bond", [attribute(1, b"\1")]), flags=("UP", "MASTER")),
    ]  # fmt: skip
    assert shown(told(links)[0]) == ["br0", "cni-bond", "lo", "vethslave"]
    assert shown(told(links, {"ignored_interfaces": []})[0]) == sorted(
        ["lo", "veth1a2b", "docker0", "br-0a1b", "cali9", "br0", "vethslave", "cni-bond"]
    )
    assert shown(told(links, {"ignored_interfaces": ["*[0-9]", "lo"]})[0]) == [
        "br-0a1b", "cni-bond", "veth1a2b", "vethslave"
    ]  # fmt: skip


def test_every_name_that_a_kernel_takes_is_shown_and_no_two_alike():
    """All bytes but blanks, slashes and colons; what cannot be printed is written as Python writes it."""
    allowed = bytes(each for each in range(1, 256) if each not in b"/: \t\n\v\f\r\xa0")
    names = [allowed[place : place + 15] for place in range(0, len(allowed), 15)] + [
        b"\xff",
        b"\\xff",
        b'a"b',
        b"\xf0\x9f\x90\x8d",
    ]
    links = [link(number, "", attribute(3, name + b"\0")) for number, name in enumerate(names, 1)]
    samples = collect(saying(links), {"ignored_interfaces": []}, context=FakeContext(root="/nowhere"))
    labels = [each.values[0] for each in samples if each.metric.name == "network_up"]
    assert len(set(labels)) == len(names)
    assert all(each.isprintable() for each in labels)
    assert 'a"b' in labels


class Ticks:
    """A collector that is asked again and again, on a kernel that says what is next."""

    def __init__(self, *ticks, root="/nowhere", **settings):
        self.context = FakeContext(root=root)
        self.collector = saying(*ticks)(NetworkSettings(**settings))
        self.collector.open(self.context)

    def next(self):
        """Return the series of the next tick, and its sentences."""
        self.context.clock.advance(15)
        self.context.notes.clear()
        self.context.sentences.clear()
        series = values(self.collector.collect(self.context))
        return series, self.context.sentences


def losses(sentences):
    """Return the sentences about what was lost."""
    return [each for each in sentences if "since the last tick" in each]


def test_shares_are_of_what_came_since_the_last_tick():
    """Lost and well together are the whole; what has not grown is not mentioned."""
    ticks = Ticks(
        [link(2, "eth0", counted={0: 1000, 15: 500, 6: 7})],
        [link(2, "eth0", counted={0: 1997, 15: 503, 6: 7})],
        [
            link(
                2,
                "eth0",
                counted={0: 2997, 1: 100, 15: 503, 6: 8, 4: 1000, 12: 900, 13: 100, 5: 1, 17: 1, 7: 25},
            )
        ],
    )
    _, said = ticks.next()
    assert losses(said) == [
        "eth0 drops 0.3 % of received frames in the ring since the last tick (rx_missed_errors + 3)."
    ]
    _, said = ticks.next()
    assert losses(said) == [
        "eth0 drops 0.1 % of received frames in the kernel or driver since the last tick (rx_dropped + 1).",
        "eth0 drops 20 % of the frames to be sent since the last tick (tx_dropped + 25).",
        "eth0 receives 50 % of its frames broken since the last tick (rx_errors + 1000, crc, frame).",
        "eth0 fails to send 0.99 % of its frames since the last tick (tx_errors + 1, carrier).",
    ]
    _, said = ticks.next()
    assert losses(said) == []


@pytest.mark.parametrize(("frames", "share"), [(100, "100 %"), (400, "25 %"), (20, "100 %"), (0, "100 %")])
def test_what_the_kernel_drops_it_has_received(frames, share):
    """It counts among the received frames what nobody wants; a driver may not have (linux/if_link.h)."""
    ticks = Ticks([link(2, "eth0", counted={0: 9})], [link(2, "eth0", counted={0: 9 + frames, 6: 100})])
    _, said = ticks.next()
    assert losses(said) == [
        f"eth0 drops {share} of received frames in the kernel or driver since the last tick (rx_dropped + 100)."
    ]


def test_a_counter_that_is_set_back_hides_no_other():
    """What is lost is told, whatever another counter does; and bytes may wrap at 64 bits."""
    ticks = Ticks(
        [link(2, "eth0", counted={0: 10, 2: 2**64 - 1, 4: 1000})],
        [link(2, "eth0", counted={0: 20, 2: 5, 15: 10})],
    )
    series, said = ticks.next()
    assert losses(said) == [
        "eth0 drops 50 % of received frames in the ring since the last tick (rx_missed_errors + 10)."
    ]
    assert said[1:] == ["1 of 1 interfaces have a carrier (network_carrier)."]
    assert series['network_bytes_total{interface="eth0",direction="receive"}'] == 5


def test_what_is_beyond_the_limit_is_what_guests_have(tmp_path):
    """Samples beyond `max_series` are left out from the end: bonds and devices come before 700 taps."""
    root = Root(tmp_path)
    root.write("sys/class/net/eth0/device/vendor", "")
    root.write("sys/class/net/eth0/speed", "1000\n")
    taps = [link(number, f"tap{number}", info("tun")) for number in range(100, 800)]
    slave = info("veth", slave_kind="bond", slave_data=[attribute(2, b"\0")])
    own = [
        link(900, "eth0"),
        link(901, "h1", slave, attribute(10, 902), flags=("UP", "LOWER_UP", "SLAVE")),
        link(902, "bond1", info("bond", [attribute(1, b"\1")]), flags=("UP", "LOWER_UP", "MASTER")),
    ]
    samples = collect(saying([*taps, *own]), context=FakeContext(root=root))
    of_taps = [any(text.startswith("tap") for text in each.values) for each in samples]
    assert of_taps == sorted(of_taps)
    assert {each.metric.name for each in samples[: of_taps.index(True)]} >= {
        "network_speed_bytes", "network_bond_ports", "network_bond_slave_up", "network_bytes_total"
    }  # fmt: skip


def test_of_many_that_lose_frames_the_worst_are_named():
    """Ten of them, and how many there are beside."""
    links = [
        [link(n, f"eth{n}", counted={0: 1000 * tick, 15: n * tick}) for n in range(1, 31)] for tick in (1, 2)
    ]
    said = losses(Ticks(*links).next()[1])
    assert [each.split()[0] for each in said[:10]] == [f"eth{n}" for n in range(30, 20, -1)]
    assert said[10:] == ["20 more interfaces have lost frames since the last tick."]


def test_of_many_ports_without_a_cable_ten_are_named(tmp_path):
    """A host may have 128 virtual functions of a card, all of them switched on."""
    root = Root(tmp_path)
    for number in range(1, 129):
        root.write(f"sys/class/net/eth{number}/device/vendor", "")
    _, context = told([link(number, f"eth{number}", flags=("UP",)) for number in range(1, 129)], root=root)
    assert len(context.sentences) == 12
    assert context.sentences[10] == "118 more devices have no carrier or are half duplex (network_carrier)."


def test_rates_are_of_the_last_tick(tmp_path):
    """Bytes and frames a second, and the share of the speed in the busier direction."""
    root = Root(tmp_path)
    root.write("sys/class/net/eth0/device/vendor", "")
    root.write("sys/class/net/eth0/speed", "1000\n")
    ticks = Ticks(
        [link(2, "eth0", counted={})], [link(2, "eth0", counted={0: 1, 2: 1})],
        [link(2, "eth0", counted={0: 15_001, 1: 150, 2: 187_500_001, 3: 15_000})], root=root,
    )  # fmt: skip
    assert ticks.next()[1] == ["1 of 1 interfaces have a carrier (network_carrier)."]
    assert ticks.next()[1][1:] == [
        "eth0 receives 12.5 MB and sends 1 kB a second, 10 % of its speed, in 1010 frames (network_bytes_total, the last 15 s)."
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (link(2, "eth0", counted={0: 1000, 15: 5}), link(2, "eth0", counted={0: 10, 15: 9})),  # its driver
        (
            link(2, "eth0", counted={0: 1000, 15: 5}),
            link(2, "eth9", counted={0: 2000, 15: 9}),
        ),  # a name or an index
        (link(2, "eth0", counted={0: 1000, 15: 5}), link(3, "eth0", counted={0: 2000, 15: 9})),
        (link(2, "eth0", counted={0: 1000, 15: 5}), link(2, "eth0", counted={0: 2000, 15: 3})),  # one of them
        (link(2, "eth0", counted={}), link(2, "eth0", counted={0: 2000, 15: 3})),
    ],
    ids=[
        "restarted",
        "renamed or its index reused",
        "its name reused",
        "one counter set back",
        "counts since now",
    ],
)
def test_what_began_anew_is_not_compared(first, second):
    """Nothing is said of shares, and the numbers are what they are now."""
    series, said = Ticks([first], [second]).next()
    assert losses(said) == []
    assert [value for name, value in series.items() if "ring" in name] in ([9], [3])


def test_interfaces_come_and_go():
    """What is gone is not shown, and what comes back is compared from then on."""
    one, two = link(2, "eth0", counted={0: 5}), link(3, "eth1", counted={0: 7})
    ticks = Ticks([one], [one, two], [two], [one, two], [])
    assert [shown(ticks.next()[0]) for _ in range(4)] == [["eth0", "eth1"], ["eth1"], ["eth0", "eth1"], []]


def test_a_change_of_name_is_followed_by_those_that_name_it():
    """A VLAN that says what it said is shown with its parent's new name."""
    vlan = link(3, "v7", attribute(5, 2), info("vlan", [attribute(1, struct.pack("=H", 7))]))
    ticks = Ticks([link(2, "old"), vlan], [link(2, "new"), vlan])
    series, _ = ticks.next()
    assert (
        'network_interface_info{interface="v7",kind="vlan",address="",parent="new",master="",vlan="7"}'
        in series
    )
    assert shown(series) == ["new", "v7"]


def test_a_flag_that_changes_keeps_what_was_counted():
    """A carrier that is lost while frames are is told with their share."""
    ticks = Ticks(
        [link(2, "eth0", counted={0: 100})], [link(2, "eth0", flags=("UP",), counted={0: 103, 15: 1})]
    )
    series, said = ticks.next()
    assert series['network_carrier{interface="eth0"}'] == 0
    assert losses(said) == [
        "eth0 drops 25 % of received frames in the ring since the last tick (rx_missed_errors + 1)."
    ]


def test_a_parent_in_another_namespace_has_no_name():
    """Its number is another one's here."""
    series, _ = told([link(2, "eth0"), link(3, "peer", attribute(5, 2), attribute(37, 0))])
    assert 'network_interface_info{interface="peer",kind="",address="",parent="",master="",vlan=""}' in series


FORGED = {
    "a number of seven bytes": attribute(4, b"1234567"),
    "counters of ten bytes": attribute(23, b"0123456789"),
    "few counters": attribute(23, bytes(80)),
    "a kind that is cut off": attribute(18, b"\x09\x00\x01\x00"),
    "a VLAN without a number": info("vlan", [attribute(2, 0)]),
    "a master of no bytes and a half": attribute(10, b"\0\0\0"),
    "a bond's slave that lies": info("veth", slave_kind="bond", slave_data=[attribute(3, b"")]),
}


@pytest.mark.parametrize("forged", FORGED)
def test_what_cannot_be_read_costs_its_own_numbers(forged):
    """The others are shown, and a note names it, at each tick."""
    links = [link(2, "eth0"), link(3, "odd0", FORGED[forged]), link(4, "eth1")]
    if "counters" in forged:
        links[1] = link(3, "odd0", FORGED[forged], counted={})
    ticks = Ticks(links)
    for _ in range(2):
        series, _ = ticks.next()
        assert {"eth0", "eth1"} <= set(shown(series))
        assert not [name for name in series if "odd0" in name and "_total" in name]
        (note,) = ticks.context.notes
        assert note.startswith("missing: what cannot be read of odd0: ")


def test_an_interface_of_a_kind_that_nobody_knows_is_an_interface():
    """Its kind is told, as it can be shown."""
    series, context = told([link(2, "x0", info("quantum\x01", [attribute(99, b"\1\2\3")]))])
    assert (
        'network_interface_info{interface="x0",kind="quantum\\x01",address="",parent="",master="",vlan=""}'
        in series
    )
    assert context.notes == []


@given(
    st.binary(max_size=60), st.sampled_from(["01-lacp-healthy", "10-active-backup"]), st.integers(0, 2**32)
)
def test_a_damaged_recording_is_shown_or_refused_in_words(noise, recording, seed):
    """Whatever stands in a message: there are samples that the agent takes, or the kit's ValueError."""
    rng = random.Random(seed)
    messages = []
    for message in recorded(recording):
        payload = bytearray(message.payload)
        place = rng.randrange(len(payload))
        payload[place : place + len(noise)] = noise
        messages.append(message._replace(payload=bytes(payload)))
    try:
        series, _ = told(messages)
    except ValueError:
        return
    assert all(name.startswith("network_") for name in series)


def test_what_says_the_same_is_read_once_and_counts_on():
    """A link is the same as long as nothing but counters has changed; and counters are read each time."""
    reads = []
    ticks = Ticks(*([link(2, "eth0", attribute(4, 1500), counted={0: number})] for number in range(5)))
    for _ in range(4):
        series, _ = ticks.next()
        reads.append(
            (series['network_frames_total{interface="eth0",direction="receive"}'], ticks.collector._shown[2])
        )
    assert [count for count, _ in reads] == [1, 2, 3, 4]
    assert len({id(each) for _, each in reads}) == 1
    assert rtnetlink.counters(ticks.collector._shown[2].link.attributes[23])[0] == 4


def test_501_interfaces_fit():
    """As many series as they have are allowed by what the class declares."""
    links = [
        link(number, f"eth{number}", attribute(4, 1500), attribute(13, 1), attribute(35, 2))
        for number in range(1, 502)
    ]
    series, _ = told(links)
    assert len(series) == 501 * 16 <= Network.max_series
    assert_values(series, {'network_mtu_bytes{interface="eth501"}': 1500})


def counters(*numbers):
    """Return the attribute with the counters of a kernel that has so many."""
    return attribute(23, struct.pack(f"={len(numbers)}Q", *numbers))


@pytest.mark.parametrize("number", [21, 23, 24, 25, 30])
def test_a_kernel_has_as_many_counters_as_it_has(number):
    """Linux has added some at the end, and will again: what is there is told, and nothing else."""
    told_of_all, context = told([link(2, "eth0", counters(*range(100, 100 + number)), counted={})])
    assert context.notes == []
    late = {name.split('kind="')[1].split('"')[0] for name in told_of_all if "dropped" in name}
    assert late == {"kernel", "ring", *(["nohandler"] * (number > 23)), *(["other_host"] * (number > 24))}
    assert (
        told_of_all['network_errors_by_kind_total{interface="eth0",direction="transmit",kind="window"}']
        == 120
    )


def test_fewer_counters_than_any_kernel_has_are_none():
    """Twenty would leave one of the kinds of errors without a number."""
    series, context = told([link(2, "eth0", counters(*range(20)), counted={})])
    assert not [name for name in series if "_total" in name]
    assert context.notes == ["missing: what cannot be read of eth0: 20 counters"]


@pytest.mark.parametrize("place", [9, 10, 14, 16, 20, 23, 24])
def test_a_rare_counter_is_told_when_it_is_the_only_one(place):
    """Whichever it is."""
    none, one = (told([link(2, "eth0", counted=counted)])[0] for counted in ({0: 1}, {0: 1, place: 7}))
    (name,) = one.keys() - none.keys()
    assert one[name] == 7


def test_a_kind_that_the_kernel_tells_is_the_kind_of_a_device_too(tmp_path):
    """A port of a switch chip (DSA) has a device, and a kind of its own; it makes no speed up."""
    root = Root(tmp_path)
    root.write("sys/class/net/lan1/device/vendor", "")
    series, _ = told([link(2, "lan1", info("dsa"))], root=root)
    assert [name for name in series if 'interface="lan1",kind="dsa"' in name]


def test_a_device_that_is_out_of_sight_is_one(tmp_path):
    """Where /sys/devices is hidden the link to it leads nowhere."""
    root = Root(tmp_path)
    root.symlink("sys/class/net/eth0/device", "../../../devices/gone")
    series, _ = told([link(2, "eth0")], root=root)
    assert [name for name in series if 'interface="eth0",kind="physical"' in name]


@pytest.mark.parametrize(
    ("said", "speed"),
    [
        ("0", None),
        ("-1", None),
        ("10", 1_250_000),
        ("65535", None),
        ("65536", 65536 * 125_000),
        ("800000", 10**11),
        ("10000000", 1_250_000 * 10**6),
        ("10000001", None),
    ],
)
def test_a_speed_is_what_a_link_may_have(tmp_path, said, speed):
    """Up to ten terabit; what is above is -1 without its sign, and 65,535 is that in 16 bits."""
    root = Root(tmp_path)
    root.write("sys/class/net/eth0/speed", f"{said}\n")
    root.write("sys/class/net/eth0/duplex/is", "no file")
    assert hardware.read(FakeContext(root=root), b"eth0") == (speed, None)


def test_more_than_five_that_cannot_be_read_are_a_number():
    """A note is one line, however many they are; five are named."""
    for number, more in ((5, ""), (7, " and 2 more")):
        links = [link(n, f"odd{n}", attribute(4, b"1234567")) for n in range(1, number + 1)]
        _, context = told(links)
        named = "; ".join(f"odd{n}: a number of 7 bytes" for n in range(1, 6))
        assert context.notes == [f"missing: what cannot be read of {named}{more}"]


def test_the_first_collect_waits_for_something_to_compare_with(monkeypatch):
    """A quarter of a second after the opening, or as long as it may take; and no later one waits."""
    slept = []
    monkeypatch.setattr(collector.time, "sleep", slept.append)
    for timeout, wanted in ((10, 0.25), (0.2, 0.18)):
        ticks = Ticks([link(2, "eth0")])
        ticks.collector.apart = Network.apart
        ticks.context = FakeContext(timeout=timeout, clock=ticks.context.clock)
        for _ in range(2):
            ticks.collector.collect(ticks.context)
        assert slept == [pytest.approx(wanted)]
        slept.clear()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({1: 1000, 15: 5}, {1: 10, 15: 9}),  # it only sends
        ({0: 1000, 1: 0, 15: 5}, {0: 999, 1: 50, 15: 9}),
    ],
)
def test_a_driver_began_anew_where_frames_fell_in_either_direction(before, after):
    """Nothing that it counts is compared then."""
    assert losses(Ticks([link(2, "eth0", counted=before)], [link(2, "eth0", counted=after)]).next()[1]) == []


@pytest.mark.parametrize("place", [4, 5, 6, 7, 15])
def test_each_counter_of_losses_is_told_alone(place):
    """Though no frame came or went well beside, and though another counter was set back."""
    first, second = {0: 9, 1: 9, 4: 99, 5: 99, 6: 99, 7: 99, 15: 99}, {0: 9, 1: 9, 15: 0, place: 102}
    (said,) = losses(Ticks([link(2, "eth0", counted=first)], [link(2, "eth0", counted=second)]).next()[1])
    assert "eth0 " in said
    assert " 100 % of " in said
    assert said.endswith(("s + 3).", "d + 3)."))


def test_counters_that_cannot_be_read_are_compared_with_nothing():
    """What was lost before that is told once."""
    odd = link(2, "eth0", attribute(23, bytes(200 - 8) + b"\0" * 4 + b"1234"), counted={})
    ticks = Ticks(
        [link(2, "eth0", counted={0: 1})], [link(2, "eth0", counted={0: 2, 15: 1})], [link(2, "eth0", counters(*range(9)), counted={})], [odd],
    )  # fmt: skip
    assert [len(losses(ticks.next()[1])) for _ in range(3)] == [1, 0, 0]


def test_ten_that_lose_frames_are_all_that_there_are():
    """And those that lose none are not counted among them."""
    ticks = [
        [link(n, f"eth{n}", counted={0: tick, 15: tick * (n <= 10)}) for n in range(1, 31)] for tick in (1, 2)
    ]
    said = losses(Ticks(*ticks).next()[1])
    assert [each.split()[0] for each in said] == [f"eth{n}" for n in range(1, 11)]


def rates(sentences):
    """Return what is said of traffic."""
    return [each for each in sentences if "network_bytes_total" in each]


def test_the_five_that_move_most_are_told():
    """In both directions together; one at rest is not among them."""
    moved = {"eth1": {2: 5000}, "eth2": {3: 6000}, "eth3": {2: 1, 3: 1}, "eth4": {2: 4000, 3: 4000}, "eth5": {}, "eth6": {2: 30}, "eth7": {3: 20}}  # fmt: skip
    links = [[link(n, name) for n, name in enumerate(moved, 1)]]
    links.append([link(n, name, counted={0: 1} | more) for n, (name, more) in enumerate(moved.items(), 1)])
    ticks = Ticks(*links)
    assert [each.split()[0] for each in rates(ticks.next()[1])] == ["eth4", "eth2", "eth1", "eth6", "eth7"]
    assert rates(ticks.next()[1]) == []


@pytest.mark.parametrize(
    ("received", "sent", "seconds", "said"),
    [
        (0, 15 * 25_000_000, 15, "receives 0 B and sends 25 MB a second, 20 % of its speed, in 0 frames (network_bytes_total, the last 15 s)"),
        (15 * 124_900_000, 15, 15, "receives 125 MB and sends 1 B a second, 100 % of its speed, in 0 frames (network_bytes_total, the last 15 s)"),
        (15 * 999_600_000, 15, 15, "receives 1 GB and sends 1 B a second, 800 % of its speed, in 0 frames (network_bytes_total, the last 15 s)"),
        (300 * 2_500, 300 * 999, 300, "receives 2.5 kB and sends 999 B a second, 0.002 % of its speed, in 0 frames (network_bytes_total, the last 300 s)"),
        (15 * 800, 0, 15, "receives 800 B and sends 0 B a second, less than 0.001 % of its speed, in 0 frames (network_bytes_total, the last 15 s)"),
    ],
)  # fmt: skip
def test_numbers_are_said_as_people_say_them(tmp_path, received, sent, seconds, said):
    """Without an exponent, from an idle link to one that is full, and over ticks of minutes."""
    root = Root(tmp_path)
    root.write("sys/class/net/eth0/device/vendor", "")
    root.write("sys/class/net/eth0/speed", "1000\n")
    ticks = Ticks([link(2, "eth0")], [link(2, "eth0", counted={2: received, 3: sent})], root=root)
    ticks.context.clock.advance(seconds - 15)
    assert rates(ticks.next()[1]) == [f"eth0 {said}."]


def test_only_a_device_that_is_switched_on_is_told_to_lack_its_carrier(tmp_path):
    """A bridge without ports and an interface that nobody uses have none either."""
    root = Root(tmp_path)
    for name in ("eth0", "eth1"):
        root.write(f"sys/class/net/{name}/device/vendor", "")
    _, context = told(
        [
            link(1, "eth0", flags=("UP",)),
            link(2, "eth1", flags=()),
            link(3, "br0", info("bridge"), flags=("UP",)),
        ],
        root=root,
    )
    assert context.sentences == [
        "eth0 is switched on and has no carrier (network_carrier).",
        "0 of 3 interfaces have a carrier (network_carrier).",
    ]


def test_samples_of_what_has_not_changed_are_those_of_the_tick_before():
    """Five hundred interfaces at rest cost next to nothing."""
    ticks = Ticks([link(2, "eth0", counted=EVERY)])
    first, second = (ticks.collector.collect(ticks.context) for _ in range(2))
    assert len(first) == len(second) > 20
    assert all(one is other for one, other in zip(first, second, strict=True))
