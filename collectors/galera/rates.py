"""What only two readings together can tell: shares and rates between two ticks. Pure.

The server's own averages are since its start or the last FLUSH STATUS, and hardly move after some days.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from collectors.galera.provider import single_primary
from rscollector.api import Kind, Metric, Sample

PAUSED = Metric(
    "galera_flow_control_paused_ratio",
    Kind.GAUGE,
    "Share of the time since the last tick that replication was paused by flow control.",
    unit="ratio",
)
PRESSURE = Metric(
    "galera_recv_queue_pressure_ratio",
    Kind.GAUGE,
    "Queue of write-sets to be applied, as a share of the length at which this node asks for a pause.",
    unit="ratio",
)
CATCH_UP = Metric(
    "galera_catch_up_seconds",
    Kind.GAUGE,
    "Time until the queue is applied at the pace since the last tick; +Inf while it does not get shorter.",
    unit="seconds",
)
IN_STATE = Metric(
    "galera_local_state_duration_seconds",
    Kind.GAUGE,
    "How long the node has been in its state, at least: since it was first seen in it.",
    unit="seconds",
)

METRICS = (PAUSED, PRESSURE, CATCH_UP, IN_STATE)


@dataclass(frozen=True, slots=True)
class Reading:
    """The numbers of one tick; `at` is a monotonic time in seconds."""

    at: float
    state: str
    paused_ns: int | None
    committed: int | None
    queue: int | None

    @classmethod
    def of(cls, status: Mapping[str, str], at: float) -> "Reading":
        """Take them out of the status."""

        def number(name: str) -> int | None:
            text = status.get(name, "")
            return int(text) if text.isdigit() else None

        return cls(
            at,
            status.get("wsrep_local_state", ""),
            number("wsrep_flow_control_paused_ns"),
            number("wsrep_last_committed"),
            number("wsrep_local_recv_queue"),
        )


def between(before: Reading, now: Reading) -> Iterator[Sample]:
    """Yield what two readings in a row tell; a counter that has gone back tells nothing."""
    elapsed = now.at - before.at
    if elapsed <= 0:
        return
    if before.paused_ns is not None and now.paused_ns is not None and now.paused_ns >= before.paused_ns:
        yield PAUSED(min(1.0, (now.paused_ns - before.paused_ns) / 1e9 / elapsed))
    seconds = catch_up(before, now)
    if seconds is not None:
        yield CATCH_UP(seconds)


def catch_up(before: Reading, now: Reading) -> float | None:
    """Return the seconds until the queue is empty, by the sequence numbers applied and received."""
    if now.queue is None or before.queue is None or now.committed is None or before.committed is None:
        return None
    if now.queue == 0:
        return 0.0
    applied = now.committed - before.committed
    if applied < 0:  # the node was begun anew between the two
        return None
    received = applied + now.queue - before.queue
    if applied <= received:
        return math.inf
    return now.queue / (applied - received) * (now.at - before.at)


def pressure(now: Reading, status: Mapping[str, str], options: Mapping[str, str]) -> Iterator[Sample]:
    """Yield the queue as a share of its limit, where both are known."""
    limit, size = options.get("gcs.fc_limit", ""), status.get("wsrep_cluster_size", "")
    if now.queue is None or not limit.isdigit() or not size.isdigit() or not int(limit) * int(size):
        return
    longest = int(limit) if single_primary(options) else int(limit) * math.sqrt(int(size))
    yield PRESSURE(now.queue / longest)
