"""Every recorded state of real replica sets, of MongoDB 2.4 to 6.0: its numbers, and what they mean in plain language."""

import datetime as dt
import math

import pytest
from bson.int64 import Int64
from bson.timestamp import Timestamp

from collectors.mongodb.collector import MongoDB, MongoDBSettings
from collectors.mongodb.explain import _STATE
from collectors.mongodb.replication import STATES as WORDS
from collectors.mongodb.replication import seconds
from collectors.mongodb.tests.recorded_mongodb import STATES, RecordedServer, recording, server
from rscollector.testing import FakeContext, assert_all_metrics_are_emitted, collect, values

CONFIG = "6.0-replSetGetConfig-delayed-hidden-arbiter"


def of(state=None, **changed):
    """Return the series of a recorded state."""
    return values(collect(server(RecordedServer(state, **changed))))


def stateset(found, name, **labels):
    """Return the state that is set, of one member if it is named."""
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    (state,) = [
        key.split(f'{name}="')[1].partition('"')[0]
        for key, value in found.items()
        if key.startswith(f"{name}{{") and value == 1 and all(each in key for each in wanted)
    ]
    return state


def by_member(found, name):
    """Return the values of a metric by the member's name."""
    return {
        key.split('member="')[1].partition('"')[0]: value
        for key, value in found.items()
        if key.startswith(f"{name}{{")
    }


@pytest.mark.parametrize("state", STATES)
def test_no_recording_gives_nonsense(state):
    """No infinity, no decades, nothing negative but a heartbeat's difference, nothing that the agent would drop."""
    for name, value in of(state).items():
        assert math.isfinite(value)
        assert value >= 0 or name.startswith("mongodb_member_heartbeat_latency_seconds")
        if name.endswith("_seconds") or "_seconds{" in name:
            assert value < 86400 * 30 or "timestamp" in name, name


@pytest.mark.parametrize(
    ("state", "own", "primaries", "members"),
    [
        ("2.4-psa-healthy.bare-timestamp", "primary", 1, 3),
        ("3.2-member-down", "primary", 1, 3),
        ("4.2-healthy-primary", "primary", 1, 3),
        ("4.4-initial-sync-self", "startup2", 0, 2),
        ("6.0-arbiter-view", "arbiter", 1, 5),
        ("6.0-healthy-primary", "primary", 1, 3),
        ("6.0-initial-sync-self", "startup2", 1, 5),
        ("6.0-no-primary", "secondary", 0, 3),
        ("6.0-member-recovering", "primary", 1, 3),
    ],
)
def test_the_state_of_a_server_and_its_set_is_what_it_says(state, own, primaries, members):
    """Own state, number of primaries and members, in each version."""
    found = of(state)
    assert stateset(found, "mongodb_state") == own
    assert (found["mongodb_primaries"], found["mongodb_members"]) == (primaries, members)


def test_a_member_that_is_down_has_no_lag():
    """Its optime is 1970: it is absent, not half a century behind."""
    found = of("3.2-member-down")
    assert stateset(found, "mongodb_member_state", member="sh_01:27017") == "down"
    assert by_member(found, "mongodb_member_health")["sh_01:27017"] == 0
    assert by_member(found, "mongodb_member_optime_lag_seconds") == {"am_01:27017": 0}
    assert by_member(found, "mongodb_member_lag_seconds") == {"am_01:27017": 0}


def test_a_member_that_is_down_has_answered_no_heartbeat():
    """The server tells when it was asked last, in vain: that is no answer, and nothing to subtract from."""
    status = recording("6.0-healthy-primary")
    (down, *_) = [each for each in status["members"] if not each.get("self")]
    names = ("mongodb_member_heartbeat_age_seconds", "mongodb_member_heartbeat_latency_seconds")
    before = of(status)
    down["health"] = 0.0
    after = of(status)
    lost = {key.replace(down["name"], "it") for key in before.keys() - after.keys() if key.startswith(names)}
    assert lost == {f'{names[0]}{{member="it",direction="answered"}}', f'{names[1]}{{member="it"}}'}


