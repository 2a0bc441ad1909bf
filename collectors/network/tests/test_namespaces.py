"""Interfaces of this kernel in a namespace: told as ip(8) and node_exporter tell them, and while they come and go."""

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from harness import free_port, until
from netns import namespace

from collectors.network import Network
from collectors.network.collector import NetworkSettings
from collectors.network.tests.others import as_node_exporter, by_ip, by_node_exporter, of_interfaces
from rscollector.api import Context
from rscollector.testing import values

pytestmark = pytest.mark.needs("root", "ip", "unshare", "nsenter")

QUIET = "for n in all default; do echo 1 > /proc/sys/net/ipv6/conf/$n/disable_ipv6; done"
SEND = """
import socket, sys
sending = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
sending.bind((sys.argv[1], 0))
for _ in range(int(sys.argv[2])):
    sending.send(bytes.fromhex("ffffffffffff02000000000188b5") + bytes(60))
"""
"""Broadcast frames of a protocol that nobody wants (for experiments, IEEE 802)."""
BURST = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
    for _ in range(200):
        sending.sendto(bytes(1000), ("192.0.2.9", 9))
"""


class Live:
    """The collector in a namespace: it is asked there as a worker would, from tick to tick."""

    def __init__(self, net, **settings):
        self.net = net
        self.collector = Network(NetworkSettings(**settings))
        with net.inside():
            self.collector.open(self._context())

    def tick(self):
        """Return the series of a tick."""
        context = self._context()
        with self.net.inside():
            found = values(self.collector.collect(context))
        self.sentences, self.notes = context.sentences, context.notes
        return found

    @staticmethod
    def _context():
        return Context("main", timeout=10, interval=15, agent=os.getpid())

    def python(self, code, *arguments):
        """Run a program in the namespace."""
        subprocess.run([*self.net.enter, sys.executable, "-c", code, *arguments], check=True, timeout=60)


@pytest.fixture
def live():
    """A namespace with a0 and b0, a bridge, a macvlan and odd names, and the collector in it."""
    with namespace() as net:
        subprocess.run([*net.enter, "sh", "-c", QUIET], check=True)
        for command in (
            "link add br0 type bridge", "link set br0 up", "link add c0 type veth peer name d0", "link set d0 master br0",
            "link set d0 up", "link add m0 link b0 type macvlan mode bridge", "link set m0 up mtu 1400",
            "link add x!*'() type veth peer name veth0", "address add 192.0.2.1/24 dev a0",
        ):  # fmt: skip
            net.ip(*command.split())
        yield Live(net)


def said_by_ip(net):
    """Return what ip(8) says, without the interface that is left out."""
    command = [*net.enter, "ip", "-d", "-s", "-s", "-j", "link"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    return {name: value for name, value in by_ip(done.stdout).items() if 'interface="veth0"' not in name}


def test_every_number_is_the_one_that_ip_has(live):
    """Of every interface all that ip(8) tells, after traffic, losses, and a link that came and went."""
    live.python(SEND, "a0", "50")
    live.net.ip("link", "set", "b0", "down")
    live.python(SEND, "a0", "20")
    live.net.ip("link", "set", "b0", "up")
    found = until(lambda: of_interfaces(live.tick()) == said_by_ip(live.net) and live.tick())
    assert live.notes == []
    assert found['network_frames_total{interface="a0",direction="transmit"}'] >= 50
    assert found['network_dropped_frames_total{interface="a0",direction="transmit",kind="kernel"}'] == 20
    assert found['network_dropped_frames_total{interface="b0",direction="receive",kind="kernel"}'] >= 50
    assert found['network_carrier_changes_total{interface="a0"}'] >= 2
    assert 'network_up{interface="x!*\'()"}' in found
    assert 'network_up{interface="veth0"}' not in found


def test_shares_are_told_of_what_was_lost_since_the_last_tick(live):
    """One in three of what a0 sends is dropped, and then nothing."""
    live.tick()
    live.python(SEND, "a0", "20")
    live.net.ip("link", "set", "b0", "down")
    live.python(SEND, "a0", "10")
    live.tick()
    assert "a0 drops 33 % of the frames to be sent since the last tick (tx_dropped + 10)." in live.sentences
    live.tick()
    assert not [each for each in live.sentences if "since the last tick" in each]


@pytest.mark.needs("tc")
def test_what_a_queue_drops_is_not_the_interfaces(live):
    """A token bucket that is full drops nearly all, and neither the kernel's counters nor ours know of it."""
    live.net.ip("neighbour", "add", "192.0.2.9", "lladdr", "02:00:00:00:00:09", "dev", "a0")
    tc = [*live.net.enter, "tc"]
    subprocess.run(
        [
            *tc,
            *["qdisc", "add", "dev", "a0", "root", "tbf", "rate", "8kbit", "burst", "1600", "limit", "3000"],
        ],
        check=True,
    )
    before = live.tick()
    live.python(BURST)
    shown = subprocess.run(
        [*tc, "-s", "qdisc", "show", "dev", "a0"], capture_output=True, text=True, check=True
    )
    assert int(re.search(r"\(dropped (\d+)", shown.stdout)[1]) > 100
    found = until(lambda: of_interfaces(live.tick()) == said_by_ip(live.net) and live.tick())
    name = 'network_dropped_frames_total{interface="a0",direction="transmit",kind="kernel"}'
    assert found[name] == before[name]
    subprocess.run([*tc, "qdisc", "del", "dev", "a0", "root"], check=True)


