"""How far a member is behind what it could have: the age of the oldest operation that it has not applied.

The difference between two newest operations says how long nobody has written: after a pause, the first write
makes it as large as the pause, until the member has told that it has applied it. Here the primary is asked
for the first operation in its oplog that the member lacks, and how long ago that was written. All times are
the primary's own, so that no two clocks are compared.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from bson.timestamp import Timestamp

from collectors.mongodb.replication import MEMBER, PRIMARY, applied, delays, members, seconds
from rscollector.api import Sample

LAG = MEMBER.gauge(
    "lag_seconds",
    "Age of the oldest operation that a member has not applied and could have, less its delay; 0 if it lacks "
    "none. Told by the primary.",
)

METRICS = (LAG,)


class Position(NamedTuple):
    """How far a member has come: its newest operation, and when that was written (known since 4.2).

    The primary learns of the timestamp with heartbeats and of the time at once, so the time is what counts.
    """

    timestamp: Timestamp
    wall: dt.datetime | None

    def has(self, other: "Position") -> bool:
        """Tell whether all that the other has is here, too."""
        if self.wall is not None and other.wall is not None:
            return self.wall >= other.wall
        return bool(self.timestamp >= other.timestamp)


def samples(server: Any, status: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[Sample]:
    """Yield the lag of each member that has data and answers; nothing on a server that is not primary."""
    now = seconds(status.get("date"))
    if status.get("myState") != PRIMARY or now is None:
        return
    delay = delays(config)
    newest = next((position(each) for each in members(status) if each.get("self")), None)
    for each in members(status):
        reached = position(each)
        if reached is None or newest is None or each["state"] == PRIMARY:
            continue
        name = str(each["name"])
        behind = 0.0 if reached.has(newest) else _age(server.first_after(*reached), now)
        yield LAG(max(0.0, round(behind - delay.get(name, 0.0), 3)), member=name)


def _age(entry: Mapping[str, Any] | None, now: float) -> float:
    """Return how long ago an operation was written, 0 for none."""
    written = entry and (seconds(entry.get("wall")) or float(entry["ts"].time))
    return now - written if written else 0.0


def position(member: Mapping[str, Any]) -> Position | None:
    """Return how far a member has come, None where that is not known."""
    optime = member.get("optime")
    timestamp = optime.get("ts") if isinstance(optime, Mapping) else optime  # a bare one before 3.2
    if applied(member) is None or not isinstance(timestamp, Timestamp):
        return None
    return Position(timestamp, member.get("lastAppliedWallTime"))
