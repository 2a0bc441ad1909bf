"""Hosts whose agents send to Bosun: samples of the real collectors, as points that the real sink makes of them."""

import re
from datetime import UTC, timedelta
from functools import cache
from pathlib import Path

from bson.timestamp import Timestamp
from opentsdb import OpenTsdb

from collectors.filesystem import Filesystem
from collectors.filesystem.findings import Answer
from collectors.filesystem.kept import Kept
from collectors.galera.tests import recorded
from collectors.host.tests import recorded_host
from collectors.mongodb.tests import recorded_mongodb
from collectors.network.bonds import MIN_LINKS
from collectors.network.tests import kernel
from collectors.postfix.collector import READABLE
from collectors.postfix.flow import Flow
from collectors.postfix.queues import QUEUES, Tally
from collectors.systemd.tests.recorded_systemd import Systemctl, Watched
from collectors.vip.collector import BOUND, EXPECTED, INTERFACE, LINK_UP
from rscollector.model.metrics import Kind
from rscollector.runtime import telemetry
from rscollector.runtime.outbox import Lost
from rscollector.sinks.bosun import Bosun
from rscollector.sinks.bosun.opentsdb import Points
from rscollector.testing import FakeContext, Recordings, Root, collect

NOW = 1_795_208_406
STEP = 15
MINUTE, HOUR = 60, 3600
LONG = 45 * MINUTE
"""Since when a site is there that is not fresh: longer than the alarms look back, but for those that say so."""

ROOT = Path(__file__).resolve().parents[2]
FILES = {path.parent.name: path for path in ROOT.glob("collectors/*/bosun.conf")}
FILES["sinks"] = ROOT / "rscollector/sinks/bosun/bosun.conf"
_PARTS = re.compile(r"\.(?:bucket|count|sum)(?=\{)")
ASKED = {
    metric
    for path in FILES.values()
    for metric in re.findall(r"[\w.]+(?=\{)", _PARTS.sub("", path.read_text()))
}
ASKED.add("postfix.queue.oldest.age.seconds")  # by alarms that we had once
_LOGS = Recordings(ROOT / "collectors/postfix/tests", "recordings/*.log")
_LINE = re.compile(r" postfix/([\w/-]+)\[\d+\]: (.*)")


class Site:
    """What Bosun has been sent until now, by hosts that tick one after the other; `state` is a directory for sinks.

    Of what they send only the metrics that are asked for are put: all others take time and change nothing.
    """

    def __init__(self, state):
        self.state = state
        self.tsdb = OpenTsdb()
        self.tsdb.now = NOW
        self._points: dict[str, Points] = {}

    def tell(self, host, samples, since=LONG, until=0, name="main", step=STEP):
        """Have a host send samples at each of its ticks from `since` until `until` seconds ago.

        `samples` are the same at each tick, or what is called with the seconds since the first.
        """
        points = self._points.setdefault(host, Points(host, {"domain": "example"}))
        first = NOW - since
        first += (sum(host.encode()) - first) % step
        for second in range(first, NOW - until + 1, step):
            now = samples(second - NOW + since) if callable(samples) else samples
            asked = [each for each in now if each.metric.bosun_name in ASKED]
            self.tsdb.put(points.lines(second, name, asked))

    def without(self, metric, for_=20 * MINUTE):
        """Take away what was told of a metric since some time."""
        self.tsdb = self.tsdb.without(metric, NOW - for_)


# --- what collectors say ---


def galera(state, node, cluster="shop", *, replicates=True):
    """Return what the collector says of a recorded node, in a cluster of this name."""
    server = recorded.RecordedServer(state)
    server.settings = {**server.settings, "wsrep_cluster_name": cluster, "wsrep_node_name": node}
    if not replicates:  # as MariaDB 10.11 tells of itself then
        server.status = {
            "wsrep_cluster_size": "1", "wsrep_cluster_status": "Primary", "wsrep_connected": "ON", "wsrep_ready": "ON",
        }  # fmt: skip
        server.settings["wsrep_on"] = "OFF"
    return collect(recorded.node(server))