@pytest.mark.needs("prometheus-node-exporter", "curl")
def test_node_exporter_says_the_same_under_its_own_names(live):
    """As the page has it: its sums are those of our kinds, of every interface."""
    net, port = live.net, free_port()
    exporter = f"exec prometheus-node-exporter --web.listen-address=127.0.0.1:{port} --collector.disable-defaults --collector.netdev --collector.netclass"
    live.python(SEND, "a0", "30")
    process = subprocess.Popen(
        [*net.enter, "unshare", "--mount", "sh", "-c", f"mount -t sysfs sysfs /sys && {exporter}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        curl = [*net.enter, "curl", "--silent", "--fail", f"http://127.0.0.1:{port}/metrics"]

        def page():
            done = subprocess.run(curl, capture_output=True, text=True, timeout=30, check=False)
            return by_node_exporter(done.stdout) if done.returncode == 0 else None

        until(page)
        interfaces = ["a0", "b0", "br0", "c0", "d0", "m0"]  # the loopback is what it is asked by
        differ = {}

        def same():
            ours, theirs = as_node_exporter(live.tick(), interfaces), page()
            differ.clear()
            differ.update(
                {key: (value, theirs.get(key)) for key, value in ours.items() if theirs.get(key) != value}
            )
            return not differ

        until(same)
        assert differ == {}
    finally:
        process.terminate()
        process.wait(30)


def test_a_table_that_changes_all_the_time_is_told_whole(live):
    """While interfaces come and go as fast as ip can, each tick has all those that stay, and nothing is read wrong."""
    over = threading.Event()

    def come_and_go():
        while not over.is_set():
            live.net.batch([line for number in range(20) for line in (
                f"link add t{number} type veth peer name u{number}", f"link set t{number} name r{number}",
                f"link del r{number}")])  # fmt: skip

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        for _ in range(100):
            found = live.tick()
            assert live.notes == []
            assert {
                f'network_up{{interface="{name}"}}' for name in ("lo", "a0", "b0", "br0", "m0")
            } <= found.keys()
    finally:
        over.set()
        thread.join(60)


def test_501_interfaces_are_all_there(live):
    """None is lost in a dump of many parts, and they fit into what the class declares."""
    live.net.batch([f"link add p{number} type veth peer name q{number}" for number in range(250)])
    found = live.tick()
    assert sum(name.startswith("network_up{") for name in found) >= 501
    assert len(found) <= Network.max_series
    assert until(lambda: of_interfaces(live.tick()) == said_by_ip(live.net))


@pytest.mark.needs("ethtool")
def test_ethtool_is_asked_of_devices_only():
    """Of this host's own devices each statistic has the name that ethtool gives it; where there is none, nothing."""
    context = Context("main", timeout=10, interval=15, agent=os.getpid())
    collector = Network(NetworkSettings(driver_statistics=("*",)))
    collector.open(context)
    found = {}
    for sample in collector.collect(context):
        if sample.metric.name == "network_driver_statistic_total":
            found.setdefault(sample.values[0], set()).add(sample.values[1])
    for interface in sorted(each.name for each in Path("/sys/class/net").iterdir()):
        told = subprocess.run(["ethtool", "-S", interface], capture_output=True, text=True, check=False)
        has_device = Path(f"/sys/class/net/{interface}/device").exists()
        names = (
            {line.strip().rpartition(":")[0] for line in told.stdout.splitlines()[1:]}
            if has_device
            else set()
        )
        assert found.get(interface, set()) <= names
        assert bool(found.get(interface)) == bool(names)
