"""Every query of the dashboard, asked from a Prometheus that scrapes the real replica set."""

import pytest
from scraping import dashboard_queries, unanswered

pytestmark = [pytest.mark.needs("mongod", "prometheus"), pytest.mark.timeout(180)]


def test_every_query_of_the_dashboard_has_an_answer(watching, replicas):
    """With three members each panel shows something; those by member show all but whom they cannot be about."""
    primary = replicas.primary()

    def write():
        with primary.client() as client:
            client.test.passing.insert_one({})

    def of_members(found):
        members = {each["metric"]["member"] for each in found if "member" in each["metric"]}
        return (
            found and (not members or len(members) >= 2) and all(each["value"][1] != "NaN" for each in found)
        )

    queries = dashboard_queries("mongodb", set="rs0")
    assert len(queries) > 20
    assert unanswered(watching.prometheus, queries, of_members, write) == []
