"""Every query of the dashboard, asked from a Prometheus that scrapes the real cluster."""

import pytest
from harness import until
from scraping import dashboard_queries

pytestmark = [pytest.mark.needs("mariadbd", "rsync", "prometheus", "root"), pytest.mark.timeout(180)]


def test_every_query_of_the_dashboard_has_an_answer(watching):
    """With three nodes each panel shows something; those by node show all three."""
    queries = dashboard_queries("galera", cluster="t")
    assert len(queries) > 20
    for query in queries:
        found = until(lambda query=query: complete(watching.prometheus.results(query)), 30)
        assert all(each["value"][1] != "NaN" for each in found), query


def complete(found):
    """Return what was found if it is something, and by node of all nodes, else None."""
    nodes = {each["metric"]["node"] for each in found if "node" in each["metric"]}
    return found if nodes in (set(), {"n1", "n2", "n3"}) else None
