"""A real agent that watches the servers, and a Prometheus with our alerts and every query of the dashboard."""

import signal

import pytest
from harness import until
from scraping import Prometheus, dashboard_queries, unanswered

from collectors.dns.tests.installed import search_path
from collectors.dns.tests.servers import PRIMARY, RESOLVER

pytestmark = [
    pytest.mark.needs("root", "named", "dig", "nsd", "knotd", "ip", "unshare", "nsenter", "prometheus"),
    pytest.mark.timeout(180),
]

CONFIG = f"""
[web]
listen = ["127.0.0.1:10070"]
[agent]
interval = "2s"
timeout = "1500ms"
[collector.dns.main]
zones = ["example.test", "signed.test", "differs.test"]
primaries = ["{PRIMARY}"]
resolvers = ["{RESOLVER}"]
"""


def test_alerts_and_dashboard_are_answered(agent, servers, tmp_path):
    """Each panel shows something; a stopped server, a delegation that differs and a dead primary are told, and no more."""
    started = agent(CONFIG, prefix=servers.client.enter, PYTHONPATH=search_path(tmp_path))
    until(lambda: started.value("dns_zone_servers_in_sync", zone="signed.test") == 5)
    (tmp_path / "prometheus").mkdir()
    prometheus = Prometheus(tmp_path / "prometheus", "127.0.0.1:10070", servers.client)
    try:
        queries = dashboard_queries("dns", instance=".*", zone=".*")
        assert len(queries) >= 18

        def answered(found):
            return found and all(each["value"][1] != "NaN" for each in found)

        assert unanswered(prometheus, queries, answered, lambda: None) == []
        differs = {"DnsDelegationDiffers", "DnsServerNameWithoutAddress"}
        until(lambda: prometheus.firing() == differs)
        servers.processes["knot"].send_signal(signal.SIGSTOP)
        until(lambda: prometheus.firing() == {*differs, "DnsServerSilent"})
        servers.processes["knot"].send_signal(signal.SIGCONT)
        until(lambda: prometheus.firing() == differs)
        servers.kill("primary")
        until(lambda: prometheus.firing() == {*differs, "DnsServerSilent", "DnsPrimaryDown"})
        assert started.value("rscollector_collector_up", type="dns") == 1
    finally:
        prometheus.stop()
