"""What scollector made of /proc/net/dev, said here a second time."""

import pytest

from collectors.network.tests import kernel
from rscollector.sinks.bosun.tests.old_names import SCOLLECTOR, translated
from rscollector.testing import FakeContext, Root, collect


def old(*links):
    """Return what the sink sends of these links."""
    return translated(collect(kernel.saying(links), context=FakeContext(root="/nowhere")), SCOLLECTOR)


def test_traffic_is_in_and_out_of_physical_interfaces_and_of_bonds():
    """Dropped frames are those that the kernel had no use for and those that the card had no room for."""
    counted = {0: 11, 1: 12, 2: 1100, 3: 1200, 4: 3, 5: 4, 6: 5, 7: 6, 15: 70, 23: 8}
    found = old(
        *(kernel.link(n, name, counted=counted) for n, name in enumerate(("eth0", "bond0", "lo", "veth1"), 2))
    )
    for system in ("os", "linux"):
        for name, numbers in {
            "packets": (11, 12),
            "bytes": (1100, 1200),
            "errs": (3, 4),
            "dropped": (75, 6),
        }.items():
            received, sent = numbers
            assert found[f"{system}.net.{name}"] == {("eth0", "in"): received, ("eth0", "out"): sent}
            assert found[f"{system}.net.bond.{name}"] == {("bond0", "in"): received, ("bond0", "out"): sent}


def test_kinds_of_errors_are_the_sums_of_proc():
    """Each of 24 counters is another number; what was not counted is 0, and of a VLAN nothing is said."""
    counted = {place: 2**place for place in range(25)}
    links = [kernel.link(n, name, counted=counted) for n, name in enumerate(("eth0", "bond0", "eth0.7"), 2)]
    found, nothing = old(*links), old(kernel.link(2, "eth0"))
    for name, received, sent in (
        ("fifo_errs", 2**14, 2**18),
        ("frame_errs", 2**10 + 2**11 + 2**12 + 2**13, None),
        ("carrier_errs", None, 2**16 + 2**17 + 2**19 + 2**20),
        ("multicast", 2**8, None),
        ("collisions", None, 2**9),
    ):
        numbers = {way: number for way, number in (("in", received), ("out", sent)) if number is not None}
        assert found[f"linux.net.{name}"] == {("eth0", way): number for way, number in numbers.items()}
        assert found[f"linux.net.bond.{name}"] == {("bond0", way): number for way, number in numbers.items()}
        assert nothing[f"linux.net.{name}"] == {("eth0", way): 0 for way in numbers}


def test_the_slaves_of_a_bond_are_counted():
    """And whether each has a link."""
    found = translated(
        collect(kernel.saying(kernel.recorded("02-one-link-down")), context=FakeContext(root="/nowhere")),
        SCOLLECTOR,
    )
    assert found["linux.net.bond.slave.count"] == {("bond0",): 2}
    assert sorted(found["linux.net.bond.slave.is_up"].values()) == [0, 1]
    assert {bond for _, bond in found["linux.net.bond.slave.is_up"]} == {"bond0"}


@pytest.mark.parametrize("name", ["eth0", "em1", "em1_2", "p2p1", "enp3s0f1", "wlp2s0"])
def test_the_names_of_interfaces_are_those_that_it_looked_for(name):
    """The others were not sent."""
    assert ("os.net.bytes" in old(kernel.link(2, name, counted={0: 1}))) is True
    assert "os.net.bytes" not in old(kernel.link(2, f"x{name}", counted={0: 1}))


@pytest.mark.parametrize("name", ["p2p1_3", "p2p1", "wwp0s20", "bond12", "team0"])
def test_bonds_and_teams_are_below_their_own_names(name):
    """And an interface that is none is not among them."""
    found = old(kernel.link(2, name, counted={0: 1}))
    below = "os.net.bond." if name in ("bond12", "team0") else "os.net."
    assert {f"{below}bytes", f"{below}dropped"} <= found.keys()
    assert ("os.net.bytes" in found) != ("os.net.bond.bytes" in found)
    assert not {
        each for each in old(kernel.link(2, f"{name}-7", counted={0: 1})) if each.startswith("os.net")
    }


def test_speed_is_in_megabit(tmp_path):
    """As the driver tells it."""
    root = Root(tmp_path)
    root.write("sys/class/net/eth0/device/vendor", "")
    root.write("sys/class/net/eth0/speed", "2500\n")
    samples = collect(kernel.saying([kernel.link(2, "eth0")]), context=FakeContext(root=root))
    found = translated(samples, SCOLLECTOR)
    assert found["os.net.ifspeed"] == found["linux.net.ifspeed"] == {("eth0",): 2500}


def test_units_are_those_that_it_told():
    """Bytes are bytes, and what is counted in pieces has none."""
    units = {each.name: each.unit for each in SCOLLECTOR.olds}
    assert [units[f"os.net.{name}"] for name in ("bytes", "packets", "errs", "dropped", "ifspeed")] == [
        "bytes", "", "", "", "Mbit"
    ]  # fmt: skip
