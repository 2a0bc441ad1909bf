"""What sinks tell of themselves: the same metrics for all of them, with the label `type`."""

from collections.abc import Iterator

from rscollector.api import Distribution, Kind, Metric, Sample
from rscollector.sinks.http import BOUNDS, BUCKETS, Client

_TYPE = ("type",)
_REASON = ("type", "reason")


def _gauge(name: str, text: str, unit: str = "") -> Metric:
    return Metric(f"sink_{name}", Kind.GAUGE, text, unit=unit, labels=_TYPE)


def _counter(name: str, text: str, labels: tuple[str, ...] = _TYPE) -> Metric:
    return Metric(f"sink_{name}", Kind.COUNTER, text, labels=labels)


QUEUED = _gauge("queued_points", "Points that wait to be sent.")
QUEUED_BYTES = _gauge("queued_bytes", "Size of the points that wait.", "bytes")
OLDEST = _gauge(
    "oldest_unsent_age_seconds",
    "Time since the oldest point that waits was collected; absent while none does, but those stepped over.",
    "seconds",
)
DRAINING = _gauge("draining", "Whether a backlog is being sent on beside what is fresh.")
STEPPED_OVER = _gauge(
    "stepped_over_points",
    "Points that wait since they are refused while others are taken, or cannot be read.",
)
PERSISTENT = _gauge("spool_persistent", "Whether the disk took the last batch; if not, it is in memory only.")
SENT = _counter("sent_points_total", "Points that the receiver has taken.")
REJECTED = _counter(
    "rejected_points_total", "Points that were put aside, by what the receiver calls them.", _REASON
)
DROPPED = _counter("dropped_points_total", "Points that are gone and were not taken, by why.", _REASON)
UNSENDABLE = _counter(
    "unsendable_points_total", "Samples of which no point can be made for this receiver, by why.", _REASON
)
REQUESTS = _counter(
    "requests_total", "Requests, by first digit of the answer's status, or error.", ("type", "status")
)
DURATION = Metric(
    "sink_request_duration_seconds",
    Kind.HISTOGRAM,
    "Time from a request to its answer.",
    unit="seconds",
    labels=_TYPE,
    buckets=BUCKETS,
)
PAGE = _gauge("page_bytes", "Size of the last page that the receiver has taken.", "bytes")

OF_REQUESTS = (REQUESTS, DURATION)


def requests_of(client: Client, kind: str) -> Iterator[Sample]:
    """Yield what is told of requests, for a sink of this type."""
    for status, count in sorted(client.requests.items()):
        yield REQUESTS(count, type=kind, status=status)
    counts = tuple(client.durations[bound] for bound in BOUNDS)
    yield DURATION(Distribution(counts, client.waited), type=kind)
