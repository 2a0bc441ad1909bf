"""The replica set as this server sees it: `replSetGetStatus` and `replSetGetConfig`, in every version. Pure.

What means "never" or "not known" (dates in 1970, the optime of a member that is down) gives no sample.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

from collectors.mongodb.status import at, number
from rscollector.api import Kind, Metric, Sample

STATES = {
    0: "startup", 1: "primary", 2: "secondary", 3: "recovering", 5: "startup2", 6: "unknown", 7: "arbiter",
    8: "down", 9: "rollback", 10: "removed",
}  # fmt: skip
PRIMARY, SECONDARY, RECOVERING, ROLLBACK = 1, 2, 3, 9
_WITH_DATA = (PRIMARY, SECONDARY, RECOVERING, ROLLBACK)


def _gauge(name: str, help_: str, unit: str = "", labels: tuple[str, ...] = ()) -> Metric:
    return Metric(f"mongodb_{name}", Kind.GAUGE, help_, unit=unit, labels=labels)


def _member(name: str, help_: str, unit: str = "", labels: tuple[str, ...] = ()) -> Metric:
    return _gauge(f"member_{name}", help_, unit, ("member", *labels))


SET = Metric(
    "mongodb_replica_set_info",
    Kind.INFO,
    "The replica set that the server belongs to, and the server's name in it.",
    labels=("set", "member"),
)
STATE = Metric(
    "mongodb_state",
    Kind.STATESET,
    "The server's own state in its replica set.",
    states=tuple(STATES.values()),
)
PRIMARY_IS = Metric(
    "mongodb_primary_info", Kind.INFO, "Who is primary, as this server sees it.", labels=("member",)
)
PRIMARIES = _gauge("primaries", "Members that are primary, as this server sees it: 1 is right.")
ELECTED = _gauge("primary_elected_timestamp_seconds", "When the primary was elected.", "seconds")
TERM = _gauge("term", "The election term: it grows with each election.")
MAJORITY = _gauge("majority", "Votes that an election needs.")
VOTERS = _gauge("voting_members", "Members that vote.")
MEMBERS = _gauge("members", "Members of the replica set.")
MEMBER_STATE = Metric(
    "mongodb_member_state",
    Kind.STATESET,
    "The state of a member, as this server sees it.",
    labels=("member",),
    states=tuple(STATES.values()),
)
HEALTH = _member("health", "Whether a member answers this server.")
UPTIME = _member("uptime_seconds", "How long a member has answered without interruption.", "seconds")
PING = _member("ping_seconds", "Round trip to a member, averaged.", "seconds")
HEARTBEAT_AGE = _member(
    "heartbeat_age_seconds",
    "Time since a member has last answered a heartbeat (answered), and since its last heartbeat (received).",
    "seconds",
    ("direction",),
)
HEARTBEAT_LATENCY = _member(
    "heartbeat_latency_seconds",
    "Last heartbeat received from a member less last heartbeat answered by it; within the interval of "
    "heartbeats, of either sign, while all is well.",
    "seconds",
)
OPTIME_LAG = _member(
    "optime_lag_seconds",
    "Newest operation of the primary less newest of the member, as every tool tells it: on an idle set it "
    "jumps to the length of the pause.",
    "seconds",
)
SOURCE = Metric(
    "mongodb_member_sync_source_info",
    Kind.INFO,
    "From whom a member copies its operations.",
    labels=("member", "source"),
)
PRIORITY = _member("priority", "Priority of a member in elections; 0 never becomes primary.")
VOTES = _member("votes", "Votes of a member.")
HIDDEN = _member("hidden", "Whether a member is hidden from clients.")
ARBITER = _member("arbiter", "Whether a member has no data and only votes.")
DELAY = _member("delay_seconds", "Time that a member is meant to be behind.", "seconds")
SYNC_ELAPSED = _gauge("initial_sync_elapsed_seconds", "Duration of the initial sync so far.", "seconds")
SYNC_REMAINING = _gauge("initial_sync_remaining_seconds", "Time that it still needs, estimated.", "seconds")
SYNC_TOTAL = _gauge("initial_sync_data_bytes", "Size of the data to be copied, about.", "bytes")
SYNC_COPIED = _gauge("initial_sync_copied_bytes", "Size of the data that was copied, about.", "bytes")
SYNC_CLONED = _gauge("initial_sync_databases_cloned", "Databases that were copied.")
SYNC_FAILED = _gauge("initial_sync_failed_attempts", "Attempts at the initial sync that have failed.")

METRICS = (
    SET, STATE, PRIMARY_IS, PRIMARIES, ELECTED, TERM, MAJORITY, VOTERS, MEMBERS, MEMBER_STATE, HEALTH, UPTIME,
    PING, HEARTBEAT_AGE, HEARTBEAT_LATENCY, OPTIME_LAG, SOURCE, PRIORITY, VOTES, HIDDEN, ARBITER, DELAY,
    SYNC_ELAPSED, SYNC_REMAINING, SYNC_TOTAL, SYNC_COPIED, SYNC_CLONED,
    SYNC_FAILED,
)  # fmt: skip

_SET_NUMBERS = (("term", TERM), ("majorityVoteCount", MAJORITY), ("votingMembersCount", VOTERS))
_SYNC_NUMBERS = (
    ("remainingInitialSyncEstimatedMillis", SYNC_REMAINING, 1e-3),
    ("approxTotalDataSize", SYNC_TOTAL, 1),
    ("approxTotalBytesCopied", SYNC_COPIED, 1),
    ("databases.databasesCloned", SYNC_CLONED, 1),
    ("failedInitialSyncAttempts", SYNC_FAILED, 1),
)
_CONFIGURED = (
    ("priority", PRIORITY), ("votes", VOTES), ("hidden", HIDDEN), ("arbiterOnly", ARBITER),
    ("secondaryDelaySecs", DELAY), ("slaveDelay", DELAY),  # its name before 5.0
)  # fmt: skip

Status = Mapping[str, Any]


def samples(status: Status, config: Mapping[str, Any]) -> Iterator[Sample]:
    """Yield what both replies tell; `config` may be empty."""
    yield SET(set=str(status.get("set", "")), member=own(status))
    yield STATE(STATES.get(status.get("myState", 6), "unknown"))
    for name, metric in _SET_NUMBERS:
        if (value := number(status.get(name))) is not None:
            yield metric(value)
    for name, metric, factor in _SYNC_NUMBERS:
        if (value := number(at(status, f"initialSyncStatus.{name}"))) is not None:
            yield metric(value * factor)
    yield MEMBERS(len(members(status)))
    now = seconds(status.get("date"))
    begun = seconds(at(status, "initialSyncStatus.initialSyncStart"))
    if begun is not None and now is not None:
        yield SYNC_ELAPSED(max(0.0, round(now - begun, 3)))
    newest = reference(status)
    primaries = [each for each in members(status) if each["state"] == PRIMARY]
    yield PRIMARIES(len(primaries))
    for each in primaries:
        yield PRIMARY_IS(member=each["name"])
        if len(primaries) == 1 and (elected := seconds(each.get("electionDate"))) is not None:
            yield ELECTED(elected)
    for each in members(status):
        yield from _of_member(each, now, newest)
    for each in at(config, "members") or ():
        yield from _configured(each)


def _of_member(member: Mapping[str, Any], now: float | None, newest: float | None) -> Iterator[Sample]:
    name = str(member["name"])
    yield MEMBER_STATE(STATES.get(member["state"], "unknown"), member=name)
    yield HEALTH(int(member["health"]), member=name)
    yield UPTIME(int(member.get("uptime", 0)), member=name)
    if (ping := number(member.get("pingMs"))) is not None:
        yield PING(ping / 1e3, member=name)
    answered, received = seconds(member.get("lastHeartbeat")), seconds(member.get("lastHeartbeatRecv"))
    for direction, date in (("answered", answered), ("received", received)):
        if date is not None and now is not None:
            yield HEARTBEAT_AGE(max(0.0, round(now - date, 3)), member=name, direction=direction)
    if answered is not None and received is not None:
        yield HEARTBEAT_LATENCY(round(received - answered, 3), member=name)
    source = member.get("syncSourceHost") or member.get("syncingTo")
    if source:
        yield SOURCE(member=name, source=str(source))
    own_newest = applied(member)
    if newest is not None and own_newest is not None and member["state"] != PRIMARY:
        yield OPTIME_LAG(max(0.0, newest - own_newest), member=name)


def _configured(member: Mapping[str, Any]) -> Iterator[Sample]:
    for name, metric in _CONFIGURED:
        if (value := number(member.get(name))) is not None:
            yield metric(value, member=str(member["host"]))


def members(status: Status) -> list[Mapping[str, Any]]:
    """Return the members that the reply tells of."""
    return [each for each in status.get("members", ()) if "state" in each and "name" in each]


def own(status: Status) -> str:
    """Return the name of the server itself."""
    return next((str(each["name"]) for each in members(status) if each.get("self")), "")


def primary(status: Status) -> str:
    """Return the name of the primary, "" if there is none or more than one."""
    names = [str(each["name"]) for each in members(status) if each["state"] == PRIMARY]
    return names[0] if len(names) == 1 else ""


def delays(config: Mapping[str, Any]) -> dict[str, float]:
    """Return the seconds that members are meant to be behind, by name."""
    return {
        str(each["host"]): float(each.get("secondaryDelaySecs") or each.get("slaveDelay") or 0)
        for each in at(config, "members") or ()
    }


def reference(status: Status) -> float | None:
    """Return the time of the primary's newest operation; without a primary, of the newest that is known."""
    known = [(each["state"] == PRIMARY, date) for each in members(status) if (date := applied(each))]
    return max(known)[1] if known else None


def applied(member: Mapping[str, Any]) -> float | None:
    """Return the time of a member's newest operation, None where it has none or does not answer."""
    if not member["health"] or member["state"] not in _WITH_DATA:
        return None
    return seconds(member.get("optimeDate"))


def seconds(date: Any) -> float | None:
    """Return the seconds of a date since 1970, None for no date and for 1970 itself, which says "never"."""
    if not isinstance(date, dt.datetime):
        return None
    aware = date if date.tzinfo else date.replace(tzinfo=dt.UTC)
    return aware.timestamp() or None
