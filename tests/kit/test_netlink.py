"""rtnetlink: recordings of real kernels, this machine's in namespaces, and kernels that lie."""

import json
import os
import resource
import socket
import struct
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from harness import until
from hypothesis import given
from hypothesis import strategies as st
from netns import NO_NETLINK, namespace

from rscollector.api import Context, Misconfigured, Unavailable
from rscollector.kit import netlink, rtnetlink
from rscollector.kit.links import text
from rscollector.kit.netlink import Overrun
from rscollector.kit.rtnetlink import Address, Link
from rscollector.testing import FakeClock, FakeContext

RECORDINGS = Path(__file__).parent / "recordings/netlink"
DUMPS = sorted(RECORDINGS.glob("*/*.link.bin"))
ADDRESS_DUMPS = sorted(RECORDINGS.glob("*/*.addr.bin"))
EVENTS = sorted(RECORDINGS.glob("*/*.events.bin"))
LIVE = pytest.mark.needs("root", "ip", "unshare", "nsenter")

# linux/if.h and linux/if_link.h, as ip(8) names them; it adds two flags of its own making.
LINK_FLAGS = {
    0x1: "UP", 0x2: "BROADCAST", 0x8: "LOOPBACK", 0x80: "NOARP", 0x400: "MASTER", 0x800: "SLAVE",
    0x1000: "MULTICAST", 0x10000: "LOWER_UP",
}  # fmt: skip
MADE_BY_IP = {"NO-CARRIER", "M-DOWN"}
STATES = ("UNKNOWN", "NOTPRESENT", "DOWN", "LOWERLAYERDOWN", "TESTING", "DORMANT", "UP")
COUNTERS = (
    "rx packets", "tx packets", "rx bytes", "tx bytes", "rx errors", "tx errors", "rx dropped", "tx dropped",
    "rx multicast", "tx collisions", "rx length_errors", "rx over_errors", "rx crc_errors", "rx frame_errors",
    "rx fifo_errors", "rx missed_errors", "tx aborted_errors", "tx carrier_errors",
)  # fmt: skip
BOND = {1: "mode", 2: "active_slave", 3: "miimon", 18: "min_links", 23: "ad_info"}
BOND_MODES = {1: "active-backup", 4: "802.3ad"}
AD_INFO = {1: "aggregator", 2: "num_ports", 3: "actor_key", 4: "partner_key", 5: "partner_mac"}
BOND_SLAVE = {
    1: "state", 2: "mii_status", 3: "link_failure_count", 4: "perm_hwaddr", 5: "queue_id", 6: "ad_aggregator_id",
    7: "ad_actor_oper_port_state", 8: "ad_partner_oper_port_state",
}  # fmt: skip
WORDS = {"state": ("ACTIVE", "BACKUP"), "mii_status": ("UP", "GOING_DOWN", "DOWN", "GOING_BACK")}
ADDRESS_FLAGS = {
    0x01: "secondary", 0x02: "nodad", 0x08: "dadfailed", 0x10: "home", 0x20: "deprecated", 0x40: "tentative",
    0x200: "noprefixroute",
}  # fmt: skip
SCOPES = {0: "global", 253: "link", 254: "host"}


def changes(recorded):
    """Return what the messages of a recording say of links and addresses."""
    return [each for message in rtnetlink.messages(recorded) if (each := rtnetlink.change(message))]


def name(link):
    """Return a link's name."""
    return os.fsdecode(link.name)


def named(data, names):
    """Return nested attributes by the names that ip(8) has for them, those that have one."""
    return {names[kind]: value for kind, value in rtnetlink.attributes(data).items() if kind in names}


