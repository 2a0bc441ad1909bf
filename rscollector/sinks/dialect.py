"""The names and encodings of rs-collector 0.1, for alarms and dashboards that were written for it. Pure.

What had a name there keeps it, with everything that is odd about it: ON and Primary are 0, of a UUID the last
twelve digits are a number, times are milliseconds or nanoseconds, memory is in KB. What had none has ours.
"""

import ipaddress
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from statistics import fmean
from typing import NamedTuple

import rscollector
from rscollector.api import Distribution, Metric, Series, Value
from rscollector.sinks import metadata
from rscollector.sinks.metadata import Description

Sampled = tuple[Metric, tuple[str, ...], Value]

_WSREP = "galera.wsrep."
_RENAMED = {
    "galera_protocol_version": "protocol.version",
    "galera_last_committed_seqno": "last.committed",
    "galera_replicated_writesets_total": "replicated",
    "galera_replicated_bytes_total": "replicated.bytes",
    "galera_replicated_keys_total": "repl.keys",
    "galera_replicated_keys_bytes_total": "repl.keys.bytes",
    "galera_replicated_data_bytes_total": "repl.data.bytes",
    "galera_replicated_other_bytes_total": "repl.other.bytes",
    "galera_received_writesets_total": "received",
    "galera_received_bytes_total": "received.bytes",
    "galera_local_commits_total": "local.commits",
    "galera_local_certification_failures_total": "local.cert.failures",
    "galera_local_replays_total": "local.replays",
    "galera_send_queue_length": "local.send.queue",
    "galera_send_queue_length_max": "local.send.queue.max",
    "galera_send_queue_length_min": "local.send.queue.min",
    "galera_send_queue_length_avg": "local.send.queue.avg",
    "galera_recv_queue_length": "local.recv.queue",
    "galera_recv_queue_length_max": "local.recv.queue.max",
    "galera_recv_queue_length_min": "local.recv.queue.min",
    "galera_recv_queue_length_avg": "local.recv.queue.avg",
    "galera_gcache_first_seqno": "local.cached.downto",
    "galera_flow_control_paused_avg_ratio": "flow.control.paused",
    "galera_flow_control_sent_total": "flow.control.sent",
    "galera_flow_control_received_total": "flow.control.recv",
    "galera_certification_dependency_distance": "cert.deps.distance",
    "galera_apply_out_of_order_ratio": "apply.oooe",
    "galera_apply_overtaking_ratio": "apply.oool",
    "galera_apply_window": "apply.window",
    "galera_commit_out_of_order_ratio": "commit.oooe",
    "galera_commit_overtaking_ratio": "commit.oool",
    "galera_commit_window": "commit.window",
    "galera_certification_index_size": "cert.index.size",
    "galera_certification_buckets": "cert.bucket.count",
    "galera_gcache_pool_bytes": "gcache.pool.size",
    "galera_causal_reads_total": "causal.reads",
    "galera_certification_interval": "cert.interval",
    "galera_desync_count": "desync.count",
    "galera_cluster_configuration_id": "cluster.conf.id",
    "galera_cluster_size": "cluster.size",
    "galera_local_aborts_total": "local.bf.aborts",
    "galera_local_index": "local.index",
}
_UUIDS = {
    "galera_local_state_uuid_info": "local.state.uuid",
    "galera_node_uuid_info": "gcomm.uuid",
    "galera_cluster_state_info": "cluster.state.uuid",
}
_HISTORIES = {"galera_local_state_uuid_info", "galera_cluster_state_info"}
_GOOD_IS_0 = {
    "galera_connected": ("connected", 1),
    "galera_ready": ("ready", 1),
    "galera_cluster_status": ("cluster.status", "primary"),
    "galera_evs_state": ("evs.state", "operational"),
}
_LOCAL_STATES = {"initialized": 0, "joining": 1, "donor_desynced": 2, "joined": 3, "synced": 4}
_MEMBER_STATES = {
    "startup": 0, "primary": 1, "secondary": 2, "recovering": 3, "startup2": 5, "unknown": 6, "arbiter": 7,
    "down": 8, "rollback": 9, "removed": 10,
}  # fmt: skip
_MONGO = {
    "mongodb_connections_current": "mongo.connections.current",
    "mongodb_connections_available": "mongo.connections.available",
    "mongodb_connections_created_total": "mongo.connections.totalCreated",
}
_LAST_DIGITS = re.compile(r".{24}([0-9A-Fa-f]{1,12})", re.DOTALL)
_QUEUES = ("maildrop", "incoming", "hold", "active", "deferred")
_AGES = ("5", "10", "20", "40", "80", "160", "320", "640", "1280", "1280p")


