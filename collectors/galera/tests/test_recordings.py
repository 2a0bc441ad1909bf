"""Every recorded state of a real cluster: its numbers, and what they mean in plain language."""

import math
import re

import pytest

from collectors.galera import Galera
from collectors.galera.collector import GaleraSettings
from collectors.galera.members import Members
from collectors.galera.provider import size
from collectors.galera.tests.recorded import STATES, RecordedServer, node
from rscollector.api import Misconfigured
from rscollector.testing import FakeClock, FakeContext, assert_all_metrics_are_emitted, collect, page, values


def of(state, **changed):
    """Return the series of a recorded state."""
    return values(collect(node(RecordedServer(state, **changed))))


def stateset(found, name):
    """Return the state that is set."""
    (state,) = [
        key.split('"')[1] for key, value in found.items() if key.startswith(f"{name}{{") and value == 1
    ]
    return state


@pytest.mark.parametrize("state", STATES)
def test_every_variable_of_every_recording_is_known_and_can_be_read(state):
    """Nothing is lost, and the agent would take all of it."""
    found = of(state)
    assert found["galera_unknown_variables"] == 0
    assert len(found) > 70


@pytest.mark.parametrize(
    ("state", "component", "local", "size", "ready"),
    [
        ("01-healthy.n1", "primary", "synced", 3, 1),
        ("02-n3-desynced.n1", "primary", "synced", 3, 1),
        ("03-n3-read-lock.n3", "primary", "donor_desynced", 3, 1),
        ("04-n3-sigstopped.n1", "primary", "synced", 2, 1),
        ("05-n3-isolated.n1", "primary", "synced", 2, 1),
        ("05-n3-isolated.n3", "non_primary", "initialized", 1, 0),
        ("06-n3-killed.n2", "primary", "synced", 2, 1),
        ("08-n1-bootstrapped.n1", "primary", "synced", 1, 1),
        ("09-donor.n1", "primary", "donor_desynced", 3, 1),
        ("10-n3-clean-stop.n2", "primary", "synced", 2, 1),
        ("mariadb-11.8/01-healthy.n1", "primary", "synced", 3, 1),
        ("mariadb-11.8/02-n3-desynced.n3", "primary", "donor_desynced", 3, 1),
        ("mariadb-11.8/05-n3-isolated.n3", "non_primary", "initialized", 1, 0),
    ],
)
def test_the_state_of_a_node_is_what_it_says(state, component, local, size, ready):
    """Component, local state, size and readiness, for each recorded state."""
    found = of(state)
    assert stateset(found, "galera_cluster_status") == component
    assert stateset(found, "galera_local_state") == local
    assert (found["galera_cluster_size"], found["galera_ready"]) == (size, ready)


def test_a_number_that_means_none_is_no_number():
    """Outside a primary component the configuration's id is 2^64-1, or -1 in newer servers: it is absent."""
    assert "galera_cluster_configuration_id" not in of("05-n3-isolated.n3")
    assert "galera_cluster_configuration_id" not in of("mariadb-11.8/05-n3-isolated.n3")
    assert "galera_local_index" not in of("01-healthy.n1", wsrep_local_index="18446744073709551615")
    assert of("01-healthy.n1")["galera_cluster_configuration_id"] == 3


def test_times_are_seconds_and_latencies_are_parsed():
    """Nanoseconds become seconds; the five parts of the latency are five metrics."""
    found = of("11-flow-control.n3")
    assert found["galera_flow_control_paused_seconds_total"] == pytest.approx(2.279468419)
    assert found["galera_evs_replication_latency_max_seconds"] == pytest.approx(0.00536202)
    assert found["galera_evs_replication_latency_samples"] == 24


def test_a_latency_of_no_messages_is_absent():
    """All zero after a view change says that nothing was measured."""
    found = of("01-healthy.n1", wsrep_evs_repl_latency="0/0/0/0/0")
    assert found["galera_evs_replication_latency_samples"] == 0
    assert "galera_evs_replication_latency_avg_seconds" not in found


