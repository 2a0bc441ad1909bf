"""What the agent gives → what the templates show: words, moments and tables. Pure.

The page of all is a status in rows; the page of an instance has what is known of one collector or sink.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any, NamedTuple

from rscollector.model.settings import humanized
from rscollector.web.rows import Row, calm, is_configured, row, rows, size, style

_SHOWN_FIRST = 8
"""How many lines or states are shown before the rest, which is behind a word that opens it."""
_AHEAD = 5.0
"""Seconds by which something may be ahead of the clock: it was slewed, or is another host's."""
_SEVERITIES = {"critical": "bad", "warning": "warn"}
_LEVELS = {"critical": "bad", "error": "bad", "warning": "warn"}


class Moment(NamedTuple):
    """A time: for machines, as a clock of this host shows it, and how long ago that is."""

    iso: str
    clock: str
    ago: str


class Worker(NamedTuple):
    """A worker process and whom it serves."""

    name: str
    process: str
    memory: str
    serves: tuple[str, ...]


class Measure(NamedTuple):
    """A metric with its samples: labels and value of each."""

    name: str
    kind: str
    help: str
    samples: tuple[tuple[str, str], ...]
    left_out: int


def index(
    status: Mapping[str, Any], now: float, *, only_wrong: bool, unhealthy: str, unready: str
) -> dict[str, Any]:
    """Return what the page of all shows at the Unix time `now`."""
    found = rows(status)
    wrong = [each for each in found if each.is_wrong]
    web = status.get("web", {})
    is_well = not unhealthy and is_configured(status)
    return {
        "status": status,
        "rows": wrong if only_wrong else found,
        "wrong": len(wrong),
        "is_well": is_well,
        "calm": calm(found, agent_is_well=is_well and not unready),
        "only_wrong": only_wrong,
        "unhealthy": unhealthy,
        "unready": unready,
        "late": humanized(max(0.0, status.get("loop_lag_seconds", 0.0))),
        "read": moment(status["config"].get("read_at"), now),
        "web_mistake": web.get("last_reload_error", ""),
        "listeners": [
            (each, moment(each["certificate_not_after"], now, later="in {}"))
            for each in web.get("listeners", ())
        ],
        "workers": workers(status["collectors"]),
    }


def workers(collectors: Iterable[Mapping[str, Any]]) -> list[Worker]:
    """Return the workers that run, the largest first."""
    serves = defaultdict(list)
    known = {}
    for each in collectors:
        if pid := each.get("worker_pid"):
            serves[pid].append(f"{each['type']}/{each['name']}")
            known[pid] = each
    found = sorted(known, key=lambda pid: (-(known[pid].get("worker_memory_bytes") or 0), pid))
    return [
        Worker(known[pid]["worker"], str(pid), _memory(known[pid]), tuple(sorted(serves[pid])))
        for pid in found
    ]


def instance(told: Mapping[str, Any], now: float, zone: tzinfo | None = None) -> dict[str, Any]:
    """Return what the page of a collector or sink shows at the Unix time `now`."""
    shown, explained = row(told), told["explained"]
    history = [_state(each, now, zone) for each in told["history"]]
    logged = [_line(each, now, zone) for each in told["logged"]]
    metrics = [_measure(each, now) for each in told["metrics"]]
    return {
        "row": shown,
        "is_sink": told["is_sink"],
        "explained": explained and explained["lines"],
        "said": explained and moment(explained["at"], now, zone),
        "soon": _soon(shown),
        "state": told["state"],
        "hangs": told.get("hangs", 0),
        "process": told.get("worker_pid"),
        "memory": _memory(told),
        "timeout": humanized(told["timeout_seconds"]) if told.get("timeout_seconds") else "",
        "stack": told["last_stack"].rstrip(),
        "history": history[:_SHOWN_FIRST],
        "history_before": history[_SHOWN_FIRST:],
        "logged": logged[-_SHOWN_FIRST:],
        "logged_before": logged[:-_SHOWN_FIRST],
        "logged_by_worker": [_line(each, now, zone) for each in told["logged_in_shared_worker"]],
        "settings": [{**each, "where": _where(each)} for each in told["settings"]],
        "metrics": metrics,
        "samples": sum(len(each.samples) + each.left_out for each in metrics),
        "alerts": [{**each, "style": _SEVERITIES.get(each["severity"], "")} for each in told["alerts"]],
        "command": told["command"],
    }


