"""Every collector is a product: page, alerts, and tests of the alerts that promtool runs."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2] / "collectors"
FOLDERS = sorted(path.parent for path in ROOT.glob("*/collector.py"))
EACH = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


@EACH
def test_a_collector_has_all_that_belongs_to_it(folder):
    """The folder has code, page, alerts and their tests."""
    expected = {"__init__.py", "collector.py", "README.md", "alerts.yml", "alerts_test.yml"}
    assert expected <= {path.name for path in folder.iterdir()}


@EACH
@pytest.mark.needs("promtool")
def test_the_alerts_fire_when_they_should(folder):
    """promtool accepts the rules and their tests pass."""
    for command in (["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]):
        done = subprocess.run(
            ["promtool", *command], cwd=folder, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@EACH
def test_every_alert_is_tested_and_on_the_page(folder):
    """No alert without a test that it fires, and a line on the page."""
    alerts = set(re.findall(r"- alert: (\w+)", (folder / "alerts.yml").read_text()))
    fired = set(re.findall(r"alertname: (\w+)\n +exp_alerts", (folder / "alerts_test.yml").read_text()))
    assert alerts == fired
    page = (folder / "README.md").read_text()
    assert [alert for alert in alerts if f"| {alert} |" not in page] == []


@EACH
def test_alerts_use_metrics_that_exist(folder):
    """A rule about a metric that nobody emits would never fire."""
    from rscollector.config.registry import load
    from rscollector.runtime.telemetry import METRICS

    metrics = (*METRICS, *load(folder.name).metrics)
    known = {word for metric in metrics for word in (metric.name, *metric.labels)}
    expressions = re.findall(
        r"expr: (?:>\n)?(.*?)\n +(?:for|labels):", (folder / "alerts.yml").read_text(), re.DOTALL
    )
    used = set(re.findall(rf"\b(?:rscollector|{folder.name})_\w+", " ".join(expressions)))
    assert used - known - {"vip_address_state"} == set()
