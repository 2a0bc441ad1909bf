"""The lifecycle: the table as documentation, its numbers, and its invariants under random events."""

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rscollector.model.errors import FailureKind
from rscollector.model.events import (
    EVENTS,
    Collect,
    Commit,
    Deadline,
    Done,
    DropSeries,
    Ended,
    Exited,
    Failed,
    Kill,
    Open,
    Opened,
    Release,
    Renew,
    Retry,
    RetryAt,
    Skip,
    Stop,
    Tick,
    Trouble,
)
from rscollector.model.lifecycle import (
    TABLE,
    Condition,
    Machine,
    Policy,
    Revive,
    State,
    condition,
    sentence,
    step,
)

POLICY = Policy()
UNAVAILABLE = FailureKind.UNAVAILABLE


def failed(machine, now=100.0, kind=UNAVAILABLE, draw=1.0, policy=POLICY):
    """Return what follows when the question that the machine asked last has failed."""
    return step(machine, Failed(now, machine.seq, kind, "down", draw), policy)


def collecting(**fields):
    """Return a machine that waits for an answer."""
    return Machine(**{"state": State.COLLECTING, "body": True, "seq": 5, **fields})


def hang(machine, now, policy=POLICY):
    """Return what follows when a machine hangs and its process has been reaped."""
    killing = step(machine, Deadline(now, 10.0), policy).machine
    return step(killing, Exited(now, 1.0, where="in pymongo/network.py:332"), policy)


def retry_time(following):
    """Return the time of the retry that was asked for, None if none was."""
    times = [action.when for action in following.actions if isinstance(action, RetryAt)]
    return times[0] if times else None


def test_every_pair_of_state_and_event_is_in_the_table():
    """Nothing that can happen is left to chance."""
    assert set(TABLE) == set(State)
    assert all(set(row) == set(EVENTS) for row in TABLE.values())


EVENT_OF = {
    Opened: Opened(100.0, 5),
    Tick: Tick(100.0),
    Done: Done(100.0, 5),
    Failed: Failed(100.0, 5, UNAVAILABLE, "down", 0.5),
    Deadline: Deadline(100.0, 10.0),
    Exited: Exited(100.0, 0.5, "the worker was killed by SIGSEGV"),
    Retry: Retry(100.0),
    Renew: Renew(100.0),
    Stop: Stop(100.0),
}
NEXT = """
              Opened  Tick        Done  Failed   Deadline  Exited   Retry       Renew    Stop
connecting    idle    =           =     backoff  killing   backoff  =           =        killing
idle          =       collecting  =     =        =         backoff  =           killing  killing
collecting    =       =           idle  backoff  killing   backoff  =           =        killing
killing       =       =           =     =        =         backoff  =           =        =
backoff       =       =           =     =        =         =        connecting  =        stopped
removed       =       =           =     =        =         =        connecting  =        stopped
stopped       =       =           =     =        =         =        =           =        =
"""


def pairs():
    """Yield state, event and the state that follows, out of the table above."""
    heads, *rows = [line.split() for line in NEXT.strip().splitlines()]
    for state, *following in rows:
        for name, after in zip(heads, following, strict=True):
            event = next(each for kind, each in EVENT_OF.items() if kind.__name__ == name)
            yield pytest.param(State(state), event, after, id=f"{state}-{name}")


@pytest.mark.parametrize(("state", "event", "after"), list(pairs()))
def test_each_event_leads_where_the_table_says(state, event, after):
    """The next state of every pair is the one that the drawing shows ("=": the same)."""
    has_body = state in (State.CONNECTING, State.IDLE, State.COLLECTING, State.KILLING)
    machine = Machine(state=state, seq=5, body=has_body, reason="x")
    assert step(machine, event, POLICY).machine.state == (state if after == "=" else after)