def test_a_member_in_rollback_has_data_and_a_lag():
    """It undoes writes, and is behind meanwhile."""
    status = recording("6.0-lagging-member-seen-by-primary")
    status["members"][0]["state"] = 9
    assert by_member(of(status), "mongodb_member_optime_lag_seconds")[status["members"][0]["name"]] == 5


def test_of_two_primaries_nobody_tells_the_election():
    """Both are named, and that there are two."""
    status = recording("6.0-healthy-primary")
    status["members"][1] |= {"state": 1, "electionDate": status["date"]}
    found = of(status)
    assert found["mongodb_primaries"] == 2
    assert len([key for key in found if key.startswith("mongodb_primary_info")]) == 2
    assert "mongodb_primary_elected_timestamp_seconds" not in found


def test_an_arbiter_has_no_lag_and_spoils_nobody_elses():
    """It has no operations; the others' lag is told."""
    found = of("6.0-primary-with-delayed-hidden-arbiter", config=CONFIG)
    arbiter = "127.0.0.1:38743"
    assert stateset(found, "mongodb_member_state", member=arbiter) == "arbiter"
    assert by_member(found, "mongodb_member_arbiter")[arbiter] == 1
    assert arbiter not in by_member(found, "mongodb_member_optime_lag_seconds")
    assert len(by_member(found, "mongodb_member_optime_lag_seconds")) == 3


@pytest.mark.parametrize(
    ("refused", "set_id"), [({}, "6b00bec18074d43079b8a052"), ({"replSetGetConfig": 13}, "")]
)
def test_a_set_is_known_by_its_id_where_its_configuration_may_be_read(refused, set_id):
    """Other sets may have its name; without the id the name is told all the same."""
    found = of("6.0-primary-with-delayed-hidden-arbiter", config=CONFIG, refused=refused)
    (told,) = [key for key in found if key.startswith("mongodb_replica_set_info{")]
    assert f'set="rs0",set_id="{set_id}",member="' in told


def test_members_are_told_by_kind():
    """Hidden, delayed and priority 0 come from the configuration."""
    found = of("6.0-primary-with-delayed-hidden-arbiter", config=CONFIG)
    assert sorted(by_member(found, "mongodb_member_hidden").values()) == [0, 0, 0, 1, 1]
    assert by_member(found, "mongodb_member_delay_seconds")["127.0.0.1:53751"] == 20
    assert sorted(by_member(found, "mongodb_member_priority").values()) == [0, 0, 0, 1, 5]


def test_without_a_primary_the_newest_operation_that_is_known_counts():
    """No infinity and no NaN for want of somebody to compare with."""
    assert by_member(of("6.0-no-primary"), "mongodb_member_optime_lag_seconds") == {"127.0.0.1:49247": 0}
    assert "mongodb_primary_elected_timestamp_seconds" not in of("6.0-no-primary")


def voting(status, *others):
    """Return a configuration in which all members of a status vote, and perhaps others do not."""
    names = [each["name"] for each in status["members"]]
    return {"members": [{"host": each} for each in names] + [{"host": each, "votes": 0} for each in others]}


@pytest.mark.parametrize("told", [True, False])
def test_a_majority_is_told_or_computed_and_so_is_who_can_be_reached(told):
    """Servers before 4.2 do not tell it; a member without a vote does not count."""
    status = recording("6.0-no-primary")
    if not told:
        del status["majorityVoteCount"]
    found = of(status, config=voting(status, "hidden:27017"))
    assert found["mongodb_majority"] == 2
    assert found["mongodb_voters_reached"] == 1
    assert "It reaches 1 of 3 voters, and a majority is 2 (members.health, votes)." in explained(
        status, config=voting(status)
    )


