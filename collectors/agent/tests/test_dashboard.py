"""Every query of the dashboard, asked from a Prometheus that scrapes a real agent on this host."""

import pytest
import trustme
from harness import free_port
from scraping import Prometheus, dashboard_queries, unanswered

pytestmark = [pytest.mark.needs("prometheus"), pytest.mark.timeout(180)]

CONFIG = """
[agent]
interval = "500ms"
backoff_max = "200ms"
[web]
listen = ["127.0.0.1:{port}"]
[[web.listener]]
address = "127.0.0.1:{other}"
tls = {{ certificate = "{place}/server.crt", key = "{place}/server.key" }}
[collector.agent.main]
[collector.rogue.bad]
do = "exit"
[sink.bosun.away]
url = "http://127.0.0.1:1"
"""


def test_every_query_of_the_dashboard_has_an_answer(agent, tmp_path):
    """With a collector that fails, a sink whose receiver is away, and TLS, each panel shows something."""
    port = free_port()
    certificate = trustme.CA().issue_cert("localhost")
    certificate.private_key_pem.write_to_path(tmp_path / "server.key")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "server.crt")
    agent(CONFIG.format(port=port, other=free_port(), place=tmp_path))
    (tmp_path / "prometheus").mkdir()
    prometheus = Prometheus(tmp_path / "prometheus", f"127.0.0.1:{port}")
    try:
        queries = dashboard_queries("agent", instance=".*")
        assert len(queries) >= 20
        # Of samples that are not shown there is a series when there is one, and here there is none.
        asked = [each for each in queries if "dropped_samples" not in each]
        assert len(asked) == len(queries) - 1
        assert unanswered(prometheus, asked, bool, lambda: None) == []
    finally:
        prometheus.stop()
