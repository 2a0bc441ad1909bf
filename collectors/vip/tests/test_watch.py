"""What happens between two ticks of the collector vip, in a namespace of a real kernel."""

import json
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
from harness import until
from netns import namespace

from collectors.vip.tests.watched import V4, V6, Watched, there_and_back
from collectors.vip.watcher import Links
from rscollector.kit.netlink import Overrun
from rscollector.kit.rtnetlink import Link

pytestmark = pytest.mark.needs("root", "ip", "unshare", "nsenter")

DEBIAN = 212_992
"""net.core.rmem_max where nobody has changed it: what a socket may ask for."""


@pytest.fixture
def net():
    """A namespace whose links have no addresses of their own, so that nothing happens by itself."""
    with namespace() as made:
        made.batch([f"link set {each} addrgenmode none" for each in ("a0", "b0")])
        made.batch([f"address flush dev {each}" for each in ("a0", "b0")])
        yield made


@pytest.fixture
def watched(net, tmp_path):
    """Collectors in the namespace, which have had their first tick and the buffers that Debian gives."""
    made = []

    def begin(**settings):
        made.append(Watched(net, tmp_path / "vip" / "main.json", **settings))
        for each in (made[-1]._collector._watcher._addresses, made[-1]._collector._watcher._link_watch):
            each._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, DEBIAN)
        made[-1].tick()
        return made[-1]

    yield begin
    for each in made:
        each.die()


def overruns(found):
    """Return the overruns of a tick, of addresses and of links."""
    return found["vip_watch_overruns_total"], found["vip_link_watch_overruns_total"]


@pytest.mark.parametrize("address", [V4, V6])
@pytest.mark.parametrize("times", [10, 200])
def test_what_comes_and_goes_between_two_ticks_is_counted(net, watched, address, times):
    """Each gain and each loss, of IPv4 and of IPv6, up to two hundred within one tick."""
    collector = watched(addresses=[address])
    net.batch(there_and_back(times, address))
    found = collector.tick()
    assert found[f'vip_bound{{address="{address}"}}'] == 0
    assert collector.counts(address) == [times, times, 0]
    assert overruns(found) == (0, 0)


def test_more_than_the_buffer_holds_is_one_overrun_and_the_truth(net, watched):
    """What was lost is told, the address is where it is, and what comes next is counted as ever."""
    collector = watched()
    net.batch([*there_and_back(2000), f"address add {V4}/32 dev a0"])
    found = collector.tick()
    assert (found[f'vip_bound{{address="{V4}"}}'], overruns(found)) == (1, (1, 0))
    gained, lost, _ = before = collector.counts()
    assert 250 < lost == gained - 1 < 2000
    net.batch([f"address del {V4}/32 dev a0", *there_and_back(3)])
    assert collector.counts() == [before[0] + 3, before[1] + 4, 0]
    assert overruns(collector.tick()) == (1, 0)


def test_what_is_there_at_first_is_no_change(net, watched):
    """That an address is there when the agent starts is no gain, and how long it was is not known."""
    net.ip("address", "add", f"{V4}/32", "dev", "a0")
    collector = watched()
    found = collector.tick()
    assert collector.counts() == [0, 0, 0]
    assert 0 < found[f'vip_held_seconds_total{{address="{V4}"}}'] < 60
    assert f'vip_unchanged_seconds{{address="{V4}"}}' not in found
    net.batch([f"address del {V4}/32 dev a0"])
    assert collector.tick()[f'vip_unchanged_seconds{{address="{V4}"}}'] < 60


def test_other_flags_are_no_gain(net, watched):
    """The kernel tells of an address that is there already when its lifetime or its flags change."""
    net.batch([f"address add {each} dev a0 nodad" for each in (f"{V6}/128", f"{V4}/32")])
    collector = watched(addresses=[V4, V6])
    for lifetime in ("0", "forever", "0"):
        net.ip(
            "address", "change", f"{V6}/128", "dev", "a0", "preferred_lft", lifetime, "valid_lft", "forever"
        )
        net.ip(
            "address", "change", f"{V4}/32", "dev", "a0", "preferred_lft", "forever", "valid_lft", "forever"
        )
    assert (collector.counts(V6), collector.counts(V4)) == ([0, 0, 0], [0, 0, 0])
    where = f'{{address="{V6}",interface="a0",vip_address_state="deprecated"}}'
    assert collector.tick()[f"vip_address_state{where}"] == 1