def mongodb(state, set_="rs0", *, behind=0, holds=HOUR, full=0.95):
    """Return what the collector says of a recorded member of a set.

    Of the first secondary the operations since `behind` seconds are missing, in an oplog that holds so many seconds,
    and has `full` of its size, or does not tell that.
    """
    reply = recorded_mongodb.recording(state) | {"set": set_}

    def operation(ago):
        wall = reply["date"] - timedelta(seconds=ago)
        return {
            "ts": Timestamp(int(wall.replace(tzinfo=UTC).timestamp()), 1),
            "wall": wall,
            "t": reply["term"],
        }

    if behind:
        lagging = next(each for each in reply["members"] if each["stateStr"] == "SECONDARY")
        reached = operation(behind + 1)
        lagging |= {
            "optime": {"ts": reached["ts"], "t": reached["t"]},
            "lastAppliedWallTime": reached["wall"],
        }
    oplog = [operation(ago) for ago in (holds, behind, 0)]
    server = recorded_mongodb.RecordedServer(reply, oplog=oplog, refused=None if full else {"collStats": 13})
    server.replies["collStats"] = {"maxSize": 1 << 24, "size": int((full or 0) * (1 << 24))}
    return collect(recorded_mongodb.server(server))


class Mail:
    """A Postfix: its queues by the ages of what waits, and a log of which recorded lines are read on at each tick."""

    def __init__(self, lines=(), each=MINUTE, flow=None, **queues):
        self.flow = flow or Flow()
        self._lines, self._every, self._read = lines, each, 0
        self._queues = queues

    def __call__(self, passed):
        """Return what the collector says after so many seconds; a queue may be a function of them."""
        while self._read * self._every < passed and self._lines:
            for service, message in self._lines:
                self.flow.line(service, message)
            self._read += 1
        for queue in QUEUES:
            ages = self._queues.get(queue, ())
            tally = Tally(NOW)
            tally.add(sorted(NOW - age for age in (ages(passed) if callable(ages) else ages)), 796, 1)
            yield from tally.samples(queue)
        yield READABLE(1)
        yield from self.flow.samples()


def lines(log, status):
    """Return the recorded lines of a log that tell of deliveries with an outcome."""
    found = [_LINE.search(line) for line in _LOGS[log].text().splitlines() if f"status={status}" in line]
    return [(line[1].encode(), line[2].encode()) for line in found if line]


def vip(*, bound, link=True, address="192.0.2.10", expected=1):
    """Return what the collector says of an address that it watches, or shows where no number of hosts is expected."""
    on = {"address": address, "interface": "eth0"}
    there = [INTERFACE(**on), LINK_UP(int(link), **on)] if bound else []
    named = [EXPECTED(expected, address=address)] if expected else []
    return [BOUND(int(bound), address=address), *there, *named]


class Machine:
    """A recorded host of which some metrics are otherwise: gauges have a value, counters grow by it each second.

    `busy` are those of a host that is well, `changed` those since `ago` seconds before it has told for `lasts`. They are
    by the metric's name, or by that and the values of its labels: `host_pressure_seconds_total/io/full`.
    """

    def __init__(self, state, recording, busy, changed, *, lasts=LONG, ago=0):
        self._samples = _recorded(state, recording)
        self._busy, self._changed, self._turn = busy, busy | changed, lasts - ago

    def __call__(self, passed):
        """Yield what it says after so many seconds."""
        before, after = min(passed, self._turn), max(0, passed - self._turn)
        for each in self._samples:
            was, now = (
                wanted.get(_series(each), wanted.get(each.metric.name))
                for wanted in (self._busy, self._changed)
            )
            if each.metric.kind is Kind.COUNTER:
                yield each._replace(value=each.value + (was or 0) * before + (now or 0) * after)
            else:
                value = now if after else was
                yield each if value is None else each._replace(value=value)


@cache
def _recorded(state, recording):
    root = recorded_host.host(Root(state / recording), recording)
    return collect(recorded_host.Still, context=FakeContext(root=root))


def _series(sample):
    return "/".join((sample.metric.name, *sample.values))


GB = 10**9
ROOT_FS = b"20 1 8:1 / / rw - ext4 /dev/sda1 rw"
HOME = b"22 20 0:50 / /home rw - nfs4 nas:/export rw"
OTHERS = (
    b"21 20 8:2 / /data rw - btrfs /dev/sdb rw",
    b"23 20 8:3 / /opt ro - ext4 /dev/sdc ro",
    b"24 20 0:51 / /net rw - autofs /etc/auto.net rw",
    b"25 24 0:52 / /net/nas rw - nfs4 nas:/net rw",
)


