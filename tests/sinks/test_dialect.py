"""The old names and encodings, made of what real servers have answered."""

import math
import re

import pytest

from collectors.agent import Agent
from collectors.galera import Galera
from collectors.galera.tests.recorded import RecordedServer, node
from collectors.mongodb import MongoDB
from collectors.postfix import Postfix
from collectors.postfix.queues import AGE, Tally
from collectors.vip import Vip
from rscollector.sinks.dialect import NAMES, rs_collector
from rscollector.sinks.opentsdb import Points, Refusal
from rscollector.testing import FakeContext, collect

OLD_GALERA = re.findall(
    r"\S+",
    """
local.state.uuid protocol.version last.committed replicated replicated.bytes repl.keys repl.keys.bytes
repl.data.bytes repl.other.bytes received received.bytes local.commits local.cert.failures local.replays
local.send.queue local.send.queue.max local.send.queue.min local.send.queue.avg
local.recv.queue local.recv.queue.max local.recv.queue.min local.recv.queue.avg
local.cached.downto flow.control.paused.ns flow.control.paused flow.control.sent flow.control.recv
cert.deps.distance apply.oooe apply.oool apply.window commit.oooe commit.oool commit.window
local.state cert.index.size cert.bucket.count gcache.pool.size causal.reads cert.interval
desync.count evs.state gcomm.uuid cluster.conf.id cluster.size cluster.state.uuid cluster.status
connected local.bf.aborts local.index ready
""",
)
OLD = {
    *(f"galera.wsrep.{name}" for name in OLD_GALERA),
    *(f"mongo.connections.{name}" for name in ("current", "available", "totalCreated")),
    *(f"mongo.opcounters.{name}" for name in ("insert", "query", "update", "delete", "getmore", "command")),
    "mongo.replicasets.members.mystate",
    *(f"mongo.replicasets.oplog_lag.{name}" for name in ("min", "avg", "max")),
    *(f"postfix.queues.{name}" for name in ("maildrop", "incoming", "hold", "active", "deferred")),
    "os.net.has_ipv4s",
    "rs-collector.version",
    "rs-collector.stats.rss",
    "rs-collector.stats.samples",
}


def translated(samples):
    """Return the points by name and tags."""
    run = [(sample.metric, sample.values, sample.value) for sample in samples]
    return {(each.name, tuple(each.labels.items())): each.value for each in rs_collector(run)}


def test_every_old_name_is_there():
    """The list is rs-collector's own, without what is not collected here: JVM and MegaRAID."""
    assert set(NAMES) == OLD
    assert len(NAMES) == len(OLD) == 73


@pytest.mark.parametrize("state", ["01-healthy.n1", "mariadb-11.8/01-healthy.n1"])
def test_a_healthy_galera_node_in_its_old_numbers(state):
    """ON, Primary and Operational are 0, Synced is 4, UUIDs are numbers."""
    server = RecordedServer(state)
    found = translated(collect(node(server), {}, context=FakeContext()))
    old = {name.removeprefix("galera.wsrep."): value for (name, _), value in found.items() if "wsrep" in name}
    asked = {name for name in OLD_GALERA if f"wsrep_{name.replace('.', '_')}" in server.status}
    assert len(asked) > 45
    assert asked <= set(old)
    assert (old["connected"], old["ready"], old["cluster.status"], old["evs.state"]) == (0, 0, 0, 0)
    assert (old["local.state"], old["cluster.size"]) == (4, 3)
    assert old["cluster.state.uuid"] == int(server.status["wsrep_cluster_state_uuid"][-12:], 16)
    assert old["flow.control.paused.ns"] == int(server.status["wsrep_flow_control_paused_ns"])
    assert old["replicated.bytes"] == int(server.status["wsrep_replicated_bytes"])
    assert ("galera.read.only", ()) in found


def test_a_galera_node_that_is_cut_off_is_1_where_it_was():
    """Not ready, not primary."""
    server = RecordedServer("01-healthy.n1", wsrep_ready="OFF", wsrep_cluster_status="non-Primary")
    found = translated(collect(node(server), {}, context=FakeContext()))
    assert found["galera.wsrep.ready", ()] == 1
    assert found["galera.wsrep.cluster.status", ()] == 1


