"""The alerts that come with a plugin: `alerts.yml` in its package, as Prometheus reads it."""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from rscollector.config.bounded import content
from rscollector.model.texts import LONGEST_NOTE, one_line

_NAMES = ("alert", "severity", "for", "summary", "description")
_MORE = {"alert": "and more", "summary": "They are in its alerts.yml."}
_MOST = 100
_LONGEST_FILE = 1 << 20
_LONGEST = 48 << 10  # characters of all of them: the agent holds them in memory


def alerts(module: str) -> list[dict[str, str]]:
    """Return the alerts beside the module of a plugin that is imported, none where it has no such file.

    Each has `alert` (its name), `severity`, `for`, `summary` and `description`; templates stay as they are.
    """
    try:
        file = files(module.rpartition(".")[0] or module).joinpath("alerts.yml")
        text = content(file, _LONGEST_FILE) if isinstance(file, Path) else ""  # none is read from a zip
    except (ValueError, TypeError):  # a module that is in no package has no files
        return []
    found: list[dict[str, str]] = []
    left = _LONGEST
    for each in _alerts(yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))) if text else ():  # noqa: S506
        left -= sum(map(len, each.values()))
        if left < 0 or len(found) == _MOST:
            return [*found, dict.fromkeys(_NAMES, "") | _MORE]
        found.append(each)
    return found


def _alerts(table: Any) -> Iterator[dict[str, str]]:
    for rule in (rule for group in table["groups"] for rule in group["rules"] if "alert" in rule):
        texts = {**rule.get("labels", {}), **rule.get("annotations", {}), **rule}
        yield {name: _shown(texts.get(name)) for name in _NAMES}


def _shown(value: Any) -> str:
    """Return a text or number: lists of lists of lists take a few bytes in YAML, and gigabytes as a text."""
    return one_line(str(value), LONGEST_NOTE) if isinstance(value, str | int | float) else ""
