"""The oplog: how far back it reaches. A member that was away for longer than that needs all data anew."""

from collections.abc import Iterator
from typing import Any

from collectors.mongodb.server import NAMESPACE_NOT_FOUND
from collectors.mongodb.status import number
from rscollector.api import Kind, Metric, Sample

WINDOW = Metric(
    "mongodb_oplog_window_seconds",
    Kind.GAUGE,
    "Time between the oldest and the newest entry of the server's oplog.",
    unit="seconds",
)
SIZE = Metric("mongodb_oplog_size_bytes", Kind.GAUGE, "Size that the oplog may have.", unit="bytes")
USED = Metric("mongodb_oplog_used_bytes", Kind.GAUGE, "Size that it has.", unit="bytes")

METRICS = (WINDOW, SIZE, USED)


def samples(server: Any) -> Iterator[Sample]:
    """Ask for the ends and the size of the oplog."""
    oldest, newest = server.entry({}), server.entry({}, newest=True)
    if oldest and newest:
        yield WINDOW(newest["ts"].time - oldest["ts"].time)
    stats, _ = server.attempt("collStats", (NAMESPACE_NOT_FOUND,), "local", "oplog.rs")  # an arbiter has none
    for metric, name in ((SIZE, "maxSize"), (USED, "size")):
        if (value := number(stats.get(name))) is not None:
            yield metric(value)
