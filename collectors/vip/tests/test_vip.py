"""The collector vip on a real kernel: addresses on interfaces of a network namespace."""

import json
import subprocess
import sys

import pytest
from netns import namespace

from collectors.vip.collector import Vip, labels
from rscollector.kit.rtnetlink import IFLA_IFNAME, Link
from rscollector.testing import collect

V4, V6 = "192.0.2.10", "2001:db8::10"
PLACES = ("vip_bound", "vip_interface_info", "vip_link_up", "vip_address_state")
ONLY = pytest.mark.needs("root", "ip", "unshare", "nsenter")


@pytest.fixture
def net():
    """A network namespace with the interfaces a0 and b0, its other end; `net.ip(…)` runs ip in it."""
    with namespace() as made:
        yield made


def seen(net, *addresses):
    """Return the series that the command shows in the namespace, those that tell where an address is."""
    listed = ",".join(f'"{address}"' for address in addresses)
    command = [
        "-m",
        "rscollector.cli.main",
        "collect",
        "vip",
        "--format",
        "json",
        "--set",
        f"addresses=[{listed}]",
    ]
    done = subprocess.run(
        [*net.enter, sys.executable, *command],
        capture_output=True,
        timeout=30,
        check=True,
    )
    return {
        (each["name"], *each["labels"].values()): each["value"]
        for each in json.loads(done.stdout)
        if each["name"] in PLACES and (each["value"] or each["name"] != "vip_address_state")
    }


@ONLY
def test_an_address_that_is_nowhere_is_not_bound(net):
    """A missing address is 0, for IPv4 and IPv6, and nothing else is said about it."""
    assert seen(net, V4, V6) == {("vip_bound", V4): 0, ("vip_bound", V6): 0}


@ONLY
def test_a_bound_address_is_shown_with_its_interface(net):
    """A secondary /32, as failover daemons add it, is found on its interface, which has a link."""
    net.ip("address", "add", "198.51.100.1/24", "dev", "a0")
    net.ip("address", "add", f"{V4}/32", "dev", "a0", "label", "a0:vip")
    assert seen(net, V4) == {
        ("vip_bound", V4): 1,
        ("vip_interface_info", V4, "a0"): 1,
        ("vip_link_up", V4, "a0"): 1,
    }


@ONLY
def test_a_bound_address_without_a_link_is_shown_as_such(net):
    """The carrier is gone when the peer is down, and an interface that is down itself has none."""
    net.ip("address", "add", f"{V4}/32", "dev", "a0")
    net.ip("link", "set", "b0", "down")
    assert seen(net, V4)[("vip_link_up", V4, "a0")] == 0
    net.ip("link", "set", "a0", "down")
    assert seen(net, V4)[("vip_link_up", V4, "a0")] == 0


@ONLY
def test_an_address_on_two_interfaces_has_two_of_each(net):
    """One host can hold an address twice; it is bound once, on both."""
    net.ip("address", "add", f"{V4}/32", "dev", "a0")
    net.ip("address", "add", f"{V4}/32", "dev", "b0")
    found = seen(net, V4)
    assert found[("vip_bound", V4)] == 1
    assert {key[2] for key in found if key[0] == "vip_interface_info"} == {"a0", "b0"}


@ONLY
def test_ipv6_says_what_duplicate_address_detection_found(net):
    """An address is preferred, deprecated, or in use at the other end of the wire."""
    net.ip("address", "add", f"{V6}/128", "dev", "a0", "nodad")
    assert seen(net, V6)[("vip_address_state", V6, "a0", "preferred")] == 1
    net.ip("address", "change", f"{V6}/128", "dev", "a0", "preferred_lft", "0", "valid_lft", "forever")
    assert seen(net, V6)[("vip_address_state", V6, "a0", "deprecated")] == 1


@ONLY
def test_however_it_is_written_an_address_is_itself(net):
    """IPv6 in capitals and with leading zeroes is the address that the kernel shows in its short form."""
    net.ip("address", "add", f"{V6}/128", "dev", "a0", "nodad")
    assert seen(net, "2001:0DB8:0::0010")[("vip_bound", V6)] == 1