def link_as_ip(link, names):
    """Return a link in the words of `ip -j -d -s link`."""
    found = link.attributes
    counted = rtnetlink.counters(found[rtnetlink.IFLA_STATS64])
    said = {
        "ifindex": link.ifindex,
        "ifname": name(link),
        "flags": {word for bit, word in LINK_FLAGS.items() if link.flags & bit},
        "mtu": rtnetlink.number(found[rtnetlink.IFLA_MTU]),
        "operstate": STATES[rtnetlink.number(found[rtnetlink.IFLA_OPERSTATE])],
        "address": rtnetlink.address(found[rtnetlink.IFLA_ADDRESS]),
        "stats64": dict(zip(COUNTERS, counted, strict=False)),
    }
    if rtnetlink.IFLA_MASTER in found:
        said["master"] = names[rtnetlink.number(found[rtnetlink.IFLA_MASTER])]
    if rtnetlink.IFLA_LINK in found:
        other = rtnetlink.number(found[rtnetlink.IFLA_LINK])
        said |= {"link_index": other} if rtnetlink.IFLA_LINK_NETNSID in found else {"link": names[other]}
    return said | kind_as_ip(rtnetlink.attributes(found.get(rtnetlink.IFLA_LINKINFO, b"")), names)


def kind_as_ip(info, names):
    """Return the kind of a link, and of its master, with what bonds, their slaves and VLANs have beside it."""
    kind, slave = (
        text(info.get(each, b"")) for each in (rtnetlink.IFLA_INFO_KIND, rtnetlink.IFLA_INFO_SLAVE_KIND)
    )
    said = {"kind": kind, "slave_kind": slave}
    if kind == "vlan":
        vlan = named(info[rtnetlink.IFLA_INFO_DATA], {1: "id", 5: "protocol"})
        said |= {"id": rtnetlink.number(vlan["id"]), "protocol": vlan["protocol"].hex()}
    if kind == "bond":
        bond = named(info[rtnetlink.IFLA_INFO_DATA], BOND)
        said |= {key: rtnetlink.number(value) for key, value in bond.items() if key != "ad_info"}
        said["mode"] = BOND_MODES[said["mode"]]
        if "active_slave" in said:
            said["active_slave"] = names[said["active_slave"]]
        ad_info = named(bond.get("ad_info", b""), AD_INFO)
        said["ad_info"] = {
            key: rtnetlink.address(value) if len(value) == 6 else rtnetlink.number(value)
            for key, value in ad_info.items()
        }
    if slave == "bond":
        data = named(info[rtnetlink.IFLA_INFO_SLAVE_DATA], BOND_SLAVE)
        numbers = {key: rtnetlink.number(value) for key, value in data.items() if len(value) != 6}
        said["slave"] = numbers | {"perm_hwaddr": rtnetlink.address(data["perm_hwaddr"])}
        said["slave"] |= {key: words[numbers[key]] for key, words in WORDS.items()}
    return said


def link_of_ip(said):
    """Return the same of what ip(8) has said of a link."""
    info = said.get("linkinfo", {})
    counted = {f"{way} {key}": value for way in ("rx", "tx") for key, value in said["stats64"][way].items()}
    found = {
        key: said[key]
        for key in ("ifindex", "ifname", "mtu", "operstate", "address", "master", "link", "link_index")
        if key in said
    }
    found |= {"flags": set(said["flags"]) - MADE_BY_IP, "stats64": counted}
    kind, slave, data = info.get("info_kind", ""), info.get("info_slave_kind", ""), info.get("info_data", {})
    found |= {"kind": kind, "slave_kind": slave}
    if kind == "vlan":
        found |= {"id": data["id"], "protocol": {"802.1Q": "8100", "802.1ad": "88a8"}[data["protocol"]]}
    if kind == "bond":
        found |= {key: data[key] for key in BOND.values() if key in data} | {
            "ad_info": data.get("ad_info", {})
        }
    if slave == "bond":
        found["slave"] = {
            key: info["info_slave_data"][key] for key in BOND_SLAVE.values() if key in info["info_slave_data"]
        }
    return found


def shown_by_ip(ours, theirs):
    """Leave out the counters that ip(8) does not show."""
    return [
        {**each, "stats64": {key: each["stats64"][key] for key in said["stats64"]}}
        for each, said in zip(ours, theirs, strict=True)
    ]