@pytest.mark.parametrize(
    ("name", "text", "metric", "value"),
    [
        (
            "wsrep_flow_control_status",
            "ON",
            "galera_flow_control_active",
            0,
        ),  # ours says false, and comes first
        ("wsrep_flow_control_interval", "[ 141, 173 ]", "galera_flow_control_interval_high", 173),
        ("wsrep_gcache_pool_size", "1320", "galera_gcache_pool_bytes", 1320),
        ("wsrep_last_applied", "77", "galera_last_applied_seqno", 77),
        ("wsrep_cert_bucket_count", "22", "galera_certification_buckets", 22),
        ("wsrep_evs_delayed", "u:tcp://a:1:3,v:tcp://b:1:2", "galera_evs_delayed_members", 2),
        ("wsrep_cluster_weight", "5", "galera_cluster_weight", 5),
    ],
)
def test_variables_of_other_versions_are_known(name, text, metric, value):
    """Percona XtraDB Cluster and other versions of Galera have some that MariaDB 10.11 has not."""
    assert of("01-healthy.n1", **{name: text})[metric] == value


def test_a_variable_that_nobody_knows_is_counted_and_noted():
    """It is not lost, fails nothing, and is listed for the operator."""
    context = FakeContext()
    server = RecordedServer("01-healthy.n1", wsrep_new_thing="42", wsrep_ready="Perhaps")
    found = values(collect(node(server), context=context))
    assert found["galera_unknown_variables"] == 2
    assert context.notes == [
        "variables that are unknown, or have an unknown value: wsrep_new_thing = '42', wsrep_ready = 'Perhaps'"
    ]


def test_a_server_that_is_no_member_is_misconfigured():
    """A plain MariaDB has no provider: one sentence says so."""
    server = RecordedServer("01-healthy.n1")
    server.settings["wsrep_provider"] = "none"
    with pytest.raises(
        Misconfigured, match="this server is no member of a Galera cluster: it has no wsrep_provider"
    ):
        collect(node(server))


def test_the_settings_that_matter_are_metrics():
    """Sizes in bytes, periods in seconds, truths as 0 and 1."""
    found = of("01-healthy.n1")
    assert found["galera_gcache_size_bytes"] == 8 << 20
    assert found["galera_evs_suspect_timeout_seconds"] == 2
    assert (found["galera_flow_control_limit"], found["galera_ignores_split_brain"]) == (16, 0)


def two_collects(first, second, seconds=10.0, settings=None):
    """Return context and series after two collects so many seconds apart."""
    clock = FakeClock()
    context = FakeContext(clock=clock)
    collector = node(first, second)(GaleraSettings(**(settings or {})))
    collector.open(context)
    list(collector.collect(context))
    clock.advance(seconds)
    return context, values(collector.collect(context))


def test_the_share_of_flow_control_is_that_between_two_ticks():
    """Two seconds of pause in ten are a fifth, whatever the server's average since its start says."""
    before = RecordedServer("11-flow-control.n3", wsrep_flow_control_paused_ns="1000000000")
    after = RecordedServer("11-flow-control.n3", wsrep_flow_control_paused_ns="3000000000")
    assert two_collects(before, after)[1]["galera_flow_control_paused_ratio"] == pytest.approx(0.2)


def test_a_counter_that_went_back_tells_no_share():
    """After a restart of the server there is no share for one tick, and not a negative one."""
    before = RecordedServer("11-flow-control.n3", wsrep_flow_control_paused_ns="5")
    after = RecordedServer("11-flow-control.n3", wsrep_flow_control_paused_ns="1")
    assert "galera_flow_control_paused_ratio" not in two_collects(before, after)[1]