def rs_collector(samples: Iterable[Sampled]) -> Iterator[Series]:
    """Yield the points of one run under the names that they had."""
    run = list(samples)
    about = _About(run)
    for metric, values, value in run:
        translate = _TRANSLATED.get(metric.name)
        if translate is None:
            yield from metric.bosun_series(values, value)
        else:
            yield from translate(about, dict(zip(metric.labels, values, strict=True)), value)
    yield from about.lags()
    yield from about.no_history()
    if about.is_the_agent:
        yield Series("rs-collector.version", {}, _version(rscollector.__version__))
        yield Series("rs-collector.stats.samples", {}, len(run))


def descriptions(metric: Metric) -> list[Description]:
    """Return what a metric's points are: under the names that they had, or under ours."""
    ours = [] if metric.name in _TRANSLATED else metadata.descriptions(metric)
    return ours + [
        Description(
            old.name, old.rate, metric.unit if old.unit is None else old.unit, old.text.format(metric.help)
        )
        for old in _OLD.get(metric.name, ())
    ]


class _About:
    """What the points of a run have to know of its other samples."""

    def __init__(self, run: list[Sampled]) -> None:
        self.server: dict[str, str] = {}
        self.set: dict[str, str] = {}
        self.primary = False
        self._lags: list[float] = []
        self._names = {metric.name for metric, *_ in run}
        for metric, values, value in run:
            labels = dict(zip(metric.labels, values, strict=True))
            match metric.name:
                case "mongodb_server_info":
                    self.server = {label: labels[label] for label in ("version", "process")}
                case "mongodb_replica_set_info":
                    self.set = {"replicaset": labels["set"]}
                case "mongodb_state":
                    self.primary = value == "primary"
                case "mongodb_member_optime_lag_seconds" if isinstance(value, int | float):
                    self._lags.append(value)

    def lags(self) -> Iterator[Series]:
        """Yield what the primary says of the others' lag, in milliseconds; nothing where there are none."""
        if self.primary and self._lags:
            for name, of in (("min", min), ("avg", fmean), ("max", max)):
                yield Series(f"mongo.replicasets.oplog_lag.{name}", self.set, of(self._lags) * 1000)

    @property
    def is_the_agent(self) -> bool:
        """Whether these are the agent's own samples."""
        return "agent_process_resident_memory_bytes" in self._names

    def no_history(self) -> Iterator[Series]:
        """Yield 0 for the UUID of a node that has none: alarms compare it with those of the others."""
        if "galera_ready" in self._names:
            for ours in _HISTORIES - self._names:
                yield Series(_WSREP + _UUIDS[ours], {}, 0)


Translation = Callable[[_About, dict[str, str], Value], Iterator[Series]]


def _scaled(name: str, factor: float = 1) -> Translation:
    def translate(_about: _About, _labels: dict[str, str], value: Value) -> Iterator[Series]:
        if isinstance(value, int | float):
            number = value if factor == 1 else value * factor
            yield Series(name, {}, round(number) if factor != 1 and math.isfinite(number) else number)

    return translate


def _uuid(name: str) -> Translation:
    def translate(_about: _About, labels: dict[str, str], _value: Value) -> Iterator[Series]:
        if digits := _LAST_DIGITS.fullmatch(labels["uuid"]):  # what is longer may be too large for a number
            yield Series(name, {}, int(digits[1], 16))

    return translate


def _good_is_0(name: str, good: object) -> Translation:
    def translate(_about: _About, _labels: dict[str, str], value: Value) -> Iterator[Series]:
        yield Series(name, {}, int(value != good))

    return translate


def _local_state(_about: _About, _labels: dict[str, str], value: Value) -> Iterator[Series]:
    if value in _LOCAL_STATES:
        yield Series(f"{_WSREP}local.state", {}, _LOCAL_STATES[str(value)])


def _mongo(name: str) -> Translation:
    def translate(about: _About, _labels: dict[str, str], value: Value) -> Iterator[Series]:
        if isinstance(value, int | float):
            yield Series(name, about.server, value)

    return translate


def _operations(about: _About, labels: dict[str, str], value: Value) -> Iterator[Series]:
    if isinstance(value, int | float):
        yield Series(f"mongo.opcounters.{labels['operation']}", about.server, value)


def _my_state(about: _About, _labels: dict[str, str], value: Value) -> Iterator[Series]:
    if value in _MEMBER_STATES:
        yield Series("mongo.replicasets.members.mystate", about.set, _MEMBER_STATES[str(value)])


def _ages(_about: _About, labels: dict[str, str], value: Value) -> Iterator[Series]:
    if isinstance(value, Distribution) and labels["queue"] in _QUEUES:
        for age, count in zip(_AGES, value.counts, strict=True):
            yield Series(f"postfix.queues.{labels['queue']}", {"bucket": age}, count)


def _has_ipv4(_about: _About, labels: dict[str, str], value: Value) -> Iterator[Series]:
    if isinstance(value, int | float) and ipaddress.ip_address(labels["address"]).version == 4:
        yield Series("os.net.has_ipv4s", {"ipv4": labels["address"]}, value)


