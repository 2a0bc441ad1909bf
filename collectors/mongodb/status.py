"""What `serverStatus` tells, in every version: which field becomes which metric. Pure.

A field that a version does not have gives no sample; one that has changed its place stands here twice.
Numbers are taken whatever their type is: counters are int32 while they are small, and int64 afterwards.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from rscollector.api import Namespace, Sample
from rscollector.kit.table import Table, row

MONGODB = Namespace("mongodb")
_MIB = 1 << 20
_MICROSECOND = 1e-6
_MODES = {"r": "intent_shared", "w": "intent_exclusive", "R": "shared", "W": "exclusive"}

SERVER = MONGODB.info(
    "server",
    "The server: its version, what it is (mongod, mongos), and its storage engine.",
    "version",
    "process",
    "engine",
)
OPERATIONS = MONGODB.counter("operations", "Operations of clients since the start.", "operation")
REPLICATED = MONGODB.counter(
    "replicated_operations", "Operations that were applied from the primary since the start.", "operation"
)
ASSERTS = MONGODB.counter("asserts", "Assertions since the start.", "kind")
QUEUE = MONGODB.gauge("queue_length", "Operations that wait for the global lock.", "kind")
CLIENTS = MONGODB.gauge("active_clients", "Clients that read or write at the moment.", "kind")
TICKETS_USED = MONGODB.gauge(
    "tickets_used", "Operations at work in the storage engine, each with a ticket.", "kind"
)
TICKETS_FREE = MONGODB.gauge("tickets_available", "Tickets that are left: at 0, operations wait.", "kind")
LOCK_WAITS = MONGODB.counter(
    "lock_waits", "Times that an operation had to wait for a lock.", "resource", "mode"
)
LOCK_SECONDS = MONGODB.counter(
    "lock_wait_seconds", "Time that operations waited for locks.", "resource", "mode"
)
ELECTIONS = MONGODB.counter(
    "elections_called", "Elections that this member has called since its start.", "reason"
)
ELECTIONS_WON = MONGODB.counter(
    "elections_won", "Elections that this member has won since its start.", "reason"
)

_ROWS = {
    "uptimeMillis": row(MONGODB.gauge("uptime_seconds", "Time since the server's start."), factor=1e-3),
    "connections.current": row(MONGODB.gauge("connections_current", "Connections of clients.")),
    "connections.available": row(MONGODB.gauge("connections_available", "Connections that are left.")),
    "connections.active": row(
        MONGODB.gauge("connections_active", "Connections with an operation under way.")
    ),
    "connections.totalCreated": row(MONGODB.counter("connections_created", "Connections since the start.")),
    "connections.rejected": row(
        MONGODB.counter("connections_rejected", "Connections that were refused for want of room.")
    ),
    "network.bytesIn": row(MONGODB.counter("network_received_bytes", "Bytes received from clients.")),
    "network.bytesOut": row(MONGODB.counter("network_sent_bytes", "Bytes sent to clients.")),
    "network.numRequests": row(MONGODB.counter("network_requests", "Requests since the start.")),
    "network.numSlowDNSOperations": row(
        MONGODB.counter("network_slow_dns", "Names that took more than a second.")
    ),
    "network.numSlowSSLOperations": row(
        MONGODB.counter("network_slow_tls", "TLS handshakes that took more than a second.")
    ),
    "mem.resident": row(
        MONGODB.gauge("memory_resident_bytes", "Resident memory of the server."), factor=_MIB
    ),
    "mem.virtual": row(MONGODB.gauge("memory_virtual_bytes", "Virtual memory of the server."), factor=_MIB),
    "flowControl.isLagged": row(
        MONGODB.gauge("flow_control_lagged", "Whether writes are slowed for lagging secondaries.")
    ),
    "flowControl.isLaggedCount": row(MONGODB.counter("flow_control_episodes", "Times that this was begun.")),
    "flowControl.isLaggedTimeMicros": row(
        MONGODB.counter("flow_control_episode_seconds", "Time for which writes were slowed."),
        factor=_MICROSECOND,
    ),
    "flowControl.timeAcquiringMicros": row(
        MONGODB.counter("flow_control_wait_seconds", "Time that writes waited for flow control."),
        factor=_MICROSECOND,
    ),
    "electionMetrics.numStepDownsCausedByHigherTerm": row(
        MONGODB.counter("step_downs", "Times that this member stepped down because it saw a higher term.")
    ),
    "electionMetrics.numCatchUps": row(
        MONGODB.counter("catch_ups", "Elections after which this member had to catch up.")
    ),
    "electionMetrics.numCatchUpsTimedOut": row(
        MONGODB.counter("catch_ups_timed_out", "Catch-ups that took longer than allowed.")
    ),
}

FIELDS = Table(_ROWS)

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
    ELECTIONS, ELECTIONS_WON, *FIELDS.metrics,
)  # fmt: skip


def samples(status: Mapping[str, Any]) -> Iterator[Sample]:
    """Yield what a reply tells."""
    yield SERVER(
        version=str(status.get("version", "")),
        process=str(status.get("process", "")),
        engine=str(at(status, "storageEngine.name") or ""),
    )
    yield from read(FIELDS, status)
    for path, metric in _LABELLED:
        for name, value in numbers(at(status, path)):
            if name not in _NOT_A_LABEL:
                yield metric(value, **{metric.labels[0]: name})
    yield from _tickets(status)
    yield from _locks(at(status, "locks"))
    for reason, told in mappings(at(status, "electionMetrics")):
        for name, metric in (("called", ELECTIONS), ("successful", ELECTIONS_WON)):
            if (count := number(told.get(name))) is not None:
                yield metric(count, reason=reason)


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


def read(table: Table, document: Mapping[str, Any], **labels: str) -> Iterator[Sample]:
    """Yield what stands in a document at the places that a table names; what is no number gives nothing."""
    told = {path: at(document, path) for path in table.names}
    yield from table.samples({path: each for path, each in told.items() if each is not None}, **labels)


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
