"""The lag when primaries follow each other whose clocks differ: recorded, and over every combination of clocks."""

import datetime as dt

import pytest
from bson.timestamp import Timestamp

from collectors.mongodb.tests.recorded_mongodb import RecordedServer, recording, server
from rscollector.testing import collect, values

TRUTH = dt.datetime(2026, 11, 20, 12)  # noqa: DTZ001 - as the driver gives it
ELECTED = 1.5
"""Seconds between the last operation of one primary and the first of the next."""
HEARTBEAT = 2.0


def lags(state, oplog):
    """Return the lag by the member's name."""
    found = values(collect(server(RecordedServer(state, oplog=oplog))))
    name = "mongodb_member_lag_seconds"
    return {key.split('"')[1]: value for key, value in found.items() if key.startswith(f'{name}{{member="')}


def test_a_member_that_lacks_all_of_the_new_primary_is_behind_though_its_times_are_later():
    """Recorded: the clock of the new primary is 120 s behind that of the old one."""
    state = recording("6.0-failover-to-a-slow-clock")
    found = lags(state, recording("6.0-oplog-of-a-failover-to-a-slow-clock"))
    assert found == {"127.0.0.1:40437": 0, "127.0.0.1:51723": pytest.approx(32.1, abs=0.1)}


class Set:
    """Primaries that follow each other at each of `failovers`, and what they have written; each has its own clock."""

    def __init__(self, *clocks, failovers=(40.0,), now=100.0):
        self.clocks, self.failovers, self.now = clocks, failovers, now
        self.oplog = []
        newest = 0
        begun = [0.0, *(each + ELECTED for each in failovers)]
        writes = {float(each) for each in range(0, int(now) - 1, 2)} | {*begun, *failovers}
        paused = {each for each in writes if any(at < each < at + ELECTED for at in failovers)}
        for true in sorted(writes - paused):
            wall = self.wall(true)
            newest = max(
                newest + 1, int(wall.replace(tzinfo=dt.UTC).timestamp()) << 20
            )  # as the cluster's clock
            self.oplog.append(
                {
                    "ts": Timestamp(newest >> 20, newest & 0xFFFFF),
                    "wall": wall,
                    "t": self.term(true),
                    "true": true,
                }
            )

    def term(self, true):
        """Return the term at a time."""
        return 1 + sum(true > each for each in self.failovers)

    def wall(self, true):
        """Return what the clock of the primary of that time says."""
        return TRUTH + dt.timedelta(seconds=true + self.clocks[self.term(true) - 1])

    def last(self, true):
        """Return the newest entry of a time."""
        return [each for each in self.oplog if each["true"] <= true][-1]

    def state(self, has, heard, told):
        """Return what the primary says of a member that has what was written until `has`.

        It has told so at `told` by a heartbeat, and is at `heard` by the time of its newest operation.
        """
        state = recording("6.0-healthy-primary")
        term = self.term(self.now)
        first = next(each for each in self.oplog if each["t"] == term)
        state |= {"date": self.wall(self.now), "term": term}
        if self.failovers:
            last = {"ts": self.last(self.failovers[-1])["ts"], "t": term - 1}
            state["electionCandidateMetrics"] = {
                "newTermStartDate": first["wall"],
                "lastSeenOpTimeAtElection": last,
            }
        del state["members"][2]
        for each in state["members"]:
            entry = self.last(self.now if each["state"] == 1 else has)
            each["optime"] = {"ts": entry["ts"], "t": entry["t"]}
            each["optimeDate"] = each["optime"]["ts"].as_datetime().replace(tzinfo=None)
            each["lastAppliedWallTime"] = self.last(self.now if each["state"] == 1 else heard)["wall"]
            if each["state"] != 1:
                each["lastHeartbeat"] = self.wall(told)
        return state


CLOCKS = [(0, 0), (120, 0), (0, 120), (0, -120), (-120, 0), (600, 0), (0, 600), (4, 0), (3600, -3600)]


@pytest.mark.parametrize(("before", "after"), CLOCKS)
@pytest.mark.parametrize("has", [10, 37, 40, 43, 60, 90, 96])
def test_a_member_that_has_stopped_is_behind_by_what_it_lacks(before, after, has):
    """Whatever the clocks of the two primaries say, the error is no more than the pause between them and a second."""
    replicas = Set(before, after)
    first = next(each for each in replicas.oplog if each["true"] > has)
    (lag,) = lags(replicas.state(has, has, replicas.now - 0.5), replicas.oplog).values()
    assert lag == pytest.approx(replicas.now - first["true"], abs=ELECTED + 1)