def test_a_majority_that_is_no_number_is_computed():
    """A server may tell anything in its place."""
    status = recording("6.0-no-primary") | {"majorityVoteCount": math.nan}
    assert of(status, config=voting(status))["mongodb_majority"] == 2


def test_who_votes_is_not_guessed():
    """Without the configuration nothing is said of a majority that the server does not tell itself."""
    status = recording("3.2-member-down")
    found = of(status)
    assert "mongodb_majority" not in found
    assert "mongodb_voters_reached" not in found


def test_a_primary_that_reaches_no_majority_will_step_down():
    """For about ten seconds it believes that it is primary."""
    status = recording("6.0-healthy-primary")
    for each in status["members"]:
        each["health"] = 1.0 if each.get("self") else 0.0
    assert (
        "It will step down unless more answer: it reaches 1 of 3 voters, and a majority is 2 "
        "(members.health, votes)."
    ) in explained(status, config=voting(status))


def test_a_secondary_that_reaches_no_majority_does_not_speak_for_the_primary():
    """It knows whom it reaches itself, and not whom the primary does."""
    status = recording("cluster-01-healthy.1")
    for each in status["members"]:
        each["health"] = 1.0 if each["state"] == 1 else 0.0
    config = voting(status)
    config["members"] += [{"host": f"db{number}:27017"} for number in (4, 5)]
    status["majorityVoteCount"] = 3
    told = explained(status, config=config)
    assert "The primary is 127.0.0.1:56577 (members.state)." in told
    assert "It reaches 1 of 5 voters, and a majority is 3 (members.health, votes)." in told
    assert "step down" not in " ".join(told)


def test_without_a_primary_nobody_is_compared_with_it():
    """The newest operation that is known may be another member's."""
    status = recording("cluster-08-primary-killed.0")
    for each in status["members"]:
        each["state"] = 2 if each["state"] == 1 else each["state"]
    told = " ".join(explained(status))
    assert "It sees no primary" in told
    assert "older than the newest that is known" in told


def test_an_initial_sync_that_is_over_is_not_under_way():
    """What is told of it may outlast it."""
    status = {**recording("4.4-initial-sync-self"), "myState": 2}
    assert "initial sync is under way" not in " ".join(explained(status))


def test_a_set_of_fifty_members_has_all_its_series():
    """MongoDB allows no more; what a collector may have is enough for them."""
    status, config = recording("6.0-healthy-primary"), recording(CONFIG)["config"]
    model = status["members"][-1], config["members"][-1]
    for number in range(50 - len(status["members"])):
        status["members"].append({**model[0], "name": f"db{number}.example:27017"})
        config["members"].append({**model[1], "host": f"db{number}.example:27017"})
    found = of(status, config=config, oplog=entries(status, 60, 1))
    assert found["mongodb_members"] == 50
    assert len(found) > 1200


def test_a_set_with_no_secondary_has_no_lag():
    """A primary alone is compared with nobody."""
    status = recording("6.0-healthy-primary")
    status["members"] = status["members"][:1]
    found = of(status)
    assert by_member(found, "mongodb_member_optime_lag_seconds") == {}
    assert found["mongodb_members"] == 1


def test_a_secondarys_old_knowledge_of_the_primary_is_no_negative_lag():
    """It has heard of the primary a heartbeat ago: its own operations may be newer than those."""
    status = recording("6.0-lagging-member-own-view")
    (own,) = [each for each in status["members"] if each.get("self")]
    own["optimeDate"] = status["date"]
    assert by_member(of(status), "mongodb_member_optime_lag_seconds")[own["name"]] == 0


def entries(status, *ages):
    """Return an oplog with entries that were written so many seconds before the reply."""
    now = status["date"]
    walls = [now - dt.timedelta(seconds=age) for age in sorted(ages, reverse=True)]
    return [{"ts": Timestamp(int(seconds(wall)), 1), "wall": wall} for wall in walls]