GO, COME = f"address del {V4}/32 dev a0", f"address add {V4}/32 dev"


@pytest.mark.parametrize("other", ["b0", "mv0"])
@pytest.mark.parametrize("first", [GO, COME])
def test_a_move_to_another_interface_is_a_move(net, watched, other, first):
    """In whichever order, to a neighbour or to a macvlan on top, it is one gain, one loss and one move."""
    net.batch([f"{COME} a0", "link add mv0 link a0 type macvlan", "link set mv0 up"])
    collector = watched()
    net.batch(sorted([GO, f"{COME} {other}"], key=lambda command: not command.startswith(first)))
    found = collector.tick()
    assert collector.counts() == [1, 1, 1]
    assert found[f'vip_interface_info{{address="{V4}",interface="{other}"}}'] == 1
    assert found[f'vip_interfaces{{address="{V4}"}}'] == 1


def test_a_second_interface_and_a_second_prefix_are_no_moves(net, watched):
    """An address may be there twice; with another prefix on the same interface it is no other address."""
    net.ip("address", "add", f"{V4}/32", "dev", "a0")
    collector = watched()
    net.batch([f"address add {V4}/32 dev b0", f"address add {V4}/24 dev a0"])
    assert collector.tick()[f'vip_interfaces{{address="{V4}"}}'] == 2
    assert collector.counts() == [1, 0, 0]
    net.batch([f"address del {V4}/32 dev b0", f"address del {V4}/24 dev a0"])
    assert collector.counts() == [1, 1, 0]
    assert collector.tick()[f'vip_prefix_length{{address="{V4}",interface="a0"}}'] == 32


def test_a_link_that_goes_takes_its_addresses_along(net, watched):
    """A link that is removed, and one that is given to another namespace, have no address here any more."""
    net.batch([f"address add {V4}/32 dev a0", "link add d0 type bridge", "link set d0 up"])
    net.batch([f"address add {V6}/128 dev d0 nodad"])
    collector = watched(addresses=[V4, V6])
    with namespace() as other:
        net.ip("link", "set", "a0", "netns", other.enter[1].split("/")[2], "name", "here")
        net.ip("link", "del", "d0")
        found = collector.tick()
        assert [found[f'vip_bound{{address="{each}"}}'] for each in (V4, V6)] == [0, 0]
        assert [collector.counts(each) for each in (V4, V6)] == [[0, 1, 0], [0, 1, 0]]


def test_a_link_with_another_name_is_the_same(net, watched):
    """An address stays where it is when its link is renamed, which is no change of it."""
    net.batch(
        [f"address add {V4}/32 dev a0", "link set a0 down", "link set a0 name renamed", "link set renamed up"]
    )
    collector = watched()
    net.batch(["link set renamed down", "link set renamed name again", "link set again up"])
    found = collector.tick()
    assert found[f'vip_interface_info{{address="{V4}",interface="again"}}'] == 1
    assert found[f'vip_link_losses_total{{address="{V4}",interface="again"}}'] == 1
    assert collector.counts() == [0, 0, 0]


def test_a_storm_of_links_hides_no_address(net, watched):
    """A thousand flaps run over the links' own buffer: the addresses' counts are exact, and the link is as it is."""
    net.batch([f"address add {V4}/32 dev a0"])
    collector = watched()
    flaps = ["link set b0 down", "link set b0 up"] * 1000
    net.batch(
        [
            *flaps[:1000],
            *there_and_back(50, "192.0.2.11"),
            GO,
            f"{COME} b0",
            *flaps[1000:],
            "link set b0 down",
        ]
    )
    found = collector.tick()
    assert (collector.counts(), overruns(found)) == ([1, 1, 1], (0, 1))
    assert found[f'vip_link_up{{address="{V4}",interface="b0"}}'] == 0
    assert found[f'vip_interface_up{{address="{V4}",interface="b0"}}'] == 0