@pytest.mark.parametrize(("before", "after"), CLOCKS)
def test_a_member_that_keeps_up_is_not_behind(before, after):
    """Its last heartbeat is two seconds old, and what it has applied since then is known by its time."""
    replicas = Set(before, after)
    state = replicas.state(replicas.now - HEARTBEAT, replicas.now, replicas.now - HEARTBEAT)
    assert list(lags(state, replicas.oplog).values()) == [0]


@pytest.mark.parametrize(("before", "after"), CLOCKS)
@pytest.mark.parametrize("since", [0.1, 1.0, 3.0])
def test_right_after_a_failover_nobody_is_behind_by_more_than_a_heartbeat(before, after, since):
    """What members have told by their last heartbeats is of the term before."""
    replicas = Set(before, after, now=40.0 + ELECTED + since)
    told = replicas.now - min(since, HEARTBEAT)
    (lag,) = lags(replicas.state(told, replicas.now, told), replicas.oplog).values()
    assert lag <= HEARTBEAT


@pytest.mark.parametrize(
    "clocks", [(0, 0, 0), (3600, 0, 0), (0, 3600, 0), (0, -3600, 0), (-120, 120, -120), (9, 0, 9)]
)
@pytest.mark.parametrize("has", [10, 40, 60, 90])
def test_a_member_that_has_stopped_two_primaries_ago_is_behind_by_what_it_lacks(clocks, has):
    """Each primary's part is counted by its own clock; only the pauses between them are lost, where clocks differ."""
    replicas = Set(*clocks, failovers=(40.0, 70.0))
    first = next(each for each in replicas.oplog if each["true"] > has)
    (lag,) = lags(replicas.state(has, has, replicas.now - 0.5), replicas.oplog).values()
    assert lag == pytest.approx(replicas.now - first["true"], abs=2 * ELECTED + 1 + 9)


def test_a_clock_that_is_set_back_makes_nobody_up_to_date():
    """What was written before that seems to come from the future; what was written since tells that there is a lag."""
    replicas = Set(3600, failovers=())
    for each in replicas.oplog:
        if each["true"] > 50:
            each["wall"] -= dt.timedelta(hours=1)
    state = replicas.state(10, 10, replicas.now - 0.5) | {"date": TRUTH + dt.timedelta(seconds=replicas.now)}
    (lag,) = lags(state, replicas.oplog).values()
    assert lag == pytest.approx(replicas.now - 52)


def test_a_clock_that_was_set_back_in_an_earlier_term_takes_nothing_away():
    """What the primary before has written by that clock is taken for nothing; the rest of the lag is told."""
    replicas = Set(0, 0)
    for each in replicas.oplog:
        if 20 < each["true"] <= 40:
            each["wall"] -= dt.timedelta(hours=1)
    (lag,) = lags(replicas.state(10, 10, replicas.now - 0.5), replicas.oplog).values()
    assert lag == pytest.approx(replicas.now - 40 - ELECTED)


def test_a_short_time_without_a_primary_counts():
    """Half a minute without a majority is a part of the lag of who has stopped before."""
    replicas = Set(0, 0, failovers=(40.0,))
    replicas.oplog = [each for each in replicas.oplog if not 40 < each["true"] < 70]
    (lag,) = lags(replicas.state(10, 10, replicas.now - 0.5), replicas.oplog).values()
    assert lag == pytest.approx(88)


@pytest.mark.parametrize(("reason", "pause"), [("electionTimeout", 10.0), ("stepUpRequestSkipDryRun", 0.0)])
def test_a_primary_that_was_elected_since_the_one_before_was_silent_counts_that_silence(reason, pause):
    """Where the clocks differ, nothing else tells how long nobody wrote."""
    replicas = Set(3600, 0)
    state = replicas.state(10, 10, replicas.now - 0.5)
    state["electionCandidateMetrics"] |= {"lastElectionReason": reason, "electionTimeoutMillis": 10_000}
    (lag,) = lags(state, replicas.oplog).values()
    assert lag == pytest.approx(replicas.now - 12 - ELECTED + pause)