@ONLY
def test_without_a_list_the_addresses_that_are_there_are_shown(net):
    """All but loopback and link-local ones, and none that is not there."""
    net.ip("address", "add", f"{V4}/32", "dev", "a0")
    assert {key for key in seen(net) if key[0] == "vip_bound"} == {("vip_bound", V4)}


@ONLY
def test_addresses_that_are_asked_for_by_name_may_be_of_any_kind(net):
    """Link-local ones, as keepalived has them first, and loopback ones are found like others."""
    asked = {"fe80::44": "a0", "169.254.20.10": "a0", "127.0.0.53": "lo", "::1": "lo"}
    net.ip("address", "add", "fe80::44/128", "dev", "a0", "nodad")
    net.ip("address", "add", "169.254.20.10/32", "dev", "a0")
    net.ip("address", "add", "127.0.0.53/32", "dev", "lo")
    found = seen(net, *asked)
    assert {key[1]: key[2] for key in found if key[0] == "vip_interface_info"} == asked
    assert {found[("vip_bound", address)] for address in asked} == {1}
    assert seen(net) == {}


@ONLY
@pytest.mark.parametrize("label", ["a0-vip", "a0:1"])
def test_a_label_is_no_interface(net, label):
    """Whatever an address is called, it is on its interface, whose link is up."""
    net.ip("address", "add", f"{V4}/32", "dev", "a0", "label", label)
    assert seen(net, V4) == {
        ("vip_bound", V4): 1,
        ("vip_interface_info", V4, "a0"): 1,
        ("vip_link_up", V4, "a0"): 1,
    }


NAMES = {
    "bond0.100": "bond0.100", "...": "...", "wlan\u00fc-\u540d": "wlan\u00fc-\u540d", b"\xff\xfe": r"\xff\xfe",
    b"e\x1b[2Jx": r"e\x1b[2Jx", "\\x": "\\x", "'\"$(id)`": "'\"$(id)`", "fifteen-bytes-x": "fifteen-bytes-x",
}  # fmt: skip


@ONLY
def test_an_interface_may_have_any_name(net):
    """Dots, other scripts, control characters, quotes and what is no UTF-8 harm nobody."""
    for number, name in enumerate(NAMES):
        net.ip("link", "add", "name", name, "type", "bridge")
        net.ip("address", "add", f"198.51.100.{number}/32", "dev", name)
    found = {key[1]: key[2] for key in seen(net) if key[0] == "vip_link_up"}
    assert found == {f"198.51.100.{number}": label for number, label in enumerate(NAMES.values())}


@ONLY
def test_one_address_is_found_among_five_thousand(net):
    """A dump of many parts is read as a whole."""
    net.batch([f"address add 10.{n >> 8}.{n & 255}.1/32 dev a0" for n in range(5000)])
    assert seen(net, "10.19.135.1", V4) == {
        ("vip_bound", "10.19.135.1"): 1,
        ("vip_bound", V4): 0,
        ("vip_interface_info", "10.19.135.1", "a0"): 1,
        ("vip_link_up", "10.19.135.1", "a0"): 1,
    }


def test_an_address_that_is_listed_twice_is_a_mistake():
    """Two spellings of one address are one."""
    with pytest.raises(ValueError, match="addresses: 2001:db8::10 more than once"):
        collect(Vip, {"addresses": [V6, "2001:0DB8:0::0010"]})


@pytest.mark.parametrize("text", ["::ffff:192.0.2.10", "::FFFF:c000:20a"])
def test_an_address_in_disguise_is_a_mistake_that_says_what_to_write(text):
    """No interface has an IPv4 address in the form of IPv6."""
    with pytest.raises(ValueError, match=r'::ffff:192\.0\.2\.10 is IPv4 in disguise; write "192\.0\.2\.10"'):
        collect(Vip, {"addresses": [text]})


def test_no_two_links_have_one_label():
    """A name that cannot be shown as it is does not become another one's."""
    names = {1: b"\\xff\0", 2: b"\xff\0", 3: b"a\x1bb\0"}
    links = [Link(False, number, 0, {IFLA_IFNAME: name}) for number, name in names.items()]
    assert labels(links) == {1: r"\xff", 2: r"\xff#2", 3: r"a\x1bb"}
