"""What a zone's numbers come to, and the sentences about them: true in each state, trouble first."""

import dns.edns
import dns.message
import pytest

from collectors.dns import collector
from collectors.dns.explain import explain
from collectors.dns.heard import Failure, Heard
from collectors.dns.looking import Found
from collectors.dns.serials import HALF
from collectors.dns.tests.answering import SOA, Answering, asked, reply, serving
from collectors.dns.tests.told import DAY, HIDDEN, NAMES, NS1, NS1_6, NS2, SERVERS, WALL, Told
from collectors.dns.wire import message
from rscollector.testing import values

WELL = "example.test: 4 of 4 addresses are in sync at the serial 7 (dns_zone_servers_in_sync)."
NS2_ = "ns2.example.test (192.0.2.2), asked for example.test"


def said(says, passed=0.0, before=None, **found):
    """Return the sentences about answers, after a tick with those before."""
    told = Told(lambda second: says if second == passed or before is None else before, **found)
    if before is not None:
        told.report()
    return list(explain([told.report(passed)]))


@pytest.mark.parametrize(
    ("says", "first"),
    [
        ({NS2: "REFUSED"}, f"{NS2_}, is lame: it refuses to answer (REFUSED): it has not the zone, or its access list refuses this host (dns_server_state)."),
        ({NS2: "NXDOMAIN"}, f"{NS2_}, is lame: it says that there is no such zone (NXDOMAIN) (dns_server_state)."),
        ({NS2: "NOTAUTH"}, f"{NS2_}, is lame: it answers NOTAUTH (dns_server_state)."),
        ({NS2: Failure.SILENT}, f"{NS2_}: it is silent (dns_server_state)."),
        ({NS2: Failure.MALFORMED}, f"{NS2_}: what comes from it is no answer (dns_server_state)."),
        ({NS2: Failure.UNREACHABLE}, f"{NS2_}: it cannot be reached (dns_server_state)."),
        ({NS2: 5}, f"{NS2_}, has the serial 5, which is 2 behind 7 (dns_server_serial_behind)."),
        ({NS2: (7, 2 * DAY)}, f"{NS2_}, has a signature that ends in 2 d (dns_server_signature_expiry_seconds)."),
        (
            {NS2: (7, 20 * DAY)},
            f"{NS2_}, has a signature that by this host's clock is valid in 6 d only (dns_server_signature_age_seconds).",
        ),
        ({NS2: (7, -7200)}, f"{NS2_}, has a signature that ended 2 h ago (dns_server_signature_expiry_seconds)."),
        ({NS2: 7 + HALF}, "example.test: its servers have serials of which none is the newest (RFC 1982, dns_server_serial)."),
        (dict.fromkeys((NS1, NS1_6, NS2, HIDDEN), "REFUSED"), "example.test: none of its 4 addresses answers for it (dns_zone_up)."),
    ],
)  # fmt: skip
def test_trouble_comes_first(says, first):
    """One sentence for what is wrong, with the metric that has it, before what is well."""
    sentences = said(says)
    assert sentences[0] == first
    assert sentences[-1].startswith("example.test: ")


def test_where_all_is_well_there_is_one_sentence():
    """How many are in sync, and where there are signatures, when the first ends."""
    assert said({}) == [WELL]
    assert said({NS1: (7, 10 * DAY)}) == [WELL.replace(" (", "; the first signature ends in 10 d (")]


def test_the_primary_that_is_away_and_how_long_others_go_on():
    """Counted from when it was seen, less the refresh that others may have missed."""
    sentences = said({HIDDEN: Failure.SILENT}, passed=3600.0, before={})
    assert sentences[0] == (
        "example.test: its primary does not answer for it; if those that do not reach it either, the first of them gives up in "
        "22 h at the earliest "
        "(dns_zone_primary_up)."
    )


def test_a_primary_that_was_never_seen_leaves_the_time_open():
    """Nobody knows since when it is away."""
    assert said({HIDDEN: Failure.SILENT})[0] == (
        "example.test: its primary does not answer for it (dns_zone_primary_up)."
    )


