"""What drivers count by themselves: only what is named, only of devices, and in its own time."""

import os
from pathlib import Path

import pytest

from collectors.network import Network, driver
from collectors.network.collector import NetworkSettings
from collectors.network.tests.kernel import link, saying
from rscollector.api import Context, Misconfigured, Unavailable
from rscollector.testing import FakeContext, Root, collect, values

VIRTIO = b"""NIC statistics:
     rx_drops: 12
     rx_kicks: 7595
     tx_tx_timeouts: 0
     rx0_drops: 5
     [0]: rx_odd name: 3
     temperature: 45.5
     below: -3
     most: 18446744073709551615
     paused_ns: 9223372036854775807
     port.rx_odd drops: 7
"""
QUEUES = b"""NIC statistics:
     Rx Queue#: 0
       ucast pkts rx: 5
       drv dropped rx total: 1
     Rx Queue#: 1
       ucast pkts rx: 7
       drv dropped rx total: 2
     rx_buf_alloc_failure: 3
"""  # as vmxnet3 of VMware does
WANTED = ["*rx*drops", "tx_tx_timeouts", "temperature", "below", "most", "paused_ns"]


@pytest.fixture
def asked(tmp_path):
    """Return what is told with these answers of ethtool: series, context."""
    root = Root(tmp_path)
    for name in ("eth0", "eth1"):
        root.write(f"sys/class/net/{name}/device/vendor", "")

    def ask(answers, wanted=WANTED):
        commands = {("ethtool", "-S", name): answer for name, answer in answers.items()}
        context = FakeContext(root=root, commands=commands)
        links = [link(1, "eth0"), link(2, "eth1"), link(3, "virtual0")]
        samples = values(collect(saying(links), {"driver_statistics": wanted}, context=context))
        return {name: value for name, value in samples.items() if "driver" in name}, context

    return ask


def test_only_what_is_named_and_is_a_number_is_shown(asked):
    """Interfaces without a device are not asked."""
    found, context = asked({"eth0": VIRTIO, "eth1": b""})
    assert set(found) == {
        f'network_driver_statistic_total{{interface="eth0",statistic="{name}"}}'
        for name in ("rx_drops", "rx0_drops", "tx_tx_timeouts", "paused_ns", "port.rx_odd drops")
    }
    assert context.ran == [("ethtool", "-S", "eth0"), ("ethtool", "-S", "eth1")]
    assert context.notes == []


def test_what_is_told_more_than_once_is_nobodys(asked):
    """That of the last queue is not that of the interface (node_exporter #2187)."""
    found, context = asked({"eth0": QUEUES, "eth1": b""}, ["*rx*"])
    assert found == {'network_driver_statistic_total{interface="eth0",statistic="rx_buf_alloc_failure"}': 3}
    assert context.notes == [
        "missing: ethtool of eth0: ucast pkts rx and 1 more: told more than once under one name"
    ]


def test_nobody_is_asked_when_nothing_is_named(asked):
    """That is the default, and the collector shares a worker then; else it has its own."""
    found, context = asked({}, wanted=[])
    assert (found, context.ran) == ({}, [])
    assert Network.is_local(NetworkSettings())
    assert not Network.is_local(NetworkSettings(driver_statistics=("rx_drops",)))


def test_what_a_driver_does_not_answer_costs_its_own_numbers(asked):
    """A note says why; that a driver counts nothing is none."""
    found, context = asked({"eth0": Unavailable("ethtool did not end in time, killed"), "eth1": VIRTIO})
    assert len(found) == 5
    assert context.notes == ["missing: ethtool of eth0: ethtool did not end in time, killed"]
    for words in ("no stats available", "Cannot get stats strings information: Operation not supported"):
        nothing = Unavailable(f"ethtool failed (exit status 94): {words}")
        assert asked({"eth0": nothing, "eth1": VIRTIO})[1].notes == []
    missing = Misconfigured("cannot run ethtool: No such file or directory")
    assert asked({"eth0": missing, "eth1": missing})[1].notes == [
        f"missing: ethtool of {name}: {missing}" for name in ("eth0", "eth1")
    ]


def test_all_interfaces_together_have_two_seconds(asked, monkeypatch):
    """Whose turn does not come is named; each is given what is left."""
    given = []

    def run(self, command, *, seconds, **_):
        given.append(seconds)
        self.clock.advance(seconds)
        raise Unavailable("ethtool did not end in time, killed")

    monkeypatch.setattr(FakeContext, "run", run)
    _, context = asked({})
    assert given == [2.0]
    assert context.notes[1] == "missing: ethtool of eth1: those before took the 2 s that all have"


def test_a_pattern_that_fits_too_many_is_cut(asked):
    """A hundred are shown, and a note says how many there are."""
    text = b"".join(b"rx%d_drops: 1\n" % number for number in range(300))
    found, context = asked({"eth0": text, "eth1": b""})
    assert len(found) == 100
    assert context.notes == ["ethtool of eth0: 300 statistics are wanted, the first 100 are shown"]


def test_a_driver_that_hangs_is_given_up_and_the_rest_is_told(tmp_path, monkeypatch):
    """A real program that does not end is killed in its own time, which is less than that of the collect."""
    (tmp_path / "ethtool").write_text("#!/bin/sh\nexec sleep 300\n")
    (tmp_path / "ethtool").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(driver, "SECONDS", 0.3)
    root = Root(tmp_path / "root")
    root.write("sys/class/net/eth0/device/vendor", "")
    context = Context("main", timeout=250, interval=300, agent=os.getpid())
    context.root = Path(root)
    samples = collect(saying([link(1, "eth0")]), {"driver_statistics": ["rx*"]}, context=context)
    assert context.notes == ["missing: ethtool of eth0: ethtool did not end in time, killed"]
    assert 'network_up{interface="eth0"}' in values(samples)
    assert context.remaining() > 200


def test_a_name_may_have_colons_and_no_control_characters(asked):
    """The last colon is the one before the number; what cannot be printed is no label."""
    text = b"     [0]: rx_drops: 3\n     rx\x1b[2J_drops: 4\n"
    found, _ = asked({"eth0": text, "eth1": b""}, wanted=["rx*"])
    assert found == {}
    found, _ = asked({"eth0": text, "eth1": b""}, wanted=["*"])
    assert found == {'network_driver_statistic_total{interface="eth0",statistic="[0]: rx_drops"}': 3}


def test_a_hundred_are_all_that_there_are(asked):
    """No note says that something is missing."""
    text = b"".join(b"rx%d_drops: 1\n" % number for number in range(100))
    found, context = asked({"eth0": text, "eth1": b""})
    assert (len(found), context.notes) == (100, [])
