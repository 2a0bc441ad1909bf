"""Every collector is a product, and so is a sink: page, alerts, and tests of the alerts that promtool runs."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from checkout import declared

ROOT = Path(__file__).resolve().parents[2]
COLLECTORS = sorted(path.parent for path in ROOT.glob("collectors/*/collector.py"))
SINKS = sorted(path.parent for path in ROOT.glob("rscollector/sinks/*/sink.py"))
FOLDERS = [*COLLECTORS, *(folder for folder in SINKS if (folder / "alerts.yml").exists())]
EACH = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


@pytest.mark.parametrize("folder", COLLECTORS, ids=lambda folder: folder.name)
def test_a_collector_has_all_that_belongs_to_it(folder):
    """The folder has code, page, alerts and their tests."""
    expected = {"__init__.py", "collector.py", "README.md", "alerts.yml", "alerts_test.yml"}
    assert expected <= {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("folder", SINKS, ids=lambda folder: folder.name)
def test_a_sink_has_a_page(folder):
    """And, where it has alerts, their tests."""
    found = {path.name for path in folder.iterdir()}
    assert {"__init__.py", "README.md"} <= found
    assert ("alerts.yml" in found) == ("alerts_test.yml" in found)


@pytest.mark.parametrize(
    "promtool",
    [pytest.param(each, marks=pytest.mark.needs(each)) for each in ("promtool", "promtool-forky")],
)
@EACH
def test_the_alerts_fire_when_they_should(folder, promtool):
    """Prometheus 2 and 3 accept the rules, and their tests pass; the ranges of 3 leave out where they begin."""
    for command in (["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]):
        done = subprocess.run(
            [promtool, *command], cwd=folder, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@EACH
def test_every_alert_is_tested_both_ways_and_on_the_page(folder):
    """No alert without a test that it fires, one that it does not, and a line on the page."""
    expressions = {rule["alert"]: rule["expr"] for rule in _rules(folder)}
    tried = list(_tried(folder))
    assert {alert for alert, fires, _ in tried if fires} == expressions.keys()
    uses = {alert: set(re.findall(r"\w+", text)) for alert, text in expressions.items()}
    quiet = {alert for alert, fires, series in tried if not fires and uses[alert] & series}
    assert expressions.keys() - quiet == set(), "never quiet where their series are"
    page = (folder / "README.md").read_text()
    assert [alert for alert in expressions if f"| {alert} |" not in page] == []


def _rules(folder):
    (group,) = yaml.safe_load((folder / "alerts.yml").read_text())["groups"]
    return group["rules"]


def _tried(folder):
    """Yield each alert that is tried, whether it is to fire, and the names of the series that it is given."""
    for test in yaml.safe_load((folder / "alerts_test.yml").read_text())["tests"]:
        series = {each["series"].partition("{")[0] for each in test["input_series"]}
        for each in test["alert_rule_test"]:
            yield each["alertname"], bool(each.get("exp_alerts")), series


@EACH
def test_alerts_use_metrics_that_exist(folder):
    """A rule about a metric that nobody emits would never fire."""
    from rscollector.runtime.telemetry import METRICS

    metrics = (*METRICS, *declared(folder.name).metrics)
    known = {word for metric in metrics for word in (metric.name, *metric.labels)}
    expressions = [rule["expr"] for rule in _rules(folder)]
    used = set(re.findall(rf"\b(?:rscollector|{folder.name}|sink)_\w+", " ".join(expressions)))
    assert used - known - {"vip_address_state"} == set()