WITH_A_BODY_KEPT = [
    (State.BACKOFF, Exited, State.BACKOFF),
    (State.BACKOFF, Retry, State.CONNECTING),
    (State.BACKOFF, Stop, State.KILLING),
    (State.REMOVED, Exited, State.REMOVED),
    (State.REMOVED, Retry, State.REMOVED),
    (State.REMOVED, Stop, State.KILLING),
]


@pytest.mark.parametrize(("state", "event", "after"), WITH_A_BODY_KEPT)
def test_a_body_that_is_kept_is_ended_before_the_collector_is(state, event, after):
    """While a failed collector still has its body, a stop has to wait for it, and so has a removed one's retry."""
    machine = Machine(state=state, seq=5, body=True, reason="x")
    assert step(machine, EVENT_OF[event], POLICY).machine.state is after


def test_a_body_that_is_kept_is_used_again():
    """A failure is no reason to start a new process: the same one is asked to open again."""
    waiting = failed(collecting()).machine
    assert waiting.body
    assert step(waiting, Retry(101.0), POLICY).actions == (Open(6),)


@pytest.mark.parametrize("event", [Failed, Deadline, Exited])
def test_opening_fails_as_collecting_does(event):
    """What goes wrong costs the same, whether it goes wrong in open or in collect."""
    assert (
        step(collecting(state=State.CONNECTING), EVENT_OF[event], POLICY).actions
        == step(collecting(), EVENT_OF[event], POLICY).actions
    )


def test_a_misconfigured_collector_is_removed_at_once_with_a_short_probation():
    """Hurrying is no use where somebody has to mend something; trying again in a minute is."""
    after = failed(collecting(), kind=FailureKind.MISCONFIGURED)
    assert after.machine.state is State.REMOVED
    assert after.actions == (
        Ended(Trouble.MISCONFIGURED),
        DropSeries(),
        Release(POLICY.grace),
        RetryAt(160.0),
    )


@pytest.mark.parametrize(("failures", "wait"), [(0, 1), (1, 2), (2, 4), (5, 32), (6, 60), (28, 60)])
def test_the_wait_doubles_up_to_its_ceiling(failures, wait):
    """The n-th failure waits at most 1 s · 2ⁿ, and never more than a minute."""
    assert retry_time(failed(collecting(failures=failures))) == 100.0 + wait


def test_the_wait_is_a_random_part_of_its_ceiling():
    """Full jitter: a fleet that lost its server does not come back at once."""
    assert retry_time(failed(collecting(failures=3), draw=0.25)) == 102.0


def test_a_collector_that_used_up_its_failures_is_removed():
    """The thirtieth failure in a row removes it for a minute, which its server may need to come back."""
    after = failed(collecting(failures=29))
    assert after.machine.state is State.REMOVED
    assert retry_time(after) == 160.0


def test_a_removed_collector_is_given_one_attempt():
    """A single failure of the attempt removes it again."""
    removed = failed(collecting(failures=29)).machine
    gone = step(removed, Exited(101.0, 0.0), POLICY).machine
    again = step(gone, Retry(160.0), POLICY)
    assert again.actions == (Open(6),)
    after = failed(again.machine, now=161.0)
    assert after.machine.state is State.REMOVED
    assert retry_time(after) == 161.0 + 60.0


def test_one_attempt_is_one_whatever_it_was_removed_for():
    """Who was removed for a wrong password or for its hangs has not used up its failures, and has one attempt too."""
    misconfigured = failed(collecting(), kind=FailureKind.MISCONFIGURED).machine
    hung = hang(collecting(hangs=(98.0, 99.0)), 100.0).machine
    for removed in (misconfigured, hung):
        gone = step(removed, Exited(101.0, 0.5), POLICY).machine
        attempt = step(gone, Retry(9999.0), POLICY).machine
        assert attempt.failures == 1
        assert failed(attempt, now=9999.0).machine.state is State.REMOVED


