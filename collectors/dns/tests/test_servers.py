"""Real servers: BIND, NSD and Knot, in each state that they can be in, told as dig tells it in the same moment."""

import calendar
import signal
import time

import pytest
from harness import until

from collectors.dns.tests.servers import (
    AFTER_WRAP,
    BEFORE_WRAP,
    KNOT,
    KNOT6,
    LAME,
    NSD,
    NSD6,
    PRIMARY,
    ZONES,
)

pytestmark = pytest.mark.needs("root", "named", "dig", "nsd", "knotd", "ip", "unshare", "nsenter")

SECONDARIES = (NSD, NSD6, KNOT, KNOT6)
EVERYBODY = (*SECONDARIES, PRIMARY)


def test_every_number_is_the_one_that_dig_has(servers, watcher):
    """Of each server of each zone: serial, expiry, and when the first signature ends."""
    for zone in ("example.test", "signed.test", "six.test"):
        watched = watcher(zone)
        told = [series for series in watched.found if series.startswith("dns_server_serial{")]
        assert len(told) == (3 if zone == "six.test" else 5)
        for address in [series.split('address="')[1].split('"')[0] for series in told]:
            assert watched.of("serial", address, zone) == servers.serial(address, zone)
            assert watched.of("serial_behind", address, zone) == 0
            assert watched.of("up", address, zone) == watched.of("authoritative", address, zone) == 1
            assert 0 < watched.of("query_seconds", address, zone) < 2
            ends, expiry = by_dig(servers, address, zone)
            ours = watched.of("signature_expiry_seconds", address, zone)
            assert (ours is None) == (not ends)
            assert ours is None or abs(time.time() + ours - min(ends)) < 5
            ours = watched.of("expiry_seconds", address, zone)
            assert (ours is None) == (expiry is None)
            assert ours is None or abs(ours - expiry) <= 5
        assert watched.zone("servers_in_sync", zone) == len(told)
        assert watched.context.notes == []


def by_dig(servers, address, zone):
    """Return when the signatures end of what we ask for, and how long a server goes on."""
    ends, expiry = [], None
    for rdtype in ("SOA", "NS", "DNSKEY"):
        text = servers.dig(
            address, zone, rdtype, "+norec", "+dnssec", "+expire", "+noshort", "+comments", "+tcp"
        )
        for words in map(str.split, text.splitlines()):
            if words[3:4] == ["RRSIG"] and words[0] == f"{zone}.":
                ends.append(calendar.timegm(time.strptime(words[8], "%Y%m%d%H%M%S")))
            if words[1:2] == ["EXPIRE:"] and rdtype == "SOA":
                expiry = int(words[2])
    return ends, expiry


def test_a_serial_that_wraps_is_newer(servers, watcher):
    """From 4294967290 to 3: NSD and Knot take it, nobody has gone back, and nobody is behind."""
    watched = watcher("example.test")
    assert watched.zone("serial", "example.test") == BEFORE_WRAP
    servers.change("example.test", AFTER_WRAP)
    until(lambda: watched.tick() and watched.zone("servers_in_sync", "example.test") == 5)
    assert watched.zone("serial", "example.test") == AFTER_WRAP
    assert sum(value for series, value in watched.found.items() if "went_back" in series) == 0


def test_who_is_not_told_of_a_change_lags(servers, watcher):
    """Knot is not notified: it is behind by the difference, since the change."""
    watched = watcher("lag.test")
    before = watched.zone("serial", "lag.test")
    servers.change("lag.test", before + 4)
    until(lambda: watched.tick() and watched.of("serial_behind", NSD, "lag.test") == 0)
    assert watched.of("serial_behind", KNOT, "lag.test") == 4
    assert watched.zone("servers_in_sync", "lag.test") == 3
    first = watched.of("behind_seconds", KNOT, "lag.test")
    watched.tick()
    assert watched.of("behind_seconds", KNOT, "lag.test") > first
    assert any("which is 4 behind" in each for each in watched.context.sentences)


def test_who_is_stopped_is_silent_and_comes_back(servers, watcher):
    """All others are told as ever, within the same tick."""
    watched = watcher("example.test")
    servers.processes["knot"].send_signal(signal.SIGSTOP)
    silent = ["silent"] * 2 + ["authoritative"] * 2
    until(
        lambda: watched.states("example.test", KNOT, KNOT6, NSD, PRIMARY) == silent
    )  # its threads stop one by one
    servers.processes["knot"].send_signal(signal.SIGCONT)
    until(lambda: watched.states("example.test", KNOT, KNOT6) == ["authoritative"] * 2)


def test_where_nobody_listens_any_more_it_is_closed(servers, watcher):
    """A server that was killed is known at once, over UDP too."""
    watched = watcher("example.test")
    servers.kill("nsd")
    until(lambda: watched.states("example.test", NSD, NSD6) == ["closed"] * 2)
    assert [watched.of("protocol_up", NSD, "example.test", protocol=each) for each in ("udp", "tcp")] == [
        0,
        0,
    ]
    assert watched.zone("up", "example.test") == 1


