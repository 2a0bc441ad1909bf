"""Who is asked: found by asking a resolver and the parent, kept when nobody tells, told where they disagree."""

import json

import dns.flags
import dns.message
import dns.rdatatype
import pytest

from collectors.dns import resolvers
from collectors.dns.collector import DnsSettings
from collectors.dns.heard import Answer, Failure, Heard
from collectors.dns.looking import Found, Wanted, _spread, look
from collectors.dns.records import says_delegated
from collectors.dns.resolvers import nameservers
from collectors.dns.tests.answering import SOA, Answering, asking, of, reply, serving, silent, state
from collectors.dns.wire import Question, parsed
from rscollector.api import Context
from rscollector.config.secrets import read
from rscollector.runtime.foreground import settings_of
from rscollector.testing import FakeContext, Root, values

RESOLVER, PARENT, ONE, TWO, THREE, HIDDEN = (f"127.53.2.{number}" for number in range(1, 7))
ZONE, NS1, NS2, NS3 = "example.test", "ns1.example.test", "ns2.example.test", "ns3.other.test"


class World:
    """A resolver, a parent and servers; a test changes what they say while they run.

    `names` are what a resolver says of names: addresses, a text for an alias, an rcode in capital letters, or None for
    nothing at all. `parent` are the names in the delegation with their glue, or an rcode; `own` what the zone says.
    """

    def __init__(self):
        self.names = {NS1: [ONE], NS2: [TWO], "ns.test": [PARENT]}
        self.parent = {NS1: [ONE], NS2: [TWO]}
        self.own = {ONE: [NS1, NS2], TWO: [NS1, NS2]}
        self.serials = {ONE: 7, TWO: 7}
        self.resolver_is_up = True
        says = {RESOLVER: self.resolver, PARENT: self.referral}
        says |= {address: self.server(address) for address in (ONE, TWO, THREE, HIDDEN)}
        self.server_ = Answering(says)
        self.context = FakeContext(timeout=2)

    def __enter__(self):
        self.server_.__enter__()
        return self

    def __exit__(self, *error):
        self.server_.__exit__(*error)

    def resolver(self, question, protocol):
        """Answer as a resolver."""
        name, rdtype = str(question.question[0].name)[:-1], dns.rdatatype.to_text(question.question[0].rdtype)
        if not self.resolver_is_up:
            return None
        assert question.flags & 0x0100, "a resolver is asked to resolve"
        if rdtype == "SOA":
            return reply(question, "test. SOA ns.test. a.test. 1 1 1 1 1", aa=False)
        if (name, rdtype) == ("test", "NS"):
            return reply(question, "test. NS ns.test.", aa=False)
        if rdtype == "NS":
            return reply(question, *[f"{ZONE}. NS {each}." for each in self.own[ONE]], aa=False)
        known = self.names.get(name, "NXDOMAIN")
        if known is None:
            return None
        if isinstance(known, str) and known.isupper():
            return reply(question, rcode=known, aa=False)
        if isinstance(known, str):
            told = [f"{name}. CNAME {known}."]
            return reply(
                question,
                *told,
                *[f"{known}. A {each}" for each in self.names[known] if rdtype == "A"],
                aa=False,
            )
        of_type = [each for each in known if (":" in each) == (rdtype == "AAAA")]
        return reply(question, *[f"{name}. {rdtype} {each}" for each in of_type], aa=False)

    def referral(self, question, protocol):
        """Answer as the parent."""
        assert not question.flags & 0x0100, "a server is not asked to resolve"
        if isinstance(self.parent, str):
            return reply(question, rcode=self.parent, authority=["test. SOA ns.test. a.test. 1 1 1 1 1"])
        names = [f"{ZONE}. NS {name}." for name in self.parent]
        glue = [
            f"{name}. {'AAAA' if ':' in each else 'A'} {each}"
            for name, all_ in self.parent.items()
            for each in all_
        ]
        return reply(question, authority=names, additional=glue, aa=False)

    def server(self, address):
        """Return how a server answers."""

        def says(question, protocol):
            asked = question.question[0]
            if address not in self.serials:
                return reply(question, rcode="REFUSED", aa=False)
            if dns.rdatatype.to_text(asked.rdtype) == "NS" and self.own.get(address):
                return reply(question, *[f"{ZONE}. NS {each}." for each in self.own[address]])
            return serving(ZONE, self.serials[address])(question, protocol)

        return says

    def opened(self, **settings):
        """Return the collector, open."""
        plugin, _ = asking(self.server_)
        given = {"zones": [ZONE], "resolvers": [RESOLVER]} | settings
        self.collector = plugin(settings_of(plugin, given, read))
        self.collector.open(self.context)
        return self

    def tick(self, passed=0.0):
        """Return what is told after so many seconds."""
        clock, root, path = self.context.clock, self.context.root, self.context.state
        clock.advance(passed)
        self.context = FakeContext(timeout=2, clock=clock, root=root)
        self.context.state = path
        return values(self.collector.collect(self.context))

    @property
    def said(self):
        """All notes and sentences of the last tick."""
        return "\n".join([*self.context.notes, *self.context.sentences])


