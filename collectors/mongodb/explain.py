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
from collectors.mongodb.status import at

_STATE = {
    "startup": "it starts and reads its configuration",
    "primary": "it takes the writes",
    "secondary": "it copies from another member and answers reads that ask for it",
    "recovering": "it answers no reads until it is consistent, or maintenance is over",
    "startup2": "it copies all data (initial sync)",
    "unknown": "the others cannot tell",
    "arbiter": "it has no data and only votes",
    "down": "it does not answer",
    "rollback": "it undoes writes that the others have not got",
    "removed": "it was taken out of the set",
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
    primaries = [each["name"] for each in members(replication) if each["state"] == PRIMARY]
    reached, needed = voters_reached(replication, config), majority(replication, config)
    votes = f"of {len(voters(config))} voters {reached} can be reached, {needed} are needed"
    if not primaries:
        of_votes = f"; {votes} (members.health, votes)" if reached is not None else " (members.state)"
        yield f"There is no primary: nobody takes writes{of_votes}."
    elif reached is not None and needed is not None and reached < needed:
        yield f"The primary will step down, and nobody takes writes then: {votes} (members.health, votes)."
    elif len(primaries) > 1:
        yield f"More than one member says that it is primary: {', '.join(primaries)} (members.state)."
    elif not any(each.get("self") for each in members(replication) if each["state"] == PRIMARY):
        yield f"The primary is {primaries[0]} (members.state)."


def _others(replication: Mapping[str, Any], meant: Mapping[str, float]) -> Iterator[str]:
    newest = reference(replication)
    for each in members(replication):
        name, state = each["name"], word(each["state"])
        if not is_healthy(each):
            why = each.get("lastHeartbeatMessage") or "it does not answer"
            yield f"{name} is not reachable: {why} (members.health = 0, lastHeartbeatMessage)."
        elif state not in ("primary", "secondary", "arbiter") and not each.get("self"):
            yield f"{name} is {state}: {_STATE[state]} (members.state = {each['state']})."
        behind = newest - date if newest and (date := applied(each)) else 0
        delay = meant.get(name, 0)
        if delay and behind > _SLOW:
            by = f"{delay:.0f} s"
            yield f"{name} is {behind:.0f} s behind, as it is meant to be by {by} (members.optimeDate)."
        elif behind > _SLOW:
            yield (
                f"The newest operation of {name} is {behind:.0f} s older than the primary's: it is behind, "
                "or nobody had written; mongodb_member_lag_seconds tells which (members.optimeDate)."
            )


def _sync(replication: Mapping[str, Any]) -> Iterator[str]:
    failed = at(replication, "initialSyncStatus.failedInitialSyncAttempts")
    if failed is not None:
        source = f"initialSyncStatus.failedInitialSyncAttempts = {failed}"
        yield f"An initial sync is under way, after {failed} failed attempts ({source})."


def _room(status: Mapping[str, Any]) -> Iterator[str]:
    used, left = at(status, "connections.current"), at(status, "connections.available")
    if used and left is not None and left < used / 9:
        source = f"connections.current = {used}, connections.available = {left}"
        yield f"Nearly all connections are taken: {used} of {used + max(0, left)} ({source})."
    for path in ("wiredTiger.concurrentTransactions", "queues.execution"):
        for kind in ("read", "write"):
            if at(status, f"{path}.{kind}.available") == 0:
                yield f"All tickets to {kind} are taken: operations wait ({path}.{kind}.available = 0)."
    if at(status, "flowControl.isLagged"):
        yield "Writes are slowed, for most of the secondaries are behind (flowControl.isLagged = true)."
