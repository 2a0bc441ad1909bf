"""What rs-collector made of the same answers, said here a second time: an alarm written for it means the same."""

from statistics import fmean

import pytest

from collectors.mongodb import MongoDB
from collectors.mongodb.tests import recorded_mongodb
from rscollector.sinks.bosun.tests.old_names import translated
from rscollector.testing import collect


def test_a_primary_says_the_same():
    """Connections and operations of every server, its own state, and a primary's lags in milliseconds."""
    state = recorded_mongodb.recording("6.0-lagging-member-seen-by-primary")
    status = recorded_mongodb.recording("6.0-serverStatus-primary")
    found = translated(collect(recorded_mongodb.server(recorded_mongodb.RecordedServer(state)), {}))
    server, of_set = (status["version"], status["process"]), (state["set"],)
    for each in ("current", "available", "totalCreated"):
        assert found[f"mongo.connections.{each}"] == {server: status["connections"][each]}
    for each in ("insert", "query", "update", "delete", "getmore", "command"):
        assert found[f"mongo.opcounters.{each}"] == {server: status["opcounters"][each]}
    assert found["mongo.replicasets.members.mystate"] == {of_set: state["myState"]}
    primary = next(each for each in state["members"] if each["state"] == 1)
    lags = [
        (primary["optimeDate"] - each["optimeDate"]).total_seconds() * 1000
        for each in state["members"]
        if each["state"] != 1
    ]
    assert len(lags) > 1
    for each, of in (("min", min), ("avg", fmean), ("max", max)):
        assert found[f"mongo.replicasets.oplog_lag.{each}"] == {of_set: pytest.approx(of(lags))}
    assert len(found["mongodb.member.optime.lag.seconds"]) == len(lags)


def test_a_secondary_says_its_state_and_no_lag():
    """As it was: the primary speaks for all."""
    state = recorded_mongodb.recording("6.0-lagging-member-own-view")
    found = translated(collect(recorded_mongodb.server(recorded_mongodb.RecordedServer(state)), {}))
    assert found["mongo.replicasets.members.mystate"] == {(state["set"],): state["myState"]}
    assert not [name for name in found if "oplog_lag" in name]


def test_an_operation_counter_beyond_32_bits_is_there():
    """It vanished there when it had outgrown them."""
    known = {metric.name: metric for metric in MongoDB.metrics}
    found = translated(
        [
            known["mongodb_server_info"](version="6.0.5", process="mongod", engine="wiredTiger"),
            known["mongodb_operations_total"](2**40, operation="insert"),
        ]
    )
    assert found["mongo.opcounters.insert"] == {("6.0.5", "mongod"): 2**40}
