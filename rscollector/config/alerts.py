"""The alerts that come with a plugin: `alerts.yml` in its package, as Prometheus reads it."""

from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import yaml

from rscollector.model.texts import LONGEST_NOTE, one_line

_MOST = 100


def alerts(module: str) -> list[dict[str, str]]:
    """Return the alerts beside the module of a plugin that is imported, none where it has no such file.

    Each has `alert` (its name), `severity`, `for`, `summary` and `description`; templates stay as they are.
    """
    try:
        text = files(module.rpartition(".")[0] or module).joinpath("alerts.yml").read_text("utf-8")
    except (OSError, TypeError):  # a module that is in no package has no files
        return []
    return list(_alerts(yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))))[:_MOST]  # noqa: S506


def _alerts(table: Any) -> Iterator[dict[str, str]]:
    for rule in (rule for group in table["groups"] for rule in group["rules"] if "alert" in rule):
        texts = {**rule.get("labels", {}), **rule.get("annotations", {}), **rule}
        names = ("alert", "severity", "for", "summary", "description")
        yield {name: one_line(str(texts.get(name, "")), LONGEST_NOTE) for name in names}