@pytest.mark.parametrize(
    ("queues", "committed", "expected"),
    [
        ((100, 50), (1000, 1100), 10.0),
        ((0, 0), (5, 9), 0.0),
        ((10, 20), (5, 9), math.inf),
        ((9, 9), (5, 5), math.inf),
    ],
)
def test_the_time_to_catch_up_is_the_queue_at_its_pace(queues, committed, expected):
    """Applied faster than received, the queue has an end; else it has none."""
    before, after = (
        RecordedServer("01-healthy.n1", wsrep_local_recv_queue=str(queue), wsrep_last_committed=str(seqno))
        for queue, seqno in zip(queues, committed, strict=True)
    )
    assert two_collects(before, after)[1]["galera_catch_up_seconds"] == pytest.approx(expected)


def test_pressure_is_the_queue_over_its_limit():
    """The limit grows with the square root of the cluster's size."""
    found = of("03-n3-read-lock.n3")
    assert found["galera_recv_queue_pressure_ratio"] == pytest.approx(58 / (16 * math.sqrt(3)))


def test_the_time_in_a_state_begins_when_the_state_is_seen():
    """It grows while the state stays, and begins again with another."""
    synced, donor = RecordedServer("01-healthy.n1"), RecordedServer("09-donor.n1")
    assert two_collects(synced, synced)[1]["galera_local_state_duration_seconds"] == 10
    assert two_collects(synced, donor)[1]["galera_local_state_duration_seconds"] == 0


def test_who_joins_and_leaves_is_named_in_one_line(caplog):
    """The metrics say who is there and who was, the log says what happened."""
    before = RecordedServer("01-healthy.n1")
    after = RecordedServer("04-n3-sigstopped.n1", members=("n1", "n2", "n4"))
    _, found = two_collects(before, after)
    assert caplog.messages == ["n4 joined and n3 left; 3 members now"]
    assert {
        name: found[f'galera_member_present{{member="{name}"}}'] for name in ("n1", "n2", "n3", "n4")
    } == {
        "n1": 1,
        "n2": 1,
        "n3": 0,
        "n4": 1,
    }
    assert (found["galera_members_joined_total"], found["galera_members_left_total"]) == (1, 1)


def test_who_is_expected_and_missing_is_shown_from_the_first_collect():
    """The configuration names the members, so that one which was never seen is missed."""
    server = RecordedServer("04-n3-sigstopped.n1", members=("n1", "n2"))
    found = values(collect(node(server), {"members": ["n1", "n2", "n3"]}))
    assert found['galera_member_present{member="n3"}'] == 0
    assert found["galera_members_expected"] == 3


def test_a_node_outside_the_primary_component_names_no_members():
    """It would give the list of the last component, in which everybody is there."""
    context = FakeContext()
    server = RecordedServer("05-n3-isolated.n3", members=("n1", "n2", "n3"))
    found = values(collect(node(server), {"members": ["n1", "n2", "n3"]}, context=context))
    assert stateset(found, "galera_cluster_status") == "non_primary"
    assert [name for name in found if name.startswith("galera_member_present")] == []
    assert found["galera_members_expected"] == 3
    assert context.notes == [
        "missing: the members' names: the node is in no primary component (this needs a node in the primary component, and SELECT on mysql.wsrep_cluster_members)"
    ]
    assert "Missing" not in " ".join(explained(server, members=("n1", "n2", "n3")))


def test_a_node_that_refuses_statements_still_tells_its_state():
    """Not ready, or without the grant, it names no members; a note says why, and all the rest is there."""
    context = FakeContext()
    server = RecordedServer("01-healthy.n1", refusal="WSREP has not yet prepared node for application use")
    found = values(collect(node(server), context=context))
    assert stateset(found, "galera_cluster_status") == "primary"
    assert context.notes == [
        "missing: the members' names: WSREP has not yet prepared node for application use (this needs a node in the primary component, and SELECT on mysql.wsrep_cluster_members)"
    ]


def test_who_left_while_nobody_was_known_is_missed_afterwards():
    """A node that was cut off compares with the last list that was true."""
    members = Members()
    members.update({"1": "n1", "2": "n2", "3": "n3"})
    members.forget()
    assert members.update({"1": "n1", "3": "n3"}) == "n2 left; 2 members now"