def test_who_names_whom_is_told():
    """Names of one side only, those without an address, and a zone that is delegated no more."""
    sentences = said(
        {}, own=frozenset({"ns1.example.test", "ns3.example.test"}), delegated=False,
        servers=SERVERS | {"ns3.example.test": (), "ns4.example.test": ()}, unresolved=frozenset({"ns4.example.test"}),
    )  # fmt: skip
    assert sentences == [
        "example.test is not delegated: to the parent there is no such zone (dns_zone_delegated).",
        "example.test: its server ns3.example.test has no address: the name points to nothing (dns_zone_server_addresses).",
        "example.test: the parent names ns2.example.test as its server, and the zone itself does not (dns_zone_server_listed).",
        "example.test: the zone itself names ns3.example.test as its server, and the parent does not (dns_zone_server_listed).",
        WELL,
    ]


def test_a_serial_that_went_back_is_told_and_is_behind_since_then():
    """Not since the serial that it had before was seen for the first time."""
    told = Told(lambda second: {HIDDEN: 5 if second > 1000 else 7})
    told.report(0.0)
    told.report(1000.0)
    found = values(told(1060.0))
    on = '{zone="example.test",server="192.0.2.3",address="192.0.2.3"}'
    assert found[f"dns_server_serial_went_back_total{on}"] == 1
    assert found[f"dns_server_behind_seconds{on}"] == 60
    sentences = " ".join(explain([told.report(1061.0)]))
    assert "has gone back to an older serial; times since this worker began: 1 (" in sentences
    assert "has the serial 5, which is 2 behind 7, for 1 min 1 s at least (" in sentences


def test_a_family_is_up_where_any_address_of_it_is():
    """In whatever order they are told; the times of the zone are those of the newest serial."""
    servers = {"ns1.example.test": (NS1, NS2, HIDDEN)}
    for silent in (NS1, HIDDEN):
        found = values(Told({silent: Failure.SILENT}, servers=servers)())
        assert (
            found['dns_zone_server_family_up{zone="example.test",server="ns1.example.test",family="ipv4"}']
            == 1
        )
    told = Told(lambda second: {NS1: 8 if second else 7})
    first, second = told.report(0.0), told.report(1.0)
    assert [each.soa.serial for each in (first, second)] == [7, 8]


def test_many_servers_have_ten_sentences():
    """And one that says how many more there are."""
    servers = {f"ns{number}.example.test": (f"192.0.2.{number}",) for number in range(1, 51)}
    sentences = said(
        {f"192.0.2.{number}": Failure.SILENT for number in range(1, 50)},
        servers=servers,
        parent=None,
        own=None,
    )
    assert len(sentences) == 1 + 10 + 1 + 1
    assert "example.test: there is more to say of its servers, in 39 sentences." in sentences


def test_the_primary_is_whom_the_soa_names_where_nobody_is_set():
    """If it is one of the zone's servers; else it is not known who that is."""
    told = Told({})
    told.zone._primaries = frozenset()
    told.report()
    assert told.zone.primaries() == {NS1, NS1_6}
    told.zone.found = Found({"ns2.example.test": (NS2,)})
    assert "dns_zone_primary_up" not in " ".join(values(told()))


def test_a_zone_of_nothing_is_told():
    """No server is known, and nothing is said of any."""
    assert said({}, servers={}, parent=None, own=None, delegated=None)[0] == (
        "example.test: no server of it is known or can be asked from here (dns_zone_servers)."
    )


def test_more_servers_than_are_asked_have_a_note(monkeypatch):
    """The others are asked, and the zone is told."""
    monkeypatch.setattr(collector, "_MOST_TARGETS", 1)
    right = serving("example.test", 7)
    with Answering({"127.53.0.1": right, "127.53.0.2": right}) as server:
        found, context = asked(server)
    assert found['dns_zone_servers{zone="example.test"}'] == 1
    assert (
        "missing: 1 of 2 addresses, which are not asked: another collector can take some zones"
        in context.notes
    )