def moment(
    at: float | None, now: float, zone: tzinfo | None = None, *, later: str = "before the clock was set back"
) -> Moment | None:
    """Return a Unix time for people, in the zone of this host when no other is given; None where it is none.

    What has happened and is still to come by the clock of `now` was `later`: its "{}" is how long until then.
    """
    if not at:
        return None
    try:
        then, today = (datetime.fromtimestamp(each, UTC).astimezone(zone) for each in (at, now))
    except (ValueError, OverflowError, OSError):  # no number, or beyond the year 9999
        return None
    day = "" if then.date() == today.date() else f"{then:%Y-%m-%d} "
    ago = f"{humanized(now - at)} ago" if now - at >= 1 else "just now"
    if at - now >= _AHEAD:
        ago = later.format(humanized(at - now))
    return Moment(then.isoformat(timespec="seconds"), f"{day}{then:%H:%M:%S %Z}", ago)


def _memory(told: Mapping[str, Any]) -> str:
    memory = told.get("worker_memory_bytes")
    return size(memory) if memory else ""


def _soon(shown: Row) -> str:
    """Say when a collector that has been asked how it is in words will have answered."""
    if shown.condition == "stopping":
        return "It is ending, and will say nothing more."
    if shown.condition != "up" or shown.next == "-":
        return "Its next run that succeeds will say how it is."
    return f"Its next run will say how it is: {shown.next}."


def _state(each: Mapping[str, Any], now: float, zone: tzinfo | None) -> dict[str, Any]:
    lasted = each["lasted_seconds"]
    return {
        "condition": each["condition"],
        "style": style(each["condition"]),
        "reason": each["reason"],
        "at": moment(each["at"], now, zone),
        "lasted": "" if lasted is None else humanized(lasted),
    }


def _line(each: Mapping[str, Any], now: float, zone: tzinfo | None) -> dict[str, Any]:
    return {
        "at": moment(each["at"], now, zone),
        "level": each["level"],
        "style": _LEVELS.get(each["level"], ""),
        "text": each["text"],
    }


def _where(setting: Mapping[str, Any]) -> str:
    if not setting["file"]:
        return "default"
    return f"{setting['file']}:{setting['line']}" if setting["line"] else str(setting["file"])


def _measure(told: Mapping[str, Any], now: float) -> Measure:
    name, unit = told["name"], told["unit"]
    is_time = name.endswith("_timestamp_seconds")
    return Measure(
        name,
        ", ".join(filter(None, (told["type"], unit))),
        told["help"],
        tuple(
            (_labels(each["labels"]), _value(each["value"], unit, is_time, now)) for each in told["samples"]
        ),
        told["samples_left_out"],
    )


def _labels(labels: Mapping[str, str]) -> str:
    return ", ".join(f'{key}="{value}"' for key, value in labels.items())


def _value(value: Any, unit: str, is_time: bool, now: float) -> str:
    if isinstance(value, Mapping):
        return _distribution(value, unit)
    if not isinstance(value, int | float):
        return str(value)
    if is_time and (at := moment(value, now, later="in {}")):
        return f"{number(round(value))} ({at.clock}, {at.ago})"
    exact = number(value)
    said = {"bytes": size, "seconds": humanized}.get(unit)
    return f"{exact} ({said(value)})" if said and not is_time and _needs_words(value, unit) else exact


def _needs_words(value: float, unit: str) -> bool:
    return abs(value) < float("inf") and value >= {"bytes": 1024, "seconds": 60}[unit]


def _distribution(value: Mapping[str, Any], unit: str) -> str:
    buckets: Sequence[tuple[str, float]] = list(value["buckets"].items())
    count = number(buckets[-1][1])
    below = ", ".join(f"{number(each)} ≤ {edge}" for edge, each in buckets[:-1])
    parts = (f"{count} in all", f"sum {number(value['sum'])}{' ' + unit if unit else ''}", below)
    return "; ".join(filter(None, parts))


def number(value: float) -> str:
    """Return a number as it is, without the zeros that say nothing."""
    return str(int(value)) if value == value // 1 and abs(value) < 1e15 else repr(float(value))
