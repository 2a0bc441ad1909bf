"""A real Prometheus that scrapes an agent and evaluates the rules of every collector and sink."""

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from contextlib import suppress
from pathlib import Path

from harness import free_port, until

ROOT = Path(__file__).resolve().parents[1]
ALERTS = sorted([*ROOT.glob("collectors/*/alerts.yml"), *ROOT.glob("rscollector/sinks/*/alerts.yml")])
SHARED = {**os.environ, "RSCOLLECTOR_TEST_SERVER": "1"}  # it may outlive a test
ASK = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=5).read().decode())"


def shortened(rules):
    """Return alert rules that fire after two seconds, and remember each of the last: what is tested is not patience."""
    return re.sub(r"for: \w+", "for: 2s", rules).replace("[3d:15m]", "[10m:1s]").replace("[150s]", "[2s]")


class Prometheus:
    """A Prometheus, in a network namespace if there is one, and asked from a process in it.

    `program` is its release, by the command; `scrape` is what its configuration says of the scrape beside the target, such as TLS and a password.
    """

    def __init__(self, directory, target, net=None, program="prometheus", **scrape):
        self.target = target
        self.enter = net.enter if net else []
        self.port = free_port()
        rules = []
        for path in ALERTS:
            rules.append(directory / f"{path.parent.name}.yml")
            rules[-1].write_text(shortened(path.read_text()))
        config = {
            "global": {"scrape_interval": "500ms", "evaluation_interval": "500ms"},
            "scrape_configs": [
                {"job_name": "rscollector", "static_configs": [{"targets": [target]}], **scrape}
            ],
            "rule_files": [str(rule) for rule in rules],
        }
        (directory / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
        command = [
            program,
            f"--config.file={directory}/prometheus.yml",
            f"--storage.tsdb.path={directory}/data",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]
        self.log = (directory / "prometheus.log").open("w")
        self.process = subprocess.Popen([*self.enter, *command], stderr=self.log, stdout=self.log, env=SHARED)

    def ask(self, path, **parameters):
        """Return the data of an answer, None while there is none."""
        url = f"http://127.0.0.1:{self.port}{path}?{urllib.parse.urlencode(parameters)}"
        if not self.enter:
            try:
                with urllib.request.urlopen(url, timeout=5) as answer:
                    return json.load(answer)["data"]
            except urllib.error.HTTPError as refusal:
                refusal.close()  # it is the answer, too, and Python 3.14 warns of one that is left open
                return None
            except OSError:
                return None
        command = [*self.enter, sys.executable, "-c", ASK, url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        return json.loads(done.stdout)["data"] if done.returncode == 0 else None

    def results(self, query):
        """Return the series that a query gives, None where it cannot be asked."""
        data = self.ask("/api/v1/query", query=query)
        return data and data["result"]

    def value(self, query):
        """Return the value of a query with one result, None while there is none."""
        found = self.results(query)
        return float(found[0]["value"][1]) if found else None

    def firing(self):
        """Return the names of the alerts that fire."""
        data = self.ask("/api/v1/alerts") or {"alerts": []}
        return {each["labels"]["alertname"] for each in data["alerts"] if each["state"] == "firing"}

    def fires(self, *names, timeout=60):
        """Wait until these alerts fire, whatever else does."""
        until(lambda: set(names) <= self.firing(), timeout)

    def stop(self):
        """End it."""
        self.process.terminate()
        self.process.wait(30)
        self.log.close()


def dashboard_queries(name, /, **variables):
    """Return the queries of a collector's dashboard, with these values for its variables."""
    panels = json.loads((ROOT / "collectors" / name / "dashboard.json").read_text())["panels"]
    values = {"__rate_interval": "10s", **variables}
    return [
        re.sub(r"\$(\w+)", lambda found: values[found[1]], target["expr"])
        for panel in panels
        for target in panel.get("targets", [])
    ]


def unanswered(prometheus, queries, fits, provoke, timeout=60):
    """Ask until each query has an answer that fits, after provoking something each time; return those without."""
    open_ = set(queries)

    def ask():
        provoke()
        open_.difference_update({each for each in open_ if fits(prometheus.results(each) or [])})
        return not open_

    with suppress(AssertionError):
        until(ask, timeout)
    return sorted(open_)
