"""What each of Bosun's alarms says in each state of what it watches, recorded or counted, and in none other."""

from collections import defaultdict
from functools import cache, partial

import pytest
from checkout import declared
from expressions import Moment, Node, Wrong, evaluate, walk
from opentsdb import Query, seconds
from rules import load
from sites import (
    ALIVE,
    FILES,
    HOUR,
    MINUTE,
    NOW,
    ROOT,
    Mail,
    Site,
    bond,
    galera,
    interface,
    lines,
    mongodb,
    sink,
    up,
    vip,
)  # fmt: skip

from collectors.postfix.flow import Flow
from rscollector.model.metrics import Kind
from rscollector.runtime.telemetry import METRICS
from rscollector.sinks.bosun import Bosun

RULES = {name: load(path.read_text()) for name, path in FILES.items()}
ALARMS = [
    pytest.param(name, alarm, id=alarm.name)
    for name, rules in RULES.items()
    for alarm in rules.alarms.values()
]
FRESH = 20  # seconds: each host has ticked once or twice


# --- galera: three nodes, and another cluster that is well ---

NODES = ("db1", "db2", "db3")


def cluster(site, *states, since=45 * MINUTE, until=0, name="shop"):
    """Have each node be in a recorded state; None says nothing."""
    hosts = [f"{name}-{node}" for node in NODES]
    for host, state in zip(hosts, states, strict=True):
        if state:
            site.tell(host, state if isinstance(state, list) else galera(state, host, name), since, until)


WELL = ("01-healthy.n1", "01-healthy.n2", "01-healthy.n3")


def galera_scene(*states, ago=10 * MINUTE, before=WELL):
    """Return a scene: all was well until some time ago; since then the nodes are in these states."""

    def play(site):
        cluster(site, *WELL, name="other")
        cluster(site, *before, until=ago)
        cluster(site, *states, since=ago)

    return play


def _galera_fresh(site):
    cluster(site, *WELL, name="other")
    cluster(site, "13-voted-inconsistent.n1", "12-n3-receives-ist.n3", "08-n1-bootstrapped.n1", since=FRESH)


def _galera_one_after_the_other(site):
    """A cluster that was bootstrapped: for a tick the first node has size 1, and the second has joined."""
    cluster(site, *WELL, name="other")
    cluster(site, "08-n1-bootstrapped.n1", None, None, since=5 * MINUTE, until=20)
    cluster(site, None, "06-n3-killed.n2", None, since=25)


def _galera_restarted(site):
    cluster(site, *WELL, name="other")
    cluster(site, *WELL, until=90)
    cluster(site, *WELL, since=20)


OFF = galera("01-healthy.n3", "shop-db3", replicates=False)
OTHERS = ("06-n3-killed.n1", "06-n3-killed.n2")
GALERA = {
    "health": (galera_scene(*WELL), {}),
    "desynced": (galera_scene("02-n3-desynced.n1", "02-n3-desynced.n2", "09-donor.n1"), {}),
    "read lock": (galera_scene("03-n3-read-lock.n1", "03-n3-read-lock.n2", "03-n3-read-lock.n3"), {}),
    "donor": (galera_scene("09-donor.n1", "09-donor.n2", None), {}),
    "joining": (galera_scene("06-n3-killed.n1", "06-n3-killed.n2", "12-n3-receives-ist.n3"), {}),
    "flow control": (galera_scene("11-flow-control.n1", "11-flow-control.n2", "11-flow-control.n3"), {}),
    "stopped": (galera_scene("10-n3-clean-stop.n1", "10-n3-clean-stop.n2", None), {}),
    "hangs": (galera_scene("04-n3-sigstopped.n1", "04-n3-sigstopped.n2", None), {}),
    "killed": (galera_scene(*OTHERS, None), {}),
    "killed now": (galera_scene(*OTHERS, None, ago=20), {}),
    "killed a minute ago": (galera_scene(*OTHERS, None, ago=MINUTE), {}),
    "killed two minutes ago": (galera_scene(*OTHERS, None, ago=2 * MINUTE), {}),
    "killed three minutes ago": (galera_scene(*OTHERS, None, ago=3 * MINUTE), {}),
    "cut off": (
        galera_scene("05-n3-isolated.n1", "05-n3-isolated.n2", "05-n3-isolated.n3"),
        {
            "galera.not.primary": {"shop-db3/main": "critical"},
            "galera.not.ready": {"shop-db3/main": "critical"},
            "galera.sizes.differ": {"shop": "warning"},
        },
    ),
    "cut off now": (
        galera_scene("05-n3-isolated.n1", "05-n3-isolated.n2", "05-n3-isolated.n3", ago=MINUTE),
        {},
    ),
    "voted out": (
        galera_scene(*OTHERS, "13-voted-inconsistent.n1"),
        {
            "galera.not.primary": {"shop-db3/main": "critical"},
            "galera.not.ready": {"shop-db3/main": "critical"},
            "galera.sizes.differ": {"shop": "warning"},
        },
    ),
    "split": (
        galera_scene(*OTHERS, "08-n1-bootstrapped.n1"),
        {"galera.split": {"shop": "critical"}, "galera.sizes.differ": {"shop": "warning"}},
    ),
    "replication off": (
        galera_scene("01-healthy.n1", "01-healthy.n2", OFF),
        {"galera.replication.off": {"shop-db3/main": "critical"}},
    ),
    "nobody": (galera_scene(None, None, None), {"galera.nobody": {"shop": "critical"}}),
    "nobody for two hours": (
        lambda site: (
            cluster(site, *WELL, name="other"),
            cluster(site, *WELL, since=3 * HOUR, until=2 * HOUR),
        ),
        {"galera.nobody": {"shop": "unknown"}},
    ),
    "agents restarted": (_galera_restarted, {}),
    "fresh": (_galera_fresh, {}),
    "bootstrapped": (_galera_one_after_the_other, {}),
}


