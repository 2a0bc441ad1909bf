"""All that the agent knows of one collector or sink: plain values for JSON, and for its page.

It is the object of `status` and what stands beside it: `settings` and `alerts` as the configuration process
has told them, `metrics` with their values, the `history` of conditions, `logged` lines, and `explained`, what
the last run has said in plain language. That is asked for only while somebody looks.
"""

import logging
import os
import shlex
from collections.abc import Iterable, Mapping
from itertools import islice
from math import isnan
from typing import Any

from rscollector.config.types import DEFAULT_FILE
from rscollector.model.metrics import Distribution, Metric, Value
from rscollector.runtime.history import History
from rscollector.runtime.instance import Instance
from rscollector.runtime.lines import Line
from rscollector.runtime.status import collector, event_id
from rscollector.runtime.supervisor import Supervisor
from rscollector.runtime.vitals import Vitals

_LOOKING = 300.0  # seconds after a look in which runs are explained
_MOST_SAMPLES = 2000


def details(supervisor: Supervisor, vitals: Vitals, instance: Instance, now: float) -> dict[str, Any]:
    """Return what is known at the loop's time `now`; from now on its runs are explained for a while."""
    key, config = instance.key, vitals.config
    instance.explain_until = now + _LOOKING + instance.spec.interval  # the next run is among them
    own, shared = supervisor.bodies.lines(key)
    explained = instance.explained
    return collector(instance, supervisor, now) | {
        "changes": event_id(supervisor, vitals),
        "is_sink": bool(instance.spec.sink),
        "minutes": [None if isnan(each) else round(each, 6) for each in instance.history.minutes(now)],
        "settings": settings(config.settings.get(key, [])),
        "metrics": _metrics(supervisor.store.metrics(key)),
        "history": history(instance.history),
        "logged": _lines(own),
        "logged_in_shared_worker": _lines(shared),
        "explained": explained and {"at": explained.at, "lines": list(explained.sentences)},
        "alerts": config.alerts.get(instance.spec.type, []),
        "command": "" if instance.spec.sink else _command(key, config.files),
    }


def settings(rows: Iterable[Iterable[str]]) -> list[dict[str, Any]]:
    """Return settings as objects; `file` and `line` are None where the default holds."""
    return [_setting(*row) for row in rows]


def history(kept: History) -> list[dict[str, Any]]:
    """Return what it has been, the newest first."""
    return [
        {
            "at": each.at,
            "condition": each.condition.value,
            "reason": each.reason,
            "lasted_seconds": each.lasted,
        }
        for each in kept.past()
    ]


def _setting(name: str, value: str, place: str) -> dict[str, Any]:
    file, _, line = place.rpartition(":")
    return {"name": name, "value": value, "file": file or None, "line": int(line) if line else None}


def _metrics(shown: Iterable[tuple[Metric, Mapping[tuple[str, ...], Value]]]) -> list[dict[str, Any]]:
    left, found = _MOST_SAMPLES, []
    for metric, rows in sorted(shown, key=lambda each: each[0].name):
        samples = [
            {"labels": dict(zip(metric.labels, labels, strict=True)), "value": _plain(metric, value)}
            for labels, value in islice(rows.items(), left)
        ]
        left -= len(samples)
        found.append(metadata(metric) | {"samples": samples, "samples_left_out": len(rows) - len(samples)})
    return found


def metadata(metric: Metric) -> dict[str, Any]:
    """Return what a metric is."""
    return {
        "name": metric.name,
        "type": metric.kind.value,
        "unit": metric.unit,
        "help": metric.help,
        "labels": list(metric.labels),
    }


def _plain(metric: Metric, value: Value) -> Any:
    if isinstance(value, Distribution):
        bounds = [*map(str, metric.buckets), "+Inf"]
        return {"buckets": dict(zip(bounds, value.counts, strict=True)), "sum": value.sum}
    return value


def _lines(lines: Iterable[Line]) -> list[dict[str, Any]]:
    return [
        {"at": each.at, "level": logging.getLevelName(each.level).lower(), "text": each.text}
        for each in lines
    ]


def _command(key: str, files: tuple[str, ...]) -> str:
    """Return the command by which somebody runs it as the agent's user."""
    user = "root" if os.geteuid() == 0 else os.environ.get("USER") or f"#{os.geteuid()}"
    first = next(iter(files), str(DEFAULT_FILE))
    config = [] if first == str(DEFAULT_FILE) else ["--config", first]
    return shlex.join(["sudo", "-u", user, "rscollector", "collect", key, "--explain", *config])
