"""A real keepalived on two hosts, as namespaces on one wire, and what the collectors on both say of its address."""

import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from harness import until
from netns import namespace

from collectors.vip.tests.watched import Watched

pytestmark = pytest.mark.needs("root", "ip", "unshare", "nsenter", "keepalived")

V4, V6, FIRST = "192.0.2.50", "2001:db8::50", "fe80::50"
CONF = """
global_defs {{
    router_id {name}
    vrrp_version 3
    vrrp_garp_master_delay 0
}}
vrrp_instance four {{
    state BACKUP
    interface {interface}
    virtual_router_id 51
    priority {priority}
    advert_int 0.1
    virtual_ipaddress {{
        {v4}/32 dev {interface} label vip
    }}
}}
vrrp_instance six {{
    state BACKUP
    interface {interface}
    virtual_router_id 52
    priority {priority}
    advert_int 0.1
    virtual_ipaddress {{
        {first}/128
        {v6}/128
    }}
}}
"""


class Host:
    """A namespace with its collector, and with a keepalived once it is started."""

    def __init__(self, directory, net, interface, number):
        self.net, self.interface = net, interface
        self._pids = directory / f"{number}.pid", directory / f"{number}.vrrp.pid"
        self._conf = directory / f"{number}.conf"
        text = CONF.format(
            name=f"host{number}", interface=interface, priority=200 - number, v4=V4, v6=V6, first=FIRST
        )
        self._conf.write_text(text)
        net.ip("address", "add", f"192.0.2.{number}/24", "dev", interface)
        net.ip("address", "add", f"fe80::{number}/64", "dev", interface, "nodad")
        self.collector = Watched(net, addresses=[V4, V6, FIRST])
        self.collector.tick()

    def start(self):
        """Start keepalived; it stays in the foreground."""
        main, vrrp = self._pids
        command = ["keepalived", "-n", "-l", "-P", "-f", self._conf, "-p", main, "-r", vrrp]
        # Since 2.3 it locks those of the processes that it does not start as well: there are two of it.
        command += ["-c", f"{main}.checkers", "-b", f"{main}.bfd"]
        self._process = subprocess.Popen(
            [*self.net.enter, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def kill(self, number):
        """Send a signal to both of its processes."""
        for file in reversed(self._pids):
            with suppress(FileNotFoundError, ProcessLookupError, ValueError):  # one that is written is empty
                pid = int(Path(file).read_text())
                subprocess.run(["kill", f"-{int(number)}", str(pid)], check=False, stderr=subprocess.DEVNULL)

    def end(self):
        """End it, whatever state it is in."""
        self.kill(signal.SIGKILL)
        self._process.wait(30)
        self.collector.die()

    def holds(self):
        """Tell which of the addresses it has."""
        found = self.collector.tick()
        return [int(found[f'vip_bound{{address="{each}"}}']) for each in (V4, V6, FIRST)]


@pytest.fixture
def hosts(tmp_path):
    """Two hosts; the first one has the addresses, and the second one would take them."""
    with namespace() as one, namespace() as two:
        one.ip("link", "set", "b0", "netns", two.enter[1].split("/")[2], "name", "c0")
        two.ip("link", "set", "c0", "up")
        made = Host(tmp_path, one, "a0", 1), Host(tmp_path, two, "c0", 2)
        for each in made:
            each.start()
        until(lambda: (made[0].holds(), made[1].holds()) == ([1, 1, 1], [0, 0, 0]))
        yield made
        for each in made:
            each.end()


def test_the_address_is_where_keepalived_has_put_it(hosts):
    """With a label that is no interface, link-local first, and deprecated as it wants them of IPv6."""
    found = hosts[0].collector.tick()
    assert found[f'vip_interface_info{{address="{V4}",interface="a0"}}'] == 1
    assert found[f'vip_link_up{{address="{V4}",interface="a0"}}'] == 1
    assert found[f'vip_label_info{{address="{V4}",interface="a0",label="vip"}}'] == 1
    for each in (V6, FIRST):
        where = f'{{address="{each}",interface="a0",vip_address_state="deprecated"}}'
        assert found[f"vip_address_state{where}"] == 1
        assert found[f'vip_prefix_length{{address="{each}",interface="a0"}}'] == 128


def test_a_clean_stop_is_one_loss_and_one_gain(hosts):
    """The first host loses all of them, the second one gains them, and there is one holder."""
    before = [host.collector.counts(V4) for host in hosts]
    hosts[0].kill(signal.SIGTERM)
    until(lambda: (hosts[0].holds(), hosts[1].holds()) == ([0, 0, 0], [1, 1, 1]))
    after = [host.collector.counts(V4) for host in hosts]
    assert after == [[before[0][0], before[0][1] + 1, 0], [before[1][0] + 1, before[1][1], 0]]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_one_that_is_killed_or_hangs_leaves_two_holders(hosts, number):
    """The first host has them still: that is real, and both say so."""
    hosts[0].kill(number)
    until(lambda: (hosts[0].holds(), hosts[1].holds()) == ([1, 1, 1], [1, 1, 1]))


def test_a_link_that_is_down_makes_the_address_go(hosts):
    """Nobody reaches the first host, which knows it; the second one has the addresses."""
    hosts[0].net.ip("link", "set", "a0", "down")
    until(lambda: hosts[0].holds() == [0, 0, 0])
    hosts[0].net.ip("link", "set", "a0", "up")
    until(lambda: sorted([hosts[0].holds(), hosts[1].holds()]) == [[0, 0, 0], [1, 1, 1]])


def test_a_partition_makes_two_holders_and_healing_leaves_one(hosts):
    """No link is down, and nothing comes through: the second host takes the addresses too, and gives them back."""
    before = [host.collector.counts(V4) for host in hosts]
    for host in hosts:  # a bucket that is smaller than any frame drops them all
        host.net.tc(
            "qdisc",
            "add",
            "dev",
            host.interface,
            "root",
            "tbf",
            "rate",
            "8bit",
            "burst",
            "10",
            "latency",
            "1ms",
        )
    until(lambda: (hosts[0].holds(), hosts[1].holds()) == ([1, 1, 1], [1, 1, 1]))
    for host in hosts:
        host.net.tc("qdisc", "del", "dev", host.interface, "root")
    until(lambda: (hosts[0].holds(), hosts[1].holds()) == ([1, 1, 1], [0, 0, 0]))
    (first, second), (was_first, was_second) = [host.collector.counts(V4) for host in hosts], before
    assert first == was_first
    assert second == [was_second[0] + 1, was_second[1] + 1, 0]


def test_ten_moves_within_one_tick_are_ten_on_both_hosts():
    """No scrape sees any of them, and the address is where it was: each host has lost it five times, and got it back."""
    with namespace() as one, namespace() as two:
        watched = [Watched(net, addresses=[V4]) for net in (one, two)]
        try:
            one.ip("address", "add", f"{V4}/32", "dev", "a0")
            before = [each.counts(V4) for each in watched]
            for to, of in [(two, one), (one, two)] * 5:
                of.ip("address", "del", f"{V4}/32", "dev", "a0")
                to.ip("address", "add", f"{V4}/32", "dev", "a0")
            found = [each.tick()[f'vip_bound{{address="{V4}"}}'] for each in watched]
            after = [each.counts(V4) for each in watched]
        finally:
            for each in watched:
                each.die()
    assert found == [1, 0]
    assert after == [[gained + 5, lost + 5, moved] for gained, lost, moved in before]