def test_the_lag_is_the_age_of_the_first_operation_that_is_missing():
    """A member that has stopped applying five seconds ago is five seconds behind, whenever the last write was."""
    status = recording("6.0-lagging-member-seen-by-primary")
    behind = "127.0.0.1:56577"
    found = of(status, oplog=entries(status, 60, 3.5, 2, 0.5))
    assert by_member(found, "mongodb_member_lag_seconds") == {
        behind: pytest.approx(3.5),
        "127.0.0.1:55239": 0,
    }
    assert by_member(found, "mongodb_member_optime_lag_seconds")[behind] == 5


def test_the_first_write_after_a_pause_is_no_lag():
    """An hour without writes, then one that the member has not told yet: it is behind by milliseconds."""
    status = recording("6.0-lagging-member-seen-by-primary")
    behind, ahead = status["members"][0], status["members"][1]
    for each, age in ((behind, 3600), (ahead, 0.004)):
        each["lastAppliedWallTime"] = status["date"] - dt.timedelta(seconds=age)
        each["optimeDate"] = each["lastAppliedWallTime"].replace(microsecond=0)
    found = of(status, oplog=entries(status, 3600, 0.004))
    assert by_member(found, "mongodb_member_optime_lag_seconds")[behind["name"]] >= 3600
    assert by_member(found, "mongodb_member_lag_seconds")[behind["name"]] == pytest.approx(0.004)


def test_a_heartbeat_that_is_just_known_to_the_second_is_no_lag():
    """By its time it has the newest operation; its timestamp lacks one of half a second ago."""
    status = recording("6.0-lagging-member-seen-by-primary")
    behind, ahead = status["members"][0], status["members"][1]
    behind["lastAppliedWallTime"] = ahead["lastAppliedWallTime"]
    oplog = entries(status, 60, 0.5)
    oplog[-1]["wall"] = ahead["lastAppliedWallTime"]
    oplog.insert(0, {"ts": behind["optime"]["ts"], "wall": status["date"] - dt.timedelta(seconds=70)})
    found = of(status, oplog=oplog)
    assert by_member(found, "mongodb_member_lag_seconds")[behind["name"]] == 0


@pytest.mark.parametrize("wall", ["yesterday", 7, None])
def test_a_time_that_is_none_leaves_the_timestamp(wall):
    """A server may tell anything in its place."""
    status = recording("6.0-lagging-member-seen-by-primary")
    status["members"][0]["lastAppliedWallTime"] = wall
    found = of(status, oplog=entries(status, 60, 3.5))
    assert by_member(found, "mongodb_member_lag_seconds")[status["members"][0]["name"]] == pytest.approx(3.5)


def test_a_member_may_have_any_name():
    """What is no text in a reply is shown as one, and explained."""
    status = recording("6.0-healthy-primary")
    for number, each in enumerate(status["members"]):
        each |= {"name": number, "state": 1}
    assert by_member(of(status), "mongodb_member_health") == {"0": 1, "1": 1, "2": 1}
    assert any("More than one member says that it is primary: 0, 1, 2" in each for each in explained(status))


def test_before_times_of_operations_were_known_their_timestamps_count():
    """MongoDB before 4.2 tells no time of the last operation, before 3.2 a bare timestamp."""
    status = recording("2.4-psa-healthy.bare-timestamp")
    member = status["members"][1]
    member["optime"] = Timestamp(member["optime"].time - 30, 1)
    member["optimeDate"] -= dt.timedelta(seconds=30)
    newest = status["members"][0]["optime"]
    written = seconds(status["date"]) - newest.time
    found = of(status, oplog=[{"ts": newest}])
    assert by_member(found, "mongodb_member_lag_seconds") == {member["name"]: pytest.approx(written)}