def test_a_node_that_was_cut_off_says_no_more_who_is_there():
    """It still answers with the list of the last component, in which everybody is."""
    _, found = two_collects(RecordedServer("01-healthy.n3"), RecordedServer("05-n3-isolated.n3"))
    assert not any(name.startswith("galera_member_present") for name in found)


def test_a_name_in_capitals_is_known():
    """Servers before MySQL 8 write some so."""
    server = RecordedServer("01-healthy.n1")
    server.status = {name.upper(): text for name, text in server.status.items()}
    found = values(collect(node(server)))
    assert (found["galera_unknown_variables"], found["galera_cluster_size"]) == (0, 3)


def test_the_time_in_a_state_is_that_between_ticks():
    """To the second of the tick, and from nothing with a new one."""
    same = two_collects(RecordedServer("01-healthy.n1"), RecordedServer("01-healthy.n1"), seconds=40)[1]
    assert same["galera_local_state_duration_seconds"] == 40
    other = two_collects(RecordedServer("01-healthy.n1"), RecordedServer("09-donor.n1"), seconds=40)[1]
    assert other["galera_local_state_duration_seconds"] == 0


def test_a_stranger_who_left_is_not_told_of_where_names_are_expected():
    """And without names everybody is who was seen, up to sixty-four."""
    for expected, shown in (({"n1"}, {"n1"}), (set(), {"n1", "x"})):
        members = Members(expected)
        members.update({"1": "n1", "2": "x"})
        members.update({"1": "n1"})
        found = values(members.samples())
        assert {key.split('"')[1] for key in found if "present" in key} == shown
    many = Members()
    many.update({str(number): f"n{number:03}" for number in range(70)})
    many.update({"0": "n000"})
    assert sum("present" in key for key in values(many.samples())) == 64


def test_two_members_of_one_name_are_two():
    """Galera does not ask for unique names: one of both that goes is seen."""
    members = Members()
    members.update({"1": "mariadb", "2": "mariadb", "3": "n3"})
    assert members.update({"1": "mariadb", "3": "n3"}) == "mariadb left; 2 members now"
    assert values(members.samples())["galera_members_left_total"] == 1


def test_a_member_that_was_started_anew_between_two_ticks_is_seen():
    """It has another UUID, and the same name."""
    members = Members()
    members.update({"1": "n1", "2": "n2"})
    assert members.update({"1": "n1", "9": "n2"}) == "n2 joined and n2 left; 2 members now"


LONG = [f"a-name-that-is-longer-than-the-list-{number}" for number in (1, 2, 3)]


@pytest.mark.parametrize(
    ("there", "missing", "present"),
    [
        (3, [], dict.fromkeys(LONG, 1)),
        (2, [], {}),  # nobody can tell which one: GaleraMembersMissing has the sizes
        (0, LONG, dict.fromkeys(LONG, 0)),
    ],
)
def test_names_that_the_list_cuts_are_known_all_the_same(there, missing, present):
    """The server lists 31 characters, of which these names have the same."""
    members = Members(LONG)
    members.update({str(number): LONG[0][:31] for number in range(there)})
    assert members.missing == missing
    found = values(members.samples())
    assert {each.split('"')[1]: value for each, value in found.items() if "present" in each} == present


def test_one_long_name_is_known_by_its_beginning():
    """And is called by the name that the configuration has."""
    members = Members(["n1", "node-" + "x" * 40])
    members.update({"1": "n1", "2": ("node-" + "x" * 40)[:31]})
    assert members.missing == []
    assert len(values(members.samples())) == 5


