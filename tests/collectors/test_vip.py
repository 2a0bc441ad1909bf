"""The collector vip on a real kernel: addresses on interfaces of a network namespace."""

import json
import subprocess
import sys

import pytest
from netns import namespace

from collectors.vip.collector import Vip, _states, bindings
from rscollector.testing import FakeContext, collect, values

V4, V6 = "192.0.2.10", "2001:db8::10"
ONLY = pytest.mark.needs("root", "ip", "unshare", "nsenter")


@pytest.fixture
def net():
    """A network namespace with the interfaces a0 and b0, its other end; `net.ip(…)` runs ip in it."""
    with namespace() as made:
        yield made


def seen(net, *addresses):
    """Return the series that the command shows in the namespace."""
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
        if each["value"] or each["name"] != "vip_address_state"
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


@pytest.mark.parametrize(
    ("flags", "state"),
    [
        (0x80, "preferred"),
        (0xA0, "deprecated"),
        (0xC0, "tentative"),
        (0xC8, "duplicate"),
        (0x88, "duplicate"),
    ],
)
def test_the_kernels_flags_are_read(root, flags, state):
    """Each flag of if_addr.h has its word; what failed is a duplicate, tentative or not."""
    line = f"20010db8000000000000000000000010 02 80 00 {flags:02x}     eth0\n"
    file = root.write("proc/net/if_inet6", line)
    assert dict(_states(file)) == {(V6, "eth0"): state}


def test_a_kernel_without_ipv6_has_no_states(root):
    """Where /proc/net/if_inet6 does not exist, nothing is said and nothing fails."""
    assert list(_states(root.path / "proc/net/if_inet6")) == []


def test_this_host_is_shown_as_it_is():
    """On the host that runs the tests every address that is bound is shown as bound."""
    found = values(collect(Vip, context=FakeContext()))
    shown = {name for name in found if name.startswith("vip_bound")}
    assert shown == {f'vip_bound{{address="{binding.address}"}}' for binding in bindings()}
