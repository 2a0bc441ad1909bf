"""Which addresses are watched, and what a dump of the kernel's makes of the table: without any kernel."""

from ipaddress import ip_address

import pytest

from collectors.vip.table import Table
from collectors.vip.wanted import VipSettings, Wanted
from rscollector.api import IpAddress
from rscollector.kit.rtnetlink import Address

V4 = ip_address("192.0.2.1").packed


def entry(local=V4, prefix=24):
    """Return an address on the link 2."""
    return Address(gone=False, ifindex=2, local=local, prefix=prefix, flags=0, scope=0, attributes={})


def table(*networks):
    """Return a table that watches networks."""
    return Table(Wanted(VipSettings(networks=networks)))


def test_an_address_of_a_network_that_only_a_dump_shows_was_gained():
    """Its coming was lost with other changes; what the first dump shows was there before."""
    watched = table("192.0.2.0/24")
    watched.replace([entry()], 1.0)
    other = ip_address("192.0.2.2").packed
    watched.replace([entry(), entry(other)], 2.0)
    assert [watched.held[each].gained for each in (V4, other)] == [0, 1]


def test_a_dump_takes_the_place_of_what_was_known():
    """A prefix whose end was lost with other changes is not told any more, and that is no move."""
    watched = table("192.0.2.0/24")
    watched.replace([entry(prefix=24)], 1.0)
    watched.replace([entry(prefix=32)], 2.0)
    (entries,) = watched.held[V4].on.values()
    assert [each.prefix for each in entries.values()] == [32]
    assert (watched.held[V4].gained, watched.held[V4].lost) == (0, 0)


def test_an_address_of_a_network_is_told_of_for_an_hour_after_its_loss():
    """So that an alert sees that it went; one that is listed stays."""
    watched = Table(Wanted(VipSettings(addresses=(IpAddress("192.0.2.9"),), networks=("192.0.2.0/24",))))
    listed = ip_address("192.0.2.9").packed
    seen = []
    for now, dump in ((1.0, [entry()]), (10.0, []), (3610.0, []), (3610.1, [])):
        watched.replace(dump, now)
        seen.append(V4 in watched.held)
    assert (seen, list(watched.held)) == ([True, True, True, False], [listed])


def test_an_address_is_in_no_network_of_the_other_version():
    """Though the last bits of both are the same."""
    wanted = Wanted(VipSettings(networks=("192.0.2.0/24", "::/64")))
    assert V4 in wanted
    assert ip_address("::192.0.2.1").packed in wanted
    assert ip_address("10.0.0.1").packed not in wanted
    assert ip_address("2001:db8::192.0.2.1").packed not in wanted


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"networks": ("::ffff:192.0.2.0/120",)}, 'is IPv4 in disguise; write "192.0.2.0/24"'),
        ({"networks": ("192.0.2.1/24",)}, 'is an address in a network; write "192.0.2.0/24"'),
        ({"networks": ("somewhere",)}, "networks: expected such as"),
        ({"expected_holders": 0}, "expected_holders is at least 1"),
    ],
)
def test_settings_that_make_no_sense_say_what_to_write(given, said):
    """Before anything is watched that can never be there."""
    with pytest.raises(ValueError, match=said):
        VipSettings(**given)
