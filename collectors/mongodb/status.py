"""What `serverStatus` tells, in every version: which field becomes which metric. Pure.

A field that a version does not have gives no sample; one that has changed its place stands here twice.
Numbers are taken whatever their type is: counters are int32 while they are small, and int64 afterwards.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from rscollector.api import Kind, Metric, Sample

_MIB = 1 << 20
_MICROSECOND = 1e-6
_MODES = {"r": "intent_shared", "w": "intent_exclusive", "R": "shared", "W": "exclusive"}

SERVER = Metric(
    "mongodb_server_info",
    Kind.INFO,
    "The server: its version, what it is (mongod, mongos), and its storage engine.",
    labels=("version", "process", "engine"),
)
OPERATIONS = Metric(
    "mongodb_operations_total", Kind.COUNTER, "Operations of clients since the start.", labels=("operation",)
)
REPLICATED = Metric(
    "mongodb_replicated_operations_total",
    Kind.COUNTER,
    "Operations that were applied from the primary since the start.",
    labels=("operation",),
)
ASSERTS = Metric("mongodb_asserts_total", Kind.COUNTER, "Assertions since the start.", labels=("kind",))
QUEUE = Metric(
    "mongodb_queue_length", Kind.GAUGE, "Operations that wait for the global lock.", labels=("kind",)
)
CLIENTS = Metric(
    "mongodb_active_clients", Kind.GAUGE, "Clients that read or write at the moment.", labels=("kind",)
)
TICKETS_USED = Metric(
    "mongodb_tickets_used",
    Kind.GAUGE,
    "Operations at work in the storage engine, each with a ticket.",
    labels=("kind",),
)
TICKETS_FREE = Metric(
    "mongodb_tickets_available",
    Kind.GAUGE,
    "Tickets that are left: at 0, operations wait.",
    labels=("kind",),
)
LOCK_WAITS = Metric(
    "mongodb_lock_waits_total",
    Kind.COUNTER,
    "Times that an operation had to wait for a lock.",
    labels=("resource", "mode"),
)
LOCK_SECONDS = Metric(
    "mongodb_lock_wait_seconds_total",
    Kind.COUNTER,
    "Time that operations waited for locks.",
    unit="seconds",
    labels=("resource", "mode"),
)
ELECTIONS = Metric(
    "mongodb_elections_called_total",
    Kind.COUNTER,
    "Elections that this member has called since its start.",
    labels=("reason",),
)
ELECTIONS_WON = Metric(
    "mongodb_elections_won_total",
    Kind.COUNTER,
    "Elections that this member has won since its start.",
    labels=("reason",),
)


class Field(NamedTuple):
    """A number at a place, its metric, and what it is multiplied with to get the metric's unit."""

    path: str
    metric: Metric
    factor: float = 1


def _gauge(path: str, name: str, help_: str, unit: str = "", factor: float = 1) -> Field:
    return Field(path, Metric(f"mongodb_{name}", Kind.GAUGE, help_, unit=unit), factor)


def _counter(path: str, name: str, help_: str, unit: str = "", factor: float = 1) -> Field:
    return Field(path, Metric(f"mongodb_{name}_total", Kind.COUNTER, help_, unit=unit), factor)


FIELDS = (
    _gauge("uptimeMillis", "uptime_seconds", "Time since the server's start.", "seconds", 1e-3),
    _gauge("connections.current", "connections_current", "Connections of clients."),
    _gauge("connections.available", "connections_available", "Connections that are left."),
    _gauge("connections.active", "connections_active", "Connections with an operation under way."),
    _counter("connections.totalCreated", "connections_created", "Connections since the start."),
    _counter("connections.rejected", "connections_rejected", "Connections that were refused for want of room."),
    _counter("network.bytesIn", "network_received_bytes", "Bytes received from clients.", "bytes"),
    _counter("network.bytesOut", "network_sent_bytes", "Bytes sent to clients.", "bytes"),
    _counter("network.numRequests", "network_requests", "Requests since the start."),
    _counter("network.numSlowDNSOperations", "network_slow_dns", "Names that took more than a second."),
    _counter("network.numSlowSSLOperations", "network_slow_tls", "TLS handshakes that took more than a second."),
    _gauge("mem.resident", "memory_resident_bytes", "Resident memory of the server.", "bytes", _MIB),
    _gauge("mem.virtual", "memory_virtual_bytes", "Virtual memory of the server.", "bytes", _MIB),
    _gauge("flowControl.isLagged", "flow_control_lagged", "Whether writes are slowed for lagging secondaries."),
    _counter("flowControl.isLaggedCount", "flow_control_episodes", "Times that this was begun."),
    _counter(
        "flowControl.isLaggedTimeMicros",
        "flow_control_episode_seconds",
        "Time for which writes were slowed.",
        "seconds",
        _MICROSECOND,
    ),
    _counter(
        "flowControl.timeAcquiringMicros",
        "flow_control_wait_seconds",
        "Time that writes waited for flow control.",
        "seconds",
        _MICROSECOND,
    ),
    _counter(
        "electionMetrics.numStepDownsCausedByHigherTerm",
        "step_downs",
        "Times that this member stepped down because it saw a higher term.",
    ),
    _counter("electionMetrics.numCatchUps", "catch_ups", "Elections after which this member had to catch up."),
    _counter(
        "electionMetrics.numCatchUpsTimedOut", "catch_ups_timed_out", "Catch-ups that took longer than allowed."
    ),
)  # fmt: skip

