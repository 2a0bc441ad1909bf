"""What systemctl says of this host's systemd, as values: units and timers from JSON, properties from lines.

All that it asks goes through `context.run`. What a version prints otherwise than expected is never guessed:
an answer that is no JSON is no answer, and a row or a property that cannot be read is left out and counted.
"""

import json
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from math import inf
from operator import itemgetter
from typing import Any

from collectors.systemd.values import Facts, Manager, Timer, Unit
from rscollector.api import Context, Misconfigured, Unavailable, one_line

SYSTEMCTL = "systemctl"
BOOTED = "/run/systemd/system"
"""The directory that is there where systemd is the first process, says sd_booted(3)."""
MANAGER = (SYSTEMCTL, "show", "--property=Version,SystemState,NJobs,UnitsLoadTimestampMonotonic")
UNITS = (SYSTEMCTL, "list-units", "--all", "--output=json")
SPEAKABLE = tuple(
    f"*.{kind}" for kind in ("service", "timer", "socket", "target", "path", "slice", "scope", "automount")
)
"""The units that no path and no device names: where such a name is no UTF-8, systemd 252 tells of none."""
TIMERS = (SYSTEMCTL, "list-timers", "--all", "--output=json", "*.timer")
PROPERTIES = (
    SYSTEMCTL,
    "show",
    "--property=Id,Result,Restart,NRestarts,InactiveExitTimestampMonotonic,AccuracyUSec,ControlGroup",
    "--property=TimersCalendar",
    "--",  # the names -.mount and -.slice are on every host
)
_MOST_BYTES = 16 << 20
_ENDED = (
    "disconnected from message bus", "endpoint is not connected", "Connection reset by peer",
    "Connection refused",
)  # fmt: skip
_ANEW = 0.5
"""Seconds in which a systemd that is executed anew (`daemon-reexec`, as by an update of it) listens again."""
_COLOUR = re.compile(rb"\x1b\[[0-9;]*m")
_STATES = itemgetter("unit", "load", "active", "sub")
_NAME = re.compile(r"[A-Za-z0-9:_.\\@-]{1,255}")
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|min|h|d|w|month|y)", re.ASCII)
_SECONDS = {
    "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0,
    "month": 2629800.0, "y": 31557600.0,
}  # fmt: skip


def manager(context: Context) -> Manager:
    """Ask systemd for itself. Raises Misconfigured where there is none, Unavailable if it does not answer."""
    if not context.path(BOOTED).is_dir():
        raise Misconfigured(
            f"this host was not booted with systemd ({BOOTED} is not there), as in most containers: "
            "there is nothing that this collector could ask"
        )
    try:
        told = next(_blocks(_run(context, MANAGER)), {})
    except Unavailable as error:
        raise Unavailable(f"{error}{_hint(str(error))}") from error
    if "SystemState" not in told:
        raise Unavailable("systemctl show tells no SystemState; see what it prints")
    return Manager(
        one_line(told.get("Version", ""), 100),
        one_line(told["SystemState"], 100),
        _whole(told.get("NJobs")),
        told.get("UnitsLoadTimestampMonotonic", ""),
    )


def _hint(said: str) -> str:
    """Return what to look at, for those who are told no more by systemctl."""
    if "connect to" in said:  # "… bus", with more words between since systemd 256
        if os.geteuid() == 0:
            return ": systemd itself does not answer, which root asks without a bus"
        return "; a user who is not root needs the system bus for it: look whether dbus is installed and runs"
    if "in time" in said:
        return ": systemd, or the system bus, does not answer"
    return ""


def units(context: Context) -> dict[str, Unit]:
    """Return all units that systemd has in memory, by their names. Raises Unavailable."""
    try:
        rows = _rows(context, UNITS)
    except Unavailable as error:
        if "Invalid argument" not in str(error):
            raise
        rows = _rows(context, (*UNITS, *SPEAKABLE))
        context.note(
            "missing: mounts, swaps and devices: systemctl list-units fails with them (Invalid argument), as "
            "where the path of a mount is no UTF-8 (see /proc/self/mountinfo, and systemd's issue 36206)"
        )
    found = list(map(_unit, rows))
    if odd := found.count(None):
        context.note(f"missing: {odd} units in rows of systemctl list-units that cannot be read")
    return {unit.name: unit for unit in found if unit}


