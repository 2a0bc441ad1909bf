"""Every query of the dashboard, asked from a Prometheus that scrapes a real agent; and an alert of its own."""

import pytest
from harness import until
from netns import namespace
from scraping import Prometheus, dashboard_queries, unanswered

from collectors.vip.tests.watched import V4, V6, there_and_back

pytestmark = [pytest.mark.needs("root", "ip", "unshare", "nsenter", "prometheus"), pytest.mark.timeout(180)]

CONFIG = f"""
[web]
listen = ["127.0.0.1:10070"]
[agent]
interval = "500ms"
[collector.vip.main]
addresses = ["{V4}", "{V6}"]
"""
ONCE_A_MINUTE = "vip_sources_differ"


def test_every_query_of_the_dashboard_has_an_answer(agent, tmp_path):
    """While an address comes and goes each panel shows something; one that nobody has is told."""
    with namespace() as net:
        started = agent(CONFIG, prefix=net.enter)
        until(lambda: started.value("vip_bound", address=V4) == 0)
        (tmp_path / "prometheus").mkdir()
        prometheus = Prometheus(tmp_path / "prometheus", "127.0.0.1:10070", net)
        try:
            net.ip("address", "add", f"{V4}/32", "dev", "b0")
            queries = dashboard_queries("vip", name=".*", address=".*", __range="30s")
            asked = [each for each in queries if ONCE_A_MINUTE not in each]
            assert len(asked) == len(queries) - 1 >= 15

            def answered(found):
                return found and all(each["value"][1] != "NaN" for each in found)

            assert unanswered(prometheus, asked, answered, lambda: net.batch(there_and_back(2))) == []
            prometheus.fires("VipOnNoHost")
        finally:
            prometheus.stop()