def test_losses_of_a_link_between_two_ticks_are_counted():
    """A link that was seen running and then not was lost; what is told of it beside that is nothing new."""
    links = Links()
    for flags in (0x41, 0x41, 0x1, 0x1, 0x41, 0x0, 0x41):
        links.change(Link(False, 7, flags, {}))
    assert links.losses == {7: 2}
    links.change(Link(True, 7, 0x41, {}))
    assert (links.losses, links.running) == ({}, {})


def test_a_duplicate_is_told(net):
    """What somebody else on the wire has already is bound here, and not used."""
    with namespace() as other:
        net.ip("link", "set", "b0", "netns", other.enter[1].split("/")[2], "name", "c0")
        other.ip("link", "set", "c0", "up")
        other.ip("address", "add", f"{V6}/128", "dev", "c0", "nodad")
        until(lambda: "LOWER_UP" in _shown(net, "link", "show", "a0"))
        collector = Watched(net, addresses=[V6])
        collector.tick()
        net.ip("address", "add", f"{V6}/128", "dev", "a0")
        where = f'{{address="{V6}",interface="a0",vip_address_state="duplicate"}}'
        until(lambda: collector.tick().get(f"vip_address_state{where}"))
        assert collector.counts(V6) == [1, 0, 0]
        assert "another machine uses it" in collector.sentences[0]
        collector.die()


def _shown(net, *arguments):
    return subprocess.run([*net.enter, "ip", *arguments], capture_output=True, text=True, check=True).stdout


def test_among_five_thousand_addresses_those_of_a_network_are_watched(net, watched):
    """What nobody has named costs no series; one of a network is told of as long as it was there of late."""
    net.batch([f"address add 10.{n >> 8}.{n & 255}.1/32 dev a0" for n in range(5000)])
    collector = watched(addresses=[], networks=["10.1.2.0/23"])
    assert {key for key in collector.tick() if key.startswith("vip_bound")} == {
        f'vip_bound{{address="10.1.{n}.1"}}' for n in (2, 3)
    }
    net.batch(
        ["address del 10.1.2.1/32 dev a0", "address add 10.1.3.7/32 dev a0", "address del 10.0.0.1/32 dev a0"]
    )
    found = collector.tick()
    bound = {key: value for key, value in found.items() if key.startswith("vip_bound")}
    assert bound == {f'vip_bound{{address="10.1.{end}"}}': end != "2.1" for end in ("2.1", "3.1", "3.7")}
    assert [collector.counts(f"10.1.{end}") for end in ("2.1", "3.1", "3.7")] == [
        [0, 1, 0],
        [0, 0, 0],
        [1, 0, 0],
    ]


def test_the_next_worker_goes_on_and_tells_of_the_gap(net, watched):
    """What was counted stays, and what is different after the gap is one change; another agent begins anew."""
    net.ip("address", "add", f"{V4}/32", "dev", "a0")
    collector = watched(addresses=[V4, V6])
    net.batch([GO, *there_and_back(4), f"{COME} a0"])
    assert collector.counts() == [5, 5, 0]
    collector.die()
    net.batch([GO, f"{COME} b0", f"address add {V6}/128 dev b0 nodad"])
    collector.begin()
    assert (collector.counts(), collector.counts(V6)) == ([6, 6, 1], [1, 0, 0])
    assert collector.tick()["vip_watch_gaps_total"] == 1
    collector.die()
    collector.agent = 1
    collector.begin()
    assert (collector.counts(), collector.tick()["vip_watch_gaps_total"]) == ([0, 0, 0], 0)


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"life": 1}', b"\xff", b"[" * 9999, "x", 1e999])
def test_a_damaged_file_is_a_gap(net, watched, damage):
    """Whatever is in the file, the addresses are shown, and that nobody knows what was counted."""
    collector = watched()
    collector.die()
    kept = json.loads(collector.state.read_bytes())
    if not isinstance(damage, bytes):  # but a number among others
        kept["addresses"][next(iter(kept["addresses"]))] = [damage] * 8
        damage = json.dumps(kept).encode()
    collector.state.write_bytes(damage)
    collector.begin()
    found = collector.tick()
    assert found["vip_watch_gaps_total"] == (damage != b'{"life": 1}')
    assert collector.counts() == [0, 0, 0]