EXPLAINED = {
    "01-healthy.n1": [
        "This node is in the primary component, together with 2 others (wsrep_cluster_status = Primary, wsrep_cluster_size = 3).",
        "It is synced: up to date but for its queue (wsrep_local_state = 4, Synced).",
    ],
    "03-n3-read-lock.n3": [
        "This node is in the primary component, together with 2 others (wsrep_cluster_status = Primary, wsrep_cluster_size = 3).",
        "It is a donor, or desynchronised by a backup's lock or a schema change (RSU): until that ends it may fall behind without slowing the others (wsrep_local_state = 2, Donor/Desynced).",
        "58 write-sets wait to be applied here (wsrep_local_recv_queue).",
        "Operations that keep it desynchronised: 1 (wsrep_desync_count).",
    ],
    "05-n3-isolated.n3": [
        "This node is in no primary component: it sees no other member, and has no quorum alone (wsrep_cluster_status = non-Primary, wsrep_cluster_size = 1).",
        "It has no part in the cluster's work: it is starting, or outside the primary component (wsrep_local_state = 0, Initialized).",
        "It refuses ordinary statements, with error 1047 (wsrep_ready = OFF).",
    ],
    "08-n1-bootstrapped.n1": [
        "This node is the only member of the primary component (wsrep_cluster_status = Primary, wsrep_cluster_size = 1).",
        "It is synced: up to date but for its queue (wsrep_local_state = 4, Synced).",
    ],
    "09-donor.n1": [
        "This node is in the primary component, together with 2 others (wsrep_cluster_status = Primary, wsrep_cluster_size = 3).",
        "It is a donor, or desynchronised by a backup's lock or a schema change (RSU): until that ends it may fall behind without slowing the others (wsrep_local_state = 2, Donor/Desynced).",
        "Operations that keep it desynchronised: 1 (wsrep_desync_count).",
    ],
    "12-n3-receives-ist.n3": [
        "It is joining, for which it needs a state transfer (wsrep_local_state = 1, Joining: receiving State Transfer).",
        "It refuses ordinary statements, with error 1047 (wsrep_ready = OFF).",
    ],
    "13-voted-inconsistent.n1": [
        "It was found inconsistent: its data differ from the others', or it could not apply what they sent; it has left the cluster, and comes back only by a restart with a full state transfer (wsrep_local_state = 5, Inconsistent).",
        "This node is not connected to the cluster (wsrep_cluster_status = Disconnected, wsrep_cluster_size = 0).",
        "It refuses ordinary statements, with error 1047 (wsrep_ready = OFF).",
    ],
}


def explained(server, **settings):
    """Return the sentences about a node."""
    collector, context = node(server)(GaleraSettings(**settings)), FakeContext()
    collector.open(context)
    list(collector.collect(context))
    return context.sentences


@pytest.mark.parametrize("state", sorted(EXPLAINED))
def test_a_state_is_explained_in_plain_language(state):
    """Each sentence ends with the variables that it was read from."""
    assert explained(RecordedServer(state)) == EXPLAINED[state]


@pytest.mark.parametrize("state", STATES)
def test_every_sentence_can_be_traced_to_what_was_read(state):
    """Whatever a sentence names in brackets is a variable of this very recording, with this very value."""
    server = RecordedServer(state)
    for sentence in explained(server):
        for source in sentence.rpartition("(")[2].rstrip(").").split(", "):
            name, _, value = source.partition(" = ")
            if name.startswith("wsrep_"):
                assert name in server.status
                assert value in ("", server.status[name])


def test_a_donor_and_a_node_that_was_desynchronised_are_told_apart():
    """The setting says which of both it is; the last to join is who may receive the transfer."""
    setting = RecordedServer("09-donor.n1")
    setting.settings["wsrep_desync"] = "ON"
    assert (
        "It was desynchronised on purpose, by setting: it may fall behind without slowing the others "
        "(wsrep_local_state = 2, Donor/Desynced, wsrep_desync = ON)."
    ) in explained(setting)
    context, _ = two_collects(
        RecordedServer("04-n3-sigstopped.n1", members=("n1", "n2")), RecordedServer("09-donor.n1")
    )
    assert (
        "If it is a donor, then probably for n3, the last to join (mysql.wsrep_cluster_members)."
        in context.sentences
    )


