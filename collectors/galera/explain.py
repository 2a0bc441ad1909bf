"""The numbers in plain language: sentences, each with the variables from which it is read. Pure."""

from collections.abc import Iterator, Mapping

from collectors.galera.members import Members
from collectors.galera.provider import options
from collectors.galera.variables import listed, read_only, some_uuid, switched_off
from rscollector.kit.table import flag

_COMPONENT = {
    "primary": "This node is in the primary component, together with {others}",
    "non-primary": "This node is cut off from the majority: its component of {size} may not write",
    "disconnected": "This node is not connected to the cluster",
}
_STATE = {
    "0": "It has no part in the cluster's work: it is starting, or cut off",
    "1": "It is joining: it receives a state transfer, or waits for one, and answers no client",
    "2": (
        "It is a donor, or holds a read lock as a backup does: until that ends it may fall behind without "
        "slowing the others"
    ),
    "3": "It has received its state and applies what came meanwhile; it is not up to date yet",
    "4": "It is synced: up to date but for its queue",
    "5": (
        "Its data differ from the others', who have voted it out: it has left the cluster, and comes back "
        "only by a full state transfer"
    ),
}
_JOINING, _DONOR = "1", "2"
_OFF = "Replication is switched off: what is written on this node reaches no other (wsrep_on = {})."
_DESYNCED = "It was desynchronised on purpose, by setting: it may fall behind without slowing the others"


def explain(status: Mapping[str, str], settings: Mapping[str, str], members: Members) -> Iterator[str]:
    """Yield what status and settings mean, the most important first."""
    if switched_off(settings):
        yield _OFF.format(settings["wsrep_on"])
    state = status.get("wsrep_local_state", "")
    if state == _JOINING:  # while it does, it tells of views that it replays
        yield from _state(status, settings)
    else:
        yield from _component(status)
        yield from _state(status, settings)
    if members.missing:
        yield f"Missing: {', '.join(members.missing)} (mysql.wsrep_cluster_members, compared with `members`)."
    if state == _DONOR and members.newest:
        yield f"The last to join was {members.newest} (mysql.wsrep_cluster_members)."
    if _is(status, "wsrep_ready", expected=False):
        yield f"It refuses ordinary statements (wsrep_ready = {status['wsrep_ready']})."
    yield from _pace(status)
    yield from _histories(status)
    yield from _doubts(status, settings)


def _state(status: Mapping[str, str], settings: Mapping[str, str]) -> Iterator[str]:
    state, words = status.get("wsrep_local_state", ""), status.get("wsrep_local_state_comment", "")
    source = f"wsrep_local_state = {state}, {words}"
    if state == _DONOR and settings.get("wsrep_desync", "OFF").upper() == "ON":
        yield f"{_DESYNCED} ({source}, wsrep_desync = {settings['wsrep_desync']})."
    elif state in _STATE:
        yield f"{_STATE[state]} ({source})."
    elif state:
        yield f"It is in a state that this collector does not know ({source})."


def _component(status: Mapping[str, str]) -> Iterator[str]:
    text, size = status.get("wsrep_cluster_status", ""), status.get("wsrep_cluster_size", "?")
    sentence = _COMPONENT.get(text.lower(), "Nothing is known of this node's component")
    others = "no other member" if size == "1" else f"{_less(size)} others"
    source = f"wsrep_cluster_status = {text}, wsrep_cluster_size = {size}"
    yield f"{sentence.format(size=size, others=others)} ({source})."


def _less(size: str) -> str:
    return str(int(size) - 1) if size.isdigit() and int(size) else "an unknown number of"


def _pace(status: Mapping[str, str]) -> Iterator[str]:
    queue = status.get("wsrep_local_recv_queue", "0")
    if queue != "0":
        yield f"{queue} write-sets wait to be applied here (wsrep_local_recv_queue)."
    if _is(status, "wsrep_flow_control_requested", expected=True):
        source = f"wsrep_flow_control_requested = {status['wsrep_flow_control_requested']}"
        yield f"It asks the others to pause until it has caught up ({source})."
    if _is(status, "wsrep_flow_control_active", expected=True):
        source = f"wsrep_flow_control_active = {status['wsrep_flow_control_active']}"
        yield f"Writing is paused in the whole cluster now ({source})."
    late = listed(status.get("wsrep_evs_delayed", ""))
    if late:
        yield f"Members whose answers are late: {', '.join(late)} (wsrep_evs_delayed)."


def _histories(status: Mapping[str, str]) -> Iterator[str]:
    names = ("wsrep_local_state_uuid", "wsrep_cluster_state_uuid")
    own, clusters = (some_uuid(status.get(name, "")) for name in names)
    if own and clusters and own != clusters:
        yield (
            f"Its data have another history than the cluster's: {own} is not {clusters} "
            "(wsrep_local_state_uuid, wsrep_cluster_state_uuid)."
        )


def _doubts(status: Mapping[str, str], settings: Mapping[str, str]) -> Iterator[str]:
    chosen = options(settings.get("wsrep_provider_options", ""))
    if read_only(settings):
        yield f"It takes no writes of ordinary users, by setting (read_only = {settings['read_only']})."
    for name in ("pc.ignore_sb", "pc.ignore_quorum"):
        if chosen.get(name, "false") in ("true", "yes", "1"):
            yield f"It would go on without a majority, by setting ({name} in wsrep_provider_options)."
    if status.get("wsrep_desync_count", "0") != "0":
        yield f"Operations that keep it desynchronised: {status['wsrep_desync_count']} (wsrep_desync_count)."


def _is(status: Mapping[str, str], name: str, *, expected: bool) -> bool:
    try:
        return flag(status[name]) == expected
    except (KeyError, ValueError):
        return False