# --- mongodb: three members, and another set that is well ---

MEMBERS = ("cluster-01-healthy.0", "cluster-01-healthy.1", "cluster-01-healthy.2")
SIGHT = "127.0.0.1_55239"  # the third member, as a tag


def replicas(site, *states, since=45 * MINUTE, until=0, name="rs0"):
    """Have each member be in a recorded state; None says nothing."""
    for number, state in enumerate(states):
        if state:
            told = state if isinstance(state, list) else mongodb(state, name)
            site.tell(f"{name}-m{number + 1}", told, since, until)


def mongodb_scene(*states, ago=10 * MINUTE):
    """Return a scene: all was well until some time ago; since then the members are in these states."""

    def play(site):
        replicas(site, *MEMBERS, name="rs1")
        replicas(site, *MEMBERS, until=ago)
        replicas(site, *states, since=ago)

    return play


def lagging(behind, holds=24 * HOUR):
    """Return a primary whose first secondary is behind."""
    return mongodb("cluster-01-healthy.0", behind=behind, holds=holds)


def _mongodb_restarted(site):
    replicas(site, *MEMBERS, name="rs1")
    replicas(site, *MEMBERS, until=90)
    replicas(site, *MEMBERS, since=20)


def _mongodb_fresh(site):
    replicas(site, *MEMBERS, name="rs1")
    replicas(site, lagging(700, 800), "4.4-initial-sync-self", None, since=FRESH)


LAGS = "rs0-m1/127.0.0.1_49247/main"
MONGODB = {
    "health": (mongodb_scene(*MEMBERS), {}),
    "stepped down": (mongodb_scene(*(f"cluster-02-after-stepdown.{number}" for number in range(3))), {}),
    "stepped down now": (mongodb_scene(*(f"cluster-02-after-stepdown.{n}" for n in range(3)), ago=20), {}),
    "recovering": (mongodb_scene(*(f"cluster-03-secondary-recovering.{number}" for number in range(3))), {}),
    "initial sync": (mongodb_scene(None, None, "cluster-09-startup2-initial-sync.2"), {}),
    "member hangs": (
        mongodb_scene("cluster-05-secondary-sigstopped.0", "cluster-05-secondary-sigstopped.1", None),
        {"mongodb.member.down": {SIGHT: "warning"}},
    ),
    "member killed": (
        mongodb_scene("cluster-06-secondary-killed.0", "cluster-06-secondary-killed.1", None),
        {"mongodb.member.down": {SIGHT: "warning"}},
    ),
    "primary killed": (
        mongodb_scene("cluster-08-primary-killed.0", None, "cluster-08-primary-killed.2"),
        {"mongodb.member.down": {"127.0.0.1_49247": "warning"}},
    ),
    **{
        f"primary killed {ago} s ago": (
            mongodb_scene("cluster-08-primary-killed.0", None, "cluster-08-primary-killed.2", ago=ago),
            {},
        )
        for ago in (20, 60, 90)
    },
    "no primary": (
        mongodb_scene(None, "6.0-no-primary", None),
        {
            "mongodb.no.primary": {"rs0": "critical"},
            "mongodb.member.down": {"127.0.0.1_56577": "warning", SIGHT: "warning"},
        },
    ),
    "no primary for a minute": (mongodb_scene("cluster-02-after-stepdown.0", None, None, ago=MINUTE), {}),
    "two primaries": (
        mongodb_scene("cluster-01-healthy.0", "cluster-02-after-stepdown.1", "cluster-01-healthy.2"),
        {"mongodb.two.primaries": {"rs0": "critical"}},
    ),
    "lag": (mongodb_scene(lagging(120), *MEMBERS[1:]), {"mongodb.lag": {LAGS: "warning"}}),
    "lag for a minute": (mongodb_scene(lagging(120), *MEMBERS[1:], ago=MINUTE), {}),
    "long lag": (mongodb_scene(lagging(2 * HOUR), *MEMBERS[1:]), {"mongodb.lag": {LAGS: "critical"}}),
    "lag exceeds oplog": (
        mongodb_scene(lagging(100, 150), *MEMBERS[1:]),
        {"mongodb.lag": {LAGS: "warning"}, "mongodb.lag.exceeds.oplog": {LAGS: "critical"}},
    ),
    "nobody": (mongodb_scene(None, None, None), {"mongodb.nobody": {"rs0": "critical"}}),
    "nobody for two hours": (
        lambda site: (
            replicas(site, *MEMBERS, name="rs1"),
            replicas(site, *MEMBERS, since=3 * HOUR, until=2 * HOUR),
        ),
        {"mongodb.nobody": {"rs0": "unknown"}},
    ),
    "agents restarted": (_mongodb_restarted, {}),
    "fresh": (_mongodb_fresh, {}),
    "a member that copies all": (mongodb_scene("cluster-01-healthy.0", "6.0-initial-sync-self", None), {}),
}