def same_links(found, said):
    """Compare links with what ip(8) says of them."""
    names = {link.ifindex: name(link) for link in found} | {0: None}
    theirs = [link_of_ip(each) for each in said]
    ours = [link_as_ip(link, names) for link in found]
    assert theirs == shown_by_ip(ours, theirs)


def same_addresses(found, said):
    """Compare addresses with what ip(8) says of them."""
    ours = [address_as_ip(each) for each in found]
    theirs = [address_of_ip(link, each) for link in said for each in link["addr_info"]]
    assert sorted(theirs) == sorted(ours)


def address_as_ip(each):
    """Return an address in the words of `ip -j addr`."""
    flags = [word for bit, word in ADDRESS_FLAGS.items() if each.flags & bit]
    if len(each.local) == 16 and "secondary" in flags:
        flags[flags.index("secondary")] = "temporary"
    peer = rtnetlink.address(each.attributes[rtnetlink.IFA_ADDRESS])
    label = text(each.attributes.get(rtnetlink.IFA_LABEL, b""))
    return (each.ifindex, rtnetlink.address(each.local), each.prefix, peer, SCOPES[each.scope], label, flags)


def address_of_ip(link, each):
    """Return the same of what ip(8) has said of an address."""
    flags = [word for word in ADDRESS_FLAGS.values() if each.get(word)]
    peer = each.get("address", each["local"])
    return (
        link["ifindex"],
        each["local"],
        each["prefixlen"],
        peer,
        each["scope"],
        each.get("label", ""),
        flags,
    )


def identity(path):
    """Name a test by kernel and state."""
    return f"{path.parent.name}/{path.name.partition('.')[0]}"


@pytest.mark.parametrize("path", DUMPS, ids=identity)
def test_links_of_a_recording_are_what_ip_said_of_them(path):
    """Names, flags, MTU, states, counters, kinds, bonds and their slaves are those of ip(8) in the same moment."""
    same_links(changes(path.read_bytes()), json.loads(path.with_suffix(".json").read_text()))


@pytest.mark.parametrize("path", ADDRESS_DUMPS, ids=identity)
def test_addresses_of_a_recording_are_what_ip_said_of_them(path):
    """Addresses, peers, prefixes, scopes, labels and flags are those of ip(8) in the same moment."""
    same_addresses(changes(path.read_bytes()), json.loads(path.with_suffix(".json").read_text()))


def told(event):
    """Return an event in short."""
    sign = "-" if event.gone else "+"
    if isinstance(event, Address):
        return f"{sign}{rtnetlink.address(event.local)}/{event.prefix} on {event.ifindex}"
    state = STATES[rtnetlink.number(event.attributes[rtnetlink.IFLA_OPERSTATE])]
    return f"{sign}{event.ifindex} {name(event)} {state}"


def test_events_of_a_recording_are_the_changes_in_order():
    """What was done to addresses and links is told change by change, without what a bridge says of its ports."""
    (path,) = EVENTS
    found = [told(each) for each in changes(path.read_bytes())]
    assert found[:7] == [
        "+192.0.2.20/32 on 3",
        "+192.0.2.20/32 on 3",  # its flags
        "-192.0.2.20/32 on 3",
        "+192.0.2.20/32 on 6",
        "+2001:db8::20/128 on 3",
        "+2001:db8::20/128 on 3",
        "-2001:db8::20/128 on 3",
    ]
    links = [each for each in found if not each.startswith("+f") and " on " not in each]
    assert links == [
        "+6 mv0 DOWN",
        "+6 mv1 DOWN",
        "+6 mv1 UP",
        *["+4 d0 DOWN"] * 2,
        *["+7 br0 DOWN"] * 2,
        "+3 a0 UP",
        "+6 mv1 DOWN",
        "-6 mv1 DOWN",
        "+3 a0 DOWN",
        "+2 b0 DOWN",
        "-3 a0 DOWN",
        "-2 b0 DOWN",
    ]
    gone = {each for each in found if each.startswith("-") and " on 3" in each}
    assert {"-198.51.100.1/24 on 3", "-192.0.2.10/32 on 3", "-2001:db8::10/64 on 3"} <= gone