@pytest.fixture
def world():
    """Return a world in which all is well."""
    with World() as made:
        yield made


def addresses(found):
    """Return the servers and addresses that are told of."""
    return sorted(
        (each.split('server="')[1].split('"')[0], each.split('address="')[1].split('"')[0])
        for each in found if each.startswith("dns_server_up{")
    )  # fmt: skip


def listed(found):
    """Return by whom which servers are not named."""
    return {
        each.partition("server=")[2] for each, value in found.items() if "server_listed" in each and not value
    }


def test_servers_are_found_by_delegation_and_asked(world):
    """At the first tick already; and nothing is odd."""
    found = world.opened().tick()
    assert addresses(found) == [(NS1, ONE), (NS2, TWO)]
    assert found[f'dns_zone_delegated{{zone="{ZONE}"}}'] == 1
    assert found[f'dns_zone_servers_in_sync{{zone="{ZONE}"}}'] == 2
    assert listed(found) == set()
    assert world.context.notes == []
    assert world.context.sentences == [
        f"{ZONE}: 2 of 2 addresses are in sync at the serial 7 (dns_zone_servers_in_sync)."
    ]


def test_who_is_named_by_one_side_only_is_told(world):
    """Both are asked: that of the parent, which resolvers meet, and that of the zone."""
    world.parent = {NS1: [ONE], NS3: []}
    world.names[NS3] = [THREE]
    found = world.opened().tick()
    assert addresses(found) == [(NS1, ONE), (NS2, TWO), (NS3, THREE)]
    assert listed(found) == {f'"{NS2}",by="parent"}}', f'"{NS3}",by="zone"}}'}
    assert state(found, THREE) == "refused"
    assert f"{ZONE}: the parent names {NS3} as its server, and the zone itself does not" in world.said


def test_a_hidden_primary_is_asked_and_named_by_nobody(world):
    """It is the primary, has the newest serial, and is missed by no list of names."""
    world.serials[HIDDEN] = 9
    found = world.opened(primaries=[HIDDEN]).tick()
    assert of(found, "dns_server_serial_behind", ONE) == 2
    assert found[f'dns_zone_primary_up{{zone="{ZONE}"}}'] == 1
    assert not any(HIDDEN in each for each in found if "listed" in each or "server_addresses" in each)


def test_a_server_of_the_list_that_has_a_name_is_asked_once(world):
    """By its name, where the zone has one for it."""
    assert addresses(world.opened(servers=[ONE, NS2]).tick()) == [(NS1, ONE), (NS2, TWO)]


def test_the_last_servers_are_kept_while_no_resolver_answers(world):
    """They are asked as ever, and a note says who does not answer."""
    world.opened().tick()
    world.resolver_is_up = False
    found = world.tick(301)
    assert addresses(found) == [(NS1, ONE), (NS2, TWO)]
    found = world.tick(15)
    assert addresses(found) == [(NS1, ONE), (NS2, TWO)]
    assert listed(found) == set()
    assert f"no resolver answers ({RESOLVER}: silent)" in world.said
    assert world.context.degradation is None


