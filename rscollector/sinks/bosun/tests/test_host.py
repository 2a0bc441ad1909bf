"""What Bosun's page of a host is told, on a host that is made of files, and on this one."""

import json
from ipaddress import ip_address

import pytest

from rscollector.kit import netlink, rtnetlink
from rscollector.kit.rtnetlink import Address, Link
from rscollector.sinks.bosun import host
from rscollector.testing import FakeContext

UP, LOOPBACK = 0x1, 0x8
GLOBAL, LOCAL, OF_THE_HOST = 0, 253, 254


def link(number, name, flags=UP, **attributes):
    """Return a link."""
    known = {rtnetlink.IFLA_IFNAME: name.encode() + b"\0", **attributes.pop("more", {})}
    return Link(False, number, flags, known)


def address(number, text, prefix, scope=GLOBAL):
    """Return an address of a link."""
    return Address(False, number, ip_address(text).packed, prefix, 0, scope, {})


LINKS = [
    link(1, "lo", UP | LOOPBACK),
    link(2, "eth0", more={rtnetlink.IFLA_ADDRESS: bytes.fromhex("02fc000000ab"), rtnetlink.IFLA_MASTER: b"\4\0\0\0"}),
    link(3, "veth1a2b"),
    link(4, "bond0"),
    link(5, "eth0.7"),
]  # fmt: skip
ADDRESSES = [
    address(1, "127.0.0.1", 8, OF_THE_HOST),
    address(1, "192.0.2.53", 32),
    address(3, "fe80::1", 64, LOCAL),
    address(4, "192.0.2.9", 24),
    address(4, "2001:db8::9", 64),
    address(5, "192.0.2.129", 25),
]


@pytest.fixture
def context(tmp_path, monkeypatch):
    """Return a context of a host with these files, links and addresses."""
    for name, text in {
        "etc/os-release": 'NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
        "proc/meminfo": "MemTotal:        2048 kB\nMemFree:         1 kB\n",
        "sys/class/dmi/id/sys_vendor": "Dell Inc.\n",
        "sys/class/dmi/id/product_name": "PowerEdge\x1b[31m R650\n",
        "sys/class/net/eth0/speed": "10000\n",
        "sys/class/net/bond0/speed": "-1\n",
    }.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    for name in ("eth0/device", "bond0/bonding"):
        (tmp_path / "sys/class/net" / name).mkdir(parents=True)
    monkeypatch.setattr(netlink, "links", lambda _: LINKS)
    monkeypatch.setattr(netlink, "addresses", lambda _: ADDRESSES)
    made = FakeContext(root=tmp_path)
    made.host = "db 1"
    return made


def told(context):
    """Return what is told: {(interface, name): value}."""
    found = {}
    for entry in host.entries(context):
        assert entry["metric"] == ""
        assert entry["tags"]["host"] == "db_1"
        found[entry["tags"].get("iface", ""), entry["name"]] = entry["value"]
    return found


def test_system_model_and_memory_are_told_under_scollectors_names(context):
    """In one line each; a serial number that cannot be read is left out."""
    found = told(context)
    assert found["", "version"] == "Debian GNU/Linux 12 (bookworm)"
    assert found["", "uname"].startswith("Linux ")
    assert (found["", "manufacturer"], found["", "model"]) == ("Dell Inc.", "PowerEdge R650")
    assert found["", "memoryTotal"] == 2048 * 1024
    assert ("", "serialNumber") not in found


def test_interfaces_are_told_with_addresses_and_those_that_come_and_go_are_not(context):
    """Hardware, a bond, what others can reach; no loopback, whatever its addresses, and none of a container."""
    found = told(context)
    assert {interface for interface, _ in found} == {"", "eth0", "bond0", "eth0.7"}
    assert found["eth0", "name"] == "eth0"
    assert found["eth0", "mac"] == "02FC000000AB"
    assert found["eth0", "speed"] == 10_000_000_000
    assert found["eth0", "master"] == "bond0"
    assert json.loads(found["bond0", "addresses"]) == ["192.0.2.9/24", "2001:db8::9/64"]
    assert ("bond0", "speed") not in found
    assert json.loads(found["eth0.7", "addresses"]) == ["192.0.2.129/25"]


def test_it_is_bounded(context, monkeypatch):
    """However many interfaces and addresses there are."""
    links = [link(number, f"eth{number}") for number in range(1, 500)]
    addresses = [address(number, f"10.{number // 250}.{number % 250}.{each}", 24)
                 for number in range(1, 500) for each in range(100)]  # fmt: skip
    monkeypatch.setattr(netlink, "links", lambda _: links)
    monkeypatch.setattr(netlink, "addresses", lambda _: addresses)
    found = told(context)
    assert len(found) < 300
    assert len(json.dumps(list(found.values()))) < 200_000


def test_a_host_that_says_nothing_is_told_by_its_kernel_alone(tmp_path, monkeypatch):
    """And a note says why no interface is there."""

    def refused(context):
        raise netlink.Unavailable("netlink: no")

    monkeypatch.setattr(netlink, "links", refused)
    context = FakeContext(root=tmp_path)
    context.host = "h"
    assert [entry["name"] for entry in host.entries(context)] == ["uname"]
    assert context.notes == ["missing: the interfaces on Bosun's page of this host: netlink: no"]


def test_this_host_has_a_page():
    """Its real kernel answers."""
    context = FakeContext()
    context.host = "h"
    found = {entry["name"] for entry in host.entries(context)}
    assert {"uname", "memoryTotal"} <= found
    assert not context.notes
