"""The replica set as this server sees it: `replSetGetStatus` and `replSetGetConfig`, in every version. Pure.

What means "never" or "not known" (dates in 1970, the optime of a member that is down) gives no sample.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any

from collectors.mongodb.status import MONGODB, at, number, read
from rscollector.api import Namespace, Sample
from rscollector.kit.table import Table, row

MEMBER = Namespace("mongodb_member", "member")
STATES = {
    0: "startup", 1: "primary", 2: "secondary", 3: "recovering", 5: "startup2", 6: "unknown", 7: "arbiter",
    8: "down", 9: "rollback", 10: "removed",
}  # fmt: skip
PRIMARY, SECONDARY, RECOVERING, ARBITER, ROLLBACK = 1, 2, 3, 7, 9
_WITH_DATA = (PRIMARY, SECONDARY, RECOVERING, ROLLBACK)
_WORDS = tuple(STATES.values())

SET = MONGODB.info(
    "replica_set",
    "The replica set that the server belongs to, its id where that may be read, the server's name in it.",
    "set",
    "set_id",
    "member",
)
STATE = MONGODB.stateset("state", "The server's own state in its replica set.", _WORDS)
PRIMARY_IS = MONGODB.info("primary", "Who is primary, as this server sees it.", "member")
PRIMARIES = MONGODB.gauge("primaries", "Members that are primary, as this server sees it: 1 is right.")
ELECTED = MONGODB.gauge("primary_elected_timestamp_seconds", "When the primary was elected.")
MEMBERS = MONGODB.gauge("members", "Members of the replica set.")
MEMBER_STATE = MEMBER.stateset("state", "The state of a member, as this server sees it.", _WORDS)
HEALTH = MEMBER.gauge("health", "Whether a member answers this server.")
UPTIME = MEMBER.gauge("uptime_seconds", "How long a member has answered without interruption.")
PING = MEMBER.gauge("ping_seconds", "Round trip to a member, averaged.")
HEARTBEAT_AGE = MEMBER.gauge(
    "heartbeat_age_seconds",
    "Time since a member has last answered a heartbeat (answered), and since its last heartbeat (received).",
    "direction",
)
HEARTBEAT_LATENCY = MEMBER.gauge(
    "heartbeat_latency_seconds",
    "Last heartbeat received from a member less last heartbeat answered by it; within the interval of "
    "heartbeats, of either sign, while all is well.",
)
OPTIME_LAG = MEMBER.gauge(
    "optime_lag_seconds",
    "Newest operation of the primary less newest of the member, as every tool tells it: on an idle set it "
    "jumps to the length of the pause.",
)
SOURCE = MEMBER.info("sync_source", "From whom a member copies its operations.", "source")
MAJORITY = MONGODB.gauge("majority", "Votes that an election needs.")
VOTERS_REACHED = MONGODB.gauge(
    "voters_reached",
    "Members that vote and can be reached by this server, itself among them.",
)
SYNC_ELAPSED = MONGODB.gauge("initial_sync_elapsed_seconds", "Duration of the initial sync so far.")

_OF_THE_SET = Table(
    {
        "term": row(MONGODB.gauge("term", "The election term: it grows with each election.")),
        "votingMembersCount": row(MONGODB.gauge("voting_members", "Members that vote.")),
        "heartbeatIntervalMillis": row(
            MONGODB.gauge(
                "heartbeat_interval_seconds", "Time between two heartbeats to a member, by setting."
            ),
            factor=1e-3,
        ),
        "initialSyncStatus.remainingInitialSyncEstimatedMillis": row(
            MONGODB.gauge("initial_sync_remaining_seconds", "Time that it still needs, estimated."),
            factor=1e-3,
        ),
        "initialSyncStatus.approxTotalDataSize": row(
            MONGODB.gauge("initial_sync_data_bytes", "Size of the data to be copied, about.")
        ),
        "initialSyncStatus.approxTotalBytesCopied": row(
            MONGODB.gauge("initial_sync_copied_bytes", "Size of the data that was copied, about.")
        ),
        "initialSyncStatus.databases.databasesCloned": row(
            MONGODB.gauge("initial_sync_databases_cloned", "Databases that were copied.")
        ),
        "initialSyncStatus.failedInitialSyncAttempts": row(
            MONGODB.gauge("initial_sync_failed_attempts", "Attempts at the initial sync that have failed.")
        ),
    }
)
_DELAY = MEMBER.gauge("delay_seconds", "Time that a member is meant to be behind.")
_CONFIGURED = Table(
    {
        "priority": row(
            MEMBER.gauge("priority", "Priority of a member in elections; 0 never becomes primary.")
        ),
        "votes": row(MEMBER.gauge("votes", "Votes of a member.")),
        "hidden": row(MEMBER.gauge("hidden", "Whether a member is hidden from clients.")),
        "arbiterOnly": row(MEMBER.gauge("arbiter", "Whether a member has no data and only votes.")),
        "secondaryDelaySecs": row(_DELAY),
        "slaveDelay": row(_DELAY),  # its name before 5.0
    }
)

METRICS = (
    SET, STATE, PRIMARY_IS, PRIMARIES, ELECTED, MEMBERS, MEMBER_STATE, HEALTH, UPTIME, PING, HEARTBEAT_AGE,
    HEARTBEAT_LATENCY, OPTIME_LAG, SOURCE, MAJORITY, VOTERS_REACHED, SYNC_ELAPSED,
    *_OF_THE_SET.metrics, *_CONFIGURED.metrics,
)  # fmt: skip

Status = Mapping[str, Any]


def samples(status: Status, config: Mapping[str, Any]) -> Iterator[Sample]:
    """Yield what both replies tell; `config` may be empty."""
    set_id = str(at(config, "settings.replicaSetId") or "")  # since 3.2; others may have the name, too
    yield SET(set=str(status.get("set", "")), set_id=set_id, member=own(status))
    yield STATE(word(status.get("myState")))
    yield from read(_OF_THE_SET, status)
    yield MEMBERS(len(members(status)))
    needed, reached = majority(status, config), voters_reached(status, config)
    if needed is not None:
        yield MAJORITY(needed)
    if reached is not None:
        yield VOTERS_REACHED(reached)
    now = seconds(status.get("date"))
    begun = seconds(at(status, "initialSyncStatus.initialSyncStart"))
    if begun is not None and now is not None:
        yield SYNC_ELAPSED(max(0.0, round(now - begun, 3)))
    newest = reference(status)
    primaries = [each for each in members(status) if each["state"] == PRIMARY]
    yield PRIMARIES(len(primaries))
    for each in primaries:
        yield PRIMARY_IS(member=str(each["name"]))
        if len(primaries) == 1 and (elected := seconds(each.get("electionDate"))) is not None:
            yield ELECTED(elected)
    for each in members(status):
        yield from _of_member(each, now, newest)
    for each in configured(config):
        yield from read(_CONFIGURED, each, member=str(each["host"]))


def _of_member(member: Mapping[str, Any], now: float | None, newest: float | None) -> Iterator[Sample]:
    name = str(member["name"])
    yield MEMBER_STATE(word(member["state"]), member=name)
    yield HEALTH(is_healthy(member), member=name)
    yield UPTIME(number(member.get("uptime")) or 0, member=name)
    is_up = bool(is_healthy(member))  # of one that is not, the server tells when it was asked last, in vain
    if is_up and (ping := number(member.get("pingMs"))) is not None:
        yield PING(ping / 1e3, member=name)
    answered, received = seconds(member.get("lastHeartbeat")), seconds(member.get("lastHeartbeatRecv"))
    answered = answered if is_up else None
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


def word(state: Any) -> str:
    """Return the word of a state's number."""
    return STATES.get(state, "unknown") if isinstance(state, int) else "unknown"