def test_a_delay_that_was_asked_for_is_no_lag():
    """A member that is meant to be 20 s behind is behind by what exceeds that."""
    status = recording("6.0-primary-with-delayed-hidden-arbiter")
    for age, expected in ((15.0, 0.0), (20.0, 0.0), (23.0, 3.0)):
        found = of(status, config=CONFIG, oplog=entries(status, age, 5))
        assert by_member(found, "mongodb_member_lag_seconds")["127.0.0.1:53751"] == pytest.approx(expected)


def test_only_a_primary_tells_the_lag():
    """The others know the primary's oplog only as far as they have it."""
    assert by_member(of("6.0-lagging-member-own-view"), "mongodb_member_lag_seconds") == {}


def test_counters_are_taken_whatever_their_type():
    """A counter that has outgrown 32 bits comes as another type of number."""
    found = of(
        opcounters={"insert": Int64(5_000_000_000), "query": 7, "command": 8.0, "deprecated": {"total": 3}}
    )
    assert found['mongodb_operations_total{operation="insert"}'] == 5_000_000_000
    assert found['mongodb_operations_total{operation="query"}'] == 7
    assert 'mongodb_operations_total{operation="deprecated"}' not in found


def test_the_servers_status_is_in_base_units():
    """Bytes, seconds, and the names of modes in words."""
    found = of()
    assert found["mongodb_uptime_seconds"] == pytest.approx(4.646)
    assert found["mongodb_memory_resident_bytes"] == 133 * 1024 * 1024
    assert found['mongodb_tickets_available{kind="read"}'] == 128
    assert found['mongodb_elections_won_total{reason="electionTimeout"}'] == 1


def test_tickets_are_found_where_newer_versions_have_them():
    """In 8.0 they have moved to the queues."""
    execution = {"read": {"out": 3, "available": 5, "totalTickets": 8}, "monitorTickets": {}}
    found = of(wiredTiger={}, queues={"execution": execution})
    assert found['mongodb_tickets_used{kind="read"}'] == 3
    assert 'mongodb_tickets_used{kind="write"}' not in found


def test_a_status_of_another_shape_costs_only_what_it_has_not():
    """After an upgrade between two collects fields are gone or are something else: the rest is there."""
    changed = RecordedServer(
        connections={"current": "many", "available": 1},
        mem=None,
        wiredTiger=[],
        locks={"Global": 3},
        electionMetrics=None,
    )
    context = FakeContext()
    collector = server(RecordedServer(), changed)(MongoDBSettings())
    collector.open(context)
    before, after = values(collector.collect(context)), values(collector.collect(context))
    assert "mongodb_connections_current" in before
    assert "mongodb_connections_current" not in after
    assert after["mongodb_primaries"] == 1


@pytest.mark.parametrize(
    ("code", "word"), [(76, "no member"), (93, "taken out"), (94, "not initiated"), (59, "no replication")]
)
def test_a_server_without_replica_set_is_no_failure(code, word):
    """The metrics that make no sense are absent, and a note says why."""
    context = FakeContext()
    found = values(collect(server(RecordedServer(refused={"replSetGetStatus": code})), context=context))
    assert "mongodb_connections_current" in found
    assert "mongodb_primaries" not in found
    assert word in context.notes[0]


def test_a_mongos_tells_of_its_balancer():
    """It has no replica set; the balancer's mode and rounds are told."""
    mongos = RecordedServer(process="mongos")
    mongos.replies["balancerStatus"] = {
        "mode": "full",
        "inBalancerRound": False,
        "numBalancerRounds": Int64(42),
    }
    context = FakeContext()
    found = values(collect(server(mongos), context=context))
    assert (found["mongodb_balancer_enabled"], found["mongodb_balancer_running"]) == (1, 0)
    assert found["mongodb_balancer_rounds_total"] == 42
    assert context.notes == ["the server is a mongos: it has no replica set of its own"]