def test_they_are_kept_for_the_next_worker(world, tmp_path):
    """Also the newest serial, and when the primary was seen: a restart forgets nothing of that."""
    world.context.state = tmp_path / "state"
    world.serials[HIDDEN] = 9
    world.opened(primaries=[HIDDEN]).tick()
    world.resolver_is_up = False
    del world.serials[HIDDEN]
    found = world.opened(primaries=[HIDDEN]).tick(500)
    assert addresses(found) == [(HIDDEN, HIDDEN), (NS1, ONE), (NS2, TWO)]
    assert of(found, "dns_server_serial_behind", ONE) == 2
    assert 499 <= of(found, "dns_server_behind_seconds", ONE) <= 501
    assert found[f'dns_zone_expiry_seconds{{zone="{ZONE}"}}'] == pytest.approx(86_400 - 3600 - 500, abs=2)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"example.test": 3}', '{"example.test": {"servers": {"a": ["no"]}}}', "é"]
)
def test_a_damaged_file_was_none(world, tmp_path, text):
    """What is not understood is not believed, in part or whole; it is written anew."""
    world.context.state = tmp_path / "state"
    world.context.state.write_text(text)
    assert addresses(world.opened().tick()) == [(NS1, ONE), (NS2, TWO)]
    assert json.loads(world.context.state.read_text())[ZONE]["servers"] == {NS1: [ONE], NS2: [TWO]}


def test_a_file_that_cannot_be_written_is_a_note(world, tmp_path):
    """The numbers are there all the same."""
    (tmp_path / "file").write_text("")
    world.context.state = tmp_path / "file" / "state"
    found = world.opened().tick()
    assert found[f'dns_zone_up{{zone="{ZONE}"}}'] == 1
    assert "the next worker will have to look for servers anew" in world.said


def test_nobody_to_ask_is_degraded_and_no_failure(world):
    """No resolver, nothing known: each zone is told as down, and the collector says why."""
    world.resolver_is_up = False
    found = world.opened().tick()
    assert found[f'dns_zone_up{{zone="{ZONE}"}}'] == 0
    assert found[f'dns_zone_servers{{zone="{ZONE}"}}'] == 0
    assert f"no server of any zone is known: no resolver answers ({RESOLVER}: silent)" in str(
        world.context.degradation
    )
    world.resolver_is_up = True
    assert addresses(world.tick(60)) == [(NS1, ONE), (NS2, TWO)]


def test_a_zone_that_moves_is_followed(world):
    """The delegation names others, and the old ones refuse: they are found within a minute and no longer asked."""
    world.opened().tick()
    world.parent, world.own = {NS3: []}, {ONE: [NS3], THREE: [NS3]}
    world.names[NS3], world.serials = [THREE], {THREE: 1}
    found = world.tick(15)
    assert found[f'dns_zone_up{{zone="{ZONE}"}}'] == 0
    world.tick(61)
    found = world.tick(15)
    assert addresses(found) == [(NS3, THREE)]
    assert found[f'dns_zone_up{{zone="{ZONE}"}}'] == 1
    assert of(found, "dns_server_serial_behind", THREE) == 0


def test_a_zone_that_is_no_longer_delegated_is_told_and_still_asked(world):
    """The parent says NXDOMAIN: the registration has ended, and its servers go on."""
    world.opened().tick()
    world.parent = "NXDOMAIN"
    world.tick(301)
    found = world.tick(15)
    assert found[f'dns_zone_delegated{{zone="{ZONE}"}}'] == 0
    assert addresses(found) == [(NS1, ONE), (NS2, TWO)]
    assert f"{ZONE} is not delegated" in world.said


def test_a_resolver_that_denies_the_zone_is_told_and_is_not_the_parent(world):
    """Some hide names by policy: whether a zone is delegated only the parent says, and servers stay as they were."""
    world.opened().tick()
    world.server_.says[RESOLVER] = lambda question, _: reply(question, rcode="NXDOMAIN", aa=False)
    world.tick(301)
    found = world.tick(15)
    assert not any("delegated" in each for each in found)
    assert addresses(found) == [(NS1, ONE), (NS2, TWO)]
    assert f"{ZONE}: the resolver says that there is no such name" in world.said
    assert f"{ZONE} is not delegated" not in world.said


def test_a_name_that_points_to_nothing_is_told(world):
    """It has no address, and no server is blamed for that."""
    world.names[NS2] = "NXDOMAIN"
    world.parent[NS2] = []
    found = world.opened().tick()
    assert found[f'dns_zone_server_addresses{{zone="{ZONE}",server="{NS2}"}}'] == 0
    assert f"{NS2} has no address: the name points to nothing" in world.said


