"""All 98 names of rs-collector: value, kind, unit and tags, as it made them of what real systems have answered.

The table beside this file is what its sources say. What it made of an answer is said here a second time, without
a look at ours: an alarm that was written for it means the same.
"""

import os
from pathlib import Path
from statistics import fmean

import pytest

from collectors.agent import Agent
from collectors.galera import Galera
from collectors.galera.tests import recorded
from collectors.mongodb import MongoDB
from collectors.mongodb.tests import recorded_mongodb
from collectors.postfix import Postfix
from collectors.postfix.queues import Tally
from collectors.vip import Vip
from rscollector.sinks.dialect import NAMES, descriptions, rs_collector
from rscollector.testing import FakeContext, collect

ROWS = [
    line.split("\t")
    for line in Path(__file__).with_name("rs_collector_names.tsv").read_text().splitlines()[1:]
]
TABLE = {name: (rate, unit, tags) for name, rate, unit, tags in ROWS}
ELSEWHERE = "not collected"
OLD_GALERA = [name.removeprefix("galera.wsrep.") for name in TABLE if name.startswith("galera.")]
NO_NUMBER = str(2**64 - 1)  # what Galera shows for -1, and rs-collector sent as it was


def told(samples):
    """Return the points under the old names: {name: {tags: value}}."""
    found = {}
    for each in rs_collector([(sample.metric, sample.values, sample.value) for sample in samples]):
        if each.name in TABLE:
            assert list(each.labels) == TABLE[each.name][2].split(), each.name
            found.setdefault(each.name, {})[tuple(each.labels.values())] = each.value
    return found


def test_the_table_has_all_names_and_each_is_collected_or_named_as_not():
    """51 of Galera, 13 of MongoDB, 5 of Postfix, an address, three of its own; Java and MegaRAID are not here."""
    assert len(ROWS) == len(TABLE) == 98
    assert {name for name, (_, _, tags) in TABLE.items() if tags != ELSEWHERE} == set(NAMES)
    elsewhere = [name for name, (_, _, tags) in TABLE.items() if tags == ELSEWHERE]
    assert {name.partition(".")[0] for name in elsewhere} == {"jvm", "hw"}


def test_each_name_has_its_kind_and_unit_and_a_description():
    """As it had; where it told no unit, and the number has one of ours, that is told."""
    metrics = [metric for each in (Agent, Galera, MongoDB, Postfix, Vip) for metric in each.metrics]
    found = {each.name: each for metric in metrics for each in descriptions(metric) if each.name in TABLE}
    assert set(found) == set(NAMES)
    for name, each in found.items():
        rate, unit, _ = TABLE[name]
        assert each.rate == rate, name
        assert each.unit == unit or (not unit and each.unit in ("bytes", "ratio", "nanoseconds")), name
        assert each.text.endswith("."), name
        assert each.entries(name)[-1] == {"metric": name, "name": "desc", "value": each.text}


def of_galera(name, text):
    """Return what rs-collector sent for a status variable."""
    if name.endswith(".uuid"):
        return int(text[24:], 16)
    good = {"cluster.status": "primary", "evs.state": "operational", "connected": "on", "ready": "on"}
    return int(text.lower() != good[name]) if name in good else float(text)


@pytest.mark.parametrize("state", sorted(recorded.STATES))
def test_galera_says_the_same(state):
    """In every state that was recorded; but what is no number there is not sent."""
    server = recorded.RecordedServer(state)
    found = told(collect(recorded.node(server), {}, context=FakeContext()))
    compared = 0
    for name in OLD_GALERA:
        text = server.status.get(f"wsrep_{name.replace('.', '_')}")
        points = found.get(f"galera.wsrep.{name}")
        if not text:
            assert points is None, name
        elif text in (NO_NUMBER, "-1") or (name == "local.state" and text == "5"):
            assert points is None, name  # which was no alarm's meaning
        else:
            assert points == {(): pytest.approx(of_galera(name, text))}, name
            compared += 1
    assert compared > 35


def test_mongodb_says_the_same():
    """Connections and operations of every server, its own state, and a primary's lags."""
    state = recorded_mongodb.recording("6.0-lagging-member-seen-by-primary")
    status = recorded_mongodb.recording("6.0-serverStatus-primary")
    found = told(collect(recorded_mongodb.server(recorded_mongodb.RecordedServer(state)), {}))
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


def test_a_secondary_says_its_state_and_no_lag():
    """As it was: the primary speaks for all."""
    state = recorded_mongodb.recording("6.0-lagging-member-own-view")
    found = told(collect(recorded_mongodb.server(recorded_mongodb.RecordedServer(state)), {}))
    assert found["mongo.replicasets.members.mystate"] == {(state["set"],): state["myState"]}
    assert not [name for name in found if "oplog_lag" in name]


def qshape(ages):
    """Return what qshape counts: messages by age in minutes, each in the first bucket that it fits."""
    bounds = (5, 10, 20, 40, 80, 160, 320, 640, 1280)
    counts = dict.fromkeys([*map(str, bounds), "1280p"], 0)
    for age in ages:
        counts[next((str(bound) for bound in bounds if age <= bound), "1280p")] += 1
    return counts


@pytest.mark.parametrize("queue", ["maildrop", "incoming", "hold", "active", "deferred"])
def test_postfix_says_the_same_of_each_queue(queue):
    """By age, in qshape's buckets."""
    ages = [1, 4, 6, 19, 30, 79, 81, 500, 1279, 1281, 9000]
    tally = Tally(10_000_000)
    tally.add(sorted(10_000_000 - 60 * age for age in ages), 100, len(ages))
    found = told(tally.samples(queue))
    assert found == {f"postfix.queues.{queue}": {(bucket,): count for bucket, count in qshape(ages).items()}}


def test_addresses_and_the_agent_say_the_same():
    """1 where the address is; the version as one number, memory in KB, and how much is told."""
    (bound,) = (metric for metric in Vip.metrics if metric.name == "vip_bound")
    addresses = {"192.0.2.1": 1, "192.0.2.77": 0, "2001:db8::1": 1}
    found = told(bound(value, address=address) for address, value in addresses.items())
    assert found == {"os.net.has_ipv4s": {("192.0.2.1",): 1, ("192.0.2.77",): 0}}
    samples = list(collect(Agent, {}, context=FakeContext(agent=os.getpid())))
    found = told(samples)
    resident = next(
        each.value
        for each in samples
        if each.metric.name == "agent_process_resident_memory_bytes" and "agent" in each.values
    )
    assert found["rs-collector.stats.rss"] == {(): round(resident / 1024)}
    assert found["rs-collector.version"][()] >= 1000
    assert found["rs-collector.stats.samples"] == {(): len(samples)}
