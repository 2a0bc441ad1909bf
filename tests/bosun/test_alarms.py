"""What each of Bosun's alarms says in each state of what it watches, recorded or counted, and in none other."""

from collections import defaultdict
from errno import EACCES, EIO
from functools import cache, partial
from itertools import pairwise

import pytest
from checkout import declared
from expressions import Moment, Node, Wrong, evaluate, walk
from opentsdb import Query, seconds
from rules import load
from sites import (
    ALIVE,
    FILES,
    GB,
    HOME,
    HOUR,
    LONG,
    MINUTE,
    NOW,
    ROOT_FS,
    Machine,
    Mail,
    Site,
    Units,
    bond,
    filesystems,
    galera,
    interface,
    lines,
    lock,
    mongodb,
    sink,
    space,
    unmonitored,
    up,
    vip,
)
from sites import (
    OTHERS as MOUNTED,
)

from collectors.dns.heard import Failure
from collectors.dns.tests import told as dns
from collectors.filesystem.asking import Waiting
from collectors.filesystem.findings import Answer
from collectors.host.tests import recorded_host
from collectors.postfix.flow import Flow
from rscollector.model.metrics import Kind
from rscollector.runtime.telemetry import METRICS
from rscollector.sinks.bosun import Bosun
from rscollector.testing import Root

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


def lagging(behind, holds=24 * HOUR, full=0.95):
    """Return a primary whose first secondary is behind."""
    return mongodb("cluster-01-healthy.0", behind=behind, holds=holds, full=full)


def _mongodb_restarted(site):
    replicas(site, *MEMBERS, name="rs1")
    replicas(site, *MEMBERS, until=90)
    replicas(site, *MEMBERS, since=20)


def _mongodb_fresh(site):
    replicas(site, *MEMBERS, name="rs1")
    replicas(site, lagging(700, 800), "4.4-initial-sync-self", None, since=FRESH)


def _mongodb_young(site):
    """A set that was made five minutes ago: its oplog holds 90 seconds, and a member is behind by 50."""
    replicas(site, *MEMBERS, name="rs1")
    replicas(site, lagging(50, 90, full=0.01), *MEMBERS[1:], since=5 * MINUTE)


def _mongodb_catches_up(site):
    replicas(site, *MEMBERS, name="rs1")
    replicas(site, *MEMBERS, until=16 * MINUTE)
    for minute in range(15, 0, -1):
        told = [lagging(380 + 10 * minute, 600), *MEMBERS[1:]]
        replicas(site, *told, since=minute * MINUTE, until=minute * MINUTE - 59)


LAGS = "rs0-m1/127.0.0.1_49247/main"
OUT_OF_OPLOG = {"mongodb.lag": {LAGS: "warning"}, "mongodb.lag.exceeds.oplog": {LAGS: "critical"}}
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
    "lag exceeds oplog": (mongodb_scene(lagging(100, 150), *MEMBERS[1:]), OUT_OF_OPLOG),
    **{
        f"lag exceeds an oplog {of_which}": (
            mongodb_scene(lagging(100, 150, full=full), *MEMBERS[1:]),
            {"mongodb.lag": {LAGS: "warning"}},
        )
        for of_which, full in (("that is not full", 0.5), ("of which the size is not told", None))
    },
    "a young set": (_mongodb_young, {}),
    "a member that was away catches up": (_mongodb_catches_up, {"mongodb.lag": {LAGS: "warning"}}),
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


# --- host ---

FULL, ARRAYS = "linux-5.10-written", "linux-6.1-uml-healthy"
BUSY = {
    "host_disk_reads_total": 900,
    "host_disk_read_seconds_total": 4,
    "host_disk_writes_total": 500,
    "host_disk_write_seconds_total": 9,
    "host_disk_busy_seconds_total": 0.99,
    "host_pressure_seconds_total": 0.09,
    "host_swap_in_pages_total": 5,
    "host_swap_out_pages_total": 4000,
    "host_tcp_listen_overflows_total": 0.01,
    "host_softnet_dropped_total": 0.1,
}
"""A host that does what it can, and is well: its disks are busy all the time, and quick."""


def host_scene(*, ago=40 * MINUTE, since=LONG, until=0, before=None, **changed):
    """Return a scene: a busy host, of which some metrics are otherwise since some time ago; all others are well."""

    def play(site):
        _hosts(site)
        told = Machine(site.state, FULL, BUSY | (before or {}), changed, lasts=since, ago=ago)
        site.tell("a", told, since, until)

    return play