def test_recordings_are_of_three_kinds():
    """No recording is missed because its name was misspelt."""
    assert (len(DUMPS), len(ADDRESS_DUMPS), len(EVENTS)) == (8, 8, 1)


def attribute(kind, payload):
    """Return an attribute with its padding."""
    return struct.pack("=HH", 4 + len(payload), kind) + payload + bytes(-len(payload) % 4)


def message(kind, payload=b"", *, flags=2, sequence=1, port=0):
    """Return a message with its padding."""
    return (
        struct.pack("=IHHII", 16 + len(payload), kind, flags, sequence, port)
        + payload
        + bytes(-len(payload) % 4)
    )


def link_message(ifindex, *, kind=16, family=0, **header):
    """Return a message about a link called l and its number."""
    fixed = struct.pack("=BxHiII", family, 1, ifindex, 1, 0)
    return message(kind, fixed + attribute(rtnetlink.IFLA_IFNAME, b"l%d\0" % ifindex), **header)


def done(code=0, **header):
    """Return the end of an answer."""
    return message(3, struct.pack("=i", code), **header)


def test_attributes_are_found_whatever_their_bits_and_padding():
    """Nested and byte order bits are no part of the type; the last one needs no padding; the last of two counts."""
    data = attribute(3 | 0x8000, attribute(1, b"abcde")) + attribute(4 | 0x4000, b"xy") + attribute(4, b"z")
    found = rtnetlink.attributes(data[:-3])
    assert found == {3: attribute(1, b"abcde"), 4: b"z"}
    assert rtnetlink.attributes(found[3]) == {1: b"abcde"}
    assert rtnetlink.attributes(b"") == {}


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (struct.pack("=HH", 3, 1), "an attribute of 3 bytes where 4 are left"),
        (struct.pack("=HH", 0, 0), "an attribute of 0 bytes where 4 are left"),
        (struct.pack("=HHB", 6, 1, 0), "an attribute of 6 bytes where 5 are left"),
        (attribute(1, b"abcd") + b"\0\0", "an attribute's header is cut after 2 bytes"),
    ],
)
def test_malformed_attributes_are_refused_in_words(data, sentence):
    """What is too short, goes beyond the end or has no header is a ValueError that says so."""
    with pytest.raises(ValueError, match=sentence):
        rtnetlink.attributes(data)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (message(16)[:9], "a message's header is cut after 9 bytes"),
        (struct.pack("=IHHII", 15, 16, 0, 1, 0), "a message of 15 bytes where 16 are left"),
        (struct.pack("=IHHII", 17, 16, 0, 1, 0), "a message of 17 bytes where 16 are left"),
        (message(16, b"abc"), "a message's payload is cut after 3 bytes"),
        (message(20, struct.pack("=BBBBI", 2, 24, 0, 0, 1)), "an address of 0 bytes in family 2"),
        (
            message(20, struct.pack("=BBBBI", 10, 64, 0, 0, 1) + attribute(1, b"abcd")),
            "an address of 4 bytes in family 10",
        ),
    ],
)
def test_malformed_messages_are_refused_in_words(data, sentence):
    """A message that is cut, or has no address where it must, is a ValueError that says so."""
    with pytest.raises(ValueError, match=sentence):
        changes(data)


def test_addresses_of_other_families_are_left_out():
    """A module that numbers its own things, such as phonet, does not spoil the answer."""
    phonet = message(20, struct.pack("=BBBBI", 35, 0, 0, 0, 1) + attribute(2, b"\x64"))
    ours = message(20, struct.pack("=BBBBI", 2, 24, 0, 0, 1) + attribute(2, bytes([192, 0, 2, 1])))
    assert [rtnetlink.address(each.local) for each in changes(phonet + ours)] == ["192.0.2.1"]