@pytest.mark.parametrize(
    ("size", "said"),
    [
        ("1", "in no primary component: it sees no other member, and has no quorum alone"),
        ("2", "in no primary component: with 1 other it has no quorum"),
        ("3", "in no primary component: with 2 others it has no quorum"),
    ],
)
def test_a_node_without_quorum_is_not_called_cut_off(size, said):
    """After all nodes were down, each sees all others, and there is no quorum until somebody bootstraps one."""
    server = RecordedServer("05-n3-isolated.n3", wsrep_cluster_size=size)
    assert said in explained(server)[0]


def test_one_is_one():
    """A cluster of two, and a queue of one."""
    told = explained(RecordedServer("04-n3-sigstopped.n1", wsrep_local_recv_queue="1"))
    assert "together with 1 other (" in told[0]
    assert "1 write-set waits to be applied here (wsrep_local_recv_queue)." in told


@pytest.mark.parametrize("state", [*map(str, range(6)), "7", "odd"])
def test_every_state_of_a_node_is_told_with_the_servers_own_word(state):
    """One that no version has told so far is told as unknown."""
    told = explained(
        RecordedServer("01-healthy.n1", wsrep_local_state=state, wsrep_local_state_comment="Word")
    )
    (said,) = [each for each in told if f"(wsrep_local_state = {state}, Word)" in each]
    assert ("does not know" in said) == (state not in "012345")


@pytest.mark.parametrize("word", ["Primary", "non-Primary", "Disconnected", "Odd"])
def test_every_component_is_told_with_the_servers_own_word(word):
    """The first sentence, of whatever the server calls it."""
    told = explained(RecordedServer("01-healthy.n1", wsrep_cluster_status=word))
    assert f"(wsrep_cluster_status = {word}, " in told[0]
    assert ("Nothing is known" in told[0]) == (word == "Odd")


def test_a_node_that_rejects_queries_says_so():
    """By setting it refuses its clients, and calls itself synced and ready."""
    server = RecordedServer("01-healthy.n1")
    said = "It refuses its clients' queries, with error 1047, by setting (wsrep_reject_queries = ALL)."
    for value, is_said in (("ALL", True), ("NONE", False)):
        server.settings["wsrep_reject_queries"] = value
        assert (said in explained(server)) == is_said
        assert values(collect(node(server)))["galera_rejects_queries"] == is_said


def test_a_node_that_is_cut_off_may_still_answer_reads():
    """With dirty reads it does not refuse everything."""
    server = RecordedServer("01-healthy.n1", wsrep_ready="OFF")
    server.settings["wsrep_dirty_reads"] = "ON"
    said = "It refuses ordinary statements but reads, with error 1047 (wsrep_ready = OFF, wsrep_dirty_reads = ON)."
    assert said in explained(server)


def test_members_are_counted_where_their_names_are_not_known():
    """Without the grant, or outside the primary component; while it joins it replays old views."""
    said = "Fewer members are there than `members` names: {} of 3 (wsrep_cluster_size = {})."
    names = {"members": ("n1", "n2", "n3")}
    refusing = RecordedServer("04-n3-sigstopped.n1", refusal="SELECT command denied")
    assert said.format(2, 2) in explained(refusing, **names)
    assert said.format(1, 1) in explained(RecordedServer("05-n3-isolated.n3"), **names)
    for state in ("01-healthy.n1", "12-n3-receives-ist.n3", "13-voted-inconsistent.n1"):
        assert "Fewer members" not in " ".join(explained(RecordedServer(state), **names))


def test_the_last_to_join_is_not_named_for_a_node_that_was_desynchronised_by_setting():
    """It is no donor for that."""
    donor = RecordedServer("09-donor.n1")
    donor.settings = {**donor.settings, "wsrep_desync": "ON"}
    context, _ = two_collects(RecordedServer("04-n3-sigstopped.n1", members=("n1", "n2")), donor)
    assert "n3" not in " ".join(context.sentences)


def test_percona_says_otherwise_that_flow_control_pauses():
    """Percona XtraDB Cluster has a variable of its own for that."""
    told = explained(RecordedServer("01-healthy.n1", wsrep_flow_control_status="ON"))
    assert "Flow control pauses all writing in the cluster now (wsrep_flow_control_status = ON)." in told