@pytest.mark.parametrize(
    ("kind", "waits"),
    [
        (UNAVAILABLE, [60, 60, 60, 60, 60, 60]),
        (FailureKind.BUG, [120, 240, 480, 600, 600]),
        (FailureKind.MISCONFIGURED, [60, 120, 240, 480, 600, 600]),
    ],
)
def test_the_waits_of_a_removed_collector(kind, waits):
    """A server that is down is asked each minute for ever; whatever somebody has to mend, less and less often."""
    machine, found = collecting(failures=29), []
    for _ in waits:
        removed = failed(machine, now=0.0, kind=kind)
        found.append(retry_time(removed))
        gone = step(removed.machine, Exited(0.0, 0.5), POLICY).machine
        machine = step(gone, Retry(0.0), POLICY).machine
    assert found == waits


def test_hangs_and_crashes_of_a_removed_collector_wait_like_bugs():
    """What hangs or crashes costs the host: two minutes first, then twice as long each time, up to ten."""
    waits = []
    machine = collecting(hangs=(98.0, 99.0))
    for end in (hang(machine, 100.0), None, None, None):
        after = end or step(machine, Exited(100.0, 0.5, "the worker was killed by SIGSEGV"), POLICY)
        waits.append(retry_time(after) - 100.0)
        machine = step(after.machine, Retry(100.0), POLICY).machine
    assert waits == [120, 240, 480, 600]


def test_another_kind_of_trouble_begins_its_own_waits():
    """The wait follows the last trouble: hours of a server that was down say nothing about its new password."""
    down = collecting(failures=100, probations=70, removed_for=Trouble.UNAVAILABLE)
    assert retry_time(failed(down, kind=FailureKind.MISCONFIGURED)) == 160.0
    wrong = collecting(failures=10, probations=5, removed_for=Trouble.MISCONFIGURED)
    assert retry_time(failed(wrong)) == 160.0
    assert retry_time(hang(wrong, 100.0)) == 220.0
    hung = collecting(failures=10, probations=2, removed_for=Trouble.HANG)  # three are of the same kind
    assert retry_time(failed(hung, kind=FailureKind.BUG)) == 580.0


def test_a_removed_collector_waits_for_its_last_body():
    """While what is left of the last process is still dying, it is not opened again."""
    removed = failed(collecting(failures=29)).machine
    later = step(removed, Retry(160.0), POLICY)
    assert later.machine.state is State.REMOVED
    assert later.actions == (RetryAt(161.0),)


def test_literal_removal_is_left_by_a_reload_only():
    """With revive = never no retry is scheduled, and a retry that an operator asks for is carried out."""
    policy = replace(POLICY, revive=Revive.NEVER)
    after = failed(collecting(failures=29), policy=policy)
    assert retry_time(after) is None
    gone = step(after.machine, Exited(101.0, 0.0), policy).machine
    assert step(gone, Retry(102.0), policy).actions == (Open(6),)


def test_three_hangs_within_an_hour_remove_it():
    """Hangs are dearer than failures: the third one within the window removes."""
    machine = collecting()
    for now, state in ((0.0, State.BACKOFF), (1000.0, State.BACKOFF), (3000.0, State.REMOVED)):
        after = hang(replace(machine, state=State.COLLECTING, body=True), now)
        machine = after.machine
        assert machine.state is state


def test_hangs_of_long_ago_are_forgotten():
    """A hang that is older than the window does not count."""
    machine = collecting()
    for now in (0.0, 1000.0, 3700.0, 5000.0):
        machine = hang(replace(machine, state=State.COLLECTING, body=True), now).machine
        assert machine.state is State.BACKOFF


@pytest.mark.parametrize(("second", "hangs"), [(3599.0, (0.0, 3599.0)), (3600.0, (3600.0,))])
def test_a_hang_is_remembered_for_just_the_window(second, hangs):
    """An hour later to the second it is forgotten, and not before."""
    first = hang(collecting(), 0.0).machine
    again = replace(first, state=State.COLLECTING, body=True)
    assert hang(again, second).machine.hangs == hangs