def space(size, left, files=6_000_000, files_left=5_000_000):
    """Return the answer of a file system of so many bytes and inodes."""
    return Answer(0, 4096, size // 4096, left // 4096, left // 4096, files, files_left)


class _Answered(Filesystem):
    """The collector, whose file systems answer what a test says; the others have room."""

    def open(self, context):
        self._kept, self._asking = Kept(context), self

    def close(self):
        """Leave nothing."""

    def ask(self, context, there):
        """Return the answers by the file systems' keys."""
        return {each.key: context.answers.get(each.mountpoint, space(100 * GB, 60 * GB)) for each in there}


def filesystems(root, mounts, answers):
    """Return what the collector says of a list of mounts, by what some of them answer."""
    for process in ("1", "self"):
        root.write(f"proc/{process}/mountinfo", b"\n".join(mounts) + b"\n")
    context = FakeContext(root=root)
    context.answers = answers
    return collect(_Answered, context=context)


@cache
def bond(state, wants=None, *, alone=False):
    """Return what the collector says of a recorded bond, which may want other links, or have no interface."""
    links = [each for each in kernel.recorded(state) if not alone or b"bond0\0" in each.payload]
    samples = collect(kernel.saying(links), context=FakeContext(root="/nowhere"))
    return [
        each._replace(value=wants) if wants is not None and each.metric is MIN_LINKS else each
        for each in samples
    ]


def unmonitored(*, carrier):
    """Return what the collector says of a bond that takes its link for up, whether it is or not."""
    slave = kernel.info("veth", slave_kind="bond", slave_data=[kernel.attribute(2, b"\0")])
    flags = ("UP", "SLAVE", *(["LOWER_UP"] if carrier else []))
    links = [
        kernel.link(2, "h1", slave, kernel.attribute(10, 3), flags=flags),
        kernel.link(3, "bond0", kernel.info("bond", [kernel.attribute(1, b"\1")]), flags=("UP", "MASTER")),
    ]
    return collect(kernel.saying(links), context=FakeContext(root="/nowhere"))


def interface(**each_second):
    """Return what is said of an interface that counts so much in each second; the others stand still.

    They are called as the kernel's counters: rx_packets, rx_errors, rx_missed.
    """
    places = {"rx_packets": 0, "rx_errors": 4, "rx_missed": 15}

    def samples(passed):
        counted = {places[name]: int(passed * number) for name, number in each_second.items()}
        told = kernel.saying([kernel.link(2, "eth0", counted=counted)])
        return collect(told, context=FakeContext(root="/nowhere"))

    return samples


class Units:
    """A recorded host that is well, and whose systemd goes on: `change(systemctl, passed)` is called before each tick."""

    def __init__(self, state, change):
        self._change = change
        systemctl = Systemctl(state="well")
        systemctl.monotonic += 10**6
        self._watched = Watched(systemctl, state / "systemd", units=["systemd-journald"])

    def __call__(self, passed):
        """Return what it says after so many seconds; its own timers are never due."""
        systemctl = self._watched.systemctl
        for row in systemctl.timers.values():
            row["next"] = row["next"] and int((systemctl.wall + HOUR) * 1e6)
        self._change(systemctl, passed)
        return self._watched.samples(MINUTE)


def up(kind, *, well=True):
    """Return what the agent says of a collector of this type."""
    return [telemetry.UP(int(well), type=kind)]


ALIVE = [telemetry.UPTIME(1.0)]
"""What the agent says of itself, under no collector's name."""


def lock(not_after, *, well=True, life=90 * 24 * HOUR):
    """Return what the agent says of a listener behind TLS, whose certificate was made for so long."""
    at = {"listener": "0.0.0.0:10070"}
    return [
        telemetry.NOT_AFTER(not_after, **at), telemetry.NOT_BEFORE(not_after - life, **at), telemetry.LOCKS_OK(int(well)),
    ]  # fmt: skip


def sink(state, in_agent=0, dropped_in_agent=0, **changed):
    """Return what a sink and the agent say of it, with other values of some metrics, of a counter also by its reason.

    It is the real one, which has been given nothing, and uses the directory `state`.
    """
    told = [*_idle(state), telemetry.WAITING_AGE(in_agent, type="bosun")]
    told += [telemetry.SINK_DROPPED(dropped_in_agent, type="bosun", reason=lost.value) for lost in Lost]
    names = {sample.metric.name for sample in told}
    told += [each(0.0, type="bosun") for each in Bosun.metrics if each.name in changed.keys() - names]
    return [sample._replace(value=_changed(sample, changed)) for sample in told]


@cache
def _idle(state):
    context = FakeContext()
    context.state, context.host, context.tags = state / "sink", "a", {}
    idle = Bosun(Bosun.Settings(url="http://127.0.0.1:1"))
    idle.open(context)
    samples = (*idle.collect(context),)
    idle.close()
    return samples


def _changed(sample, changed):
    value = changed.get(sample.metric.name, sample.value)
    return value.get(sample.values[-1], sample.value) if isinstance(value, dict) else value