@pytest.mark.parametrize("trouble", [None, "SERVFAIL", "REFUSED"])
def test_a_name_that_nobody_can_resolve_points_to_something_unknown(world, trouble):
    """It is not told that it points to nothing, and what was known of it stays."""
    world.names[NS2], world.parent[NS2] = trouble, []
    found = world.opened().tick()
    assert f'dns_zone_server_addresses{{zone="{ZONE}",server="{NS2}"}}' not in found
    assert f"no resolver can say which addresses {NS2} has" in world.said
    assert "points to nothing" not in world.said
    world.names[NS2] = [TWO]
    world.tick(301)
    world.names[NS2] = trouble
    world.tick(301)
    found = world.tick(15)
    assert addresses(found) == [(NS1, ONE), (NS2, TWO)]


def test_an_alias_is_followed_and_told(world):
    """A server's name may be none; resolvers differ in what they do then."""
    world.names |= {NS2: "real.test", "real.test": [TWO]}
    world.parent[NS2] = []
    assert addresses(world.opened().tick()) == [(NS1, ONE), (NS2, TWO)]
    assert f"its server {NS2} is an alias (CNAME)" in world.said


def test_glue_of_another_address_is_asked_and_told(world):
    """Resolvers begin with what the parent has."""
    world.parent[NS2] = [THREE]
    found = world.opened().tick()
    assert addresses(found) == [(NS1, ONE), (NS2, TWO), (NS2, THREE)]
    assert f"the parent has {THREE} for {NS2}, which is no address of it" in world.said


def test_a_server_of_thirty_addresses_is_asked_at_some(world):
    """What is left out is told, and is the same whatever order a resolver has them in."""
    world.names[NS2] = [TWO, *(f"127.53.3.{number}" for number in range(1, 30))]
    found = world.opened().tick()
    assert addresses(found) == [(NS1, ONE), *((NS2, each) for each in sorted(world.names[NS2])[:16])]
    assert f"{NS2} has 30 addresses; 16 of them are asked" in world.said
    del world.names[NS2][16:]
    assert len(addresses(world.opened().tick())) == 1 + 16
    assert "of them are asked" not in world.said


def test_addresses_that_are_nobodys_are_not_asked(world):
    """A stranger who writes down the unspecified, a group's or everybody's has written no address."""
    world.names[NS2] = ["0.0.0.0", "224.0.0.1", "255.255.255.255", TWO, "::", "ff02::1"]
    assert addresses(world.opened().tick()) == [(NS1, ONE), (NS2, TWO)]
    assert "cannot ask" not in world.said


def test_servers_that_disagree_on_who_they_are_are_told(world):
    """What most of them say is taken."""
    world.names[NS3], world.serials[THREE] = [THREE], 7
    world.own = {ONE: [NS1, NS2, NS3], TWO: [NS1, NS2, NS3], THREE: [NS3]}
    found = world.opened().tick()
    assert len(addresses(found)) == 3
    assert "its servers do not agree on who they are (NS)" in world.said
    assert listed(found) == {f'"{NS3}",by="parent"}}'}


def test_one_that_names_more_than_the_others_is_not_taken_for_that(world):
    """What most of them say is taken, though it is less and comes later."""
    world.serials[HIDDEN] = 7
    world.own = {ONE: [NS1, NS2, NS3], TWO: [NS1, NS2], HIDDEN: [NS1, NS2]}
    assert listed(world.opened(servers=[HIDDEN]).tick()) == set()
    assert "its servers do not agree on who they are (NS)" in world.said


def test_without_a_parent_that_tells_the_zones_own_names_count(world):
    """Where the parent's servers have both zones no delegation is seen, and none is missed."""
    world.referral = world.server(ONE)
    world.server_.says[PARENT] = world.referral
    found = world.opened().tick()
    assert addresses(found) == [(NS1, ONE), (NS2, TWO)]
    assert not any("delegated" in each or 'by="parent"' in each for each in found)


def test_the_second_resolver_is_asked_what_the_first_does_not_answer(world):
    """And neither is said to fail while one answers; who is no resolver is asked once."""
    world.server_.says[RESOLVER] = silent
    world.server_.says[HIDDEN] = world.resolver
    found = world.opened(resolvers=[RESOLVER, HIDDEN]).tick()
    assert addresses(found) == [(NS1, ONE), (NS2, TWO)]
    assert [address for address, *_ in world.server_.asked].count(PARENT) == 1


def test_a_resolver_that_is_silent_does_not_take_the_time_of_the_next(world):
    """By a clock that passes: each wait has a third of what is left."""
    world.server_.says[RESOLVER] = silent
    world.server_.says[HIDDEN] = world.resolver
    collector = world.opened(resolvers=[RESOLVER, HIDDEN]).collector
    found = values(collector.collect(Context("main", timeout=6, interval=15, agent=1)))
    assert addresses(found) == [(NS1, ONE), (NS2, TWO)]