def test_a_deadline_kills_and_takes_the_series_away():
    """What hangs is shown no more, and is killed."""
    after = step(collecting(), Deadline(100.0, 10.0), POLICY)
    assert after.machine.state is State.KILLING
    assert after.actions == (Ended(Trouble.HANG), DropSeries(), Kill())


def test_a_success_ends_a_row_of_failures():
    """What fails and succeeds in turn has never failed twice in a row, and is not removed for that."""
    machine = step(collecting(failures=29, probations=1), Done(100.0, 5), POLICY).machine
    assert (machine.failures, machine.probations) == (0, 0)
    after = failed(replace(machine, state=State.COLLECTING))
    assert after.machine.state is State.BACKOFF
    assert retry_time(after) == 101.0


def test_hangs_are_counted_over_successes():
    """Each hang costs a process and ten seconds: three of them in an hour remove, whatever was between them."""
    machine = step(collecting(hangs=(80.0, 90.0)), Done(95.0, 5), POLICY).machine
    assert hang(replace(machine, state=State.COLLECTING), 100.0).machine.state is State.REMOVED


DEGRADED = Done(100.0, 5, UNAVAILABLE, "http://b:8070 does not answer")


def test_what_cannot_do_its_work_is_in_backoff_and_is_asked_as_ever():
    """A sink that cannot send is open and takes what comes; people are told that it is in backoff, and why."""
    after = step(collecting(), DEGRADED, POLICY)
    assert after.actions == (Ended(Trouble.UNAVAILABLE), Commit())
    machine = after.machine
    assert (machine.state, machine.shown_state) == (State.IDLE, State.BACKOFF)
    assert machine.trouble is Trouble.UNAVAILABLE
    assert sentence(machine, POLICY, 100.0) == "http://b:8070 does not answer"
    asked = step(machine, Tick(115.0), POLICY)
    assert asked.actions == (Collect(6),)
    assert asked.machine.shown_state is State.BACKOFF
    well = step(asked.machine, Done(116.0, 6), POLICY).machine
    assert (well.shown_state, well.trouble, well.reason) == (State.IDLE, None, "")


def test_what_was_degraded_and_is_opened_anew_is_connecting():
    """The word for a state that has nothing to do with it stays."""
    degraded = step(collecting(), DEGRADED, POLICY).machine
    waiting = step(degraded, Exited(101.0, 0.5, "gone"), POLICY).machine
    assert waiting.shown_state is State.BACKOFF
    connecting = step(waiting, Retry(102.0), POLICY).machine
    assert connecting.shown_state is State.CONNECTING
    assert step(connecting, Opened(103.0, connecting.seq), POLICY).machine.shown_state is State.IDLE


def test_a_neighbours_fault_does_not_spoil_the_one_attempt():
    """A collector on probation is not removed for what another one did."""
    after = step(
        collecting(failures=30, probations=1, hangs=(1.0, 2.0, 3.0)),
        Exited(100.0, 0.5, charged=False),
        POLICY,
    )
    assert after.machine.state is State.BACKOFF
    assert (after.machine.failures, after.machine.probations, after.machine.hangs) == (30, 1, (1.0, 2.0, 3.0))


def test_a_neighbours_fault_costs_nothing():
    """Who shares a worker with one that crashed it is opened again soon, without a failure."""
    after = step(collecting(failures=3), Exited(100.0, 0.5, "other/x ended it", charged=False), POLICY)
    assert after.machine.state is State.BACKOFF
    assert after.machine.failures == 3
    assert retry_time(after) == 100.5


def test_a_tick_that_finds_it_busy_is_counted():
    """A tick never starts a second body or a second question."""
    for state in (State.CONNECTING, State.COLLECTING, State.KILLING):
        after = step(collecting(state=state), Tick(100.0), POLICY)
        assert after.actions == (Skip(),)


