"""A real Prometheus scrapes a real agent, loads the alerts, and fires when an address is taken away."""

import subprocess

import pytest
from harness import until
from netns import namespace
from scraping import ALERTS, Prometheus

V4 = "192.0.2.10"


@pytest.fixture
def net():
    """A network namespace with a loopback interface and an interface a0 that has a link."""
    with namespace() as made:
        yield made


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
        timeout = "10s"
        [web]
        listen = ["127.0.0.1:10070"]
        [collector.vip.main]
        addresses = ["{V4}"]
        [collector.agent.main]
        """,
        prefix=net.enter,
    )
    prometheus = Prometheus(tmp_path, "127.0.0.1:10070", net)
    try:
        until(lambda: prometheus.value('up{job="rscollector"}') == 1)
        until(lambda: prometheus.value(f'vip_bound{{address="{V4}", name="main"}}') == 1)
        assert prometheus.value('rscollector_collector_up{type="vip"}') == 1
        rules = prometheus.ask("/api/v1/rules")["groups"]
        folders = {path.parent.name for path in ALERTS}
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
        until(lambda: prometheus.firing() == set())  # before the first scrape no agent was known
        address("delete")
        until(lambda: "VipOnNoHost" in prometheus.firing())
        assert prometheus.firing() == {"VipOnNoHost"}
        address("add")
        until(lambda: prometheus.firing() == set())
        started.stop()
        until(lambda: "RscollectorDown" in prometheus.firing())
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
        ["promtool", "check", "metrics"], input=page, capture_output=True, timeout=90, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