@pytest.mark.parametrize(("left", "sizes"), [(9.0, [200, 200, 50]), (-0.1, [])])
def test_two_hundred_are_asked_at_once_and_when_the_time_is_over_nobody(monkeypatch, left, sizes):
    """Each costs a descriptor while it is under way."""
    asked = []

    def ask(queries, seconds):
        assert seconds <= left / 3
        asked.append(len(queries))
        return [Answer(Heard(None, Failure.SILENT), None)] * len(queries)

    monkeypatch.setattr(resolvers, "ask", ask)
    names = (parsed(f"n{number}.test") for number in range(450))
    wanted = [Wanted(Question(name, dns.rdatatype.A, recursive=True)) for name in names]
    assert resolvers.Resolvers([RESOLVER], 53, lambda: left).answers(wanted) == {}
    assert asked == sizes


def test_silent_resolvers_and_a_silent_parent_do_not_cost_more_than_the_collect(world):
    """However many wait for whom, the time that is left is shared: the collect ends before it would be killed."""
    for address in (RESOLVER, PARENT, HIDDEN):
        world.server_.says[address] = silent
    plugin, _ = asking(world.server_)
    given = {"zones": [f"z{number}.test" for number in range(150)], "resolvers": [RESOLVER, PARENT, HIDDEN]}
    collector = plugin(settings_of(plugin, given, read))
    context = Context("main", timeout=2, interval=15, agent=1)
    collector.open(context)
    assert values(collector.collect(context))['dns_zone_up{zone="z7.test"}'] == 0
    assert context.remaining() > 0


def test_when_the_primary_goes_that_is_kept_at_once(world, tmp_path):
    """A worker that begins a minute later knows since when it is away."""
    world.context.state = tmp_path / "state"
    world.serials[HIDDEN] = 7
    world.opened(primaries=[HIDDEN]).tick()
    world.tick(100)
    del world.serials[HIDDEN]
    world.tick(15)
    found = world.opened(primaries=[HIDDEN]).tick(60)
    assert found[f'dns_zone_expiry_seconds{{zone="{ZONE}"}}'] == pytest.approx(86_400 - 3600 - 75, abs=2)


def test_resolvers_are_those_of_the_host(tmp_path):
    """By its file, of which what is no address is left out; three at most, as libc does."""
    root = Root(tmp_path)
    with World() as world:
        root.write("etc/resolv.conf", f"# a comment\nsearch test\nnameserver {RESOLVER}\noptions edns0\n")
        world.context.root = root.path
        assert len(addresses(world.opened(resolvers=[]).tick())) == 2
    assert nameservers("nameserver\nnameserver x\nnameserver ::1\nnameserver fe80::1%eth0") == [
        "::1",
        "fe80::1%eth0",
    ]
    assert len(nameservers("nameserver 192.0.2.1\n" * 5)) == 3


def test_a_host_without_resolvers_says_so(world, tmp_path):
    """Nothing can be found; nobody is blamed."""
    world.context.root = Root(tmp_path).path
    world.opened(resolvers=[]).tick()
    assert "no resolver is known: /etc/resolv.conf names none" in str(world.context.degradation)
    assert "/etc/resolv.conf: No such file" in world.said


@pytest.mark.parametrize(
    ("given", "mistake"),
    [
        ({"zones": ()}, "zones: expected at least one"),
        ({"zones": ("a..b",)}, "zones: 'a..b' is no domain name"),
        ({"zones": ("",)}, "zones: '' is no domain name"),
        ({"zones": ("@",)}, "zones: '@' is no domain name"),
        ({"zones": ("example.test ",)}, "zones: 'example.test ' is no domain name"),
        ({"zones": ("https://example.test",)}, "zones: 'https://example.test' is no domain name"),
        ({"zones": ("straße.test",)}, "only in its form xn--"),
        ({"zones": tuple(f"z{number}.test" for number in range(201))}, "zones: 201 are more than the 200"),
        ({"zones": ("a",), "servers": ("192.0.2.1:5353",)}, "servers: '192.0.2.1:5353' is no domain name"),
        ({"zones": ("a",), "servers": ("a b" * 40,)}, "servers: "),
        ({"zones": ("a",), "primaries": ("ns1.a", "x" * 70)}, "primaries: "),
        ({"zones": ("a",), "delegation": False}, "delegation: without it, primaries or servers"),
    ],
)
def test_mistakes_in_settings_are_named(given, mistake):
    """With the setting, and what was expected."""
    with pytest.raises(ValueError, match=mistake):
        DnsSettings(**given)