def test_an_answer_to_an_old_question_changes_nothing():
    """What comes with an old number is counted and ignored."""
    for event in (Done(100.0, 4), Failed(100.0, 4, UNAVAILABLE, "late", 0.5)):
        assert step(collecting(), event, POLICY) == (collecting(), ())
    connecting = collecting(state=State.CONNECTING)
    assert step(connecting, Opened(100.0, 4), POLICY) == (connecting, ())


def test_stopping_closes_and_then_kills():
    """A stop is graceful first; when the grace is over the worker is killed; then it is stopped for good."""
    stopping = step(collecting(), Stop(100.0), POLICY)
    assert stopping.actions == (DropSeries(), Release(POLICY.grace))
    late = step(stopping.machine, Deadline(102.0, 2.0), POLICY)
    assert late.actions == (Kill(),)
    assert step(late.machine, Exited(103.0, 0.0), POLICY).machine.state is State.STOPPED


def test_a_stop_during_a_kill_is_remembered():
    """What is being killed already is stopped when it is gone."""
    killing = step(collecting(), Deadline(100.0, 10.0), POLICY).machine
    stopping = step(killing, Stop(101.0), POLICY).machine
    assert step(stopping, Exited(102.0, 0.0), POLICY).machine.state is State.STOPPED


def test_what_is_left_of_a_removed_body_is_killed():
    """A removed collector whose worker does not end in the grace is killed; one without a body is not."""
    removed = failed(collecting(failures=29)).machine
    assert step(removed, Deadline(102.0, 2.0), POLICY).actions == (Kill(),)
    gone = step(removed, Exited(103.0, 0.0), POLICY).machine
    assert step(gone, Deadline(104.0, 2.0), POLICY).actions == ()


SENTENCES = [
    (failed(collecting()).machine, "down; retry in 1 s, failure 1 of 30"),
    (
        hang(collecting(), 100.0).machine,
        "no answer for 10 s, killed (in pymongo/network.py:332); retry in 1 s, hang 1 of 3",
    ),
    (failed(collecting(failures=29)).machine, "down; removed, next attempt in 1 min"),
    (
        failed(collecting(failures=29), policy=replace(POLICY, revive=Revive.NEVER)).machine,
        "down; removed until a reload",
    ),
    (
        step(collecting(), Deadline(100.0, 10.0), POLICY).machine,
        "no answer for 10 s; killed, waiting for the process to end",
    ),
    (step(collecting(), Stop(100.0), POLICY).machine, "stopping"),
    (
        step(collecting(), Exited(100.0, 1.0, "x/y ended the worker", charged=False), POLICY).machine,
        "x/y ended the worker; retry in 1 s",
    ),
    (step(collecting(), Done(100.0, 5), POLICY).machine, ""),
    (replace(failed(collecting()).machine, retry_at=99.0), "down; retry now, failure 1 of 30"),
    (
        hang(collecting(failures=2, hangs=(50.0,)), 100.0).machine,
        "no answer for 10 s, killed (in pymongo/network.py:332); retry in 4 s, hang 2 of 3",
    ),
    (
        hang(collecting(failures=2, hangs=(50.0, 60.0)), 100.0).machine,
        "no answer for 10 s, killed (in pymongo/network.py:332); removed, next attempt in 2 min",
    ),
    (failed(collecting(), kind=FailureKind.MISCONFIGURED).machine, "down; removed, next attempt in 1 min"),
    (
        step(collecting(), EVENT_OF[Exited], POLICY).machine,
        "the worker was killed by SIGSEGV; retry in 500 ms, failure 1 of 30",
    ),
    (Machine(), "not started yet; retry now"),
    (step(Machine(), Retry(95.0), POLICY).machine, "being opened, for 5 s so far"),
    (
        step(failed(collecting()).machine, Retry(98.0), POLICY).machine,
        "down; being opened again, for 2 s so far",
    ),
    (
        collecting(state=State.CONNECTING, renewing=True),
        "its worker is renewed",
    ),
    (step(Machine(), Stop(100.0), POLICY).machine, ""),
]


