"""How far a member is behind what it could have: the age of the oldest operation that it has not applied.

The difference between two newest operations says how long nobody has written: after a pause, the first write
makes it as large as the pause, until the member has told that it has applied it. Here the primary is asked
for the first operation in its oplog that the member lacks, and how long ago that was written.

Where a member is, the primary knows twice: by a timestamp, which comes with heartbeats and is as old as the
last one, and by the time of an operation, which comes at once and is the word of whose clock wrote it. So the
time is believed where the timestamp, which no clock can turn back, allows it: a member whose newest operation
was written by another primary, whose clock was ahead, is not up to date for that.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from bson.timestamp import Timestamp

from collectors.mongodb.replication import MEMBER, PRIMARY, Status, applied, delays, members, seconds
from collectors.mongodb.status import at
from rscollector.api import Sample

LAG = MEMBER.gauge(
    "lag_seconds",
    "Age of the oldest operation that a member has not applied and could have, less its delay; 0 if it lacks "
    "none. Told by the primary.",
)

METRICS = (LAG,)

_TOLERANCE = 1.0
"""Seconds by which a time may contradict a timestamp, which is known to the second."""
_LONGEST_PAUSE = 30.0
"""Seconds between two primaries that are believed; where the operations tell more, their clocks differ."""


class Position(NamedTuple):
    """How far a member has come: its newest operation, and when that was written (known since 4.2)."""

    timestamp: Timestamp
    wall: dt.datetime | None


def samples(server: Any, status: Status, config: Mapping[str, Any]) -> Iterator[Sample]:
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
        behind = _behind(server, status, reached, newest, now, seconds(each.get("lastHeartbeat")))
        yield LAG(max(0.0, round(behind - delay.get(name, 0.0), 3)), member=name)


def _behind(
    server: Any, status: Status, reached: Position, newest: Position, now: float, heard: float | None
) -> float:
    """Return the age of the first operation that a member lacks that has told its timestamp at `heard`."""
    if reached.timestamp >= newest.timestamp:
        return 0.0
    by_timestamp = _age(server, status, server.first_after(reached.timestamp, None), now)
    if reached.wall is None or newest.wall is None:
        return by_timestamp
    is_up_to_date = reached.wall >= newest.wall
    by_time = 0.0 if is_up_to_date else _age(server, status, server.first_after(*reached), now)
    since = _TOLERANCE + (now - heard if heard else by_timestamp)  # it may have got on since then
    return by_time if by_timestamp - since <= by_time else by_timestamp


def _age(server: Any, status: Status, entry: Mapping[str, Any] | None, now: float) -> float:
    """Return how long ago an operation was written, 0 for none.

    One of the primary before was written by another clock. Where the two clocks differ, the time between the
    last operation of that one and the first of this one is not known, and taken for nothing.
    """
    if entry is None:
        return 0.0
    written = seconds(entry.get("wall")) or float(entry["ts"].time)
    began = seconds(at(status, "electionCandidateMetrics.newTermStartDate"))
    last = at(status, "electionCandidateMetrics.lastSeenOpTimeAtElection.ts")
    if began is not None and entry.get("t", status.get("term")) != status.get("term"):
        before = seconds((server.entry({"ts": last}) or {}).get("wall")) or written
        if not 0 <= began - before <= _LONGEST_PAUSE:
            return now - began + max(0.0, before - written)
    return now - written


def position(member: Mapping[str, Any]) -> Position | None:
    """Return how far a member has come, None where that is not known."""
    optime = member.get("optime")
    timestamp = optime.get("ts") if isinstance(optime, Mapping) else optime  # a bare one before 3.2
    if applied(member) is None or not isinstance(timestamp, Timestamp):
        return None
    return Position(timestamp, member.get("lastAppliedWallTime"))
