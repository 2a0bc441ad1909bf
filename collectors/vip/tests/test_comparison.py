"""The second opinion: when it is asked, and what a difference is."""

import netifaces
import pytest

from collectors.vip.comparison import Comparison
from rscollector.kit.rtnetlink import IFA_LABEL, IFLA_IFNAME, Address, Link
from rscollector.testing import FakeClock, FakeContext

OURS = [
    Address(False, number, local, 8 * len(local), 0, 0, {IFA_LABEL: b"eth0:1\0"})
    for number, local in enumerate([bytes([192, 0, 2, 1]), bytes(15) + b"\x01"])
]
LINKS = [Link(False, 1, 0, {IFLA_IFNAME: b"lo\0"}), Link(False, 2, 0, {IFLA_IFNAME: b"eth0\0"})]


@pytest.fixture
def told(monkeypatch):
    """What netifaces tells: addresses by interface."""
    told = {
        "lo": {netifaces.AF_INET6: [{"addr": "::1%lo"}]},
        "eth0": {netifaces.AF_INET: [{"addr": "192.0.2.1"}]},
    }
    monkeypatch.setattr(netifaces, "ifaddresses", lambda name: told.get(name, {}))
    return told


def compared(minutes, links=LINKS):
    """Yield what is known after each of some minutes."""
    clock = FakeClock(1000)
    context, comparison = FakeContext(clock=clock), Comparison(lambda local: local != bytes(4))
    for _ in range(minutes):
        comparison.make(context, OURS, links)
        yield comparison.lasting
        clock.advance(30)
        comparison.make(context, (), links)  # it is not time
        clock.advance(31)


def test_the_same_is_no_difference(told):
    """Before the second time nothing is said."""
    assert list(compared(3)) == [None, 0, 0]


def test_what_differs_twice_is_a_difference(told):
    """An address that comes between the two questions differs once, and one that stays different is counted."""
    told["eth0"][netifaces.AF_INET].append({"addr": "192.0.2.2"})
    found = compared(4)
    assert [next(found), next(found)] == [None, 1]
    told["eth0"][netifaces.AF_INET][1] = {"addr": "192.0.2.3"}
    assert [next(found), next(found)] == [0, 1]


def test_what_it_cannot_tell_is_no_difference(told, monkeypatch):
    """An interface that has gone meanwhile is nobody's mistake."""

    def fail(interface):
        raise ValueError("You must specify a valid interface name.")

    monkeypatch.setattr(netifaces, "ifaddresses", fail)
    assert list(compared(3)) == [None, None, None]


def test_a_host_with_very_many_interfaces_is_not_compared(told):
    """Each of them would cost a question about all of them."""
    assert list(compared(2, LINKS * 60)) == [None, None]


def test_what_is_not_shown_is_not_compared(told):
    """An address that nobody watches is no difference."""
    told["eth0"][netifaces.AF_INET].append({"addr": "0.0.0.0"})
    assert list(compared(2)) == [None, 0]


def test_a_name_that_is_no_text_is_not_compared(told):
    """The library would make an error of the interpreter of it."""
    assert list(compared(2, [Link(False, 1, 0, {IFLA_IFNAME: b"\xff\0"})])) == [None, None]