def _resident(_about: _About, labels: dict[str, str], value: Value) -> Iterator[Series]:
    if isinstance(value, int | float) and labels["process"] == "agent":
        yield Series("rs-collector.stats.rss", {}, round(value / 1024))


def _version(text: str) -> int:
    major, minor, patch = (*map(int, re.findall(r"\d+", text)), 0, 0, 0)[:3]
    return major * 1_000_000 + minor * 1_000 + patch


_TRANSLATED: dict[str, Translation] = {
    **{ours: _scaled(_WSREP + name) for ours, name in _RENAMED.items()},
    **{ours: _uuid(_WSREP + name) for ours, name in _UUIDS.items()},
    **{ours: _good_is_0(_WSREP + name, good) for ours, (name, good) in _GOOD_IS_0.items()},
    "galera_flow_control_paused_seconds_total": _scaled(f"{_WSREP}flow.control.paused.ns", 1e9),
    "galera_local_state": _local_state,
    **{ours: _mongo(name) for ours, name in _MONGO.items()},
    "mongodb_operations_total": _operations,
    "mongodb_state": _my_state,
    "postfix_queue_age_seconds": _ages,
    "vip_bound": _has_ipv4,
    "agent_process_resident_memory_bytes": _resident,
}


class _Old(NamedTuple):
    """What rs-collector told of a name; without a `unit` it told none, and the metric's own is right.

    `text` has {} for the metric's own.

    Most of its rates are "gauge", also those of counters: Bosun goes on showing what it did.
    """

    name: str
    unit: str | None = None
    text: str = "{}"
    rate: str = "gauge"


_UNITS = {
    "local.send.queue": "Length",
    "local.recv.queue": "Length",
    "flow.control.paused": "Fraction",
    "cert.deps.distance": "Distance",
    "cluster.conf.id": "changes",
    "cluster.size": "nodes",
    "cluster.status": "Status",
}


def _wsrep(name: str, text: str = "{}") -> tuple[_Old]:
    return (_Old(_WSREP + name, _UNITS.get(name), text),)


def _numbered(numbers: Mapping[str, int]) -> str:
    return "{} " + ", ".join(f"{number}: {word}" for word, number in numbers.items()) + "."


_OLD: dict[str, tuple[_Old, ...]] = {
    **{ours: _wsrep(name) for ours, name in _RENAMED.items()},
    **{
        ours: _wsrep(name, "{} A number: the last twelve digits of the UUID.")
        for ours, name in _UUIDS.items()
    },
    "galera_connected": _wsrep("connected", "{} 0: ON, 1: OFF."),
    "galera_ready": _wsrep("ready", "{} 0: ON, 1: OFF."),
    "galera_cluster_status": _wsrep("cluster.status", "{} 0: Primary, 1: not."),
    "galera_evs_state": _wsrep("evs.state", "{} 0: Operational, 1: not."),
    "galera_flow_control_paused_seconds_total": (_Old(f"{_WSREP}flow.control.paused.ns", "nanoseconds"),),
    "galera_local_state": (_Old(f"{_WSREP}local.state", "State", _numbered(_LOCAL_STATES)),),
    "mongodb_connections_current": (_Old("mongo.connections.current"),),
    "mongodb_connections_available": (_Old("mongo.connections.available"),),
    "mongodb_connections_created_total": (_Old("mongo.connections.totalCreated", rate="counter"),),
    "mongodb_operations_total": tuple(
        _Old(f"mongo.opcounters.{each}")
        for each in ("insert", "query", "update", "delete", "getmore", "command")
    ),
    "mongodb_state": (_Old("mongo.replicasets.members.mystate", text=_numbered(_MEMBER_STATES)),),
    "mongodb_member_optime_lag_seconds": tuple(
        _Old(f"mongo.replicasets.oplog_lag.{each}", "ms", f"{{}} The {of} lag of all, told by the primary.")
        for each, of in (("min", "shortest"), ("avg", "mean"), ("max", "longest"))
    ),
    "postfix_queue_age_seconds": tuple(
        _Old(
            f"postfix.queues.{queue}", "messages", f"Messages in {queue}, by `bucket`: up to so many minutes."
        )
        for queue in _QUEUES
    ),
    "vip_bound": (_Old("os.net.has_ipv4s"),),
    "agent_process_resident_memory_bytes": (
        _Old("rs-collector.stats.rss", "KB", "Resident memory of the agent."),
        _Old("rs-collector.version", "", "Version of the agent: x * 1000000 + y * 1000 + z."),
        _Old("rs-collector.stats.samples", "Samples", "Samples of the agent's own in a run."),
    ),
}

NAMES = tuple(old.name for olds in _OLD.values() for old in olds)
"""Every name that rs-collector had for what is collected here."""
