"""What people are shown of a status, the worst first: a row for each collector and sink. Pure.

`rscollector status` and the page show the same. The status may be of an agent of the version before, which
does not tell all of it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rscollector.model.settings import humanized

_STYLES = {
    "removed": "bad",
    "down": "bad",
    "stale": "bad",
    "starting": "warn",
    "stopping": "warn",
    "up": "good",
}
"""What each condition is painted in, the worst first."""
_RANKS = {condition: rank for rank, condition in enumerate(_STYLES)}
_MISSING = "missing: "
_WAITS = {"connecting", "backoff", "killing"}
"""The states in which a tick is passed over; `reason` says what happens next."""
_ENDED = {"hang": "hung", "crash": "crashed"}


class Row(NamedTuple):
    """A collector or sink in words. `minutes` are as `sparkline` takes them.

    `stack` is where its code was when it `ended` so, where that is what is wrong with it now.
    """

    key: str
    condition: str
    style: str
    since: str
    reason: str
    notes: tuple[str, ...]
    last: str
    next: str
    interval: str
    took: str
    series: int
    failures: int
    worker: str
    ended: str
    stack: str
    waiting: str
    minutes: Sequence[float | None]

    @property
    def is_wrong(self) -> bool:
        """Whether it is in trouble, or something is missing of what it tells."""
        return self.style == "bad" or bool(self.notes and any(map(_is_missing, self.notes)))

    @property
    def is_quiet(self) -> bool:
        """Whether there is nothing to say of it."""
        return not (self.reason or self.notes or self.waiting or self.failures or self.stack)


def rows(status: Mapping[str, Any]) -> list[Row]:
    """Return the rows of a status by trouble, the newest trouble first."""
    return [row(each) for each in sorted(status["collectors"], key=_place)]


def calm(found: Sequence[Row], *, agent_is_well: bool = True) -> str:
    """Say that nothing is wrong with these, which are all; "" where something is, or none is there."""
    if not found or any(each.is_wrong for each in found):
        return ""
    begin = sum(each.condition == "starting" for each in found)
    begun = f" so far: {begin} of {len(found)} {'is' if begin == 1 else 'are'} starting" if begin else ""
    return f"Nothing is wrong{'' if agent_is_well else ' with the collectors'}{begun}."


def is_configured(status: Mapping[str, Any]) -> bool:
    """Tell whether all that the files said at the last reload is in use."""
    config, web = status["config"], status.get("web", {})
    read = all(each.get("last_reload_successful", True) for each in (config, web))
    return read and not config.get("last_reload_error")


def style(condition: str) -> str:
    """Return what a condition is painted in; a word that is not known here is trouble."""
    return _STYLES.get(condition, "bad")


def size(count: float) -> str:
    """Return a number of bytes as an operator would say it: 512 B, 1.5 KiB, 21 MiB."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if count >= 10 or unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def _place(each: Mapping[str, Any]) -> tuple[float, float, str]:
    condition = _condition(each)
    rank: float = _RANKS.get(condition, _RANKS["down"])
    if each["notes"] and condition == "up" and any(map(_is_missing, each["notes"])):
        rank = _RANKS["starting"] - 0.5  # it tells less than it could
    since = 0.0 if condition == "up" else each.get("condition_seconds", 0.0)
    return rank, since, f"{each['type']}/{each['name']}"


def _is_asked(each: Mapping[str, Any]) -> bool:
    """Tell whether one in backoff answers and cannot do what it is for: that is asked at each tick."""
    trouble = each.get("trouble") or "neighbour"
    return each["state"] == "backoff" and not each["failures"] and trouble != "neighbour"


def _is_missing(note: str) -> bool:
    return note.startswith(_MISSING)


def _condition(each: Mapping[str, Any]) -> str:
    told: str = each.get("condition") or ("up" if each["up"] else each["state"])
    return told


def row(each: Mapping[str, Any]) -> Row:
    """Return the row of one collector or sink."""
    key, condition = f"{each['type']}/{each['name']}", _condition(each)
    ended = "" if each["up"] else _ENDED.get(each.get("trouble") or "", "")
    memory = each.get("worker_memory_bytes")
    ago, next_run = each["last_success_seconds_ago"], each.get("next_run_seconds")
    waits = condition in ("removed", "stopping") or each["state"] in _WAITS
    return Row(
        key=key,
        condition=condition,
        style=style(condition),
        since=_humanized(each.get("condition_seconds")),
        reason=each["reason"],
        notes=tuple(each["notes"]),
        last="never" if ago is None else f"{humanized(ago)} ago",
        next="-" if next_run is None or (waits and not _is_asked(each)) else f"in {humanized(next_run)}",
        interval=_humanized(each["interval_seconds"]),
        took=_humanized(each["duration_seconds"]),
        series=each["series"],
        failures=each["failures"],
        worker=("own" if each["worker"] == key else each["worker"]) + (f", {size(memory)}" if memory else ""),
        ended=ended,
        stack=each["last_stack"].rstrip() if ended else "",
        waiting=_waiting(each.get("waiting")),
        minutes=each.get("minutes", ()),
    )


def _waiting(told: Mapping[str, Any] | None) -> str:
    """Say what a sink has not yet taken from the agent, and what it will never get; "" for a collector."""
    if told is None:
        return ""
    waits, lost = told["points"], told["lost_points"]
    old = f", the oldest for {humanized(told['age_seconds'])}" if told["age_seconds"] else ""
    count = "1 point waits" if waits == 1 else f"{waits} points wait"
    waiting = f"{count} in the agent ({size(told['bytes'])}){old}" if waits else "nothing waits in the agent"
    return f"{waiting}; {lost or 'none'} {'were' if lost > 1 else 'was'} lost there"


def _humanized(seconds: float | None) -> str:
    return "-" if seconds is None else humanized(seconds)