def _unit(row: Any) -> Unit | None:
    try:
        unit = Unit._make(_STATES(row))
    except (KeyError, TypeError):
        return None
    return unit if set(map(type, unit)) == {str} else None


def timers(context: Context) -> tuple[list[Timer], int]:
    """Return all timers that systemd has in memory, and how many rows cannot be read. Raises Unavailable."""
    found: dict[str, Timer] = {}
    odd = 0
    for row in _rows(context, TIMERS, context.budget() / 2):
        try:
            times = _moment(row["next"]), _moment(row["last"])
            timer = Timer(_text(row["unit"]), _text(row.get("activates") or ""), *times)
            found[timer.name] = timer
        except (KeyError, TypeError):
            odd += 1
    return list(found.values()), odd


def facts(context: Context, names: Sequence[str]) -> dict[str, Facts]:
    """Return what `systemctl show` tells of units, by their names. Raises Unavailable.

    One that has vanished meanwhile is told as one that never was. One that may not be looked at ends the
    answer: then those behind it are missing, and a note says so.
    """
    found: dict[str, Facts] = {}
    asked = [name for name in names if _NAME.fullmatch(name)]
    if asked:
        told = context.run((*PROPERTIES, *asked), answers=(0, 1))
        found = {block["Id"]: _facts(block) for block in _blocks(told) if "Id" in block}
    missed = [name for name in asked if name not in found]
    if missed:
        context.note(f"missing: systemctl show tells nothing of {len(missed)} units, such as {missed[0]}")
    return found


def _facts(told: dict[str, str]) -> Facts:
    since = _whole(told.get("InactiveExitTimestampMonotonic"))
    return Facts(
        one_line(told.get("Result", ""), 100),
        told.get("Restart", ""),
        _whole(told.get("NRestarts")),
        since / 1e6 if since else None,
        span(told.get("AccuracyUSec", "")),
        told.get("ControlGroup", ""),
        bool(told.get("TimersCalendar")),
    )


def group_born(context: Context, group: str) -> int:
    """Return the inode of a control group, 0 where there is none: of one that was made anew it is another."""
    for place in ("/sys/fs/cgroup", "/sys/fs/cgroup/systemd"):  # with version 2, and with 1
        with suppress(OSError, ValueError):
            return context.path(f"{place}{group}").stat().st_ino
    return 0


def span(text: str) -> float:
    """Return the seconds of a time span such as "1min 30s"; of what is none, such as "infinity", 0."""
    return sum(float(number) * _SECONDS[unit] for number, unit in _SPAN.findall(text))


def _run(context: Context, command: Sequence[str], limit: int = 1 << 20, seconds: float = inf) -> bytes:
    """Run systemctl, once more where systemd is executed anew meanwhile: that ends all connections to it.

    Its colours are taken out, which SYSTEMD_COLORS in the environment puts into JSON, too.
    """
    try:
        told = context.run(command, limit=limit, seconds=seconds)
    except Unavailable as error:
        if not any(each in str(error) for each in _ENDED):
            raise
        time.sleep(min(_ANEW, context.budget() / 2))
        told = context.run(command, limit=limit, seconds=seconds)
    return _COLOUR.sub(b"", told) if b"\x1b" in told else told


def _rows(context: Context, command: Sequence[str], seconds: float = inf) -> list[Any]:
    """Return the rows of a table that systemctl prints as JSON."""
    told = _run(context, command, limit=_MOST_BYTES, seconds=seconds)
    try:
        rows = json.loads(told)
    except (ValueError, RecursionError):
        rows = None
    if not isinstance(rows, list):
        said = one_line(told[-80:].decode("utf-8", "replace"), 80) or "nothing"
        raise Unavailable(f"{' '.join(command)} printed no list as JSON; it ended with: {said}")
    return rows


def _blocks(told: bytes) -> Iterator[dict[str, str]]:
    """Yield the properties of each unit, which an empty line parts."""
    for block in told.decode("utf-8", "replace").split("\n\n"):
        pairs = (line.partition("=") for line in block.splitlines())
        if found := {key: value for key, equals, value in pairs if equals}:
            yield found


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"no text: {value!r:.40}")
    return value


def _moment(value: object) -> float | None:
    """Read a time in microseconds: null, 0 and infinity (2⁶⁴ - 1) are never."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"no time: {value!r:.40}")
    return value / 1e6 if 0 < value < 1 << 63 else None


def _whole(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 20 else None