@pytest.mark.parametrize(("machine", "expected"), SENTENCES)
def test_the_sentence_says_why_and_what_happens_next(machine, expected):
    """An operator reads the reason, and when there will be news."""
    assert sentence(machine, POLICY, 100.0) == expected


def test_a_hang_without_a_place_is_told_without_one():
    """Where no stack could be taken, the sentence does not pretend one."""
    killing = step(collecting(), Deadline(100.0, 10.0), POLICY).machine
    assert step(killing, Exited(101.0, 1.0), POLICY).machine.reason == "no answer for 10 s, killed"


class Lives(RuleBasedStateMachine):
    """A runtime that carries out the actions in a world where anything may happen at any time."""

    kinds = st.sampled_from(list(FailureKind))
    draws = st.floats(0, 1, exclude_max=True)

    @initialize(revive=st.sampled_from(list(Revive)), failures=st.integers(1, 4), hangs=st.integers(1, 3))
    def begin(self, revive, failures, hangs):
        """Begin with a collector that was never opened."""
        self.policy = Policy(revive=revive, max_failures=failures, max_hangs=hangs)
        self.machine = Machine()
        self.now = 0.0
        self.process = False  # a process that may hold the collector
        self.condemned = False  # it was killed or told to end, and is not reaped yet
        self.series = False
        self.retry_at = None
        self.seqs = [0]

    def happen(self, event):
        """Put an event through the table and carry out what comes back."""
        before = self.machine
        self.machine, actions = step(before, event, self.policy)
        for action in actions:
            self.carry_out(action)
        if getattr(event, "seq", before.seq) != before.seq:
            assert self.machine == before, "an old answer changes nothing"
            assert actions == ()
        assert len([action for action in actions if isinstance(action, Ended)]) <= 1
        assert before.state is not State.STOPPED or self.machine.state is State.STOPPED
        assert self.machine.seq >= before.seq

    def carry_out(self, action):
        """Do what the runtime does."""
        match action:
            case Open(seq):
                assert not self.condemned, "a second body beside one that is not gone"
                self.process, self.retry_at = True, None
                self.seqs.append(seq)
            case Collect(seq):
                assert self.process
                assert not self.condemned
                self.seqs.append(seq)
            case Commit():
                self.series = True
            case DropSeries():
                self.series = False
            case Kill() | Release(_):
                assert self.process
                self.condemned = True
            case RetryAt(when):
                longest = max(self.policy.backoff_max, self.policy.probation_max)
                assert self.now <= when <= self.now + longest, "silence outlives the outage by more"
                self.retry_at = when

    @rule(seconds=st.floats(0, 5000))
    def time_passes(self, seconds):
        """Time passes."""
        self.now += seconds

    @rule()
    def tick(self):
        """The schedule ticks, whatever the state."""
        self.happen(Tick(self.now))

    @rule(back=st.integers(0, 2), answer=st.sampled_from([Opened, Done]))
    def good_answer(self, back, answer):
        """An answer comes, to this question or to an older one."""
        self.happen(answer(self.now, max(0, self.machine.seq - back)))

    @rule(back=st.integers(0, 2), kind=kinds)
    def half_an_answer(self, back, kind):
        """An answer comes, with the word that the collector cannot do what it is for."""
        self.happen(Done(self.now, max(0, self.machine.seq - back), kind, "the receiver is down"))

    @rule(back=st.integers(0, 2), kind=kinds, draw=draws)
    def bad_answer(self, back, kind, draw):
        """A failure comes, of this question or of an older one."""
        self.happen(Failed(self.now, max(0, self.machine.seq - back), kind, "down", draw))

    @precondition(lambda self: self.machine.state in (State.CONNECTING, State.COLLECTING) or self.condemned)
    @rule()
    def deadline(self):
        """No answer came in time."""
        self.happen(Deadline(self.now, 10.0))

    @precondition(lambda self: self.process)
    @rule(draw=draws, charged=st.booleans())
    def process_exits(self, draw, charged):
        """The process is reaped, killed by us or not."""
        self.process = self.condemned = False
        self.happen(Exited(self.now, draw, "gone", charged))

    @rule()
    def retry(self):
        """The wait is over, or an operator is impatient."""
        self.happen(Retry(self.now))

    @rule()
    def renew(self):
        """The worker has grown too large."""
        self.happen(Renew(self.now))

    @rule()
    def stop(self):
        """The collector is to end."""
        self.happen(Stop(self.now))

    @invariant()
    def it_knows_whether_it_has_a_body(self):
        """The machine's own account of its body is the world's."""
        if hasattr(self, "machine"):
            assert self.machine.body == self.process

    @invariant()
    def series_are_there_only_while_idle_or_collecting(self):
        """Nothing stale is shown; a body that is well and has to make room for another leaves its series."""
        if hasattr(self, "machine"):
            well = (State.IDLE, State.COLLECTING)
            between = self.machine.renewing and self.machine.state in (State.KILLING, State.CONNECTING)
            assert not self.series or between or self.machine.state in well

    @invariant()
    def there_is_a_way_out(self):
        """Each state that is not the last one is left by something that will happen."""
        if not hasattr(self, "machine"):
            return
        match self.machine.state:
            case State.CONNECTING | State.IDLE | State.COLLECTING:
                assert self.process  # it answers, exits, or meets its deadline
            case State.KILLING:
                assert self.process  # it is reaped
                assert self.condemned
            case State.BACKOFF if self.machine != Machine():
                assert self.retry_at is not None
            case State.REMOVED:
                assert self.retry_at is not None or self.policy.revive is Revive.NEVER
            case State.STOPPED:
                assert not self.process

    @invariant()
    def what_it_says_of_the_next_attempt_is_what_was_asked_for(self):
        """The status page tells the time of the retry that is scheduled, and none where there is none."""
        if hasattr(self, "machine"):
            waits = self.machine.state in (State.BACKOFF, State.REMOVED)
            assert self.machine.retry_at == (self.retry_at if waits else None)

    @invariant()
    def there_is_always_a_sentence(self):
        """Whatever has happened can be told, and who is not well says why."""
        if hasattr(self, "machine"):
            told = sentence(self.machine, self.policy, self.now)
            assert told or self.machine.state not in (State.KILLING, State.BACKOFF, State.REMOVED)

    def teardown(self):
        """Whatever has happened, in a kind world it collects again after one retry, and a stop ends it."""
        if not hasattr(self, "machine"):
            return
        self.time_passes(1.0)
        if self.condemned:
            self.process_exits(0.5, charged=True)
        if not self.machine.stopping:
            for event in (Retry, Opened, Tick, Done):
                self.happen(event(self.now, self.machine.seq) if event in (Opened, Done) else event(self.now))
            assert (self.machine.state, self.series) == (State.IDLE, True)
        self.happen(Stop(self.now))
        assert not self.series
        if self.process:
            self.process_exits(0.5, charged=True)
        assert self.machine.state is State.STOPPED

    @invariant()
    def numbers_are_never_used_twice(self):
        """Each question has a number of its own."""
        if hasattr(self, "machine"):
            assert len(self.seqs) == len(set(self.seqs))


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_a_body_is_asked_to_end_once():
    """What was removed has been told to close already: a stop then only waits for it."""
    removed = failed(collecting(failures=29)).machine
    assert step(removed, Stop(101.0), POLICY).actions == (DropSeries(),)


