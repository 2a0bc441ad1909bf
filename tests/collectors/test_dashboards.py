"""The dashboards: what Grafana's own library reads of them, and that they ask for what there is."""

import json
import re
from pathlib import Path

import pytest
from checkout import declared
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

ROOT = Path(__file__).resolve().parents[2] / "collectors"
FOUND = {path.parent.name: json.loads(path.read_text()) for path in ROOT.glob("*/dashboard.json")}
EACH = pytest.mark.parametrize("name", sorted(FOUND))
WHOLE = ("dns", "filesystem", "network", "systemd")
"""Those that show all that they have: each of their metrics answers a question of an operator."""


def panels(name):
    """Return the panels that show something."""
    return [panel for panel in FOUND[name]["panels"] if panel["type"] != "row"]


def lost(written, read, where=""):
    """Yield every key that is not there any more, or has another value."""
    for key, value in written.items():
        place = f"{where}/{key}"
        if key not in read:
            yield place
        elif isinstance(value, dict):
            yield from lost(value, read[key], place)
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for number, (old, new) in enumerate(zip(value, read[key], strict=True)):
                yield from lost(old, new, f"{place}[{number}]")
        elif value != read[key]:
            yield place


@EACH
def test_grafana_reads_all_that_is_written(name):
    """Grafana's library knows every key: one that it does not know would be ignored silently."""
    register_default_plugins()
    read = json.loads(JSONEncoder().encode(Dashboard.from_json(FOUND[name])))
    assert list(lost(FOUND[name], read)) == []
    with_mistake = {**FOUND[name], "panles": []}
    assert list(lost(with_mistake, read)) == ["/panles"]


@EACH
def test_panels_have_their_own_place_and_say_what_they_show(name):
    """No panel covers another; each has a title and a description."""
    taken = set()
    for panel in FOUND[name]["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not taken & cells, panel["title"]
        taken |= cells
    ids = [panel["id"] for panel in FOUND[name]["panels"]]
    assert len(ids) == len(set(ids))
    assert [panel["title"] for panel in panels(name) if not panel["description"].endswith(".")] == []


@EACH
def test_queries_are_about_metrics_that_exist(name):
    """A panel about a metric that nobody emits would stay empty."""
    from rscollector.runtime import telemetry

    known = {metric.name for metric in (*declared(name).metrics, *telemetry.METRICS)}
    for panel in panels(name):
        for target in panel["targets"]:
            bare = re.sub(r"\{[^}]*\}|\([a-z_, ]*\)", "", target["expr"])
            used = set(re.findall(rf"\b(?:{name}|rscollector)_[a-z0-9_]+", bare))
            assert {re.sub("_(bucket|sum|count)$", "", each) for each in used} <= known
            assert used


@pytest.mark.parametrize("name", WHOLE)
def test_every_metric_has_a_panel(name):
    """What is nowhere on a dashboard is looked at by nobody before it is too late."""
    shown = " ".join(target["expr"] for panel in panels(name) for target in panel["targets"])
    used = {re.sub("_(bucket|sum|count)$", "", each) for each in re.findall(r"[a-z0-9_]+", shown)}
    assert {metric.name for metric in declared(name).metrics} - used == set()
