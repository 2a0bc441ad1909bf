"""The alerts that come with a plugin: `alerts.yml` in its package, as Prometheus reads it."""

from collections.abc import Iterator
from importlib.resources import files
from typing import Any, NamedTuple

import yaml

from rscollector.model.texts import LONGEST_NOTE, one_line

_MOST = 100


class Alert(NamedTuple):
    """An alert, with its templates as they are written; `wait` is its `for`."""

    name: str
    severity: str
    wait: str
    summary: str
    description: str


def alerts(module: str) -> list[Alert]:
    """Return the alerts beside the module of a plugin that is imported, none where it has no such file."""
    try:
        text = files(module.rpartition(".")[0] or module).joinpath("alerts.yml").read_text("utf-8")
    except (OSError, TypeError):  # a module that is in no package has no files
        return []
    return list(_alerts(yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))))[:_MOST]  # noqa: S506


def _alerts(table: Any) -> Iterator[Alert]:
    for rule in (rule for group in table["groups"] for rule in group["rules"] if "alert" in rule):
        annotations = rule.get("annotations", {})
        yield Alert(
            *(
                one_line(str(text), LONGEST_NOTE)
                for text in (
                    rule["alert"],
                    rule.get("labels", {}).get("severity", ""),
                    rule.get("for", ""),
                    annotations.get("summary", ""),
                    annotations.get("description", ""),
                )
            )
        )