def test_a_renewed_worker_costs_neither_series_nor_patience():
    """Between two ticks the body is exchanged: nothing is dropped, counted as a failure or waited for."""
    idle = Machine(state=State.IDLE, body=True, seq=5, failures=2, reason="")
    renewing, actions = step(idle, Renew(100.0), POLICY)
    assert (renewing.state, actions) == (State.KILLING, (Release(POLICY.grace),))
    assert sentence(renewing, POLICY, 100.0) == "its worker is renewed"
    connecting, actions = step(renewing, Exited(101.0, 0.5), POLICY)
    assert (connecting.state, connecting.failures, actions) == (State.CONNECTING, 2, (Open(6),))
    assert connecting.renewing
    assert not step(connecting, Opened(102.0, 6), POLICY).machine.renewing


@pytest.mark.parametrize(
    "event", [Deadline(102.0, 10.0), Failed(102.0, 6, UNAVAILABLE, "down", 0.5), Stop(102.0)]
)
def test_a_renewal_that_fails_drops_the_series(event):
    """The new body does not come up, or the collector is to end: nothing stale stays on the page."""
    idle = Machine(state=State.IDLE, body=True, seq=5)
    connecting = step(step(idle, Renew(100.0), POLICY).machine, Exited(101.0, 0.5), POLICY).machine
    after = step(connecting, event, POLICY)
    assert DropSeries() in after.actions
    assert not after.machine.renewing


