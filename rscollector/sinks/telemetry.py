"""What sinks tell of themselves: the same metrics for all of them, with the label `type`."""

from collections.abc import Iterator

from rscollector.api import Distribution, Namespace, Sample
from rscollector.sinks.http import BOUNDS, BUCKETS, Client

SINK = Namespace("sink", "type")

QUEUED = SINK.gauge("queued_points", "Points that wait to be sent.")
QUEUED_BYTES = SINK.gauge("queued_bytes", "Size of the points that wait.")
OLDEST = SINK.gauge(
    "oldest_unsent_age_seconds",
    "Time since the oldest point that waits was collected; absent while none does, but those stepped over.",
)
DRAINING = SINK.gauge("draining", "Whether a backlog is being sent on beside what is fresh.")
STEPPED_OVER = SINK.gauge(
    "stepped_over_points",
    "Points that wait since they are refused while others are taken, or cannot be read.",
)
PERSISTENT = SINK.gauge(
    "spool_persistent", "Whether the disk took the last batch; if not, it is in memory only."
)
SENT = SINK.counter("sent_points", "Points that the receiver has taken.")
REJECTED = SINK.counter(
    "rejected_points", "Points that were put aside, by what the receiver calls them.", "reason"
)
DROPPED = SINK.counter("dropped_points", "Points that are gone and were not taken, by why.", "reason")
UNSENDABLE = SINK.counter(
    "unsendable_points", "Samples of which no point can be made for this receiver, by why.", "reason"
)
REQUESTS = SINK.counter("requests", "Requests, by first digit of the answer's status, or error.", "status")
DURATION = SINK.histogram("request_duration_seconds", "Time from a request to its answer.", BUCKETS)
PAGE = SINK.gauge("page_bytes", "Size of the last page that the receiver has taken.")

OF_REQUESTS = (REQUESTS, DURATION)


def requests_of(client: Client, kind: str) -> Iterator[Sample]:
    """Yield what is told of requests, for a sink of this type."""
    for status, count in sorted(client.requests.items()):
        yield REQUESTS(count, type=kind, status=status)
    counts = tuple(client.durations[bound] for bound in BOUNDS)
    yield DURATION(Distribution(counts, client.waited), type=kind)