def test_names_in_settings_are_written_alike():
    """Dots at the end, letters' case and IPv6's forms make no second one."""
    settings = DnsSettings(
        zones=("Example.COM.", "example.com", "."), servers=("2001:DB8:0::1", "2001:db8::1", "NS.x.")
    )
    assert settings.zones == ("example.com", ".")
    assert settings.servers == ("2001:db8::1", "ns.x")


def test_other_zones_soa_from_a_resolver_leads_nowhere(world):
    """A resolver that answers with a SOA of another tree does not have strangers asked for the delegation."""
    before = world.server_.says[RESOLVER]

    def lies(question, protocol):
        name, rdtype = question.question[0].name.to_text(), dns.rdatatype.to_text(question.question[0].rdtype)
        if rdtype == "SOA":
            return reply(question, f"elsewhere. SOA {SOA.format('elsewhere', 1)}", aa=False)
        if (name, rdtype) == ("elsewhere.", "NS"):
            return reply(question, "elsewhere. NS ns.test.", aa=False)
        return before(question, protocol)

    world.server_.says[RESOLVER] = lies
    found = world.opened().tick()
    assert addresses(found) == [(NS1, ONE), (NS2, TWO)]
    assert not any("delegated" in each for each in found)
    assert PARENT not in {address for address, *_ in world.server_.asked}


@pytest.mark.parametrize("silent_about", ["A", "AAAA"])
def test_a_name_of_which_one_family_is_not_told_may_have_addresses(world, silent_about):
    """It has none of the other one: that is not yet a name that points to nothing."""
    before = world.server_.says[RESOLVER]
    world.names[NS2], world.parent[NS2] = [], []

    def says(question, protocol):
        asked = question.question[0]
        if (asked.name.to_text(), dns.rdatatype.to_text(asked.rdtype)) == (f"{NS2}.", silent_about):
            return reply(question, rcode="SERVFAIL", aa=False)
        return before(question, protocol)

    world.server_.says[RESOLVER] = says
    found = world.opened().tick()
    assert f'dns_zone_server_addresses{{zone="{ZONE}",server="{NS2}"}}' not in found
    assert f"no resolver can say which addresses {NS2} has" in world.said
    assert "points to nothing" not in world.said


def test_times_in_the_file_that_are_to_come_are_now(world, tmp_path):
    """The wall clock was set back over the restart: nobody is behind since tomorrow."""
    world.context.state = tmp_path / "state"
    world.serials[HIDDEN] = 9
    world.opened(primaries=[HIDDEN]).tick()
    kept = json.loads(world.context.state.read_text())
    kept[ZONE]["seen"] = [[serial, at + 1e6] for serial, at in kept[ZONE]["seen"]]
    kept[ZONE]["primary_seen"] += 1e6
    world.context.state.write_text(json.dumps(kept))
    del world.serials[HIDDEN]
    found = world.opened(primaries=[HIDDEN]).tick(0)
    assert 0 <= of(found, "dns_server_behind_seconds", ONE) < 60
    assert found[f'dns_zone_expiry_seconds{{zone="{ZONE}"}}'] <= 86_400 - 3600


def test_what_parent_and_zone_have_told_stays_while_they_tell_nothing(world):
    """Who names whom, and whom only the parent names, is as it was when they did."""
    world.parent[NS3] = []
    world.names[NS3], world.serials[THREE] = [THREE], 7
    before = world.opened().tick()
    world.server_.says[PARENT] = silent
    world.serials.clear()
    world.tick(301)
    found = world.tick(61)
    assert addresses(found) == addresses(before) == [(NS1, ONE), (NS2, TWO), (NS3, THREE)]
    assert listed(found) == listed(before) == {f'"{NS3}",by="zone"}}'}
    assert {each for each in found if "listed" in each} == {each for each in before if "listed" in each}
    assert not any("delegated" in each for each in found)