# --- postfix ---

SENT, BOUNCED = lines("outbound", "sent"), lines("outbound", "bounced")
DEFERRED = lines("one-message-deferred-5-times-then-expired", "deferred")


def mail(log=SENT, *, since=6 * HOUR, step=MINUTE, **queues):
    """Return a scene: mail that flows, and queues."""
    return lambda site: site.tell("mx", Mail(log, **queues), since=since, step=step)


def _counters_lost(site):
    """The state directory was lost: counters of hundreds begin at 0."""
    flow = Flow()
    for service, message in (SENT + BOUNCED) * 100:
        flow.line(service, message)
    site.tell("mx", Mail(SENT, flow=flow), since=6 * HOUR, until=20 * MINUTE, step=MINUTE)
    site.tell("mx", Mail(SENT), since=19 * MINUTE)


def _restarted(site):
    flow = Flow()
    site.tell("mx", Mail(SENT, flow=flow), since=6 * HOUR, until=2 * MINUTE, step=MINUTE)
    site.tell("mx", Mail(SENT, flow=flow), since=MINUTE)


def _silent_log(site):
    """The log cannot be read any more: the queues are told all the same."""
    site.tell("mx", Mail(SENT), since=6 * HOUR, step=MINUTE)
    for metric in [each for each in site.tsdb.metrics if each.startswith("postfix.deliveries")]:
        site.without(metric, for_=HOUR)