def test_a_renewal_for_which_the_old_body_has_to_be_killed_is_a_renewal_all_the_same():
    """The old body does not close in time: it is killed, and that is held against nobody."""
    renewing = step(Machine(state=State.IDLE, body=True, seq=5), Renew(100.0), POLICY).machine
    killed, actions = step(renewing, Deadline(102.0, 2.0), POLICY)
    assert (actions, killed.renewing) == ((Kill(),), True)
    connecting = step(killed, Exited(102.0, 0.5), POLICY).machine
    assert (connecting.state, connecting.failures) == (State.CONNECTING, 0)


def test_a_stop_during_a_renewal_drops_the_series():
    """While the old body is being released, a stop has only to wait for it."""
    renewing = step(Machine(state=State.IDLE, body=True, seq=5), Renew(100.0), POLICY).machine
    stopping, actions = step(renewing, Stop(101.0), POLICY)
    assert (actions, stopping.renewing) == ((DropSeries(),), False)
    assert step(stopping, Exited(102.0, 0.5), POLICY).machine.state is State.STOPPED


def test_a_neighbours_fault_is_told_without_counting():
    """The failures of before are not this one's."""
    after = step(collecting(failures=3), Exited(100.0, 1.0, "b/x ended the worker", charged=False), POLICY)
    assert sentence(after.machine, POLICY, 100.0) == "b/x ended the worker; retry in 1 s"


@pytest.mark.parametrize(
    ("fields", "shown", "ever", "expected"),
    [
        ({}, False, False, Condition.STARTING),
        ({"state": State.IDLE}, True, True, Condition.UP),
        ({"state": State.KILLING, "renewing": True}, True, True, Condition.UP),
        ({"state": State.IDLE}, False, True, Condition.STALE),
        ({"state": State.BACKOFF, "trouble": Trouble.HANG}, False, True, Condition.DOWN),
        ({"state": State.CONNECTING, "trouble": Trouble.HANG}, False, False, Condition.DOWN),
        ({"state": State.IDLE, "trouble": Trouble.UNAVAILABLE, "degraded": True}, True, True, Condition.DOWN),
        (
            {"state": State.REMOVED, "trouble": Trouble.BUG, "removed_for": Trouble.BUG},
            False,
            True,
            Condition.REMOVED,
        ),
        (
            {"state": State.CONNECTING, "trouble": Trouble.BUG, "removed_for": Trouble.BUG},
            False,
            True,
            Condition.REMOVED,
        ),
        ({"state": State.IDLE, "stopping": True}, True, True, Condition.STOPPING),
    ],
)
def test_the_condition_is_the_word_for_people(fields, shown, ever, expected):
    """Whether its numbers are there, and if not, why: it begins, is down, removed, or what it told is too old."""
    assert condition(Machine(**fields), shown=shown, ever=ever) is expected