def test_values_are_read_from_bytes():
    """Numbers have this host's order and four widths, counters are a whole number of them, strings end at NUL."""
    assert [rtnetlink.number((77).to_bytes(size, sys.byteorder)) for size in (1, 2, 4, 8)] == [77] * 4
    assert rtnetlink.counters(struct.pack("=3Q", 1, 2, 2**64 - 1)) == (1, 2, 2**64 - 1)
    assert text(b"eth0\0junk") == "eth0"
    for wrong in (b"", b"abc", bytes(16)):
        with pytest.raises(ValueError, match="a number of"):
            rtnetlink.number(wrong)
    with pytest.raises(ValueError, match="counters of 9 bytes"):
        rtnetlink.counters(bytes(9))


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        ("c000020a", "192.0.2.10"),
        ("20010db8000000000000000000000010", "2001:db8::10"),
        ("02005e10000f", "02:00:5e:10:00:0f"),
        (
            "80000208fe800000000000000002c9030001e1f10000"[:40],
            "80:00:02:08:fe:80:00:00:00:00:00:00:00:02:c9:03:00:01:e1:f1",
        ),
        ("", ""),
    ],
)
def test_an_address_is_shown_by_its_length(data, shown):
    """IPv4, IPv6, Ethernet and InfiniBand have their usual forms."""
    assert rtnetlink.address(bytes.fromhex(data)) == shown


def read_all(data):
    """Read bytes as everything that they could be."""
    for each in (
        *rtnetlink.messages(data),
        rtnetlink.Message(16, 0, 0, 0, data),
        rtnetlink.Message(20, 0, 0, 0, data),
    ):
        if found := rtnetlink.change(each):
            for payload in found.attributes.values():
                text(payload)
                rtnetlink.address(payload)
                for reader in (rtnetlink.attributes, rtnetlink.number, rtnetlink.counters):
                    with suppress(ValueError):
                        reader(payload)


@given(st.binary(max_size=400))
def test_any_bytes_are_values_or_a_value_error(data):
    """Whatever comes, no other exception and no endless loop."""
    for reader in (read_all, rtnetlink.attributes, rtnetlink.number, rtnetlink.counters):
        with suppress(ValueError):
            reader(data)


@given(st.data())
def test_a_damaged_recording_is_values_or_a_value_error(data):
    """A real answer with some bytes changed, left out or repeated does no more harm."""
    whole = bytearray(data.draw(st.sampled_from([*DUMPS, *ADDRESS_DUMPS, *EVENTS])).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(whole) - 1))
        whole[position : position + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=8))
        whole = whole or bytearray(1)
    with suppress(ValueError):
        read_all(bytes(whole))


class Kernel:
    """One that says what the test wants, to the socket `asking`, and has heard what is `asked`.

    Its name begins with NUL, which is read as port 0, the kernel's, as the port of who asks it is.
    """

    def __init__(self):
        self.asking, self.end = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        for each in (self.asking, self.end):
            each.bind("")

    def says(self, *parts):
        """Send these datagrams."""
        for part in parts:
            self.end.send(part)

    def asked(self, context=None):
        """Ask it for its links."""
        return netlink._asked(self.asking, 18, context or FakeContext())


@pytest.fixture
def kernel():
    """Make a kernel that lies."""
    made = Kernel()
    yield made
    made.asking.close()
    made.end.close()


def test_an_answer_may_come_in_parts(kernel):
    """All messages up to the end are the answer, and what comes after it is not."""
    kernel.says(link_message(1) + link_message(2), link_message(3), done() + link_message(4), link_message(5))
    assert [link.ifindex for link in kernel.asked()] == [1, 2, 3]
    assert kernel.end.recv(99) == struct.pack("=IHHII", 32, 18, 0x301, 1, 0) + bytes(16)


def test_a_dump_that_was_interrupted_is_asked_for_again(kernel):
    """When the table changes during a dump, what was read may have holes: only a whole one is returned."""
    kernel.says(
        link_message(1, flags=0x12), done(), link_message(2, sequence=2), done(flags=0x12, sequence=2)
    )
    kernel.says(link_message(3, sequence=3), done(sequence=3))
    assert [link.ifindex for link in kernel.asked()] == [3]