def test_a_host_that_slept_is_a_gap(net, watched, monkeypatch):
    """While it slept nothing changed here, but the rest of the world went on."""
    collector = watched()
    slept = time.clock_gettime(time.CLOCK_BOOTTIME) + 3600
    monkeypatch.setattr(time, "clock_gettime", lambda clock: slept)
    assert [collector.tick()["vip_watch_gaps_total"] for _ in range(2)] == [1, 1]


def test_an_idle_tick_writes_nothing(net, watched):
    """While nothing changes the file stays as it is."""
    collector = watched()
    before = collector.state.stat()
    collector.tick()
    assert collector.state.stat().st_ino == before.st_ino
    net.batch(there_and_back(1))
    collector.tick()
    assert collector.state.stat().st_ino != before.st_ino


def test_a_file_that_cannot_be_written_costs_no_sample(net, tmp_path):
    """Where there is no place for the file, a note says what that means."""
    (tmp_path / "vip").write_text("no directory")
    collector = Watched(net, tmp_path / "vip" / "main.json")
    assert collector.tick()[f'vip_bound{{address="{V4}"}}'] == 0
    assert "the next worker will count from 0" in collector.notes[0]
    collector.die()


def test_a_worker_has_two_sockets_for_as_long_as_it_lives(net, watched):
    """One for addresses and one for links, opened once."""

    def netlinks():
        with net.inside():
            lines = Path("/proc/thread-self/net/netlink").read_text().splitlines()[1:]
        groups = [line.split()[3] for line in lines if line.split()[1] == "0"]
        return sorted(each for each in groups if each != "00000000")

    assert netlinks() == []
    collector = watched()
    for _ in range(3):
        assert netlinks() == ["00000001", "00000110"]
        collector.tick()


def test_the_worker_is_killed_in_the_middle_of_a_storm(net, watched):
    """The next one shows where the address is, has lost no count, and tells of the gap."""
    collector = watched()
    storm = threading.Thread(target=net.batch, args=([*there_and_back(8000), f"{COME} a0"],))
    storm.start()
    until(lambda: collector.counts()[0] > 100)
    before = collector.counts()
    collector.die()
    collector.begin()
    storm.join()
    found = collector.tick()
    gained, lost, moved = collector.counts()
    assert (found[f'vip_bound{{address="{V4}"}}'], found["vip_watch_gaps_total"]) == (1, 1)
    assert gained >= before[0]
    assert lost >= before[1]
    assert gained == lost + 1
    assert moved == 0


@pytest.mark.long
def test_twenty_storms_of_ten_thousand_moves(net, watched):
    """The state in the end is right each time, and the counts are exact unless an overrun was told."""
    for number in range(20):
        collector = watched(addresses=[f"192.0.2.{number}"])
        storm = threading.Thread(target=net.batch, args=(there_and_back(10_000, f"192.0.2.{number}"),))
        storm.start()
        while storm.is_alive():
            collector.tick()
            storm.join(0.02)
        found = collector.tick()
        assert found[f'vip_bound{{address="192.0.2.{number}"}}'] == 0
        counts = collector.counts(f"192.0.2.{number}")
        assert counts == [10_000, 10_000, 0] or found["vip_watch_overruns_total"] > 0


def test_an_overrun_that_lasts_is_counted_once_a_tick(net, watched, monkeypatch):
    """While changes are lost around each dump it is still one time that nobody knows what happened."""
    collector = watched()
    monkeypatch.setattr(
        collector._collector._watcher._addresses, "events", lambda _context: iter([Overrun()])
    )
    assert [overruns(collector.tick()) for _ in range(2)] == [(1, 0), (2, 0)]


def test_what_is_lost_before_the_first_look_is_no_overrun(net, tmp_path):
    """Nothing was known that could have been missed."""
    collector = Watched(net)
    collector._collector._watcher._addresses._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    net.batch(there_and_back(100))
    assert overruns(collector.tick()) == (0, 0)
    collector.die()