def test_servers_that_only_a_resolver_has_named_stay_when_it_is_silent(world):
    """Neither the parent nor a server has ever told: their names are those that were found."""
    world.server_.says[PARENT] = silent
    world.serials.clear()
    assert addresses(world.opened().tick()) == [(NS1, ONE), (NS2, TWO)]
    world.resolver_is_up = False
    world.tick(301)
    assert addresses(world.tick(15)) == [(NS1, ONE), (NS2, TWO)]


def test_a_file_of_brackets_without_end_was_none(world, tmp_path):
    """Whatever reads it gives up."""
    world.context.state = tmp_path / "state"
    world.context.state.write_text("[" * 100_000)
    assert addresses(world.opened().tick()) == [(NS1, ONE), (NS2, TWO)]


SOA_ABOVE = "test. SOA ns.test. a.test. 1 1 1 1 1"
NS_OF_ZONE = f"{ZONE}. NS {NS1}."


@pytest.mark.parametrize(
    ("records", "more", "expected"),
    [
        ((), {"authority": [NS_OF_ZONE], "aa": False}, True),
        ((), {"rcode": "NXDOMAIN", "authority": [SOA_ABOVE]}, False),
        ((), {"rcode": "NXDOMAIN", "aa": False}, None),
        ((), {"authority": [SOA_ABOVE]}, False),
        ((), {"authority": [SOA_ABOVE], "aa": False}, None),
        ((), {}, None),
        ((f"{ZONE}. CNAME elsewhere.test.",), {"authority": [SOA_ABOVE]}, None),
        ((), {"authority": [f"{ZONE}. SOA {SOA.format(ZONE, 1)}"]}, None),
        ((NS_OF_ZONE,), {}, None),
        ((NS_OF_ZONE,), {"authority": [NS_OF_ZONE]}, None),
        ((), {"rcode": "SERVFAIL", "authority": [NS_OF_ZONE], "aa": False}, None),
    ],
)
def test_whether_a_zone_is_delegated_its_parent_says_with_authority(records, more, expected):
    """By a referral, or by an answer that there is no such name, or none with servers of its own; else nothing is said."""
    told = reply(dns.message.make_query(ZONE, "NS"), *records, **more)
    assert says_delegated(parsed(ZONE), dns.message.from_wire(told.to_wire())) is expected


def test_nobody_is_above_the_root():
    """Only its own servers are looked for."""
    (wanted,) = next(look(parsed("."), Found(), (), by_delegation=True))
    assert (wanted.question.name, wanted.question.rdtype) == (parsed("."), dns.rdatatype.NS)


@pytest.mark.parametrize("who", ["parent", "zone"])
def test_where_one_side_does_not_tell_it_is_asked_again_in_a_minute(world, who):
    """Though the zone is up; where both tell, in five."""
    if who == "parent":
        world.server_.says[PARENT] = silent
    else:
        world.own = {ONE: []}
    watched = world.opened()

    def is_asked(seconds):
        world.server_.asked.clear()
        assert watched.tick(seconds)[f'dns_zone_up{{zone="{ZONE}"}}'] == 1
        return PARENT in {address for address, *_ in world.server_.asked}

    assert [is_asked(seconds) for seconds in (0, 30, 31)] == [True, False, True]
    world.server_.says[PARENT], world.own = world.referral, {ONE: [NS1, NS2]}
    assert [is_asked(seconds) for seconds in (61, 61, 200, 61)] == [True, False, False, True]


def test_who_answers_without_authority_is_not_believed_who_the_servers_are(world):
    """A resolver in the delegation has an old answer in its cache."""
    before = world.server(TWO)
    world.server_.says[TWO] = lambda question, protocol: _without_authority(before(question, protocol))
    world.own[TWO] = [NS1, NS2, NS3]
    found = world.opened().tick()
    assert NS3 not in " ".join(found)
    assert "do not agree" not in world.said


def _without_authority(told):
    told.flags &= ~dns.flags.AA
    return told


def resolver_fails(world, name, rdtype):
    """Have the resolver answer SERVFAIL to one question; returns what it has said to all before."""
    before = world.server_.says[RESOLVER]

    def says(question, protocol):
        asked = question.question[0]
        if (asked.name.to_text(), asked.rdtype) == (f"{name}.", rdtype):
            return reply(question, rcode="SERVFAIL", aa=False)
        return before(question, protocol)

    world.server_.says[RESOLVER] = says
    return before


