"""The numbers in plain language: sentences, each with the variables from which it is read. Pure."""

from collections.abc import Iterator, Mapping

from collectors.galera.members import Members
from collectors.galera.provider import options
from collectors.galera.variables import listed, read_only, rejected, some_uuid, switched_off
from rscollector.kit.table import flag

_PRIMARY = "This node is in the primary component, together with {others}"
_COMPONENT = {
    "primary": _PRIMARY,
    "non-primary": "This node is in no primary component: with {others} it has no quorum",
    "disconnected": "This node is not connected to the cluster",
}
_ALONE = {
    _PRIMARY: "This node is the only member of the primary component",
    _COMPONENT["non-primary"]: (
        "This node is in no primary component: it sees no other member, and has no quorum alone"
    ),
}
_STATE = {
    "0": "It has no part in the cluster's work: it is starting, or outside the primary component",
    "1": "It is joining, for which it needs a state transfer",
    "2": (
        "It is a donor, or desynchronised by a backup's lock or a schema change (RSU): until that ends it "
        "may fall behind without slowing the others"
    ),
    "3": (
        "It is joined: it applies what came during a state transfer, or while it was desynchronised, and is "
        "not up to date yet"
    ),
    "4": "It is synced: up to date but for its queue",
    "5": (
        "It was found inconsistent: its data differ from the others', or it could not apply what they sent; "
        "it has left the cluster, and comes back only by a restart with a full state transfer"
    ),
}
_JOINING, _DONOR, _ERROR = "1", "2", "5"
_OFF = "Replication is switched off: what is written on this node reaches no other (wsrep_on = {})."
_DESYNCED = "It was desynchronised on purpose, by setting: it may fall behind without slowing the others"


def explain(status: Mapping[str, str], settings: Mapping[str, str], members: Members) -> Iterator[str]:
    """Yield what status and settings mean, the most important first."""
    if switched_off(settings):
        yield _OFF.format(settings["wsrep_on"])
    state = status.get("wsrep_local_state", "")
    if _is_joining(status):
        yield from _state(status, settings)
    elif state == _ERROR:  # why it is outside
        yield from _state(status, settings)
        yield from _component(status)
    else:
        yield from _component(status)
        yield from _state(status, settings)
    yield from _missing(status, members)
    if state == _DONOR and members.newest and not _desynced(settings):
        newest = f"{members.newest}, the last to join"
        yield f"If it is a donor, then probably for {newest} (mysql.wsrep_cluster_members)."
    if _is(status, "wsrep_ready", expected=False):
        dirty = settings.get("wsrep_dirty_reads", "OFF")
        reads, source = "", f"wsrep_ready = {status['wsrep_ready']}"
        if dirty.upper() == "ON":
            reads, source = " but reads", f"{source}, wsrep_dirty_reads = {dirty}"
        yield f"It refuses ordinary statements{reads}, with error 1047 ({source})."
    elif rejected(settings) != "NONE":
        source = f"wsrep_reject_queries = {settings['wsrep_reject_queries']}"
        yield f"It refuses its clients' queries, with error 1047, by setting ({source})."
    yield from _pace(status)
    yield from _histories(status)
    yield from _doubts(status, settings)


def _state(status: Mapping[str, str], settings: Mapping[str, str]) -> Iterator[str]:
    state, words = status.get("wsrep_local_state", ""), status.get("wsrep_local_state_comment", "")
    source = f"wsrep_local_state = {state}, {words}"
    if state == _DONOR and _desynced(settings):
        yield f"{_DESYNCED} ({source}, wsrep_desync = {settings['wsrep_desync']})."
    elif state in _STATE:
        yield f"{_STATE[state]} ({source})."
    elif state:
        yield f"It is in a state that this collector does not know ({source})."


def _desynced(settings: Mapping[str, str]) -> bool:
    return settings.get("wsrep_desync", "OFF").upper() == "ON"


def _component(status: Mapping[str, str]) -> Iterator[str]:
    text, size = status.get("wsrep_cluster_status", ""), status.get("wsrep_cluster_size", "?")
    sentence = _COMPONENT.get(text.lower(), "Nothing is known of this node's component")
    if size == "1":
        sentence = _ALONE.get(sentence, sentence)
    others = "1 other" if size == "2" else f"{_less(size)} others"
    source = f"wsrep_cluster_status = {text}, wsrep_cluster_size = {size}"
    yield f"{sentence.format(others=others)} ({source})."


def _less(size: str) -> str:
    return str(int(size) - 1) if size.isdecimal() and int(size) else "an unknown number of"


def _missing(status: Mapping[str, str], members: Members) -> Iterator[str]:
    size = status.get("wsrep_cluster_size", "")
    if members.missing:
        yield f"Missing: {', '.join(members.missing)} (mysql.wsrep_cluster_members, compared with `members`)."
    elif size.isdecimal() and 0 < int(size) < len(members.expected) and not _is_joining(status):
        source = f"wsrep_cluster_size = {size}"
        yield f"Fewer members are there than `members` names: {size} of {len(members.expected)} ({source})."


def _is_joining(status: Mapping[str, str]) -> bool:
    """Tell whether it joins: while it does, it tells of views that it replays."""
    return status.get("wsrep_local_state") == _JOINING


def _pace(status: Mapping[str, str]) -> Iterator[str]:
    queue = status.get("wsrep_local_recv_queue", "0")
    if queue != "0":
        what = "1 write-set waits" if queue == "1" else f"{queue} write-sets wait"
        yield f"{what} to be applied here (wsrep_local_recv_queue)."
    if _is(status, "wsrep_flow_control_requested", expected=True):
        source = f"wsrep_flow_control_requested = {status['wsrep_flow_control_requested']}"
        yield f"It asks the others to pause until it has caught up ({source})."
    for name in ("wsrep_flow_control_active", "wsrep_flow_control_status"):  # the second of Percona
        if _is(status, name, expected=True):
            yield f"Flow control pauses all writing in the cluster now ({name} = {status[name]})."
    late = listed(status.get("wsrep_evs_delayed", ""))
    if late:
        yield f"Members that answer late, or did so lately: {', '.join(late)} (wsrep_evs_delayed)."


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
            source = f"{name} in wsrep_provider_options"
            yield f"It would go on writing if it lost the majority, by setting ({source})."
    if status.get("wsrep_desync_count", "0") != "0":
        yield f"Operations that keep it desynchronised: {status['wsrep_desync_count']} (wsrep_desync_count)."


def _is(status: Mapping[str, str], name: str, *, expected: bool) -> bool:
    try:
        return flag(status[name]) == expected
    except (KeyError, ValueError):
        return False