@pytest.mark.parametrize(("setting", "enabled"), [({}, 1), ({"stopped": True}, 0), ({"stopped": False}, 1)])
def test_an_old_mongos_is_asked_for_the_setting(setting, enabled):
    """Before 3.4 there is no command, and the switch stands in a collection."""
    mongos = RecordedServer(process="mongos", refused={"balancerStatus": 59})
    mongos.settings["balancer"] = setting
    assert values(collect(server(mongos)))["mongodb_balancer_enabled"] == enabled


def test_an_oplog_that_may_not_be_read_is_noted():
    """Its window is missing, and the lag of a member that is behind; all else is there."""
    from collectors.mongodb.server import Refused

    refusing = RecordedServer()

    def refuse(*_, **__):
        raise Refused("13: not authorized")

    refusing.entry = refuse
    context = FakeContext()
    found = values(collect(server(refusing), context=context))
    assert found["mongodb_primaries"] == 1
    takes = "13: not authorized (this needs find on local.oplog.rs, on a member that has an oplog to read)"
    assert context.notes == [f"missing: the oplog's window: {takes}", f"missing: the members' lag: {takes}"]


def test_the_window_of_the_oplog_is_the_time_between_its_ends():
    """From the oldest to the newest entry."""
    status = recording("6.0-healthy-primary")
    assert of(oplog=entries(status, 7200, 60, 0))["mongodb_oplog_window_seconds"] == 7200


def test_who_becomes_primary_is_one_line(caplog):
    """The log says it when it changes, and not at the first sight."""
    answers = [RecordedServer(state) for state in ("6.0-healthy-primary", "6.0-no-primary", "6.0-no-primary")]
    collector = server(*answers)(MongoDBSettings())
    collector.open(FakeContext())
    for _ in answers:
        list(collector.collect(FakeContext()))
    assert caplog.messages == ["primary, as seen here: none or several; before: 127.0.0.1:56577"]


def explained(state, **changed):
    """Return the sentences about a recorded state."""
    collector, context = server(RecordedServer(state, **changed))(MongoDBSettings()), FakeContext()
    collector.open(context)
    list(collector.collect(context))
    return context.sentences


EXPLAINED = {
    "6.0-healthy-primary": [
        "In the set rs0, 127.0.0.1:56577 is primary: it takes the writes (myState = 1).",
    ],
    "6.0-no-primary": [
        "In the set rs0, 127.0.0.1:49247 is secondary: it keeps a copy of the data and answers reads that ask for a secondary (myState = 2).",
        "It sees no primary: no member that it reaches takes writes (members.state).",
        "127.0.0.1:56577 does not answer this member: Error connecting to 127.0.0.1:56577 :: caused by :: Connection refused (members.health = 0, lastHeartbeatMessage).",
        "127.0.0.1:55239 does not answer this member: Error connecting to 127.0.0.1:55239 :: caused by :: Connection refused (members.health = 0, lastHeartbeatMessage).",
    ],
    "4.4-initial-sync-self": [
        "In the set shard2, 10.50.137.113:27012 is startup2: it has started, and copies all data if it has to (initial sync) (myState = 5).",
        "It sees no primary: no member that it reaches takes writes (members.state).",
        "An initial sync is under way; attempts that failed before: 0 (initialSyncStatus.failedInitialSyncAttempts = 0).",
    ],
}


@pytest.mark.parametrize("state", sorted(EXPLAINED))
def test_a_state_is_explained_in_plain_language(state):
    """Each sentence ends with the fields that it was read from."""
    assert explained(state) == EXPLAINED[state]


@pytest.mark.parametrize("state", STATES)
def test_every_sentence_can_be_traced_to_what_was_read(state):
    """Whatever a sentence names in its last brackets is a field of the replies."""
    texts = str(recording(state)), str(recording("6.0-serverStatus-primary"))
    for sentence in explained(state):
        for source in sentence.rpartition("(")[2].rstrip(").").split(", "):
            field = source.partition(" = ")[0].rpartition(".")[2]
            assert any(f"'{field}'" in text for text in texts), sentence