def test_of_a_family_that_is_not_told_the_known_addresses_stay_and_of_the_other_one_the_new_ones(world):
    """None of them twice."""
    six = f'dns_zone_server_addresses{{zone="{ZONE}",server="{NS2}"}}'
    world.names[NS2], world.parent[NS2] = [TWO, "::1"], []
    assert world.opened().tick()[six] == 2
    resolver_fails(world, NS2, dns.rdatatype.A)
    world.tick(301)
    assert world.tick(15)[six] == 2


def test_glue_that_is_nobodys_is_not_asked_and_glue_alone_is_no_contradiction(world):
    """Where nobody can resolve a name, what the parent has for it is all there is."""
    world.parent[NS2], world.names[NS2] = ["224.0.0.1", TWO], "SERVFAIL"
    assert addresses(world.opened().tick()) == [(NS1, ONE), (NS2, TWO)]
    assert "which is no address of it" not in world.said


def test_another_server_of_the_parent_is_asked_where_one_is_silent(world):
    """One that answers is enough."""
    world.server_.says[HIDDEN] = world.referral
    world.server_.says[PARENT] = silent
    world.names["ns.test"] = [PARENT, HIDDEN]
    assert world.opened().tick()[f'dns_zone_delegated{{zone="{ZONE}"}}'] == 1


def test_a_hundred_names_are_asked_at_most(world):
    """What is left out is told."""
    servers = [f"n{number:03}.other.test" for number in range(150)]
    found = world.opened(servers=servers, delegation=False).tick()
    assert len([each for each in found if each.startswith("dns_zone_server_addresses")]) == 100
    assert f"{ZONE}: 150 servers are named; 100 of them are asked" in world.said


def test_glue_of_a_family_that_no_resolver_tells_is_no_contradiction(world):
    """The parent may well be right; it is one where the resolver says that there is no such address."""
    world.parent[NS2] = [TWO, "::1"]
    before = resolver_fails(world, NS2, dns.rdatatype.AAAA)
    assert (NS2, "::1") in addresses(world.opened().tick())
    assert "which is no address of it" not in world.said
    assert "no resolver can say" not in world.said
    world.server_.says[RESOLVER] = before
    world.tick(301)
    world.tick(15)
    assert f"the parent has ::1 for {NS2}, which is no address of it" in world.said


def test_servers_are_asked_who_they_are_and_for_their_keys():
    """For the signatures of both, which no answer about the SOA has."""
    asked = look(parsed(ZONE), Found(), [ONE], by_delegation=False)
    next(asked)
    wanted = asked.send([])
    assert [(each.question.rdtype, each.address) for each in wanted] == [
        (dns.rdatatype.NS, ONE),
        (dns.rdatatype.DNSKEY, ONE),
    ]


def test_a_name_that_is_resolved_at_the_second_attempt_is_known(world):
    """A server of the parent is one of the zone, too: it is resolved for both, and the later answer counts."""
    world.parent["ns.test"] = ["::1"]
    before, failed = world.server_.says[RESOLVER], []

    def says(question, protocol):
        asked = question.question[0]
        if (asked.name.to_text(), asked.rdtype) == ("ns.test.", dns.rdatatype.AAAA) and not failed:
            failed.append(asked)
            return reply(question, rcode="SERVFAIL", aa=False)
        return before(question, protocol)

    world.server_.says[RESOLVER] = says
    world.opened().tick()
    assert failed
    assert "the parent has ::1 for ns.test, which is no address of it" in world.said


def test_each_server_of_the_parent_is_asked_at_one_address_before_any_at_a_second_and_at_none_twice():
    """Two names may have the same address."""
    assert _spread([[ONE, TWO], [ONE, THREE], [HIDDEN]]) == [ONE, HIDDEN, TWO, THREE]


def test_of_the_thirteen_servers_of_a_parent_six_are_resolved():
    """One that answers is enough."""
    looking = look(parsed(ZONE), Found(), [], by_delegation=True)
    next(looking)
    soa, ns = (dns.message.make_query("test", rdtype) for rdtype in ("SOA", "NS"))
    looking.send([None, reply(soa, "test. SOA a.test. a.test. 1 1 1 1 1", aa=False)])
    wanted = looking.send([reply(ns, *[f"test. NS {letter}.test." for letter in "abcdefghijklm"], aa=False)])
    names = [str(each.question.name) for each in wanted]
    assert names == [f"{letter}.test." for letter in "abcdef" for _ in ("A", "AAAA")]
