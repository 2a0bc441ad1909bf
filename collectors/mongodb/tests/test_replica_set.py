"""A real replica set of three members in every kind of trouble, watched by an agent and a Prometheus with our alerts."""

import signal

import pytest
from harness import until

pytestmark = [pytest.mark.needs("mongod", "prometheus"), pytest.mark.timeout(300)]


def test_a_healthy_set_is_the_same_from_every_member(watching, replicas):
    """One primary, two secondaries, seen with the documented role alone; no alert fires."""
    primary = replicas.primary()
    for name in ("m1", "m2", "m3"):
        assert sorted(watching.healthy(name)) == sorted(each.address for each in replicas.members)
        assert watching.value("mongodb_primary_info", name, member=primary.address) == 1
        assert watching.value("mongodb_majority", name) == 2
        assert watching.value("mongodb_oplog_size_bytes", name) == 16 << 20
    assert watching.state(primary.name, "mongodb_state") == "primary"
    assert [each["notes"] for each in watching.agent.status()["collectors"]] == [[], [], [], []]
    groups = watching.prometheus.ask("/api/v1/rules")["groups"]
    rules = [rule for group in groups if group["name"] == "rscollector-mongodb" for rule in group["rules"]]
    assert {rule["health"] for rule in rules} == {"ok"}
    assert watching.alarms() == set()


def test_the_death_of_the_primary_is_an_election(watching, replicas):
    """Another becomes primary, in one line of the log; who died is named by the others."""
    dead = replicas.primary()
    term = watching.value("mongodb_term", dead.name)
    dead.kill()
    winner = until(replicas.primary, 30)
    other = next(each for each in replicas.secondaries() if each is not winner)
    watching.sees(winner.name, "primary", 1)
    until(lambda: watching.value("mongodb_member_health", other.name, member=dead.address) == 0)
    assert watching.value("mongodb_term", winner.name) > term
    assert watching.value("mongodb_member_optime_lag_seconds", winner.name, member=dead.address) is None
    until(lambda: f"mongodb: primary, as seen here: {winner.address}; before: " in watching.log)
    until(lambda: watching.up(dead.name) == 0)
    assert (
        "nobody listens there; the server is down"
        in watching.agent.collector(f"mongodb/{dead.name}")["reason"]
    )
    watching.prometheus.fires("MongoDBMemberDown", "RscollectorCollectorDown")
    replicas.heal()
    watching.right()


def test_a_step_down_moves_the_primary(watching, replicas):
    """The one steps down, another is elected, and nobody was ever down."""
    before = replicas.primary()
    elections = {each.name: stepped_up(watching, each) for each in replicas.members}
    before.run("replSetStepDown", 10, secondaryCatchUpPeriodSecs=5)
    until(lambda: replicas.primary() not in (None, before), 30)
    until(lambda: watching.state(before.name, "mongodb_state") == "secondary")
    replicas.heal()
    watching.right()
    winner = replicas.primary()
    assert stepped_up(watching, winner) > elections[winner.name]


def stepped_up(watching, member):
    """Return how many elections a member has won because another stepped down."""
    return watching.value("mongodb_elections_won_total", member.name, reason="stepUpCmd")


def test_a_secondary_that_is_stopped_hangs_only_its_own_collector(watching, replicas):
    """The kernel accepts for it and nobody answers: its worker is killed or gives up, the others are on time."""
    stopped = replicas.secondaries()[0]
    primary = replicas.primary()
    stopped.kill(signal.SIGSTOP)
    until(lambda: watching.up(stopped.name) == 0)
    until(lambda: watching.value("mongodb_member_health", primary.name, member=stopped.address) == 0, 30)
    assert watching.lag(primary.name, stopped.address) == (None, None)
    watching.prometheus.fires("MongoDBMemberDown")
    watching.unharmed()
    replicas.heal()
    watching.right()


def test_a_primary_that_is_stopped_is_replaced(watching, replicas):
    """The others elect another; when it goes on it hears of the new term and steps down."""
    stopped = replicas.primary()
    others = [each for each in replicas.members if each is not stopped]
    stopped.kill(signal.SIGSTOP)
    until(lambda: [each for each in others if watching.seen(each.name) == ("primary", 1)], 60)
    until(lambda: watching.up(stopped.name) == 0)
    watching.unharmed()
    replicas.heal()
    watching.right()
    assert watching.state(stopped.name, "mongodb_state") == "secondary"


def test_without_a_majority_there_is_no_primary(watching, replicas):
    """Two of three are gone: the last one is a secondary, and says that nobody takes writes. Then it is gone, too."""
    primary, *others = sorted(replicas.members, key=lambda each: each.state())
    for each in others:
        each.kill()
    watching.sees(primary.name, "secondary", 0)
    assert watching.value("mongodb_primary_elected_timestamp_seconds", primary.name) is None
    watching.prometheus.fires("MongoDBNoPrimary", "MongoDBMemberDown")
    assert "MongoDBSetGone" not in watching.alarms()
    primary.kill()
    watching.prometheus.fires("MongoDBSetGone")
    replicas.heal()
    watching.right()


def test_a_member_that_is_taken_out_is_gone_and_comes_back(watching, replicas):
    """The set has two members; the third says that it was removed, and is a member again when it is added."""
    leaver = replicas.secondaries()[0]
    primary = replicas.primary()
    removed = []

    def without(config):
        removed.extend(each for each in config["members"] if each["host"] == leaver.address)
        config["members"] = [each for each in config["members"] if each["host"] != leaver.address]

    replicas.reconfigure(without)
    until(lambda: watching.value("mongodb_members", primary.name) == 2)
    assert watching.value("mongodb_member_health", primary.name, member=leaver.address) is None
    notes = "this member was taken out of its replica set, or does not find itself in the set's configuration"
    until(lambda: notes in watching.agent.collector(f"mongodb/{leaver.name}")["notes"])
    assert watching.up(leaver.name) == 1
    assert watching.value("mongodb_connections_current", leaver.name) > 0
    replicas.reconfigure(lambda config: config["members"].extend(removed))
    replicas.heal()
    watching.right()


def test_an_initial_sync_is_seen_from_the_primary(watching, replicas):
    """The member has no users yet, which is no wrong password; the primary says that it copies."""
    joiner = replicas.secondaries()[0]
    primary = replicas.primary()
    joiner.kill()
    joiner.wipe()
    joiner.start("failpoint.initialSyncHangBeforeCopyingDatabases={mode: 'alwaysOn'}")
    until(
        lambda: watching.state(primary.name, "mongodb_member_state", member=joiner.address) == "startup2", 30
    )
    assert watching.value("mongodb_member_lag_seconds", primary.name, member=joiner.address) is None
    until(lambda: "has no users yet; else" in watching.agent.collector(f"mongodb/{joiner.name}")["reason"])
    joiner.kill()
    replicas.heal()
    watching.right()


def test_a_member_in_maintenance_is_no_failure(watching, replicas):
    """It answers no reads, and says so; the others see it, too."""
    resting, primary = replicas.secondaries()[0], replicas.primary()
    resting.run("replSetMaintenance", True)
    watching.sees(resting.name, "recovering", 1)
    until(
        lambda: watching.state(primary.name, "mongodb_member_state", member=resting.address) == "recovering"
    )
    resting.run("replSetMaintenance", False)
    watching.right()
