"""The oplog: how far back it reaches. A member that was away for longer than that needs all data anew."""

from collections.abc import Iterator
from typing import Any

from bson.timestamp import Timestamp

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
    entries = server.entry({}), server.entry({}, newest=True)
    times = [ts.time for each in entries if each and isinstance(ts := each.get("ts"), Timestamp)]
    if len(times) == 2:
        yield WINDOW(times[1] - times[0])


def size(server: Any) -> Iterator[Sample]:
    """Ask for the size of the oplog."""
    yield from read(SIZES, server.command("collStats", "oplog.rs", database="local"))
