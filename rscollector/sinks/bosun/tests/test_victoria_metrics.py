"""A real receiver: VictoriaMetrics with its OpenTSDB listener."""

import json
import subprocess
import urllib.parse
import urllib.request

import pytest
from arrivals import TOML
from harness import free_port, until

pytestmark = pytest.mark.needs("victoria-metrics")


class VictoriaMetrics:
    """One server, that is ended and started again with its data."""

    def __init__(self, directory):
        self.put, self.web = free_port(), free_port()
        self._command = [
            "victoria-metrics",
            f"-storageDataPath={directory}",
            f"-opentsdbHTTPListenAddr=127.0.0.1:{self.put}",
            f"-httpListenAddr=127.0.0.1:{self.web}",
        ]
        self.start()

    def start(self):
        """Start it."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: self.values("none") == [])

    def stop(self):
        """End it."""
        self._process.terminate()
        self._process.wait(60)

    def values(self, name):
        """Return all values that it has of a metric, sorted; None while it does not answer."""
        match = urllib.parse.quote(f'{{__name__="{name}"}}')
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.web}/api/v1/export?match[]={match}", timeout=5
            ) as answer:
                series = [json.loads(line) for line in answer.read().splitlines()]
        except OSError:
            return None
        return sorted(value for each in series for value in each["values"])


@pytest.fixture
def victoria(tmp_path):
    """Return a VictoriaMetrics."""
    started = VictoriaMetrics(tmp_path / "data")
    yield started
    started.stop()


def test_victoria_metrics_has_every_run_also_those_of_its_absence(agent, victoria):
    """It takes the points, is gone for a while, and has all of them in the end; metadata it does not know."""
    started = agent(TOML.format(url=f"http://127.0.0.1:{victoria.put}", more=""))
    until(lambda: len(victoria.values("tame.runs.total") or ()) >= 5)
    until(lambda: "the receiver takes no metadata" in str(started.collector("bosun/main")["notes"]))
    victoria.stop()
    until(lambda: (started.value("sink_queued_points") or 0) >= 10)
    victoria.start()
    runs = int(started.value("tame_runs_total", name="good"))
    until(lambda: len(victoria.values("tame.runs.total") or ()) >= runs)
    assert victoria.values("tame.runs.total")[:runs] == list(range(1, runs + 1))
    assert started.value("sink_rejected_points_total", reason="bad") == 0
