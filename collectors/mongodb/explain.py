"""The numbers in plain language: sentences, each with the fields from which it is read. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from collectors.mongodb.replication import (
    PRIMARY,
    applied,
    delays,
    is_healthy,
    majority,
    members,
    own,
    reference,
    voters,
    voters_reached,
    word,
)
from collectors.mongodb.status import at, number

_STATE = {
    "startup": "it starts and reads its configuration",
    "primary": "it takes the writes",
    "secondary": "it keeps a copy of the data and answers reads that ask for a secondary",
    "recovering": (
        "it answers no reads, for it is not consistent yet, in maintenance, or too far behind for the "
        "others' oplogs"
    ),
    "startup2": "it has started, and copies all data if it has to (initial sync)",
    "unknown": "nothing is known of its state",
    "arbiter": "it has no data and only votes",
    "down": "it does not answer",
    "rollback": "it undoes writes that the others do not have",
    "removed": "it was taken out of the set, or does not find itself in the set's configuration",
}
_SLOW = 10


def explain(
    status: Mapping[str, Any], replication: Mapping[str, Any] | None, config: Mapping[str, Any]
) -> Iterator[str]:
    """Yield what the replies to serverStatus and replSetGetStatus mean, the most important first.

    The second is {} of a server without replica set, and None where it is not known whether it has one; the
    set's configuration is empty where it is not known.
    """
    if not replication:
        process, version = status.get("process", "?"), status.get("version", "?")
        known = "" if replication is None else " without replica set"
        yield f"This server is a {process} {version}{known} (process, version)."
    else:
        yield from _set(replication, config)
        yield from _others(replication, delays(config))
        yield from _sync(replication)
    yield from _room(status)


def _set(replication: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[str]:
    state = word(replication.get("myState"))
    name = own(replication) or "this member"
    source = f"myState = {replication.get('myState')}"
    yield f"In the set {replication.get('set')}, {name} is {state}: {_STATE[state]} ({source})."
    primaries = [str(each["name"]) for each in members(replication) if each["state"] == PRIMARY]
    if not primaries:
        yield "It sees no primary: no member that it reaches takes writes (members.state)."
    elif len(primaries) > 1:
        yield f"More than one member says that it is primary: {', '.join(primaries)} (members.state)."
    elif not any(each.get("self") for each in members(replication) if each["state"] == PRIMARY):
        yield f"The primary is {primaries[0]} (members.state)."
    reached, needed = voters_reached(replication, config), majority(replication, config)
    if reached is not None and needed is not None and (reached < needed or not primaries):
        steps = "It will step down unless more answer: it" if state == "primary" else "It"
        votes = f"{steps} reaches {reached} of {len(voters(config))} voters, and a majority is {needed}"
        yield f"{votes} (members.health, votes)."


def _others(replication: Mapping[str, Any], meant: Mapping[str, float]) -> Iterator[str]:
    newest = reference(replication)
    for each in members(replication):
        name, state = str(each["name"]), word(each["state"])
        if not is_healthy(each):
            why = each.get("lastHeartbeatMessage") or "nothing says why"
            yield f"{name} does not answer this member: {why} (members.health = 0, lastHeartbeatMessage)."
        elif state not in ("primary", "secondary", "arbiter") and not each.get("self"):
            yield f"{name} is {state}: {_STATE[state]} (members.state = {each['state']})."
        behind = newest - date if newest and (date := applied(each)) else 0
        delay = meant.get(name, 0)
        if delay and behind > _SLOW:
            wanted = f"it is meant to be {delay:.0f} s behind"
            yield f"{name} is {behind:.0f} s behind; {wanted} (members.optimeDate)."
        elif behind > _SLOW:
            yield (
                f"The newest operation of {name} is {behind:.0f} s older than the newest that is known: it "
                "is behind, or nobody wrote for so long; the primary's mongodb_member_lag_seconds tells "
                "which (members.optimeDate)."
            )


def _sync(replication: Mapping[str, Any]) -> Iterator[str]:
    failed = at(replication, "initialSyncStatus.failedInitialSyncAttempts")
    if failed is not None and word(replication.get("myState")) == "startup2":
        source = f"initialSyncStatus.failedInitialSyncAttempts = {failed}"
        yield f"An initial sync is under way; attempts that failed before: {failed} ({source})."


def _room(status: Mapping[str, Any]) -> Iterator[str]:
    used, left = (number(at(status, f"connections.{name}")) for name in ("current", "available"))
    if used and left is not None and left < used / 9:
        source = f"connections.current = {used}, connections.available = {left}"
        yield f"Nearly all connections are taken: {used} of {used + max(0, left)} ({source})."
    for path in ("wiredTiger.concurrentTransactions", "queues.execution"):
        for kind in ("read", "write"):
            if at(status, f"{path}.{kind}.available") == 0:
                yield f"All tickets to {kind} are taken: further {kind}s wait ({path}.{kind}.available = 0)."
    if at(status, "flowControl.isLagged"):
        yield "Flow control slows writes: too few secondaries keep up (flowControl.isLagged = true)."
