"""How far a member is behind what it could have: the age of the oldest operation that it has not applied.

The difference between two newest operations says how long nobody has written: after a pause, the first write
makes it as large as the pause, until the member has told that it has applied it. Here the primary is asked
for the first operation in its oplog that the member lacks, and how long ago that was written.

Where a member is, the primary knows twice: by a timestamp, which comes with heartbeats and is as old as the
last one, and by the time of its newest operation, which comes at once and is the word of the clock that wrote
it. So the time is believed where it is that of an operation behind the timestamp, which no clock turns back:
a member whose newest operation is of a primary whose clock was ahead is not up to date by that.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from bson.timestamp import Timestamp

from collectors.mongodb.replication import MEMBER, PRIMARY, Status, applied, delays, members, seconds
from collectors.mongodb.status import at, number
from rscollector.api import Sample

LAG = MEMBER.gauge(
    "lag_seconds",
    "Age of the oldest operation that a member has not applied and could have, less its delay; 0 if it lacks "
    "none. Told by the primary.",
)

METRICS = (LAG,)

_LAST_OF_THE_TERM_BEFORE = "electionCandidateMetrics.lastSeenOpTimeAtElection.ts"
_LONGEST_PAUSE = 60.0
"""Seconds between two primaries that are believed; where the operations tell more, their clocks differ."""
_MOST_TERMS = 10
"""Primaries whose parts are asked for, three questions each: who is behind by more is told as far as that."""


Entry = Mapping[str, Any]
"""An entry of the oplog: `ts`, `wall` (since 4.2) and the term `t`."""


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
        lacked = None if reached.timestamp >= newest.timestamp else _lacked(server, reached)
        behind = _age(server, status, lacked, now)
        yield LAG(max(0.0, round(behind - delay.get(name, 0.0), 3)), member=name)


def _lacked(server: Any, reached: Position) -> Entry | None:
    """Return the first operation that a member lacks, None if it lacks none."""
    timestamp, wall = reached
    behind: dict[str, Any] = {"ts": {"$gt": timestamp}}
    told = server.entry({"ts": timestamp}) if wall else None
    if told and told.get("wall") != wall:
        newer = server.entry({**behind, "wall": {"$gte": wall}})
        if newer and newer["wall"] == wall:  # it has got on since its last heartbeat, as far as this
            behind = {"ts": {"$gt": newer["ts"]}, "wall": {"$gt": wall}}
    lacked: Entry | None = server.entry(behind)
    return lacked


def _age(server: Any, status: Status, entry: Entry | None, now: float) -> float:
    """Return how long ago an operation was written, 0 for none, by the clocks of all who were primary since.

    Each primary's clock tells only how long that one wrote. The pause between two of them is what their
    clocks tell, where that can be. Where the clocks differ, it is the time without a primary after which the
    newest one had itself elected, if that was why, and else nothing.
    """
    if entry is None:
        return 0.0
    term, began = status.get("term"), seconds(at(status, "electionCandidateMetrics.newTermStartDate"))
    if began is None or entry.get("t", term) == term:
        return _by_own_clock(server, entry, now)
    age, last = now - began, server.entry({"ts": at(status, _LAST_OF_THE_TERM_BEFORE)})
    usual = _usual_pause(status)
    for _ in range(_MOST_TERMS):
        if last is None:
            break
        pause = began - _written(last)
        age += pause if 0 <= pause <= _LONGEST_PAUSE else usual
        usual = 0.0
        is_of_this_term = last.get("t") == entry["t"]
        first = entry if is_of_this_term else server.entry({"ts": {"$gt": entry["ts"]}, "t": last.get("t")})
        if first is None:
            break
        began = _written(first)
        age += max(0.0, _written(last) - began)
        last = None if is_of_this_term else server.entry({"ts": {"$lt": first["ts"]}}, newest=True)
    return age


def _usual_pause(status: Status) -> float:
    """Return how long nobody was primary before this one, if it was elected for that."""
    if at(status, "electionCandidateMetrics.lastElectionReason") != "electionTimeout":
        return 0.0
    return (number(at(status, "electionCandidateMetrics.electionTimeoutMillis")) or 0.0) / 1e3


def _by_own_clock(server: Any, entry: Entry, now: float) -> float:
    """Return the age of an operation of this primary; if its clock was set back since, of the next one."""
    if _written(entry) <= now:
        return now - _written(entry)
    until = dt.datetime.fromtimestamp(now, dt.UTC).replace(tzinfo=None)
    later = server.entry({"ts": {"$gt": entry["ts"]}, "wall": {"$lte": until}})
    return max(0.0, now - _written(later)) if later else 0.0


def _written(entry: Entry) -> float:
    return seconds(entry.get("wall")) or float(entry["ts"].time)


def position(member: Mapping[str, Any]) -> Position | None:
    """Return how far a member has come, None where that is not known."""
    optime = member.get("optime")
    timestamp = optime.get("ts") if isinstance(optime, Mapping) else optime  # a bare one before 3.2
    if applied(member) is None or not isinstance(timestamp, Timestamp):
        return None
    wall = member.get("lastAppliedWallTime")
    return Position(timestamp, wall if isinstance(wall, dt.datetime) else None)
