"""Every query of the dashboard, asked from a Prometheus that scrapes a real agent; and an alert of its own."""

import subprocess
import sys

import pytest
from harness import until
from netns import namespace
from scraping import Prometheus, dashboard_queries, unanswered

from collectors.network.tests.installed import search_path
from collectors.network.tests.test_namespaces import QUIET, SEND

pytestmark = [pytest.mark.needs("root", "ip", "unshare", "nsenter", "prometheus"), pytest.mark.timeout(180)]

CONFIG = """
[web]
listen = ["127.0.0.1:10070"]
[agent]
interval = "500ms"
[collector.network.main]
"""
NOT_HERE = ("network_bond_", "network_speed", "network_full_duplex", "errors_by_kind", "collisions", "errors_total",
            "driver_statistic")  # fmt: skip
"""What veth has not: bonds are shown by recordings, and in user-mode-linux."""


def test_every_query_of_the_dashboard_has_an_answer(agent, tmp_path):
    """While frames are sent and lost each panel shows something; a link that comes and goes is told."""
    with namespace() as net:
        subprocess.run([*net.enter, "sh", "-c", QUIET], check=True)
        # The carrier of a bridge is that of what is in it; that of a cable's other end would be no news.
        for command in ("link add br0 type bridge", "link set br0 up", "link set a0 master br0"):
            net.ip(*command.split())
        started = agent(CONFIG, prefix=net.enter, PYTHONPATH=search_path(tmp_path))
        until(lambda: started.value("network_carrier", interface="a0") == 1)
        (tmp_path / "prometheus").mkdir()
        prometheus = Prometheus(tmp_path / "prometheus", "127.0.0.1:10070", net)

        def provoke():
            subprocess.run([*net.enter, sys.executable, "-c", SEND, "a0", "5"], check=True, timeout=60)
            net.batch(["link set b0 down", "link set b0 up"])

        try:
            queries = dashboard_queries("network", instance=".*", interface=".*")
            asked = [
                each for each in queries if not any(name in each for name in NOT_HERE) or "vector(0)" in each
            ]
            assert len(asked) >= 12

            def answered(found):
                return found and all(each["value"][1] != "NaN" for each in found)

            assert unanswered(prometheus, asked, answered, provoke) == []
            until(lambda: provoke() or "NetworkCarrierFlapping" in prometheus.firing())
            assert started.value("rscollector_collector_up", type="network") == 1
        finally:
            prometheus.stop()
