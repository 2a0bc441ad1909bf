"""A real Prometheus scrapes a real agent, loads the alerts, and fires when an address is taken away."""

import json
import re
import subprocess
import sys
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from harness import free_port, until
from netns import namespace

ROOT = Path(__file__).resolve().parents[2]
V4 = "192.0.2.10"


def shortened(rules):
    """Return alert rules that fire after two seconds: what is tested here is not patience."""
    return re.sub(r"for: \w+", "for: 2s", rules)


class Prometheus:
    """A Prometheus in a network namespace, asked from a process in it."""

    def __init__(self, directory, net, target):
        self.net = net
        self.port = free_port()
        rules = []
        for folder in sorted((ROOT / "collectors").iterdir()):
            if (folder / "alerts.yml").exists():
                rules.append(directory / f"{folder.name}.yml")
                rules[-1].write_text(shortened((folder / "alerts.yml").read_text()))
        config = {
            "global": {"scrape_interval": "500ms", "evaluation_interval": "500ms"},
            "scrape_configs": [{"job_name": "rscollector", "static_configs": [{"targets": [target]}]}],
            "rule_files": [str(rule) for rule in rules],
        }
        (directory / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
        command = [
            "prometheus",
            f"--config.file={directory}/prometheus.yml",
            f"--storage.tsdb.path={directory}/data",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]
        self.log = (directory / "prometheus.log").open("w")
        self.process = subprocess.Popen([*net.enter, *command], stderr=self.log, stdout=self.log)

    def ask(self, path, **parameters):
        """Return the data of an answer, None while there is none."""
        url = f"http://127.0.0.1:{self.port}{path}?{urllib.parse.urlencode(parameters)}"
        code = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=5).read().decode())"
        command = [*self.net.enter, sys.executable, "-c", code, url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        return json.loads(done.stdout)["data"] if done.returncode == 0 else None

    def value(self, query):
        """Return the value of a query with one result, None while there is none."""
        data = self.ask("/api/v1/query", query=query)
        return float(data["result"][0]["value"][1]) if data and data["result"] else None

    def firing(self):
        """Return the names of the alerts that fire."""
        data = self.ask("/api/v1/alerts") or {"alerts": []}
        return {each["labels"]["alertname"] for each in data["alerts"] if each["state"] == "firing"}

    def stop(self):
        """End it."""
        self.process.terminate()
        self.process.wait(30)
        self.log.close()


@pytest.fixture
def net():
    """A network namespace with a loopback interface and an interface a0 that has a link."""
    with namespace() as made:
        yield made


@pytest.mark.slow
@pytest.mark.needs("root", "ip", "nsenter", "unshare", "prometheus")
def test_an_address_that_is_taken_away_raises_the_alarm(agent, net, tmp_path):
    """Nothing fires while all is well; when the address goes, VipOnNoHost does; when it is back, it stops."""

    def address(verb):
        net.ip("address", verb, f"{V4}/32", "dev", "a0")

    address("add")
    started = agent(
        f"""
        [agent]
        interval = "300ms"
        [web]
        listen = ["127.0.0.1:10070"]
        [collector.vip.main]
        addresses = ["{V4}"]
        [collector.agent.main]
        """,
        prefix=net.enter,
    )
    prometheus = Prometheus(tmp_path, net, "127.0.0.1:10070")
    try:
        until(lambda: prometheus.value('up{job="rscollector"}') == 1, timeout=30)
        until(lambda: prometheus.value(f'vip_bound{{address="{V4}", name="main"}}') == 1)
        assert prometheus.value('rscollector_collector_up{type="vip"}') == 1
        rules = prometheus.ask("/api/v1/rules")["groups"]
        folders = {path.parent.name for path in ROOT.glob("collectors/*/alerts.yml")}
        assert {group["name"] for group in rules} == {f"rscollector-{name}" for name in folders}
        assert [
            rule["lastError"] for group in rules for rule in group["rules"] if rule.get("lastError")
        ] == []
        until(
            lambda: all(
                rule["health"] == "ok"
                for group in prometheus.ask("/api/v1/rules")["groups"]
                for rule in group["rules"]
            )
        )
        assert prometheus.firing() == set()
        address("delete")
        until(lambda: "VipOnNoHost" in prometheus.firing(), timeout=30)
        assert prometheus.firing() == {"VipOnNoHost"}
        address("add")
        until(lambda: prometheus.firing() == set(), timeout=30)
        started.stop()
        until(lambda: "RscollectorDown" in prometheus.firing(), timeout=30)
    finally:
        prometheus.stop()


@pytest.mark.needs("promtool")
def test_the_whole_page_of_an_agent_is_clean(agent):
    """promtool finds nothing to say about the page of an agent with both collectors."""
    started = agent("[web]\nlisten = []\n[collector.agent.main]\n[collector.vip.main]\n")
    until(lambda: len([each for each in started.status()["collectors"] if each["up"]]) == 2)
    until(lambda: started.value("rscollector_collector_up", type="vip"))
    page = started.get("/metrics")[2]
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=page, capture_output=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
