"""The state file: what the next worker has to know of zones, as when no resolver answers while it begins.

Their servers, the newest serial with those who had it, and when the primary was seen for the last time. Times
are those of the wall clock there, since the file may be read after a restart of the host.
"""

import json
from collections.abc import Iterable
from typing import Any

from collectors.dns.looking import Found
from collectors.dns.records import Names
from collectors.dns.wire import is_address, parsed, shown
from collectors.dns.zone import Zone
from rscollector.api import Context, replace_file

_FAULTS = (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError)
_LOST = "the next worker will have to look for servers anew"


def keep(zones: Iterable[Zone], context: Context, wall: float) -> None:
    """Write down what is known of zones."""
    if context.state is None:
        return
    shift = wall - context.clock()
    kept = {zone.label: _of(zone, shift) for zone in zones}
    try:
        replace_file(context.state, json.dumps(kept).encode("ascii"))
    except OSError as error:
        context.note(f"{context.state}: {error.strerror}: {_LOST}")


def restore(zones: Iterable[Zone], context: Context, wall: float) -> None:
    """Give zones what was written down; a file that is damaged was none."""
    try:
        kept = json.loads(context.state.read_text("ascii")) if context.state else {}
    except _FAULTS:
        return
    shift = wall - context.clock()
    for zone in zones:
        try:
            _give(zone, kept[zone.label], shift, context.clock())
        except _FAULTS:
            continue


def _of(zone: Zone, shift: float) -> dict[str, Any]:
    found, serials = zone.found, zone.serials
    return {
        "servers": {name: list(addresses) for name, addresses in found.servers.items()},
        "parent": None if found.parent is None else sorted(found.parent),
        "own": None if found.own is None else sorted(found.own),
        "newest": serials.newest,
        "holders": sorted(serials.holders),
        "seen": [[serial, at + shift] for serial, at in serials.seen],
        "primary_seen": None if zone.primary_seen is None else zone.primary_seen + shift,
    }


def _give(zone: Zone, kept: dict[str, Any], shift: float, now: float) -> None:
    servers = {_name(name): tuple(map(_address, found)) for name, found in kept["servers"].items()}
    found = Found(servers, _names(kept["parent"]), _names(kept["own"]))
    newest = None if kept["newest"] is None else int(kept["newest"])
    seen = [(int(serial), min(now, at - shift)) for serial, at in kept["seen"]]
    holders = set(map(_address, kept["holders"]))
    primary_seen = None if kept["primary_seen"] is None else min(now, kept["primary_seen"] - shift)
    zone.found = found
    zone.serials.newest, zone.serials.seen, zone.serials.holders = newest, seen, holders
    zone.primary_seen = primary_seen


def _name(text: str) -> str:
    return _address(text) if is_address(text) else shown(parsed(text))


def _address(text: str) -> str:
    if not is_address(text):
        raise ValueError(text)
    return text


def _names(kept: Iterable[str] | None) -> Names | None:
    return None if kept is None else frozenset(map(_name, kept))
