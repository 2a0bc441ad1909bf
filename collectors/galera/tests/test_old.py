"""What rs-collector made of the same answers, said here a second time: an alarm written for it means the same."""

import math

import pytest

from collectors.galera import Galera
from collectors.galera.tests import recorded
from rscollector.sinks.bosun.opentsdb import Points, Refusal
from rscollector.sinks.bosun.tests.old_names import RS_COLLECTOR, TABLE, translated
from rscollector.testing import FakeContext, collect

NAMES = [name.removeprefix("galera.wsrep.") for name in TABLE if name.startswith("galera.")]
NO_NUMBER = str(2**64 - 1)  # what Galera shows for -1, and rs-collector sent as it was
METRICS = {metric.name: metric for metric in Galera.metrics}


def theirs(name, text):
    """Return what rs-collector sent for a status variable."""
    if name.endswith(".uuid"):
        return int(text[24:], 16)
    good = {"cluster.status": "primary", "evs.state": "operational", "connected": "on", "ready": "on"}
    return int(text.lower() != good[name]) if name in good else float(text)


@pytest.mark.parametrize("state", sorted(recorded.STATES))
def test_every_recorded_state_says_the_same(state):
    """In every state that was recorded; but what is no number there is not sent."""
    server = recorded.RecordedServer(state)
    found = translated(collect(recorded.node(server), {}, context=FakeContext()))
    compared = 0
    for name in NAMES:
        text = server.status.get(f"wsrep_{name.replace('.', '_')}")
        points = found.get(f"galera.wsrep.{name}")
        if not text:
            assert points is None, name
        elif text in (NO_NUMBER, "-1") or (name == "local.state" and text == "5"):
            assert points is None, name  # which was no alarm's meaning
        else:
            assert points == {(): pytest.approx(theirs(name, text))}, name
            compared += 1
    assert compared > 35


@pytest.mark.parametrize("state", ["01-healthy.n1", "mariadb-11.8/01-healthy.n1"])
def test_a_healthy_node_in_its_old_numbers(state):
    """ON, Primary and Operational are 0, Synced is 4; what had no name there has ours."""
    found = translated(collect(recorded.node(recorded.RecordedServer(state)), {}, context=FakeContext()))
    for name in ("connected", "ready", "cluster.status", "evs.state"):
        assert found[f"galera.wsrep.{name}"] == {(): 0}
    assert found["galera.wsrep.local.state"] == {(): 4}
    assert found["galera.wsrep.cluster.size"] == {(): 3}
    assert () in found["galera.read.only"]


def test_a_node_that_is_cut_off_is_1_where_it_was():
    """Not ready, not primary."""
    server = recorded.RecordedServer("01-healthy.n1", wsrep_ready="OFF", wsrep_cluster_status="non-Primary")
    found = translated(collect(recorded.node(server), {}, context=FakeContext()))
    assert found["galera.wsrep.ready"] == {(): 1}
    assert found["galera.wsrep.cluster.status"] == {(): 1}


@pytest.mark.parametrize("number", [math.inf, math.nan, 1e300])
def test_a_number_that_is_too_large_costs_its_own_point(number):
    """What a server says may be any number that Python can read: the others of the run are sent."""
    run = [METRICS["galera_flow_control_paused_seconds_total"](number), METRICS["galera_cluster_size"](3)]
    points = Points("here", {}, RS_COLLECTOR)
    lines = list(points.lines(1, "main", [(each.metric, each.values, each.value) for each in run]))
    assert [b"cluster.size" in each for each in lines] == [True]
    assert points.refused == {Refusal.NUMBER: 1}


@pytest.mark.parametrize("digits", ["", "f" * 300, "g" * 12])
def test_what_is_no_uuid_has_no_number(digits):
    """However long it is: a label has up to 2048 characters, and a number has no room for so many digits."""
    assert translated([METRICS["galera_local_state_uuid_info"](uuid="0" * 24 + digits)]) == {}