_LABELLED = (
    ("opcounters", OPERATIONS),
    ("opcountersRepl", REPLICATED),
    ("asserts", ASSERTS),
    ("globalLock.currentQueue", QUEUE),
    ("globalLock.activeClients", CLIENTS),
)
_NOT_A_LABEL = ("total", "rollovers")
_TICKETS = ("wiredTiger.concurrentTransactions", "queues.execution")

METRICS = (
    SERVER, OPERATIONS, REPLICATED, ASSERTS, QUEUE, CLIENTS, TICKETS_USED, TICKETS_FREE, LOCK_WAITS, LOCK_SECONDS,
    ELECTIONS, ELECTIONS_WON, *(each.metric for each in FIELDS),
)  # fmt: skip


def samples(status: Mapping[str, Any]) -> Iterator[Sample]:
    """Yield what a reply tells."""
    yield SERVER(
        version=str(status.get("version", "")),
        process=str(status.get("process", "")),
        engine=str(at(status, "storageEngine.name") or ""),
    )
    for path, metric, factor in FIELDS:
        value = number(at(status, path))
        if value is not None:
            yield metric(value if factor == 1 else value * factor)
    for path, metric in _LABELLED:
        for name, value in numbers(at(status, path)):
            if name not in _NOT_A_LABEL:
                yield metric(value, **{metric.labels[0]: name})
    yield from _tickets(status)
    yield from _locks(at(status, "locks"))
    for reason, told in mappings(at(status, "electionMetrics")):
        for name, metric in (("called", ELECTIONS), ("successful", ELECTIONS_WON)):
            if (value := number(told.get(name))) is not None:
                yield metric(value, reason=reason)


def _tickets(status: Mapping[str, Any]) -> Iterator[Sample]:
    told = {}
    for path in _TICKETS:  # the second since 8.0
        told.update(dict(mappings(at(status, path))))
    for kind, each in told.items():
        used, free = number(each.get("out")), number(each.get("available"))
        if used is not None and free is not None:
            yield TICKETS_USED(used, kind=kind)
            yield TICKETS_FREE(free, kind=kind)


def _locks(locks: Any) -> Iterator[Sample]:
    for resource, told in mappings(locks):
        for name, metric, factor in (
            ("acquireWaitCount", LOCK_WAITS, 1),
            ("timeAcquiringMicros", LOCK_SECONDS, _MICROSECOND),
        ):
            for mode, value in numbers(told.get(name)):
                if mode in _MODES:
                    yield metric(value * factor, resource=resource, mode=_MODES[mode])


def at(document: Mapping[str, Any], path: str) -> Any:
    """Return what stands at a dotted place, None where nothing does."""
    found: Any = document
    for key in path.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(key)
    return found


def number(value: Any) -> int | float | None:
    """Return a number, a truth as 0 or 1, and None for anything else."""
    return value if isinstance(value, float) else int(value) if isinstance(value, int) else None


def numbers(document: Any) -> Iterator[tuple[str, int | float]]:
    """Yield the numbers of a document by name."""
    for name, value in document.items() if isinstance(document, Mapping) else ():
        if (found := number(value)) is not None:
            yield name, found


def mappings(document: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the documents in a document by name."""
    for name, value in document.items() if isinstance(document, Mapping) else ():
        if isinstance(value, Mapping):
            yield name, value