def test_a_node_that_does_not_replicate_says_so_first():
    """SET GLOBAL wsrep_on = OFF: it takes writes that reach nobody, and tells hardly anything of itself."""
    server = RecordedServer("01-healthy.n1")
    server.status = {
        "wsrep_cluster_size": "1", "wsrep_cluster_status": "Primary", "wsrep_connected": "ON", "wsrep_ready": "ON",
    }  # fmt: skip
    server.settings["wsrep_on"] = "OFF"
    assert explained(server)[0] == (
        "Replication is switched off: what is written on this node reaches no other (wsrep_on = OFF)."
    )
    found = values(collect(node(server)))
    assert found["galera_replication_enabled"] == 0
    assert not any(name.startswith("galera_local_state{") for name in found)
    assert of("01-healthy.n1")["galera_replication_enabled"] == 1


def test_an_ordinary_server_with_a_provider_in_its_settings_is_no_member():
    """It is connected to nobody and does not want to be: nobody is called for it."""
    server = RecordedServer("01-healthy.n1", wsrep_cluster_status="Disconnected", wsrep_connected="OFF")
    server.settings["wsrep_on"] = "OFF"
    with pytest.raises(
        Misconfigured, match="no member of a Galera cluster: it is not connected to one, and wsrep_on"
    ):
        collect(node(server))
    server.settings["wsrep_on"] = "ON"
    assert stateset(values(collect(node(server))), "galera_cluster_status") == "disconnected"


@pytest.mark.parametrize("state", [str(number) for number in range(-1, 9)])
def test_every_state_has_a_sentence_or_the_nodes_own_word(state):
    """Also one that comes with a later version."""
    server = RecordedServer("01-healthy.n1", wsrep_local_state=state, wsrep_local_state_comment="Own Word")
    assert any(f"(wsrep_local_state = {state}, Own Word)" in sentence for sentence in explained(server))


@pytest.mark.parametrize("status", ["Primary", "non-Primary", "Disconnected", "Later Word", ""])
@pytest.mark.parametrize("size", ["0", "1", "3", "18446744073709551615", "-1", "", "x"])
def test_no_sentence_counts_below_nothing(status, size):
    """Whatever the sizes of a view that is being made are."""
    server = RecordedServer("01-healthy.n1", wsrep_cluster_status=status, wsrep_cluster_size=size)
    assert not re.search(r"-\d+ others|\b0 others", " ".join(explained(server)))


def test_an_id_of_zeroes_is_none():
    """A node that was voted out has no history: it has not another one."""
    found = of("13-voted-inconsistent.n1")
    assert stateset(found, "galera_local_state") == "error"
    assert not any(name.startswith("galera_local_state_uuid_info") for name in found)


@pytest.mark.parametrize(
    ("uuid", "node_id"),
    [
        ("4f9653fb-e520-11f1-ad2c-1bce47efc14c", "4f9653fb-e520-11f1-ad2c-1bce47efc14c"),
        ("00000000-0000-0000-0000-000000000000", ""),
        ("", ""),
    ],
)
def test_a_node_is_known_by_its_id_in_the_group(uuid, node_id):
    """Other nodes may have its name; one that has no id yet has none of zeroes."""
    (told,) = [
        key for key in of("01-healthy.n1", wsrep_gcomm_uuid=uuid) if key.startswith("galera_server_info{")
    ]
    assert f'galera_node="n1",node_id="{node_id}"' in told


def test_a_name_with_a_hint_behind_it_is_known():
    """Percona XtraDB Cluster 8 tells which monitors it means."""
    found = of("01-healthy.n1", **{"wsrep_monitor_status (L/A/C)": "[(1, 2), (3, 4), (5, 6)]"})
    assert found["galera_unknown_variables"] == 0