@pytest.mark.parametrize("number", [*WORDS, 4, 11, 99, "odd", None])
def test_every_state_of_a_server_has_its_sentence(number):
    """One that no version has told so far is "unknown", with the server's own number."""
    status = {**recording("6.0-healthy-primary"), "myState": number}
    first = explained(status)[0]
    assert _STATE[WORDS.get(number, "unknown")] in first
    assert first.endswith(f"(myState = {number}).")


def test_a_member_that_is_delayed_on_purpose_is_not_called_slow():
    """Who reads that it is 20 s behind reads that this is meant."""
    told = " ".join(explained("6.0-primary-with-delayed-hidden-arbiter", config=CONFIG))
    assert "s behind; it is meant to be 20 s behind (members.optimeDate)." in told
    assert "mongodb_member_lag_seconds tells which" not in told


def test_what_is_short_is_said():
    """Connections, tickets and flow control are named when they are the trouble."""
    told = " ".join(
        explained(
            None,
            connections={"current": 95, "available": 5},
            wiredTiger={"concurrentTransactions": {"write": {"out": 128, "available": 0}}},
            flowControl={"isLagged": True},
        )
    )
    for part in (
        "Nearly all connections are taken: 95 of 100",
        "All tickets to write are taken: further writes wait",
        "Flow control slows writes",
    ):
        assert part in told


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ({}, "127.0.0.1:27017"),
        ({"host": "db1", "port": 1}, "db1:1"),
        ({"uri": "mongodb://db2/?tls=true"}, "db2:27017"),
        ({"uri": "mongodb://db2:5/"}, "db2:5"),
        ({"uri": "mongodb://[fe80::77%25v0]:27017/"}, "[fe80::77%v0]:27017"),
    ],
)
def test_the_server_is_named_by_its_place(settings, where):
    """By host and port, or by a connection string."""
    assert MongoDBSettings(**settings).where == where


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"uri": "http://x"}, "expected mongodb://"),
        ({"uri": "mongodb://u:p@x"}, "the password belongs into"),
        ({"uri": "mongodb://a,b/"}, "expected one server"),
        ({"uri": "mongodb://a:b/"}, "Port could not be cast"),
        ({"user": "x"}, "user and password belong together"),
        ({"tls_certificate": "/c"}, "of no use without tls"),
        ({"auth_database": "x"}, "auth_database: it belongs to a user"),
        ({"uri": "mongodb://db1/", "host": "db2"}, "it says where the server is: take host away"),
        ({"uri": "mongodb://db1/", "port": 1}, "it says where the server is: take port away"),
        ({"uri": "mongodb://db1/?tls=false", "tls": True}, "it says that TLS is not used"),
        ({"uri": "mongodb://db1/?tls=true&tlsInsecure=true"}, "with tlsInsecure anybody could be the server"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, complaint):
    """Each mistake is named before anything is asked."""
    with pytest.raises(ValueError, match=complaint):
        MongoDBSettings(**settings)


_NEWER = "told since 5.0 or later, of which there is no recording in this state"


def test_every_metric_is_in_some_recording():
    """What is declared and never seen would be a promise; each that no recording has says why."""
    healthy = recording("6.0-healthy-primary")
    answers = [RecordedServer(state, config=CONFIG) for state in STATES]
    answers.append(RecordedServer(healthy, oplog=entries(healthy, 60, 1)))
    assert_all_metrics_are_emitted(
        MongoDB,
        [collect(server(each)) for each in answers],
        besides={
            "mongodb_balancer_enabled": "of a mongos, of which there is no recording",
            "mongodb_balancer_rounds_total": "of a mongos, of which there is no recording",
            "mongodb_balancer_running": "of a mongos, of which there is no recording",
            "mongodb_connections_rejected_total": _NEWER,
            "mongodb_initial_sync_copied_bytes": _NEWER,
            "mongodb_initial_sync_data_bytes": _NEWER,
            "mongodb_initial_sync_remaining_seconds": _NEWER,
        },
    )