def test_a_table_that_never_stands_still_is_unavailable(kernel):
    """It is asked for as long as there is time, and nothing is returned that may have holes."""

    def answer():
        kernel.end.settimeout(0.5)
        with suppress(TimeoutError):
            for sequence in range(1, 1000):
                kernel.end.recv(99)
                kernel.says(done(flags=0x12, sequence=sequence))

    thread = threading.Thread(target=answer)
    thread.start()
    with pytest.raises(Unavailable, match=r"the table changed while it was read, \d{1,2} times in a row"):
        kernel.asked(Context("main", timeout=0.3, interval=15, agent=1))
    thread.join()


def test_a_table_that_changes_is_asked_for_as_often_as_is_said(kernel):
    """Who is told of each change anyway waits no longer for a dump."""
    kernel.says(*(done(flags=0x12, sequence=sequence) for sequence in (1, 2, 3)))
    with pytest.raises(Unavailable, match="the table changed while it was read, 2 times in a row"):
        netlink._asked(kernel.asking, 18, FakeContext(), attempts=2)


def test_answers_to_others_are_left_alone(kernel):
    """Another sequence number is an old answer, another port somebody else's, and neither ends this one."""
    kernel.says(done(sequence=7), done(-19, port=9), link_message(1, port=9), link_message(2), done())
    assert [link.ifindex for link in kernel.asked()] == [2]


@pytest.mark.parametrize(
    ("answer", "kind", "sentence"),
    [
        (message(2, struct.pack("=i", -19)), Unavailable, "netlink: No such device"),
        (
            message(2, struct.pack("=i", -1)),
            Misconfigured,
            "refuses to answer this process \\(Operation not permitted",
        ),
        (message(2, struct.pack("=i", -(2**31))), Unavailable, "netlink: error 2147483648"),
        (message(2, struct.pack("=i", 5)), Unavailable, "netlink: error -5"),
        (done(-90), Unavailable, "netlink: Message too long"),
        (message(4), Unavailable, "the kernel has lost a part"),
        (
            link_message(1)[:-3],
            Unavailable,
            "cannot be read: a message of 39 bytes where 37 are left|cannot be read",
        ),
        (
            message(16, b"abc") + done(),
            Unavailable,
            "cannot be read: a message's payload is cut after 3 bytes",
        ),
        (bytes(70000), Unavailable, "a message of more than 65536 bytes"),
    ],
)
def test_an_error_is_told_in_words(kernel, answer, kind, sentence):
    """What the kernel refuses, breaks off or garbles is said in a sentence, and by who can mend it."""
    kernel.says(answer)
    with pytest.raises(kind, match=sentence):
        kernel.asked()


def test_a_short_end_and_a_success_are_no_errors(kernel):
    """An end without a code is an end, and an error of zero is none."""
    kernel.says(message(2, bytes(4)), link_message(1), message(3))
    assert [link.ifindex for link in kernel.asked()] == [1]


def test_a_silent_kernel_is_waited_for_no_longer_than_the_budget(kernel):
    """Who does not answer is unavailable when the time is over, which no read may exceed."""
    begun = time.monotonic()
    with pytest.raises(Unavailable, match="no answer in time"):
        kernel.asked(FakeContext(timeout=0.3))
    assert 0.2 < time.monotonic() - begun < 20


class Hurried(FakeClock):
    """A clock that moves by a second whenever it is looked at."""

    def __call__(self):
        self.advance(1)
        return self.now


@contextmanager
def saying_for_ever(kernel, part):
    """Have the kernel say something until nobody listens."""

    def run():
        try:
            while True:
                kernel.says(part)
        except OSError:
            pass

    talking = threading.Thread(target=run)
    talking.start()
    yield
    kernel.asking.close()
    talking.join()


def test_an_answer_without_an_end_ends_with_the_budget(kernel):
    """A kernel that always has more to say, in small pieces, is unavailable when the time is over."""
    begun = time.monotonic()
    with saying_for_ever(kernel, message(1)), pytest.raises(Unavailable):
        kernel.asked(Context("main", timeout=0.5, interval=15, agent=1))
    assert 0.2 < time.monotonic() - begun < 20


