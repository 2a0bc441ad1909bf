"""Every query of the dashboard, asked from a Prometheus that scrapes the real cluster."""

import pytest
from scraping import dashboard_queries, unanswered

pytestmark = [pytest.mark.needs("mariadbd", "rsync", "prometheus", "root"), pytest.mark.timeout(180)]


def test_every_query_of_the_dashboard_has_an_answer(watching, cluster):
    """With three nodes each panel shows something; those by node show all three."""

    def write():
        for node in cluster.nodes:  # without a message there is no latency
            node.query("CREATE DATABASE passing")
            node.query("DROP DATABASE passing")

    queries = dashboard_queries("galera", cluster="t")
    assert len(queries) > 20
    assert unanswered(watching.prometheus, queries, of_all_nodes, write) == []


def of_all_nodes(found):
    """Tell whether something was found: by node of all three, and all of it numbers."""
    nodes = {each["metric"]["node"] for each in found if "node" in each["metric"]}
    return found and nodes in (set(), {"n1", "n2", "n3"}) and all(each["value"][1] != "NaN" for each in found)