def test_each_zone_has_a_server_that_is_asked_where_they_are_too_many(monkeypatch):
    """And the primary is: no zone is told as down since nobody was asked for it."""
    monkeypatch.setattr(collector, "_MOST_TARGETS", 3)
    zones = ["a.test", "b.test", "c.test"]
    addresses = ["127.53.0.1", "127.53.0.2", "127.53.0.3"]

    def says(question, protocol):
        return serving(str(question.question[0].name)[:-1], 7)(question, protocol)

    with Answering(dict.fromkeys(addresses, says)) as server:
        found, context = asked(server, zones=zones, servers=addresses[:2], primaries=addresses[2:])
    assert [found[f'dns_zone_up{{zone="{zone}"}}'] for zone in zones] == [1, 1, 1]
    assert [found[f'dns_zone_primary_up{{zone="{zone}"}}'] for zone in zones] == [1, 1, 1]
    assert context.notes == [
        "missing: 6 of 9 addresses, which are not asked: another collector can take some zones"
    ]


def test_the_declared_bound_holds_for_as_many_servers_as_are_asked():
    """400 addresses, each with all that can be told of one."""
    servers = {
        f"ns{number}.example.test": (f"192.0.2.{number % 250}", f"2001:db8::{number}")
        for number in range(200)
    }
    told = Told(
        dict.fromkeys((each for both in servers.values() for each in both), (7, DAY)),
        servers=servers,
        parent=NAMES,
        own=NAMES,
    )
    assert sum(each.metric.width for each in told()) <= collector.Dns.max_series


def test_what_is_no_answer_has_no_time():
    """What is not told is absent, and never 0."""
    on = '{zone="example.test",server="ns2.example.test",address="192.0.2.2"}'
    for failure, is_told in ((Failure.MALFORMED, False), (Failure.TRUNCATED, True)):
        found = values(Told({NS2: failure})())
        assert found[f"dns_server_up{on}"] == 1
        assert (f"dns_server_query_seconds{on}" in found) is is_told


def test_a_serial_that_wraps_has_not_gone_back():
    """After 4294967290 comes 3, and the largest number is not the newest."""
    told = Told(lambda second: dict.fromkeys((NS1, NS1_6, NS2, HIDDEN), 3 if second else 4_294_967_290))
    told.report()
    found = told.report(60.0)
    assert {each.went_back for each in found.servers} == {0}
    assert (found.newest, found.in_sync) == (3, 4)


def test_the_time_that_others_have_without_the_primary_does_not_go_below_nothing():
    """And begins when the primary was seen for the last time."""
    told = Told(lambda second: {HIDDEN: Failure.SILENT} if second else {})
    told.report()
    assert [told.report(float(after)).expiry for after in (3600, 86_400 - 3600, 10 * DAY)] == [79_200, 0, 0]


def test_where_all_tell_their_own_expiry_nothing_is_estimated():
    """Theirs counts, though the primary has been away from here for longer."""
    told = Told(lambda second: {HIDDEN: Failure.SILENT} if second else {})
    told.report()
    made = reply(
        dns.message.make_query("example.test", "SOA"), f"example.test. SOA {SOA.format('example.test', 7)}"
    )
    made.use_edns(options=[dns.edns.GenericOption(9, (86_000).to_bytes(4, "big"))])
    for address in (NS1, NS1_6, NS2):
        told._heard[address] = Heard(message(made.to_wire()))
    told._says = lambda _: {HIDDEN: Failure.SILENT} | {each: each for each in (NS1, NS1_6, NS2)}
    assert told.report(7200.0).expiry == 86_000
    told._says = lambda _: {HIDDEN: Failure.SILENT} | {each: each for each in (NS1, NS1_6)}
    assert told.report(7200.0).expiry == 86_400 - 3600 - 7200
    told._says = lambda _: {HIDDEN: Failure.SILENT, NS2: "REFUSED"} | {each: each for each in (NS1, NS1_6)}
    assert told.report(7200.0).expiry == 86_000
    told._says = lambda _: {each: each for each in (NS1, NS1_6, NS2)}
    assert (told.report(7200.0).primary_up, told.report(7200.0).expiry) == (True, 86_000)


def test_without_an_order_of_serials_nobody_is_told_to_be_behind_or_not():
    """Nobody knows."""
    found = values(Told({NS2: 7 + HALF, NS1: Failure.SILENT})())
    assert not [each for each in found if "behind" in each]
    assert found['dns_zone_servers_in_sync{zone="example.test"}'] == 0