def test_an_answer_that_takes_too_long_is_unavailable_between_two_parts(kernel):
    """The time is looked at before each part: that another one waits already does not help."""
    kernel.says(*[message(1)] * 9)
    with pytest.raises(Unavailable, match=r"the answer does not end \(\d+ bytes\)"):
        kernel.asked(FakeContext(clock=Hurried(), timeout=12))


def test_an_answer_without_an_end_ends_with_its_size(kernel):
    """A kernel that says 64 MiB is unavailable while there is time."""
    with (
        saying_for_ever(kernel, message(1, bytes(60000))),
        pytest.raises(Unavailable, match=r"not end \(67\d{6} bytes"),
    ):
        kernel.asked()


def ip(net, *arguments):
    """Return what `ip -j` says in a namespace."""
    return json.loads(
        subprocess.run([*net.enter, "ip", "-j", *arguments], capture_output=True, check=True).stdout
    )


@pytest.fixture
def net():
    """A network namespace without IPv6 on its links, so that nothing happens by itself."""
    with namespace() as made:
        made.batch([f"link set {each} addrgenmode none" for each in ("a0", "b0")])
        made.batch([f"address flush dev {each}" for each in ("a0", "b0")])
        yield made


@pytest.fixture
def watch(net):
    """Watches in the namespace, made by their groups and buffer."""
    made = []

    def opened(*arguments):
        with net.inside():
            made.append(netlink.Watch(*arguments))
        return made[-1]

    yield opened
    for each in made:
        each.close()


@LIVE
def test_a_dump_is_what_ip_says(net):
    """Links and addresses of a namespace are those of ip(8)."""
    net.ip("address", "add", "198.51.100.1/24", "dev", "a0", "label", "a0:x")
    net.ip("address", "add", "2001:db8::1/64", "dev", "b0", "nodad")
    said = None
    while said != (
        said := (ip(net, "-d", "-s", "link"), ip(net, "addr"))
    ):  # until no counter moves meanwhile
        with net.inside():
            links, addresses = netlink.links(FakeContext()), netlink.addresses(FakeContext())
    same_links(links, said[0])
    same_addresses(addresses, said[1])


@LIVE
def test_a_dump_of_501_links_is_complete(net):
    """An answer of twenty-six parts is read as a whole."""
    net.batch([f"link add v{number} type veth peer name w{number}" for number in range(249)])
    with net.inside():
        links = netlink.links(FakeContext())
    assert [each["ifname"] for each in ip(net, "link")] == [name(link) for link in links]
    assert len(links) == 501


def moves(times):
    """Return the commands that move an address back and forth."""
    there, back = ("address add 192.0.2.10/32 dev a0", "address del 192.0.2.10/32 dev a0")
    return [there, back] * times


@LIVE
def test_each_change_between_two_ticks_is_told(net, watch):
    """Ten addresses gained and lost wait until somebody reads them, in order, and are told once."""
    addresses = watch(netlink.ADDRESSES)
    net.batch(moves(10))
    assert [event.gone for event in addresses.events(FakeContext())] == [False, True] * 10
    assert list(addresses.events(FakeContext())) == []


def kind_of(event):
    """Return what an event is about."""
    return "link" if isinstance(event, Link) else {4: "inet", 16: "inet6"}[len(event.local)]


@LIVE
def test_a_watch_is_told_its_groups_only(net, watch):
    """Who watches addresses hears nothing of links, and the other way round; who watches both hears both."""
    watches = [
        watch(groups) for groups in (netlink.LINKS, netlink.ADDRESSES, netlink.LINKS | netlink.ADDRESSES)
    ]
    net.ip("link", "set", "a0", "alias", "uplink")
    net.batch([*moves(1), "address add 2001:db8::1/128 dev a0 nodad"])
    heard = [set(), set(), set()]

    def all_is_heard():
        for kinds, each in zip(heard, watches, strict=True):
            kinds |= {kind_of(event) for event in each.events(FakeContext())}
        return heard[2] == {"link", "inet", "inet6"}

    until(all_is_heard)  # of IPv6 the kernel tells a moment later
    assert heard[:2] == [{"link"}, {"inet", "inet6"}]


