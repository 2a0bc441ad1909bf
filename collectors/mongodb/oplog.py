"""The oplog: how far back it reaches. A member that was away for longer than that needs all data anew."""

from collections.abc import Iterator
from typing import Any

from collectors.mongodb.status import MONGODB, read
from rscollector.api import Sample
from rscollector.kit.table import Table, row

WINDOW = MONGODB.gauge(
    "oplog_window_seconds", "Time between the oldest and the newest entry of the server's oplog."
)
SIZES = Table(
    {
        "maxSize": row(MONGODB.gauge("oplog_size_bytes", "Size that the oplog may have.")),
        "size": row(MONGODB.gauge("oplog_used_bytes", "Size that the oplog has.")),
    }
)

METRICS = (WINDOW, *SIZES.metrics)


def window(server: Any) -> Iterator[Sample]:
    """Ask for the ends of the oplog."""
    oldest, newest = server.entry({}), server.entry({}, newest=True)
    if oldest and newest:
        yield WINDOW(newest["ts"].time - oldest["ts"].time)


def size(server: Any) -> Iterator[Sample]:
    """Ask for the size of the oplog."""
    yield from read(SIZES, server.command("collStats", "oplog.rs", database="local"))