def test_signatures_of_names_and_keys_count_with_that_of_the_soa():
    """The first to end is told; of a server that has not the zone any more none is."""
    for says, expected in ((7, 3600), ((7, 1800), 1800), ("REFUSED", None)):
        told = Told({NS2: says}, signed={NS2: ((WALL, WALL + 3600), (WALL, WALL + 7200))})
        (found,) = (each.signature for each in told.report().servers if each.target.address == NS2)
        assert found == expected


@pytest.mark.parametrize(
    ("left", "sentence", "summary"),
    [
        (14 * DAY, "", "; the first signature ends in 14 d"),  # valid since this moment
        (7 * DAY, "", "; the first signature ends in 7 d"),
        (7 * DAY - 1, "that ends in 6 d 23 h", "; the first signature ends in 6 d 23 h"),
        (DAY, "that ends in 1 d", "; the first signature ends in 1 d"),
        (1, "that ends in 1 s", "; the first signature ends in 1 s"),
        (-1, "that ended 1 s ago", ""),
        (-7200, "that ended 2 h ago", ""),
    ],
)
def test_a_signature_is_told_in_its_last_week_and_when_it_has_ended(left, sentence, summary):
    """Before, only the summary has it; afterwards it does not end any more."""
    sentences = said({NS2: (7, left)})
    told = [f"{NS2_}, has a signature {sentence} (dns_server_signature_expiry_seconds)."]
    outlived = [each for each in sentences if "a secondary without its primary" in each]
    assert bool(outlived) is (0 < left < DAY)
    assert sentences == [*(told if sentence else ()), *outlived, WELL.replace(" (", f"{summary} (")]


def test_signatures_that_end_before_secondaries_give_up_are_told():
    """Whoever loses the primary answers with signatures that have ended (dnsviz 149): the zone's expire is too long."""
    assert said({NS1: (7, 10 * DAY), NS2: (7, 3600)})[-2] == (
        "example.test: a secondary without its primary goes on for 1 d, and a signature that it has now ends in 1 h: "
        "unless it signs itself, it would then answer with one that has ended (dns_zone_expire_seconds)."
    )


def test_a_server_without_a_name_is_told_by_its_address_and_of_many_names_ten_are_told():
    """And how many there are besides."""
    own = NAMES | {f"x{number:02}.test" for number in range(12)}
    first, second, _ = said({HIDDEN: "REFUSED"}, own=own)[-3:]
    assert first.startswith("192.0.2.3, asked for example.test, is lame: ")
    assert "x09.test and 2 more as its server, and the parent does not" in second


@pytest.mark.parametrize("order", [1, -1])
def test_a_family_is_up_while_one_of_its_addresses_answers(order):
    """Whichever comes last."""
    servers = {"ns.example.test": (NS1, NS2)[::order]}
    for down, is_up in (((NS1,), 1), ((NS1, NS2), 0)):
        found = values(Told(dict.fromkeys(down, Failure.SILENT), servers=servers)())
        series = 'dns_zone_server_family_up{zone="example.test",server="ns.example.test",family="ipv4"}'
        assert found[series] == is_up


def test_whether_a_server_is_listed_is_told_of_those_that_somebody_names():
    """A hidden one is named by nobody, and that is what it is for."""
    ns1, ns2 = sorted(NAMES)
    found = values(Told({}, servers={**SERVERS, "hidden.example.test": (HIDDEN,)}, own=frozenset({ns1}))())
    listed = {series: value for series, value in found.items() if series.startswith("dns_zone_server_listed")}
    assert listed == {
        f'dns_zone_server_listed{{zone="example.test",server="{server}",by="{by}"}}': is_named
        for server, by, is_named in (
            (ns1, "parent", 1),
            (ns1, "zone", 1),
            (ns2, "parent", 1),
            (ns2, "zone", 0),
        )
    }


def test_the_primary_is_asked_first():
    """Where a zone has more servers than are asked, it is not the one that is left out."""
    assert [target.address for target in Told({}).zone.targets] == [HIDDEN, NS1, NS1_6, NS2]