def test_a_counter_below_nothing_is_not_told():
    """The agent would drop it."""
    assert "galera_replicated_bytes_total" not in of("01-healthy.n1", wsrep_replicated_bytes="-5")


@pytest.mark.parametrize(
    ("text", "value"),
    [("128M", 128 << 20), ("2g", 2 << 30), ("1T", 1 << 40), ("3P", 3 << 50), ("4096", 4096), ("8k", 8192)],
)
def test_a_size_is_read_with_any_suffix(text, value):
    """As the provider itself reads it."""
    assert size(text) == value


def test_what_is_missing_and_doubtful_is_said():
    """Missing members, other histories, dangerous settings."""
    server = RecordedServer(
        "04-n3-sigstopped.n1",
        members=("n1", "n2"),
        wsrep_local_state_uuid="4f9678ad-0000-0000-0000-000000000000",
        wsrep_flow_control_active="ON",
        wsrep_flow_control_requested="ON",
        wsrep_evs_delayed="u:tcp://a:1:3",
    )
    server.settings |= {
        "read_only": "ON",
        "wsrep_provider_options": "pc.ignore_sb = true",
    }
    told = " ".join(explained(server, members=("n1", "n2", "n3")))
    for part in (
        "Missing: n3",
        "another history",
        "asks the others to pause",
        "Flow control pauses all writing",
        "answer late, or did so lately: u:tcp://a:1:3",
        "takes no writes",
        "go on writing if it lost the majority",
    ):
        assert part in told


@pytest.mark.parametrize(
    ("settings", "where"),
    [({}, "/run/mysqld/mysqld.sock"), ({"host": "db1"}, "db1:3306"), ({"socket": "/x"}, "/x")],
)
def test_without_a_place_the_usual_socket_is_asked(settings, where):
    """The default is Debian's socket; a host means TCP."""
    assert GaleraSettings(**settings).where == where


@pytest.mark.parametrize(
    "settings",
    [
        {"socket": "/x", "host": "y"},
        {"tls_ca": "/ca"},
        {"host": "x", "tls_key": "/k", "tls_ca": "/ca"},
        {"host": "x", "tls_certificate": "/c", "tls_key": "/k"},
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings):
    """Each mistake is named before anything is asked."""
    with pytest.raises(
        ValueError, match=r"socket and host|TLS needs TCP|belongs to a tls_certificate|no use without tls"
    ):
        GaleraSettings(**settings)


def test_all_metrics_are_declared_once():
    """No two variables declare the same name differently."""
    names = [metric.name for metric in Galera.metrics]
    assert len(names) == len(set(names))
    assert "galera_cluster_status" in page(Galera, collect(node(RecordedServer("01-healthy.n1"))))


_NEWER = "told by Percona XtraDB Cluster or by another version, of which there is no recording"


def test_every_metric_is_in_some_recording():
    """What is declared and never seen would be a promise; each that no recording has says why."""
    runs = [collect(node(RecordedServer(state)), {"members": ["n1"]}) for state in STATES]
    clock = FakeClock()
    context = FakeContext(clock=clock)
    collector = node(*[RecordedServer("11-flow-control.n3")] * 2)(GaleraSettings())
    collector.open(context)
    for _ in range(2):
        runs.append(list(collector.collect(context)))
        clock.advance(10)
    assert_all_metrics_are_emitted(
        Galera,
        runs,
        besides={
            "galera_certification_buckets": _NEWER,
            "galera_cluster_capabilities_info": _NEWER,
            "galera_evs_delayed_members": "empty in each recording",
            "galera_evs_evicted_members": "empty in each recording",
            "galera_flow_control_interval_high": _NEWER,
            "galera_flow_control_interval_low": _NEWER,
            "galera_gcache_pool_bytes": _NEWER,
            "galera_ist_receive_current_seqno": _NEWER,
            "galera_ist_receive_end_seqno": _NEWER,
            "galera_ist_receive_start_seqno": _NEWER,
            "galera_last_applied_seqno": _NEWER,
            "galera_rejects_queries": "was not asked for when they were recorded",
        },
    )