@LIVE
def test_what_was_lost_is_told_behind_what_was_not(net, watch):
    """A buffer that ran over tells what it holds, then the overrun, once; later changes are told as ever."""
    small = watch(netlink.ADDRESSES, 4096)
    net.batch(moves(100))
    *heard, last = small.events(FakeContext())
    assert (last, len(heard) < 200, Overrun() in heard) == (Overrun(), True, False)
    net.batch(moves(1))
    assert [event.gone for event in small.events(FakeContext())] == [False, True]


@LIVE
def test_an_overrun_is_told_until_nothing_waits(net, watch):
    """What is left in a buffer that ran over keeps later changes out, silently: so the overrun is told again."""
    small = watch(netlink.ADDRESSES, 4096)
    net.batch(moves(100))
    assert list(small.events(FakeContext(clock=Hurried(), timeout=5))) == [Overrun()]
    net.batch(moves(1))
    assert list(small.events(FakeContext()))[-1] == Overrun()
    assert list(small.events(FakeContext())) == []


@LIVE
def test_what_a_tick_does_not_read_waits_for_the_next(net, watch):
    """When the time is over the rest stays in the buffer, and nothing is lost."""
    addresses = watch(netlink.ADDRESSES)
    net.batch(moves(10))
    first = list(addresses.events(FakeContext(clock=Hurried(), timeout=8)))
    assert 0 < len(first) < 20
    assert [event.gone for event in [*first, *addresses.events(FakeContext())]] == [False, True] * 10


@LIVE
def test_a_reading_ends_while_changes_come_faster(net, watch):
    """No more than what the buffer could hold is read at once: a storm does not keep a tick."""
    addresses = watch(netlink.ADDRESSES, 4096)
    addresses._socket.setsockopt(socket.SOL_SOCKET, 33, 1 << 20)  # SO_RCVBUFFORCE
    net.batch(moves(100))
    assert 8192 // 80 <= len(list(addresses.events(FakeContext()))) <= 8192 // 70
    assert len(list(addresses.events(FakeContext()))) > 0


@LIVE
def test_a_forged_change_is_not_believed(net, watch):
    """What another process sends to the watch, even as root, is no change."""
    links = watch(netlink.LINKS)
    with net.inside(), socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as stranger:
        stranger.bind((0, 0))
        stranger.sendto(link_message(7, kind=17), (links._socket.getsockname()[0], 0))
    net.ip("link", "set", "a0", "alias", "uplink")
    assert [(event.gone, name(event)) for event in links.events(FakeContext())] == [(False, "a0")]


@LIVE
def test_a_link_that_leaves_its_bridge_is_not_gone(net, watch):
    """The kernel says RTM_DELLINK of a port then; the link is still there."""
    net.batch(["link add br0 type bridge", "link set a0 master br0"])
    links = watch(netlink.LINKS)
    net.ip("link", "set", "a0", "nomaster")
    assert [event for event in links.events(FakeContext()) if event.gone] == []


def test_without_descriptors_it_is_unavailable():
    """What this process has too little of at the moment is the world's, and is tried again."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        with pytest.raises(Unavailable, match="netlink: Too many open files"):
            netlink.links(FakeContext())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


REFUSED = """
from rscollector.api import Context, Misconfigured
from rscollector.kit import netlink

for refused in (lambda: netlink.addresses(Context("main", timeout=9, interval=9, agent=1)), lambda: netlink.Watch(netlink.LINKS)):
    try:
        refused()
    except Misconfigured as error:
        print(error)
"""


def test_a_unit_that_forbids_netlink_is_misconfigured():
    """Where the family is shut out, a dump and a watch name the setting of the unit that does it."""
    done = subprocess.run(
        [sys.executable, "-c", NO_NETLINK + REFUSED], capture_output=True, text=True, timeout=30, check=True
    )
    sentence = (
        "netlink: this process may not ask the kernel (Address family not supported by protocol): "
        "RestrictAddressFamilies of the unit must allow AF_NETLINK\n"
    )
    assert sentence * 2 == done.stdout