def metrics_of(plugin):
    """Return a plugin's metrics by name."""
    return {metric.name: metric for metric in plugin.metrics}


def test_a_mongodb_primary_in_its_old_numbers():
    """The state is a number, the lag in milliseconds, over the others, and only from the primary."""
    known = metrics_of(MongoDB)
    run = [
        known["mongodb_server_info"](version="6.0.5", process="mongod", engine="wiredTiger"),
        known["mongodb_replica_set_info"](set="rs0", set_id="", member="a:1"),
        known["mongodb_state"]("primary"),
        known["mongodb_connections_current"](7),
        known["mongodb_operations_total"](2**40, operation="insert"),
        known["mongodb_member_optime_lag_seconds"](1.0, member="b:1"),
        known["mongodb_member_optime_lag_seconds"](4.0, member="c:1"),
    ]
    server, of_set = (("version", "6.0.5"), ("process", "mongod")), (("replicaset", "rs0"),)
    found = translated(run)
    assert found["mongo.connections.current", server] == 7
    assert found["mongo.opcounters.insert", server] == 2**40
    assert found["mongo.replicasets.members.mystate", of_set] == 1
    lags = [found[f"mongo.replicasets.oplog_lag.{each}", of_set] for each in ("min", "avg", "max")]
    assert lags == [1000, 2500, 4000]
    run[2] = known["mongodb_state"]("secondary")
    assert ("mongo.replicasets.oplog_lag.max", of_set) not in translated(run)
    assert translated(run)["mongo.replicasets.members.mystate", of_set] == 2


def test_a_postfix_queue_in_qshapes_buckets():
    """How many are of each age, not older: that was qshape's way."""
    tally = Tally(1_000_000)
    arrivals = sorted(1_000_000 - minutes * 60 for minutes in (1, 6, 7, 30, 5000))
    tally.add(arrivals, 100, 5)
    samples = [sample for sample in tally.samples("deferred") if sample.metric is AGE]
    found = translated(samples)
    counts = {
        dict(tags)["bucket"]: value
        for (name, tags), value in found.items()
        if name == "postfix.queues.deferred"
    }
    assert counts == {
        "5": 1, "10": 2, "20": 0, "40": 1, "80": 0, "160": 0, "320": 0, "640": 0, "1280": 0, "1280p": 1,
    }  # fmt: skip
    assert metrics_of(Postfix)["postfix_queue_age_seconds"] is AGE


def test_addresses_and_the_agent_itself():
    """Only IPv4 had a name; memory is in KB."""
    bound, resident = metrics_of(Vip)["vip_bound"], metrics_of(Agent)["agent_process_resident_memory_bytes"]
    found = translated([bound(1, address="192.0.2.1"), bound(0, address="2001:db8::1")])
    assert found == {("os.net.has_ipv4s", (("ipv4", "192.0.2.1"),)): 1}
    found = translated([resident(10 << 20, process="agent"), resident(1 << 20, process="local")])
    assert found["rs-collector.stats.rss", ()] == 10240
    assert found["rs-collector.version", ()] >= 1000


@pytest.mark.parametrize("number", [math.inf, math.nan, 1e300])
def test_a_number_that_is_too_large_costs_its_own_point(number):
    """What a server says may be any number that Python can read: the others of the run are sent."""
    metrics = metrics_of(Galera)
    run = [metrics["galera_flow_control_paused_seconds_total"](number), metrics["galera_cluster_size"](3)]
    points = Points("here", {}, rs_collector)
    lines = list(points.lines(1, "main", [(each.metric, each.values, each.value) for each in run]))
    assert [b"cluster.size" in each for each in lines] == [True]
    assert points.refused == {Refusal.NUMBER: 1}


@pytest.mark.parametrize("digits", ["", "f" * 300, "g" * 12])
def test_what_is_no_uuid_has_no_number(digits):
    """However long it is: a label has up to 2048 characters, and a number has no room for so many digits."""
    uuid = metrics_of(Galera)["galera_local_state_uuid_info"](uuid="0" * 24 + digits)
    assert translated([uuid]) == {}