def test_while_the_primary_is_away_it_is_told_how_long_others_go_on(servers, watcher):
    """Knot tells itself; for NSD it is counted. And where they give up they answer SERVFAIL, as BIND would."""
    watched = watcher("example.test", "short.test")
    until(lambda: watched.states("short.test", *SECONDARIES) == ["authoritative"] * 4)
    servers.kill("primary")
    watched.tick()
    assert watched.zone("primary_up", "example.test") == 0
    assert 80_000 < watched.zone("expiry_seconds", "example.test") <= 86_400 - 3600
    assert any(
        "its primary does not answer for it; if those that do not reach it either, the first" in each
        for each in watched.context.sentences
    )
    until(lambda: watched.states("short.test", *SECONDARIES) == ["servfail"] * 4)
    assert watched.zone("up", "short.test") == 0
    assert watched.zone("up", "example.test") == 1
    servers.primary()
    until(lambda: watched.states("short.test", *EVERYBODY) == ["authoritative"] * 5, 120)
    assert watched.zone("primary_up", "example.test") == 1
    assert watched.zone("expiry_seconds", "example.test") > 80_000


def test_who_does_not_have_the_zone_refuses(watcher):
    """The parent delegates it to servers that have never heard of it."""
    watched = watcher(LAME, primaries=[])
    assert watched.states(LAME, *SECONDARIES) == ["refused"] * 4
    assert [watched.zone(each, LAME) for each in ("up", "delegated", "servers_in_sync")] == [0, 1, 0]
    assert watched.context.degradation is None


def test_a_zone_that_a_reload_takes_out_is_refused(servers, watcher):
    """Its secondaries go on, and the primary is away though it runs."""
    watched = watcher("lag.test")
    servers.without("lag.test")
    until(lambda: watched.states("lag.test", PRIMARY) == ["refused"])
    assert watched.states("lag.test", *SECONDARIES) == ["authoritative"] * 4
    assert [watched.zone(each, "lag.test") for each in ("up", "primary_up")] == [1, 0]
    assert watched.context.degradation is None
    servers.kill("primary")  # it is started again with all zones


def test_a_zone_that_does_not_exist_is_told(watcher):
    """The parent has never heard of it, and no server is known."""
    watched = watcher("no.test", "example.test", primaries=[])
    assert [watched.zone(each, "no.test") for each in ("up", "delegated", "servers")] == [0, 0, 0]
    assert watched.zone("up", "example.test") == 1
    assert "no.test: no server of it is known, or can be asked from here" in watched.context.notes


def test_over_tcp_only_is_told_as_that(servers, watcher):
    """What is sent to it over UDP is lost on the way: its serial is there all the same."""
    watched = watcher("example.test")
    servers.deaf(KNOT)
    try:
        assert watched.states("example.test", KNOT, KNOT6) == ["authoritative"] * 2
    finally:
        servers.deaf(KNOT, is_deaf=False)
    assert [watched.of("protocol_up", KNOT, "example.test", protocol=each) for each in ("udp", "tcp")] == [
        0,
        1,
    ]
    assert watched.of("serial", KNOT, "example.test") == watched.zone("serial", "example.test")


def test_over_ipv6_only_all_is_told(watcher):
    """The names of its servers have no other addresses."""
    watched = watcher("six.test", primaries=[])
    assert watched.states("six.test", *SECONDARIES) == [None, "authoritative", None, "authoritative"]
    family = 'dns_zone_server_family_up{zone="six.test",server="ns1.six.test",family='
    assert {each.removeprefix(family) for each in watched.found if each.startswith(family)} == {'"ipv6"}'}


def test_a_delegation_that_disagrees_is_told(watcher):
    """The parent names ns9, which is nowhere, and the zone ns2."""
    watched = watcher("differs.test")
    by = 'dns_zone_server_listed{{zone="differs.test",server="{}.differs.test",by="{}"}}'
    said = {
        each: [watched.found[by.format(each, side)] for side in ("parent", "zone")]
        for each in ("ns1", "ns2", "ns9")
    }
    assert said == {"ns1": [1, 1], "ns2": [0, 1], "ns9": [1, 0]}
    nowhere = 'dns_zone_server_addresses{zone="differs.test",server="ns9.differs.test"}'
    until(lambda: watcher("differs.test").found.get(nowhere) == 0)  # absent while the resolver cannot tell


def test_a_primary_whose_serial_goes_back_is_told(servers, watcher):
    """Secondaries keep what they have: the primary is behind them, and has gone back once."""
    servers.change("differs.test", 10)
    watched = watcher("differs.test")
    until(lambda: watched.tick() and watched.zone("servers_in_sync", "differs.test") == 5)
    servers.change("differs.test", 8)
    watched.tick()
    assert watched.of("serial_went_back_total", PRIMARY, "differs.test") == 1
    assert watched.of("serial_behind", PRIMARY, "differs.test") == 2
    assert [watched.of("serial_behind", each, "differs.test") for each in SECONDARIES] == [0] * 4
    servers.change("differs.test", 11)


def test_all_metrics_are_told_by_real_servers(watcher):
    """None is declared that nobody ever sees."""
    watched = watcher(*ZONES, LAME)
    seen = {series.partition("{")[0] for series in watched.found}
    declared = {each.name for each in watched.collector.metrics}
    assert declared - seen == set()
