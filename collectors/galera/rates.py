"""What only two ticks together can tell: shares and rates. Pure."""

import math
from collections.abc import Iterator, Mapping

from collectors.galera.provider import single_primary
from collectors.galera.variables import GALERA
from rscollector.api import Sample
from rscollector.kit.rates import Changes

PAUSED = GALERA.gauge(
    "flow_control_paused_ratio",
    "Share of the time since the last tick that replication was paused by flow control.",
)
PRESSURE = GALERA.gauge(
    "recv_queue_pressure_ratio",
    "Queue of write-sets to be applied, as a share of the length at which this node asks for a pause.",
)
CATCH_UP = GALERA.gauge(
    "catch_up_seconds",
    "Time until the queue is applied at the pace since the last tick; +Inf while it does not get shorter.",
)
IN_STATE = GALERA.gauge(
    "local_state_duration_seconds",
    "How long the node has been in its state, at least: since it was first seen in it.",
)

METRICS = (PAUSED, PRESSURE, CATCH_UP, IN_STATE)
_PAUSED_NS = "wsrep_flow_control_paused_ns"
_COMMITTED = "wsrep_last_committed"
_QUEUE = "wsrep_local_recv_queue"
Numbers = Mapping[str, int | None]


def numbers(status: Mapping[str, str]) -> dict[str, int | None]:
    """Return the numbers of a tick that are compared with those of the next."""
    found = {name: status.get(name, "") for name in (_PAUSED_NS, _COMMITTED, _QUEUE)}
    return {name: int(text) if text.isdecimal() else None for name, text in found.items()}


def between(now: Numbers, changes: Changes) -> Iterator[Sample]:
    """Yield what two ticks in a row tell."""
    if (paused := changes.share(_PAUSED_NS, 1e-9)) is not None:
        yield PAUSED(paused)
    if (seconds := catch_up(now, changes)) is not None:
        yield CATCH_UP(seconds)


def catch_up(now: Numbers, changes: Changes) -> float | None:
    """Return the seconds until the queue is empty, by the sequence numbers applied and received."""
    queue, longer = now[_QUEUE], changes.change(_QUEUE)
    applied = changes.growth(_COMMITTED)
    if queue is None or longer is None or applied is None:  # or the node was begun anew between the two
        return None
    if queue == 0:
        return 0.0
    return math.inf if longer >= 0 else queue / -longer * changes.seconds


def pressure(now: Numbers, status: Mapping[str, str], options: Mapping[str, str]) -> Iterator[Sample]:
    """Yield the queue as a share of its limit, where both are known."""
    limit, size, queue = options.get("gcs.fc_limit", ""), status.get("wsrep_cluster_size", ""), now[_QUEUE]
    if queue is None or not limit.isdecimal() or not size.isdecimal() or not int(limit) * int(size):
        return
    longest = int(limit) if single_primary(options) else int(limit) * math.sqrt(int(size))
    yield PRESSURE(queue / longest)
