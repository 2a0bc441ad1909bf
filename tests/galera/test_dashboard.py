"""Every query of the dashboard, asked from a Prometheus that scrapes the real cluster."""

from contextlib import suppress

import pytest
from harness import until
from scraping import dashboard_queries

pytestmark = [pytest.mark.needs("mariadbd", "rsync", "prometheus", "root"), pytest.mark.timeout(180)]


def test_every_query_of_the_dashboard_has_an_answer(watching, cluster):
    """With three nodes each panel shows something; those by node show all three."""
    queries = dashboard_queries("galera", cluster="t")
    assert len(queries) > 20
    answers = {}

    def unanswered():
        for node in cluster.nodes:  # without a message there is no latency
            node.query("CREATE DATABASE passing")
            node.query("DROP DATABASE passing")
        for query in queries:
            answers[query] = answers.get(query) or complete(watching.prometheus.results(query))
        return [query for query in queries if not answers[query]]

    with suppress(AssertionError):
        until(lambda: not unanswered(), 30)
    assert unanswered() == []
    assert all(each["value"][1] != "NaN" for found in answers.values() for each in found)


def complete(found):
    """Return what was found if it is something, and by node of all nodes, else None."""
    nodes = {each["metric"]["node"] for each in found if "node" in each["metric"]}
    return found if nodes in (set(), {"n1", "n2", "n3"}) else None