def _hosts(site):
    for recording in (*recorded_host.WHOLE, ARRAYS):
        site.tell(recording, Machine(site.state, recording, {}, {}))


def array_scene(recording, ago=10 * MINUTE, since=LONG):
    """Return a scene: the arrays of a host were well, and are in a recorded state since some time ago."""

    def play(site):
        _hosts(site)
        site.tell("a", Machine(site.state, ARRAYS, {}, {}), since, until=ago)
        site.tell("a", Machine(site.state, recording, {}, {}), since=ago)

    return play


def _host_restarted(site):
    """Counters begin at 0, and swap, disks and clock look as they do for the first minutes."""
    _hosts(site)
    site.tell("a", Machine(site.state, FULL, BUSY, {}), until=8 * MINUTE)
    young = Machine(site.state, FULL, {"host_clock_synchronized": 0, "host_memory_available_bytes": GB}, {})
    told = [each._replace(value=0.0) if each.metric.kind is Kind.COUNTER else each for each in young(0)]
    site.tell("a", told, since=6 * MINUTE)


SLOW_READS = {
    "host_disk_reads_total/sda": 10, "host_disk_read_seconds_total/sda": 2, "host_disk_busy_seconds_total/sda": 0.8,
}  # fmt: skip
SLOW_WRITES = {"host_disk_writes_total/sda": 3, "host_disk_write_seconds_total/sda": 2}
SATURATED = {"host_disk_reads_total/sda": 100, "host_disk_read_seconds_total/sda": 5}
IN_DISKS = {"host_pressure_seconds_total/io/full": 0.8, "host_procs_blocked": 9}
TROUBLE = (
    SATURATED
    | IN_DISKS
    | {
        "host_swap_in_pages_total": 500,
        "host_pressure_seconds_total/memory/full": 0.3,
        "host_tcp_listen_overflows_total": 2,
        "host_softnet_dropped_total": 20,
    }
)
OVER = dict.fromkeys(TROUBLE, 0)
"""More than the host can do, and when that is over."""
DISK, ON = "sda/a/main", "a/main"
HOST = {
    "health": (host_scene(), {}),
    "memory is short": (
        host_scene(host_memory_available_bytes=GB // 2),
        {"host.memory.short": {ON: "warning"}},
    ),
    "memory is short for five minutes": (host_scene(ago=5 * MINUTE, host_memory_available_bytes=GB // 2), {}),
    "memory of a database": (
        host_scene(host_memory_total_bytes=256 * GB, host_memory_available_bytes=5 * GB),
        {},
    ),
    "swaps": (host_scene(host_swap_in_pages_total=500), {"host.swapping": {ON: "warning"}}),
    "swaps out what is idle": (host_scene(host_swap_in_pages_total=0), {}),
    "swaps for five minutes": (host_scene(ago=5 * MINUTE, host_swap_in_pages_total=5000), {}),
    "a process was killed": (
        host_scene(ago=15, host_oom_kills_total=1 / 15),
        {"host.oom.kill": {ON: "warning"}},
    ),
    "a process was killed long ago": (host_scene(before={"host_oom_kills_total": 0.01}, host_oom_kills_total=0), {}),
    "waits for memory": (
        host_scene(**{"host_pressure_seconds_total/memory/full": 0.3}),
        {"host.memory.pressure": {"a/main/memory/full": "warning"}},
    ),
    "waits for memory for five minutes": (
        host_scene(ago=5 * MINUTE, **{"host_pressure_seconds_total/memory/full": 0.9}),
        {},
    ),
    "waits for disks": (
        host_scene(**{"host_pressure_seconds_total/io/full": 0.8}, host_procs_blocked=9),
        {"host.disk.pressure": {ON: "warning"}},
    ),
    "one program waits for a disk": (
        host_scene(**{"host_pressure_seconds_total/io/full": 0.95}, host_procs_blocked=1),
        {},
    ),
    "waits for disks for fifteen minutes": (
        host_scene(ago=15 * MINUTE, **{"host_pressure_seconds_total/io/full": 0.8}, host_procs_blocked=9),
        {},
    ),
    "slow reads": (host_scene(**SLOW_READS), {"host.disk.slow": {DISK: "warning"}}),
    "slow writes": (host_scene(**SLOW_WRITES), {"host.disk.slow": {DISK: "warning"}}),
    "slow for five minutes": (host_scene(ago=5 * MINUTE, **SLOW_READS, **SLOW_WRITES), {}),
    "a slow read now and then": (
        host_scene(**{"host_disk_reads_total/sda": 0.1, "host_disk_read_seconds_total/sda": 0.05}),
        {},
    ),
    "more than a disk can": (host_scene(**SATURATED), {"host.disk.saturated": {DISK: "warning"}}),
    "more than a disk can for fifteen minutes": (host_scene(ago=15 * MINUTE, **SATURATED), {}),
    "connections": (
        host_scene(host_conntrack_entries=250_000),
        {"host.conntrack.full": {ON: "warning"}},
    ),
    "many connections, and room for them": (host_scene(host_conntrack_entries=200_000), {}),
    "files": (
        host_scene(host_file_handles_allocated=90_000, host_file_handles_limit=100_000),
        {"host.file.handles": {ON: "warning"}},
    ),
    "connections are not accepted": (
        host_scene(host_tcp_listen_overflows_total=2),
        {"host.listen.overflows": {ON: "warning"}},
    ),
    "connections are not accepted for a while": (host_scene(ago=5 * MINUTE, host_tcp_listen_overflows_total=20), {}),
    "packets are lost": (host_scene(host_softnet_dropped_total=20), {"host.softnet.drops": {ON: "warning"}}),
    "packets are lost for a while": (host_scene(ago=5 * MINUTE, host_softnet_dropped_total=200), {}),
    "an array lacks a disk": (
        array_scene("linux-6.1-uml-failed"),
        {"host.array.degraded": {"md0/a/main": "warning"}},
    ),
    "an array is rebuilt": (
        array_scene("linux-6.1-uml-rebuilding"),
        {"host.array.degraded": {"md0/a/main": "warning"}},
    ),
    "an array has failed": (
        array_scene("linux-6.1-uml-inactive"),
        {"host.array.degraded": {"md0/a/main": "warning"}, "host.array.failed": {"md1/a/main": "critical"}},
    ),
    "an array lacks a disk for a minute": (array_scene("linux-6.1-uml-failed", MINUTE), {}),
    "nobody keeps the clock": (
        host_scene(host_clock_synchronized=0, host_clock_error_max_seconds=16),
        {"host.clock.not.synchronized": {ON: "warning"}},
    ),
    "nobody keeps the clock for ten minutes": (
        host_scene(ago=10 * MINUTE, host_clock_synchronized=0, host_clock_error_max_seconds=16),
        {},
    ),
    "chrony without rtcsync keeps the clock": (
        host_scene(host_clock_synchronized=0, host_clock_error_max_seconds=0.02),
        {},
    ),
    "the clock is behind": (host_scene(host_clock_offset_seconds=0.3), {"host.clock.off": {ON: "warning"}}),
    "the clock is ahead": (host_scene(host_clock_offset_seconds=-0.3), {"host.clock.off": {ON: "warning"}}),
    "the clock is brought near": (host_scene(ago=4 * MINUTE, host_clock_offset_seconds=-0.3), {}),
    "all is over": (
        lambda site: (
            _hosts(site),
            site.tell("a", Machine(site.state, FULL, BUSY | TROUBLE, OVER, ago=16 * MINUTE)),
        ),
        {},
    ),
    "all is over but what is slow": (
        lambda site: (
            _hosts(site),
            site.tell("a", Machine(site.state, FULL, BUSY | TROUBLE, OVER | IN_DISKS, ago=6 * MINUTE)),
        ),
        {"host.disk.pressure": {ON: "warning"}, "host.disk.saturated": {DISK: "warning"}},
    ),
    "restarted": (_host_restarted, {}),
    "silent": (host_scene(until=10 * MINUTE), {}),
    "fresh": (
        host_scene(
            since=FRESH, ago=FRESH, **SATURATED, host_memory_available_bytes=1, host_clock_synchronized=0,
            host_conntrack_entries=250_000, host_clock_offset_seconds=9, host_swap_in_pages_total=9000,
            host_file_handles_limit=3000,
        ),
        {},
    ),
    "fresh, and an array lacks a disk": (array_scene("linux-6.1-uml-failed", FRESH, FRESH), {}),
    "fresh, and an array is not complete": (array_scene("linux-6.1-uml-inactive", FRESH, FRESH), {}),
}  # fmt: skip


# --- filesystem ---


def disks(*changed, since=7 * HOUR, until=0, mounts=(ROOT_FS, HOME, *MOUNTED)):
    """Return a scene: a host whose file systems have room, and what some of them answer since some time ago.

    Each of `changed` is that time and answers by mount points, with a list of mounts if it is another one.
    """

    def play(site):
        root = Root(site.state / "mounts")
        site.tell("b", up("filesystem"))
        _tell_disks(site, root, "b", (7 * HOUR, {}, mounts), 0)
        site.tell("a", up("filesystem"), min(since, LONG), until)
        turns = [(since, {}, mounts), *((*turn, mounts)[:3] for turn in changed), (until,)]
        for turn, after in pairwise(turns):
            _tell_disks(site, root, "a", turn, after[0])

    return play


def _tell_disks(site, root, host, turn, until):
    """Have a host tell of its file systems: each minute, and four times as often in the last hour."""
    since, answers, mounts = turn

    def told(passed):
        now = {at: each(passed) if callable(each) else each for at, each in answers.items()}
        return filesystems(root, mounts, now)

    samples = told if any(map(callable, answers.values())) else told(0)
    if since > HOUR > until:
        site.tell(host, samples, since, HOUR, step=MINUTE)
        later = (lambda passed: samples(passed + since - HOUR)) if callable(samples) else samples
        site.tell(host, later, HOUR, until)
    else:
        site.tell(host, samples, since, until, step=15 if since <= HOUR else MINUTE)


def _filling(passed):
    return space(100 * GB, int((30 - passed / HOUR * 4) * GB))


READ_ONLY = (ROOT_FS.replace(b"sda1 rw", b"sda1 ro"), HOME, *MOUNTED)
FILESYSTEM = {
    "health": (disks(), {}),
    "does not answer": (
        disks((10 * MINUTE, {"/home": Waiting(600, "rpc_wait_bit_killable")})),
        {"filesystem.not.responding": {"a//home/main": "critical"}},
    ),
    "answers with an error": (
        disks((10 * MINUTE, {"/": Answer(EIO)})),
        {"filesystem.not.responding": {"a///main": "critical"}},
    ),
    "does not answer for a minute": (disks((MINUTE, {"/home": Waiting(60, "")})), {}),
    "not ours to ask": (disks((10 * MINUTE, {"/home": Answer(EACCES)})), {}),
    "read-only": (
        disks((10 * MINUTE, {}, READ_ONLY)),
        {"filesystem.read.only": {"a///main": "critical"}},
    ),
    "read-only for long": (disks((3 * HOUR, {}, READ_ONLY)), {}),
    "full": (
        disks((10 * MINUTE, {"/": space(100 * GB, 1 * GB)})),
        {"filesystem.full": {"a///main": "critical"}},
    ),
    "full for a minute": (disks((MINUTE, {"/": space(100 * GB, 1 * GB)})), {}),
    "nearly full": (
        disks((30 * MINUTE, {"/": space(100 * GB, 8 * GB)})),
        {"filesystem.full": {"a///main": "warning"}},
    ),
    "nearly full for ten minutes": (disks((10 * MINUTE, {"/": space(100 * GB, 8 * GB)})), {}),
    "full, and read-only": (disks((5 * HOUR, {"/": space(100 * GB, 0)}, READ_ONLY)), {}),
    "large, and 4 % left": (disks((5 * HOUR, {"/": space(50_000 * GB, 2_000 * GB)})), {}),
    "fills up": (disks((5 * HOUR, {"/": _filling})), {"filesystem.fills.up": {"a///main": "warning"}}),
    "something large was written once": (disks((2 * HOUR, {"/": space(100 * GB, 25 * GB)})), {}),
    "fills up, and has room": (
        disks(
            (
                210 * MINUTE,
                {"/": lambda passed: space(10_000 * GB, int((9_000 - passed / HOUR * 1_400) * GB))},
            )
        ),
        {},
    ),
    "large, and 2 % left": (disks((5 * HOUR, {"/": space(10_000 * GB, 200 * GB)})), {}),
    "small, and a quarter left": (disks((5 * HOUR, {"/": space(4 * GB, GB)})), {}),
    "small, and a tenth of the inodes left": (
        disks((5 * HOUR, {"/": space(100 * GB, 60 * GB, 1_000_000, 90_000)})),
        {},
    ),
    "large, and 4 % of the inodes left": (
        disks((5 * HOUR, {"/": space(100 * GB, 60 * GB, 10**10, 4 * 10**8)})),
        {},
    ),
    "fills up slowly": (
        disks((5 * HOUR, {"/": lambda passed: space(100 * GB, int((30 - passed / HOUR) * GB))})),
        {},
    ),
    "few inodes": (
        disks((30 * MINUTE, {"/": space(100 * GB, 60 * GB, 6_000_000, 900)})),
        {"filesystem.inodes": {"a///main": "warning"}},
    ),
    "inodes without a limit": (disks((30 * MINUTE, {"/data": space(100 * GB, 60 * GB, 0, 0)})), {}),
    "unmounted": (
        disks((30 * MINUTE, {}, (ROOT_FS, *MOUNTED))),
        {"filesystem.gone": {"no/a//home/main": "warning"}},
    ),
    "unmounted for three minutes": (disks((3 * MINUTE, {}, (ROOT_FS, *MOUNTED))), {}),
    "unmounted long ago": (disks((2 * HOUR, {}, (ROOT_FS, *MOUNTED))), {}),
    "was mounted for an hour": (
        disks(
            (90 * MINUTE, {}, (ROOT_FS, HOME, *MOUNTED)),
            (30 * MINUTE, {}, (ROOT_FS, *MOUNTED)),
            mounts=(ROOT_FS, *MOUNTED),
        ),
        {},
    ),
    "an automounter's is taken away": (disks((30 * MINUTE, {}, (ROOT_FS, HOME, *MOUNTED[:-1]))), {}),
    "silent": (disks(until=30 * MINUTE), {}),
    "fresh": (
        disks(
            (FRESH, {"/": space(100 * GB, 0, 6_000_000, 0), "/home": Waiting(99, "")}),
            since=FRESH,
        ),
        {},
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


def _last_one_gone(site):
    """A bond has lost all of its interfaces, and another has had none since it was made."""
    site.tell("a", bond(HEALTHY), since=45 * MINUTE, until=10 * MINUTE)
    site.tell("a", bond("08-all-down", alone=True), since=10 * MINUTE)
    site.tell("b", bond("08-all-down", alone=True))


def _unmonitored(site):
    """A link is lost, and the bond does not look."""
    site.tell("a", unmonitored(carrier=True), since=45 * MINUTE, until=10 * MINUTE)
    site.tell("a", unmonitored(carrier=False), since=10 * MINUTE)
    site.tell("b", bond(HEALTHY))


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
    "a link is down that the bond goes on using": (_unmonitored, {"network.bond.link": {H1: "warning"}}),
    "the last one has gone": (_last_one_gone, {"network.bond.down": {BOND: "critical"}}),
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


# --- dns: a zone of two servers and a hidden primary, and another agent that sees it well ---


def zone(says, *, ago=20 * MINUTE, since=3 * HOUR, **found):
    """Return a scene: a zone that was well until some time ago, and what its servers answer since; by address.

    The others answer as ever. `says` may be called with the seconds since the first.
    """

    def answers(passed):
        now = says(passed) if callable(says) else says
        return {dns.NS1: (7, 10 * dns.DAY)} | (now if passed > since - ago else {})

    def play(site):
        for host, told in (("b", dns.Told({dns.NS1: (7, 10 * dns.DAY)})), ("a", dns.Told(answers, **found))):
            site.tell(host, told, since=since, step=MINUTE)

    return play


def _no_longer_delegated(site):
    zone({})(site)
    site.tell("a", dns.Told({}, delegated=False), since=20 * MINUTE, until=0, step=MINUTE, name="other")


def _dns_fresh(site):
    zone({}, ago=9 * HOUR)(site)
    for answer in ("REFUSED", Failure.SILENT):
        told = dns.Told({**dict.fromkeys(EVERYWHERE, answer), dns.NS1: (7, -9)}, delegated=False)
        site.tell("c", told, since=FRESH, name=str(answer))


EVERYWHERE = (dns.NS1, dns.NS1_6, dns.NS2, dns.HIDDEN)
AT_NS2 = "192.0.2.2/a/main/ns2.example.test/example.test"
AT_NS1 = "192.0.2.1/a/main/ns1.example.test/example.test"
PRIMARY = "192.0.2.3/a/main/192.0.2.3/example.test"
DNS = {
    "health": (zone({}, since=7 * HOUR), {}),
    "nobody answers": (
        zone(dict.fromkeys(EVERYWHERE, Failure.SILENT)),
        {
            "dns.zone.down": {"a/main/example.test": "critical"},
            "dns.server.silent": {
                f"a/main/{each}/example.test": "warning" for each in ("ns1.example.test", "ns2.example.test", dns.HIDDEN)
            },
        },
    ),
    "nobody answers for a minute": (zone(dict.fromkeys(EVERYWHERE, Failure.SILENT), ago=MINUTE), {}),
    "not delegated": (_no_longer_delegated, {"dns.zone.not.delegated": {"a/other/example.test": "critical"}}),
    "refuses": (
        zone({dns.NS2: "REFUSED"}),
        {"dns.server.lame": {AT_NS2.replace("ns2.example.test/", "ns2.example.test/refused/"): "warning"}},
    ),
    "has expired": (
        zone({dns.NS2: "SERVFAIL"}),
        {"dns.server.lame": {AT_NS2.replace("ns2.example.test/", "ns2.example.test/servfail/"): "warning"}},
    ),
    "refuses for two minutes": (zone({dns.NS2: "REFUSED"}, ago=2 * MINUTE), {}),
    "silent": (
        zone({dns.NS2: Failure.CLOSED}), {"dns.server.silent": {"a/main/ns2.example.test/example.test": "warning"}}
    ),
    "silent over IPv6": (
        zone({dns.NS1_6: Failure.SILENT}), {"dns.server.ipv6": {"a/main/ns1.example.test/example.test": "warning"}}
    ),
    "silent over IPv6 for ten minutes": (zone({dns.NS1_6: Failure.SILENT}, ago=10 * MINUTE), {}),
    "behind": (
        zone({dns.NS1: (9, 10 * dns.DAY), dns.NS1_6: 9, dns.HIDDEN: 9}, ago=2 * HOUR),
        {"dns.server.behind": {AT_NS2: "warning"}},
    ),
    "behind for an hour": (zone({dns.NS1: (9, 10 * dns.DAY), dns.NS1_6: 9, dns.HIDDEN: 9}, ago=HOUR), {}),
    "the serial goes back": (zone({dns.HIDDEN: 5}), {"dns.serial.went.back": {PRIMARY: "warning"}}),
    "the serial has gone back long ago": (zone({dns.HIDDEN: 5}, ago=65 * MINUTE), {}),
    "a signature ends": (
        zone(lambda passed: {dns.NS1: (7, 2 * dns.DAY - passed)}, ago=8 * HOUR, since=8 * HOUR),
        {"dns.signature.ends": {AT_NS1: "warning"}},
    ),
    "a signature has ended": (
        zone(lambda passed: {dns.NS1: (7, 6 * HOUR - passed)}, ago=8 * HOUR, since=8 * HOUR),
        {"dns.signature.ends": {AT_NS1: "critical"}, "dns.signature.invalid": {AT_NS1: "critical"}},
    ),
    "a signature has ended since an hour, as the agent is up": (
        zone(lambda passed: {dns.NS1: (7, -HOUR - passed)}, ago=HOUR, since=HOUR),
        {"dns.signature.invalid": {AT_NS1: "critical"}},
    ),
    "a signer's clock is ahead": (
        zone({dns.NS1: (7, 20 * dns.DAY)}),
        {"dns.signature.invalid": {AT_NS1: "critical"}},
    ),
    "signatures of a day, made when they are asked for": (zone({dns.NS1: (7, dns.DAY - 9)}, ago=8 * HOUR, since=8 * HOUR), {}),
    "the primary is away": (zone({dns.HIDDEN: "SERVFAIL"}, ago=4 * MINUTE), {}),
    "the primary is away for long": (
        zone({dns.HIDDEN: Failure.SILENT}, ago=21 * HOUR, since=22 * HOUR),
        {
            "dns.zone.expires": {"a/main/example.test": "critical"},
            "dns.server.silent": {f"a/main/{dns.HIDDEN}/example.test": "warning"},
        },
    ),
    "fresh": (_dns_fresh, {}),
}  # fmt: skip


# --- systemd: a host that is well, and another one in which something happens ---


def systemd_scene(change=lambda _systemctl, _passed: None, *, since=2 * HOUR, until=0):
    """Return a scene: `change(systemctl, passed)` changes a host that was well."""

    def play(site):
        site.tell("b", Units(site.state, lambda _systemctl, _passed: None), since=2 * HOUR, step=MINUTE)
        site.tell("a", Units(site.state, change), since=since, until=until, step=MINUTE)

    return play


def unit_since(ago, before="active", *, until=0, **unit):
    """Return a change: a unit is in a state from some time ago until another time."""

    def change(systemctl, passed):
        is_so = 2 * HOUR - ago <= passed < 2 * HOUR - until
        systemctl.unit("a.service", **(unit if is_so else {"active": before}), Restart="always")

    return change


def restarted(seconds, *, since=0, until=2 * HOUR):
    """Return a change: a service is restarted each so many seconds, within a time."""

    def change(systemctl, passed):
        times = max(0, int((min(passed, until) - since) / seconds))
        systemctl.unit("a.service", Restart="always", NRestarts=str(times))

    return change


def starting(ago, *, until=0):
    """Return a change: a unit has been starting since some time ago."""

    def change(systemctl, passed):
        here = passed - (2 * HOUR - ago)
        is_so = 0 <= here < ago - until
        state = ("activating", "start") if is_so else ("active", "running")
        systemctl.unit("a.service", *state, InactiveExitTimestampMonotonic=systemctl.now(max(0, here)))

    return change


def timer(**row):
    """Return a change: a timer is like that; each value may be a function of the seconds."""

    def change(systemctl, passed):
        now = {key: value(passed) if callable(value) else value for key, value in row.items()}
        systemctl.timer("a.timer", **now)
        if now.get("sub") == "running":
            systemctl.unit(
                "a.service", "activating", "start", InactiveExitTimestampMonotonic=systemctl.now(-now["last"])
            )

    return change


def system(state, ago):
    """Return a change: what systemd says of the host since some time ago."""

    def change(systemctl, passed):
        word = "running" if passed < 2 * HOUR - ago else state
        systemctl.manager["SystemState"] = word if isinstance(word, str) else word(passed)

    return change


def _systemd_host_restarted(site):
    """The counts begin anew, a service is restarted while it waits for another, and the boot takes five minutes."""
    systemd_scene(restarted(40), until=20 * MINUTE)(site)

    def boots(systemctl, passed):
        restarted(15, until=2 * MINUTE)(systemctl, passed)
        systemctl.manager["SystemState"] = "starting" if passed < 5 * MINUTE else "running"

    site.tell("a", Units(site.state, boots), since=12 * MINUTE, step=MINUTE)


FAILED = {"active": "failed", "sub": "failed", "Result": "exit-code"}
A, A_TIMER = "a/main/a.service", "a/main/a.timer"
SYSTEMD = {
    "health": (systemd_scene(), {}),
    "failed": (
        systemd_scene(unit_since(30 * MINUTE, **FAILED)),
        {"systemd.unit.failed": {"a/main/failed/a.service": "warning"}},
    ),
    "failed for eight minutes": (systemd_scene(unit_since(8 * MINUTE, **FAILED)), {}),
    "mended two minutes ago": (systemd_scene(unit_since(HOUR, until=2 * MINUTE, **FAILED)), {}),
    "restarted for ever": (systemd_scene(restarted(20)), {"systemd.restart.loop": {A: "warning"}}),
    "restarted each ten minutes": (systemd_scene(restarted(600)), {}),
    "restarted for five minutes": (
        systemd_scene(restarted(10, since=2 * HOUR - 5 * MINUTE, until=2 * HOUR)),
        {},
    ),
    "restarted until ten minutes ago": (systemd_scene(restarted(10, until=2 * HOUR - 10 * MINUTE)), {}),
    "does not come up": (systemd_scene(starting(20 * MINUTE)), {"systemd.unit.starts": {A: "warning"}}),
    "starts for ten minutes": (systemd_scene(starting(10 * MINUTE)), {}),
    "has come up": (systemd_scene(starting(HOUR, until=2 * MINUTE)), {}),
    "does not end when it is stopped": (
        systemd_scene(unit_since(30 * MINUTE, active="deactivating", sub="stop-sigterm")),
        {"systemd.unit.stops": {"a/main/deactivating/a.service": "warning"}},
    ),
    "stops for ten minutes": (
        systemd_scene(unit_since(10 * MINUTE, active="deactivating", sub="stop-sigterm")),
        {},
    ),
    "a timer is late": (
        systemd_scene(timer(next_=lambda passed: 80 * MINUTE - passed, last=-HOUR)),
        {"systemd.timer.late": {A_TIMER: "warning"}},
    ),
    "a timer is late by minutes": (
        systemd_scene(timer(next_=lambda passed: 111 * MINUTE - passed, last=-HOUR)),
        {},
    ),
    "a timer may be late": (
        systemd_scene(timer(next_=lambda passed: 80 * MINUTE - passed, last=-HOUR, accuracy="12h")),
        {},
    ),
    "a job hangs": (
        systemd_scene(timer(sub="running", last=lambda passed: -23 * HOUR - passed)),
        {"systemd.timer.job": {A_TIMER: "warning"}},
    ),
    "a job of a night": (systemd_scene(timer(sub="running", last=lambda passed: -10 * HOUR - passed)), {}),
    "a timer that never elapses": (
        systemd_scene(timer(sub="elapsed")),
        {"systemd.timer.never": {A_TIMER: "warning"}},
    ),
    "a timer that has elapsed once": (systemd_scene(timer(sub="elapsed", last=-HOUR)), {}),
    "degraded": (systemd_scene(system("degraded", HOUR)), {}),
    "in the emergency mode": (
        systemd_scene(system("maintenance", HOUR)),
        {"systemd.boot": {"a/main": "critical"}},
    ),
    "a boot that hangs": (
        systemd_scene(system(lambda passed: "initializing" if passed < 6600 else "starting", HOUR)),
        {"systemd.boot": {"a/main": "critical"}},
    ),
    "boots for ten minutes": (systemd_scene(system("starting", 10 * MINUTE)), {}),
    "restarted": (_systemd_host_restarted, {}),
    "fresh": (
        lambda site: site.tell(
            "a", Units(site.state, unit_since(3 * HOUR, **FAILED)), since=2 * MINUTE, step=MINUTE
        ),
        {},
    ),
}


# --- vip, agent, sinks ---


def address(*held, ago=10 * MINUTE, before=(True, False), link=True, expected=1):
    """Return a scene: who held an address until some time ago, and since then; None says nothing."""

    def play(site):
        site.tell("lb9", vip(bound=True, address="192.0.2.99"))
        for host, now, then in zip(("lb1", "lb2"), held, before, strict=True):
            site.tell(host, vip(bound=then, expected=expected), until=ago)
            if now is not None:
                site.tell(host, vip(bound=now, link=link, expected=expected), since=ago)

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
    "on two hosts by design": (address(True, True, expected=2), {}),
    "of nobody's naming, on two hosts and without a link": (
        address(True, True, link=False, expected=None),
        {},
    ),
    "all are silent": (address(None, None), {}),
    "agent restarted": (lambda site: [address(True, False)(site), site.without("vip.bound", for_=80)], {}),
    "fresh": (_address_fresh, {}),
}


def agents(*, well=True, ago=10 * MINUTE, until=0):
    """Return a scene: an agent, and how its collector has been since some time ago."""

    def play(site):
        site.tell("b", [*ALIVE, *lock(NOW + 60 * 24 * HOUR)], name="")
        site.tell("b", up("galera"))
        site.tell("a", ALIVE, until=until, name="")
        site.tell("a", up("galera"), until=max(ago, until))
        site.tell("a", up("galera", well=well), since=ago, until=until)

    return play


def _agent_fresh(site):
    site.tell("a", [*ALIVE, *lock(NOW + 60 * 24 * HOUR)], since=FRESH, name="")
    site.tell("a", up("galera", well=False), since=FRESH)


def locked(days=60, *, of=90, well=True, ago=10 * MINUTE):
    """Return a scene: an agent behind TLS, how long its certificate holds, and how it is with a new one since."""

    def play(site):
        agents()(site)
        site.tell("a", lock(NOW + days * 24 * HOUR, life=of * 24 * HOUR), until=ago, name="")
        site.tell("a", lock(NOW + days * 24 * HOUR, well=well, life=of * 24 * HOUR), since=ago, name="")

    return play


LOCKED = "a/0.0.0.0_10070"
AGENT = {
    "health": (agents(), {}),
    "behind TLS": (locked(), {}),
    "certificate expires in 15 days": (locked(15), {}),
    "certificate expires in 13 days": (locked(13), {"rscollector.certificate.expires": {LOCKED: "warning"}}),
    "certificate of a day, 7 hours are left": (locked(7 / 24, of=1), {}),
    "certificate of a day, 5 hours are left": (
        locked(5 / 24, of=1),
        {"rscollector.certificate.expires": {LOCKED: "warning"}},
    ),
    "certificate has expired": (locked(-1), {"rscollector.certificate.expires": {LOCKED: "warning"}}),
    "a new certificate is wrong": (locked(well=False), {"rscollector.lock.not.renewed": {"a": "warning"}}),
    "a new certificate is wrong for a minute": (locked(well=False, ago=MINUTE), {}),
    "a collector is down": (agents(well=False), {"rscollector.collector.down": {"a/main/galera": "warning"}}),
    "down for a minute": (agents(well=False, ago=MINUTE), {}),
    "restarted": (
        lambda site: [agents()(site), *(site.without(each, for_=90) for each in list(site.tsdb.metrics))],
        {},
    ),
    "silent": (agents(until=5 * MINUTE), {"rscollector.silent": {"a": "critical"}}),
    "silent for two hours": (
        lambda site: (
            site.tell("b", [*ALIVE, *lock(NOW + 60 * 24 * HOUR)], name=""),
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
    "host": HOST,
    "filesystem": FILESYSTEM,
    "postfix": POSTFIX,
    "network": NETWORK,
    "dns": DNS,
    "systemd": SYSTEMD,
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


PAGES = {name: path.parent / "README.md" for name, path in FILES.items()}


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