def members(status: Status) -> list[Mapping[str, Any]]:
    """Return the members that the reply tells of."""
    told = (each for each in status.get("members") or () if isinstance(each, Mapping))
    return [each for each in told if isinstance(each.get("state"), int) and "name" in each]


def is_healthy(member: Mapping[str, Any]) -> int:
    """Return 1 for a member that answers, as the server itself does, which may not say so, and else 0."""
    return int(bool(number(member.get("health", 1))))


def configured(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the members that the set's configuration names."""
    told = at(config, "members") or ()
    return [each for each in told if isinstance(each, Mapping) and "host" in each]


def own(status: Status) -> str:
    """Return the name of the server itself."""
    return next((str(each["name"]) for each in members(status) if each.get("self")), "")


def primary(status: Status) -> str:
    """Return the name of the primary, "" if there is none or more than one."""
    names = [str(each["name"]) for each in members(status) if each["state"] == PRIMARY]
    return names[0] if len(names) == 1 else ""


def voters(config: Mapping[str, Any]) -> set[str]:
    """Return the names of the members that vote."""
    return {str(each["host"]) for each in configured(config) if number(each.get("votes", 1))}


def majority(status: Status, config: Mapping[str, Any]) -> int | None:
    """Return the votes that an election needs, which servers before 4.2 do not tell; None where not known."""
    told = number(status.get("majorityVoteCount"))
    if told is not None and isfinite(told):
        return int(told)
    return len(voters(config)) // 2 + 1 if voters(config) else None


def voters_reached(status: Status, config: Mapping[str, Any]) -> int | None:
    """Return how many members that vote answer, itself among them; None where nobody is known to vote."""
    vote = voters(config)
    answer = {str(each["name"]) for each in members(status) if is_healthy(each)}
    return len(vote & answer) if vote else None


def delays(config: Mapping[str, Any]) -> dict[str, float]:
    """Return the seconds that members are meant to be behind, by name."""
    return {
        str(each["host"]): number(each.get("secondaryDelaySecs") or each.get("slaveDelay")) or 0.0
        for each in configured(config)
    }


def reference(status: Status) -> float | None:
    """Return the time of the primary's newest operation; without a primary, of the newest that is known."""
    known = [(each["state"] == PRIMARY, date) for each in members(status) if (date := applied(each))]
    return max(known)[1] if known else None


def applied(member: Mapping[str, Any]) -> float | None:
    """Return the time of a member's newest operation, None where it has none or does not answer."""
    if not is_healthy(member) or member["state"] not in _WITH_DATA:
        return None
    return seconds(member.get("optimeDate"))


def seconds(date: Any) -> float | None:
    """Return the seconds of a date since 1970, None for no date and for 1970 itself, which says "never"."""
    if not isinstance(date, dt.datetime):
        return None
    aware = date if date.tzinfo else date.replace(tzinfo=dt.UTC)
    return aware.timestamp() or None