MX = "mx/main"
POSTFIX = {
    "health": (mail(), {}),
    "empty, and nothing to do": (mail(()), {}),
    "busy": (
        mail(SENT * 30, each=30, active=(1, 2, 3), incoming=(1,), deferred=(400, 4000)),
        {
            "postfix.stuck": {f"{MX}/deferred": "warning"},
        },
    ),
    "a few bounces": (mail(SENT + BOUNCED, each=20 * MINUTE), {}),
    "bounces, but few of all": (mail(SENT * 10 + BOUNCED, each=MINUTE), {}),
    "bounces": (mail(SENT + BOUNCED, each=MINUTE), {"postfix.bounces": {MX: "warning"}}),
    "nothing but bounces": (mail(BOUNCED, each=MINUTE), {"postfix.bounces": {MX: "warning"}}),
    "nothing sent": (
        mail(DEFERRED, active=(1000,), deferred=lambda passed: [100] * int(1 + passed // 600)),
        {"postfix.sends": {MX: "critical"}},
    ),
    "nothing sent of what is deferred": (
        mail(DEFERRED, deferred=lambda passed: [100] * int(20 + passed // 600)),
        {"postfix.sends": {MX: "critical"}},
    ),
    "little is deferred, and nothing sent": (
        mail(DEFERRED, deferred=lambda passed: [100] * int(1 + passed // 7200)),
        {},
    ),
    "deferred too long": (
        mail(deferred=lambda passed: [24 * HOUR] + [60] * int(passed // 600 % 2)),
        {"postfix.deferred": {f"{MX}/deferred": "warning"}},
    ),
    "stuck": (mail(deferred=(900, 1000)), {"postfix.stuck": {f"{MX}/deferred": "warning"}}),
    "grows": (
        mail(since=2 * HOUR, deferred=lambda passed: [100] * int(passed / 2)),
        {"postfix.grows": {f"{MX}/deferred": "warning"}},
    ),
    "grows little": (mail(deferred=lambda passed: [100] * int(3000 + passed / 60)), {}),
    "not picked up": (
        mail(maildrop=(700, 10), incoming=(5,)),
        {"postfix.picked.up": {f"{MX}/maildrop": "critical"}},
    ),
    "old mail beside new": (
        mail(incoming=lambda passed: [900, *[3] * int(passed % 7)]),
        {"postfix.picked.up": {f"{MX}/incoming": "critical"}},
    ),
    "picked up again": (mail(maildrop=lambda passed: (900,) if passed < 6 * HOUR - 90 else ()), {}),
    "corrupt": (mail(corrupt=(5,)), {"postfix.corrupt": {f"{MX}/corrupt": "warning"}}),
    "counters begin anew": (_counters_lost, {}),
    "agent restarted": (_restarted, {}),
    "the log is not told": (_silent_log, {}),
    "fresh, and empty": (mail((), since=FRESH, step=15), {}),
    "fresh, after a night": (
        mail((), since=FRESH, step=15, maildrop=(7000,), active=(5,), deferred=[700] * 2000),
        {},
    ),
    "fresh, with a bounce": (mail(SENT + BOUNCED, each=15, since=3 * MINUTE, step=15), {}),
    "fresh, and old mail": (
        mail((), since=FRESH, step=15, deferred=(30 * HOUR,)),
        {"postfix.deferred": {f"{MX}/deferred": "warning"}},
    ),
}


# --- network: a bond that was well, and another host's that is ---

HEALTHY = "01-lacp-healthy"


def bonds(state, *, ago=10 * MINUTE, wants=None):
    """Return a scene: a bond that has been in a recorded state since some time ago."""

    def play(site):
        for state_of, since, until in ((bond(HEALTHY), 45 * MINUTE, ago), (bond(state, wants), ago, 0)):
            site.tell("a", state_of, since=since, until=until)
        site.tell("b", bond(HEALTHY))

    return play


def frames(**each_second):
    """Return a scene: a bond that is well, and an interface that counts so much in each second."""

    def play(site):
        site.tell("b", bond(HEALTHY))
        site.tell("a", interface(**each_second), step=MINUTE)

    return play


def _driver_restarted(site):
    """Counters of a million errors begin at 0."""
    site.tell("b", bond(HEALTHY))
    site.tell("a", interface(rx_packets=1e6, rx_errors=1e3), until=20 * MINUTE, since=6 * HOUR, step=MINUTE)
    site.tell("a", interface(rx_packets=1e6), since=19 * MINUTE, step=MINUTE)


BOND, H1, H2 = "bond0/a/main", "bond0/a/h1/main", "bond0/a/h2/main"
NETWORK = {
    "health": (bonds(HEALTHY), {}),
    "a link is down": (bonds("02-one-link-down"), {"network.bond.link": {H2: "warning"}}),
    "a link is down for two minutes": (bonds("02-one-link-down", ago=2 * MINUTE), {}),
    "a link is back": (bonds("03-link-back"), {}),
    "fewer than it wants": (
        bonds("02-one-link-down", wants=2),
        {"network.bond.link": {H2: "warning"}, "network.bond.down": {BOND: "critical"}},
    ),
    "silent on one port": (bonds("04-partner-silent-on-h2"), {"network.bond.slave.out": {H2: "warning"}}),
    "another switch": (
        bonds("05-second-switch-other-aggregator"), {"network.bond.slave.out": {H2: "warning"}}
    ),
    "no partner": (
        bonds("06-no-partner"),
        {
            "network.bond.no.partner": {BOND: "critical"},
            "network.bond.slave.out": {H1: "warning", H2: "warning"},
        },
    ),
    "no partner for a minute": (bonds("06-no-partner", ago=MINUTE), {}),
    "all down": (
        bonds("08-all-down"),
        {"network.bond.down": {BOND: "critical"}, "network.bond.link": {H1: "warning", H2: "warning"}},
    ),
    "of another mode": (bonds("10-active-backup"), {}),
    "fresh": (
        lambda site: [site.tell(host, bond("06-no-partner"), since=FRESH) for host in ("a", "b")],
        {},
    ),
    "busy": (frames(rx_packets=1e6, rx_errors=500, rx_missed=500), {}),
    "a frame an hour": (frames(rx_errors=1 / 3600), {}),
    "errors": (frames(rx_packets=998, rx_errors=2), {"network.errors": {"receive/a/eth0/main": "warning"}}),
    "no room": (
        frames(rx_packets=998, rx_missed=2), {"network.ring.drops": {"receive/a/eth0/ring/main": "warning"}}
    ),
    "driver restarted": (_driver_restarted, {}),
}  # fmt: skip


# --- vip, agent, sinks ---


def address(*held, ago=10 * MINUTE, before=(True, False), link=True):
    """Return a scene: who held an address until some time ago, and since then; None says nothing."""

    def play(site):
        site.tell("lb9", vip(bound=True, address="192.0.2.99"))
        for host, now, then in zip(("lb1", "lb2"), held, before, strict=True):
            site.tell(host, vip(bound=then), until=ago)
            if now is not None:
                site.tell(host, vip(bound=now, link=link), since=ago)

    return play


def _address_fresh(site):
    site.tell("lb9", vip(bound=True, address="192.0.2.99"))
    for host in ("lb1", "lb2"):
        site.tell(host, vip(bound=False), since=FRESH)


WHERE = "192.0.2.10/main"
VIP = {
    "health": (address(True, False), {}),
    "moved": (address(False, True), {}),
    **{f"moved {ago} s ago": (address(False, True, ago=ago), {}) for ago in (5, 20, 60, 100, 130)},
    **{f"holder died, {ago} s ago": (address(None, True, ago=ago), {}) for ago in (20, 60, 100, 130, 200)},
    "nowhere": (address(False, False), {"vip.nowhere": {WHERE: "critical"}}),
    "nowhere for a minute": (address(False, False, ago=MINUTE), {}),
    "holder died, and nobody took it": (address(None, False), {"vip.nowhere": {WHERE: "critical"}}),
    "twice": (address(True, True), {"vip.twice": {WHERE: "critical"}}),
    "no link": (
        address(True, False, link=False),
        {"vip.link.down": {"192.0.2.10/lb1/eth0/main": "critical"}},
    ),
    "all are silent": (address(None, None), {}),
    "agent restarted": (lambda site: [address(True, False)(site), site.without("vip.bound", for_=80)], {}),
    "fresh": (_address_fresh, {}),
}


def agents(*, well=True, ago=10 * MINUTE, until=0):
    """Return a scene: an agent, and how its collector has been since some time ago."""

    def play(site):
        site.tell("b", ALIVE, name="")
        site.tell("b", up("galera"))
        site.tell("a", ALIVE, until=until, name="")
        site.tell("a", up("galera"), until=max(ago, until))
        site.tell("a", up("galera", well=well), since=ago, until=until)

    return play


def _agent_fresh(site):
    site.tell("a", ALIVE, since=FRESH, name="")
    site.tell("a", up("galera", well=False), since=FRESH)


AGENT = {
    "health": (agents(), {}),
    "a collector is down": (agents(well=False), {"rscollector.collector.down": {"a/main/galera": "warning"}}),
    "down for a minute": (agents(well=False, ago=MINUTE), {}),
    "restarted": (
        lambda site: [agents()(site), *(site.without(each, for_=90) for each in list(site.tsdb.metrics))],
        {},
    ),
    "silent": (agents(until=5 * MINUTE), {"rscollector.silent": {"a": "critical"}}),
    "silent for two hours": (
        lambda site: (
            site.tell("b", ALIVE, name=""),
            site.tell("a", ALIVE, since=3 * HOUR, until=2 * HOUR, name=""),
            site.tell("a", up("galera"), since=3 * HOUR, until=2 * HOUR),
        ),
        {"rscollector.silent": {"a": "unknown"}},
    ),
    "fresh": (_agent_fresh, {}),
}


def other_sink(site):
    """Have a host whose sink has something to send, as it should."""
    site.tell("b", sink(site.state, sink_queued_points=9, sink_oldest_unsent_age_seconds=1.0))


def sinking(since=2 * HOUR, ago=10 * MINUTE, **changed):
    """Return a scene: a sink that was well until some time ago, and what is otherwise since."""

    def play(site):
        other_sink(site)
        site.tell("a", sink(site.state), since=since, until=ago)
        site.tell("a", sink(site.state, **changed), since=ago)

    return play


def _counters_of_a_restart(site):
    lost = {
        "sink_dropped_points_total": 90,
        "sink_rejected_points_total": 70,
        "sink_unsendable_points_total": 50,
    }
    other_sink(site)
    site.tell("a", sink(site.state, **lost), since=2 * HOUR, until=20 * MINUTE)
    site.tell("a", sink(site.state), since=19 * MINUTE)


IN = "a/main/bosun"
SINKS = {
    "health": (sinking(), {}),
    "something waits": (sinking(sink_queued_points=40, sink_oldest_unsent_age_seconds=2.0), {}),
    "behind": (
        sinking(sink_queued_points=40, sink_oldest_unsent_age_seconds=900.0),
        {"sink.behind": {IN: "warning"}},
    ),
    "was behind": (
        lambda site: [
            sinking(sink_queued_points=40, sink_oldest_unsent_age_seconds=900.0)(site),
            site.without("sink.oldest.unsent.age.seconds", for_=60),
            site.tell("a", sink(site.state), since=60),
        ],
        {},
    ),
    "takes none": (sinking(in_agent=200), {"sink.behind": {IN: "warning"}}),
    "dropped": (sinking(sink_dropped_points_total=7), {"sink.dropped": {IN: "warning"}}),
    "dropped in the agent": (sinking(dropped_in_agent=7), {"sink.dropped": {IN: "warning"}}),
    "unsendable": (sinking(sink_unsendable_points_total=7), {"sink.dropped": {IN: "warning"}}),
    "infinity, which some metrics are": (sinking(sink_unsendable_points_total={"number": 7}), {}),
    "refused": (sinking(sink_rejected_points_total=7), {"sink.refused": {IN: "warning"}}),
    "stepped over": (sinking(ago=HOUR, sink_stepped_over_points=7), {"sink.refused": {IN: "warning"}}),
    "stepped over for a while": (sinking(sink_stepped_over_points=7), {}),
    "dropped two hours ago": (sinking(since=4 * HOUR, ago=2 * HOUR, sink_dropped_points_total=7), {}),
    "restarted": (_counters_of_a_restart, {}),
    "fresh": (sinking(since=FRESH, ago=FRESH, sink_stepped_over_points=7), {}),
}

SCENES = {
    "galera": GALERA,
    "mongodb": MONGODB,
    "postfix": POSTFIX,
    "network": NETWORK,
    "vip": VIP,
    "agent": AGENT,
    "sinks": SINKS,
}


# --- the table ---


@pytest.fixture(scope="session")
def state(tmp_path_factory):
    """Return a directory for sinks."""
    return tmp_path_factory.mktemp("state")


@cache
def played(name, scene, state):
    """Return the points of a scene."""
    site = Site(state)
    SCENES[name][scene][0](site)
    return site


def told(alarm, site, before=()):
    """Return the status of each group, by the values of its tags in the order of their names."""
    found = alarm.check(site.tsdb, before)
    return {"/".join(text for _, text in sorted(group)): status for group, status in found.items()}


@pytest.mark.parametrize(
    ("name", "scene"),
    [pytest.param(name, scene, id=f"{name}: {scene}") for name in SCENES for scene in SCENES[name]],
)
def test_alarms_say_what_is_true_and_nothing_else(name, scene, state):
    """In each state each alarm of the file has the status that is expected, and every other is no alarm."""
    site, well = played(name, scene, state), played(name, "health", state)
    found = defaultdict(dict)
    for alarm in RULES[name].alarms.values():
        before = () if scene.startswith("fresh") else alarm.check(well.tsdb)
        for group, status in told(alarm, site, before).items():
            if status not in ("ok", "ignored"):
                found[alarm.name][group] = status
    assert dict(found) == SCENES[name][scene][1]


def leaves(number, ago):
    """Return a scene: a node leaves, and the others take note of it at once."""
    states = [None if place == number else OTHERS[0] for place in range(3)]
    return galera_scene(*states, ago=ago)


def is_succeeded(number, ago):
    """Return a scene: the primary dies, and another member is primary at once."""
    secondary, successor = "cluster-01-healthy.1", "cluster-02-after-stepdown.1"
    after = {number: None, (number + 1) % 3: successor}

    def play(site):
        replicas(site, *(MEMBERS[0] if place == number else secondary for place in range(3)), until=ago)
        replicas(site, *(after.get(place, secondary) for place in range(3)), since=ago)

    return play


def moves(number, ago, *, dies):
    """Return a scene: an address moves at once from one host to the other; the first may have died."""
    left = None if dies else False
    return address(*((left, True) if number else (True, left)), ago=ago, before=(bool(number), not number))


MOVES = {
    **{f"galera, node {number}": ("galera", partial(leaves, number)) for number in range(3)},
    **{f"mongodb, member {number}": ("mongodb", partial(is_succeeded, number)) for number in range(3)},
    **{
        f"vip, host {number}{', which dies' if dies else ''}": ("vip", partial(moves, number, dies=dies))
        for number in (0, 1)
        for dies in (False, True)
    },
}


@pytest.mark.parametrize("move", MOVES)
def test_at_no_moment_is_a_failover_an_alarm(move, state):
    """Hosts tick one after the other, and what one has told last is there for a while, at whatever time one looks."""
    name, after = MOVES[move]
    for ago in range(250, 265, 3):
        site = Site(state)
        after(ago=ago)(site)
        for site.tsdb.now in range(NOW - ago, NOW, 5):
            found = {alarm.name: told(alarm, site) for alarm in RULES[name].alarms.values()}
            assert {status for each in found.values() for status in each.values()} == {"ok"}, found


def test_every_alarm_fires_in_some_state():
    """An alarm that has nothing to say would be as quiet as one that is right."""
    fired = {alarm for scenes in SCENES.values() for _, expected in scenes.values() for alarm in expected}
    assert fired == {alarm for rules in RULES.values() for alarm in rules.alarms}


@pytest.mark.parametrize(("name", "alarm"), ALARMS)
def test_no_operand_is_absent_when_all_is_well(name, alarm, state):
    """Each query has points then, and each alarm says of each group that all is well; nv() may have none inside."""
    site = played(name, "health", state)
    assert set(alarm.check(site.tsdb).values()) == {"ok"}
    absent = [
        query.arguments[0].arguments[0]
        for expression in (alarm.warn, alarm.crit)
        if expression
        for query in _queries(expression)
        if not evaluate(query, Moment(site.tsdb)).each
    ]
    assert absent == []


def _queries(node):
    if node.name == "q":
        yield node
    elif node.name != "nv":
        for each in node.arguments:
            if isinstance(each, Node):
                yield from _queries(each)


@pytest.mark.parametrize(("name", "alarm"), ALARMS)
def test_a_metric_that_vanishes_is_no_alarm(name, alarm, state):
    """For seconds or for good, of one host or of all; but that nobody tells is what `since` is there for."""
    expressions = [each for each in (alarm.warn, alarm.crit) if each]
    nodes = [node for each in expressions for node in walk(each)]
    if any(node.name == "since" for node in nodes):
        return
    site = played(name, "health", state)
    used = {Query.of(node.arguments[0].arguments[0]).metric for node in nodes if node.name == "q"}
    for metric in used:
        for ago in (90, 150, 4 * MINUTE, 20 * MINUTE, 5 * HOUR):
            for host in ("", "shop-db3", "rs0-m3", "lb2", "a"):
                without = site.tsdb.without(metric, NOW - ago, host)
                assert set(alarm.check(without).values()) <= {"ok"}, (metric, ago, host)


def _known(name):
    """Return the tags of each metric that Bosun is sent, with the values that are known: those of states and buckets."""
    metrics = [*METRICS, *(Bosun.metrics if name == "sinks" else declared(name).metrics)]
    found = {}
    for metric in metrics:
        value = {Kind.STATESET: metric.states[:1] and metric.states[0]}.get(metric.kind, 1)
        if metric.buckets:
            value = metric.distribution(())
        for series in metric.bosun_series(("",) * len(metric.labels), value):
            tags = found.setdefault(series.name, {"host": set(), "name": set()})
            for tag, text in series.labels.items():
                tags.setdefault(tag, set()).update({text} - {""})
    return found


@pytest.mark.parametrize(("name", "alarm"), ALARMS)
def test_metrics_and_tags_are_those_that_are_sent(name, alarm):
    """A query about what nobody sends would never have an answer."""
    known = _known(name)
    queries = [
        node
        for each in (alarm.warn, alarm.crit)
        if each
        for node in walk(each)
        if node.name in ("q", "change")
    ]
    for text, start, end in ([each.arguments[0] for each in node.arguments] for node in queries):
        query = Query.of(text)
        assert query.metric in known, query.metric
        for tag, value in query.tags:
            assert tag in known[query.metric], (query.metric, tag)
            if values := known[query.metric][tag] - {""}:
                assert value == "*" or set(value.split("|")) <= values, (query.metric, tag, value)
        assert seconds(start) > (seconds(end) if end else 0)


@pytest.mark.parametrize("file", FILES)
def test_files_can_be_put_into_one(file):
    """Names of alarms, templates and macros are there once in all files; each note is made of sentences."""
    text = "\n".join(path.read_text() for path in FILES.values())
    alarms = load(text).alarms
    assert len(alarms) == sum(len(rules.alarms) for rules in RULES.values())
    assert [each.name for each in RULES[file].alarms.values() if not each.notes.endswith(".")] == []
    assert [line for line in FILES[file].read_text().splitlines() if "\t" in line] == []


PAGES = {name: path.parent / "README.md" for name, path in FILES.items()} | {"sinks": ROOT / "docs/bosun.md"}


@pytest.mark.parametrize("name", FILES)
def test_every_alarm_is_on_its_page(name):
    """The page says when it fires, and leaves the rest to the file."""
    page = PAGES[name].read_text()
    assert [alarm for alarm in RULES[name].alarms if f"| {alarm} |" not in page] == []
    assert "\nalert " not in page
    assert f"{FILES[name].name})" in page


# --- faults that alarms of ours have had ---

TEMPLATE = "template t {\n subject = `s`\n body = `b`\n}\n"
SENDS = """alert postfix.sends {
    template = t
    $sent = change("sum:rate{counter,,1}:postfix.deliveries.total{host=*,status=sent}", "30m", "")
    $waits = min(q("sum:postfix.queue.messages{host=*,queue=incoming|active}", "10m", ""))
    crit = $sent == 0 && $waits > 0
}"""
BOUNCES = """alert postfix.bounces {
    template = t
    $bounced = change("sum:rate{counter,,1}:postfix.deliveries.total{host=*,status=bounced}", "1h", "")
    $sent = change("sum:rate{counter,,1}:postfix.deliveries.total{host=*,status=sent}", "1h", "")
    warn = $bounced > 20 && $bounced / ($bounced + $sent) > 0.2
}"""
DEFERRED_ONCE = """alert postfix.deferred {
    template = t
    $oldest = max(q("max:postfix.queue.oldest.age.seconds{host=*,queue=deferred}", "10m", ""))
    $count = q("max:postfix.queue.messages{host=*,queue=deferred}", "4h", "")
    $stuck = min($count) > 0 && min($count) == max($count)
    warn = $oldest > 86400 || $stuck
}"""
PICKED_UP = """alert postfix.picked.up {
    template = t
    crit = min(q("max:postfix.queue.oldest.age.seconds{host=*,queue=maildrop|incoming}", "5m", "")) > 600
}"""
PRIMARY = """alert mongodb.primary {
    template = t
    $primaries = sum(t(last(q("max:mongodb.state{host=*,state=primary}", "2m", "")), ""))
    crit = $primaries != 1
}"""


def once(text, name, scene, state, *, before=""):
    """Return what an alarm says in a scene, of the groups that it has, or had in the scene before."""
    (alarm,) = load(TEMPLATE + text).alarms.values()
    return told(
        alarm, played(name, scene, state), alarm.check(played(name, before, state).tsdb) if before else ()
    )


def test_an_alarm_whose_groups_cannot_be_joined_is_not_loaded():
    """postfix.sends joined the groups of a status with those of a queue."""
    with pytest.raises(Wrong, match=r"incompatible tags \(host,status and host,queue\)"):
        load(TEMPLATE + SENDS)


def test_groups_that_never_join_are_an_alarm_for_ever(state):
    """postfix.bounces joined bounced with sent, found none, and had NaN, which is no 0."""
    assert "warning" in once(BOUNCES, "postfix", "health", state).values()


def test_a_queue_that_is_empty_made_an_alarm_unknown(state):
    """The age of the oldest message is absent then; and on a host that has just begun nothing has ever moved."""
    assert once(DEFERRED_ONCE, "postfix", "picked up again", state, before="stuck") == {
        "mx/deferred": "unknown"
    }
    assert once(DEFERRED_ONCE, "postfix", "fresh, after a night", state) == {"mx/deferred": "warning"}
    before = once(PICKED_UP, "postfix", "old mail beside new", state)
    assert before == {"mx/incoming": "critical"}
    assert once(PICKED_UP, "postfix", "grows", state, before="old mail beside new") == {
        "mx/incoming": "unknown"
    }
    assert once(PICKED_UP, "postfix", "fresh, after a night", state) == {"mx/maildrop": "critical"}


def test_the_primaries_of_all_sets_were_added(state):
    """mongodb.primary had no tag that tells one set from another: two that are well have two primaries."""
    assert once(PRIMARY, "mongodb", "health", state) == {"": "critical"}
