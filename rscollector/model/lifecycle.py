"""The life of a collector (or sink) as a table: what happens in each state at each event.

`step` takes a machine and an event and returns the machine that follows and what has to be done; the agent
does it. Nothing here has a clock or a die: every event carries `now`, and `draw` in [0, 1) where a wait is
spread at random.

Invariants, held by the tests with random sequences of events:

* a collector has at most one body: a process that was killed or released is gone before `Open` is asked for;
* its series are there only while it is idle or collecting, or while its worker is renewed in between;
* no state is without a way out: a removed collector is tried again after a probation (unless the operator
  forbade it; then a reload tries it), and `stopped` is reached only when the body is gone.

`killing` is left only by the process's exit. A process in uninterruptible sleep may stay there for ever;
its ticks are skipped and it is never given a second body.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from rscollector.model.events import (
    Action,
    Collect,
    Commit,
    Deadline,
    Done,
    DropSeries,
    Ended,
    Event,
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
from rscollector.model.settings import humanized


class State(StrEnum):
    """The states; the value is the word that users see."""

    CONNECTING = "connecting"
    IDLE = "idle"
    COLLECTING = "collecting"
    KILLING = "killing"
    BACKOFF = "backoff"
    REMOVED = "removed"
    STOPPED = "stopped"


class Condition(StrEnum):
    """What a collector is to those who want its numbers; the value is the word that users see."""

    UP = "up"
    STARTING = "starting"
    STALE = "stale"
    DOWN = "down"
    REMOVED = "removed"
    STOPPING = "stopping"


class Revive(StrEnum):
    """What becomes of a removed collector."""

    PROBATION = "probation"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Policy:
    """How patient the agent is with a collector. All times are seconds."""

    backoff_min: float = 1
    backoff_max: float = 60
    max_failures: int = 30
    max_hangs: int = 3
    hang_window: float = 3600
    probation: float = 120
    probation_misconfigured: float = 60
    probation_max: float = 600
    revive: Revive = Revive.PROBATION
    grace: float = 2


@dataclass(frozen=True, slots=True)
class Machine:
    """One collector's state.

    `body` tells whether a worker may still hold the collector, `renewing` that this body is well and has to
    make room for another, `degraded` that it answers and cannot do what it is for. `failures` are those since
    the last success; `probations` counts the waits since it was removed for the kind of `removed_for`.
    """

    state: State = State.BACKOFF
    since: float = 0
    seq: int = 0
    body: bool = False
    stopping: bool = False
    renewing: bool = False
    degraded: bool = False
    failures: int = 0
    hangs: tuple[float, ...] = ()
    probations: int = 0
    removed_for: Trouble | None = None
    trouble: Trouble | None = None
    reason: str = "not started yet"
    retry_at: float | None = None

    @property
    def shown_state(self) -> State:
        """The state that people are told: what cannot do its work and tries again is in backoff."""
        asked = self.state in (State.IDLE, State.COLLECTING)
        return State.BACKOFF if self.degraded and asked else self.state


class Step(NamedTuple):
    """What follows from an event."""

    machine: Machine
    actions: tuple[Action, ...] = ()


Handler = Callable[[Machine, Event, Policy], Step]


# --- handlers -----------------------------------------------------------------------------------------


def _same(machine: Machine, _event: Event, _policy: Policy) -> Step:
    return Step(machine)


def _skip(machine: Machine, _event: Event, _policy: Policy) -> Step:
    return Step(machine, (Skip(),))


def _stale(machine: Machine, _event: Event, _policy: Policy) -> Step:
    """An answer to a question that is no longer asked tells nothing."""
    return Step(machine)


def _opened(machine: Machine, event: Event, _policy: Policy) -> Step:
    assert isinstance(event, Opened)
    if event.seq != machine.seq:
        return Step(machine)
    return Step(replace(machine, state=State.IDLE, since=event.now, renewing=False))


def _collect(machine: Machine, event: Event, _policy: Policy) -> Step:
    seq = machine.seq + 1
    return Step(replace(machine, state=State.COLLECTING, since=event.now, seq=seq), (Collect(seq),))


def _done(machine: Machine, event: Event, _policy: Policy) -> Step:
    assert isinstance(event, Done)
    if event.seq != machine.seq:
        return Step(machine)
    after = replace(machine, state=State.IDLE, since=event.now, failures=0, probations=0, removed_for=None)
    if event.degraded is None:
        return Step(replace(after, degraded=False, trouble=None, reason=""), (Commit(),))
    trouble = Trouble(event.degraded.value)
    return Step(
        replace(after, degraded=True, trouble=trouble, reason=event.reason), (Ended(trouble), Commit())
    )


def _failed(machine: Machine, event: Event, policy: Policy) -> Step:
    assert isinstance(event, Failed)
    if event.seq != machine.seq:
        return Step(machine)
    trouble = Trouble(event.kind.value)
    after, waits = _set_back(machine, event.now, event.draw, policy, trouble=trouble, reason=event.reason)
    return Step(after, (Ended(trouble), DropSeries(), *waits))


def _hung(machine: Machine, event: Event, policy: Policy) -> Step:
    assert isinstance(event, Deadline)
    recent = tuple(hang for hang in machine.hangs if hang > event.now - policy.hang_window)
    after = replace(
        machine,
        state=State.KILLING,
        since=event.now,
        hangs=(*recent, event.now)[-policy.max_hangs :],
        trouble=Trouble.HANG,
        reason=f"no answer for {humanized(event.waited)}",
    )
    return Step(after, (Ended(Trouble.HANG), DropSeries(), Kill()))


def _exited(machine: Machine, event: Event, policy: Policy) -> Step:
    """A body that should have lived is gone: by its own fault, or by a neighbour's in the same worker."""
    assert isinstance(event, Exited)
    if not event.charged:
        wait = RetryAt(event.now + event.draw * policy.backoff_min)
        after = replace(
            machine,
            state=State.BACKOFF,
            since=event.now,
            body=False,
            trouble=Trouble.NEIGHBOUR,
            reason=event.reason,
            retry_at=wait.when,
        )
        return Step(after, (Ended(Trouble.NEIGHBOUR), DropSeries(), wait))
    after, waits = _set_back(
        replace(machine, body=False),
        event.now,
        event.draw,
        policy,
        trouble=Trouble.CRASH,
        reason=event.reason,
    )
    return Step(after, (Ended(Trouble.CRASH), DropSeries(), *waits))


def _reaped(machine: Machine, event: Event, policy: Policy) -> Step:
    """The body that was being killed or closed is gone, as it should."""
    assert isinstance(event, Exited)
    if machine.stopping:
        return Step(replace(machine, state=State.STOPPED, since=event.now, body=False))
    if machine.renewing:
        return _connect(machine, event, policy)
    where = f", killed ({event.where})" if event.where else ", killed"
    return Step(
        *_set_back(
            replace(machine, body=False),
            event.now,
            event.draw,
            policy,
            trouble=Trouble.HANG,
            reason=machine.reason + where,
        )
    )


def _bodiless(machine: Machine, _event: Event, _policy: Policy) -> Step:
    return Step(replace(machine, body=False))


def _connect(machine: Machine, event: Event, _policy: Policy) -> Step:
    seq = machine.seq + 1
    after = replace(
        machine, state=State.CONNECTING, since=event.now, seq=seq, body=True, degraded=False, retry_at=None
    )
    return Step(after, (Open(seq),))


def _retry_removed(machine: Machine, event: Event, policy: Policy) -> Step:
    if not machine.body:
        return _connect(machine, event, policy)
    wait = RetryAt(event.now + policy.backoff_min)  # what is left of the last body is still dying
    return Step(replace(machine, retry_at=wait.when), (wait,))


def _renew(machine: Machine, event: Event, policy: Policy) -> Step:
    renewing = replace(machine, state=State.KILLING, since=event.now, renewing=True)
    return Step(renewing, (Release(policy.grace),))


def _kill(machine: Machine, _event: Event, _policy: Policy) -> Step:
    return Step(machine, (Kill(),))


def _kill_what_is_left(machine: Machine, _event: Event, _policy: Policy) -> Step:
    return Step(machine, (Kill(),) if machine.body else ())


def _stop(machine: Machine, event: Event, policy: Policy) -> Step:
    stopping = replace(machine, stopping=True, since=event.now, trouble=None, reason="", retry_at=None)
    if not machine.body:
        return Step(replace(stopping, state=State.STOPPED), (DropSeries(),))
    release = () if machine.state is State.REMOVED else (Release(policy.grace),)  # that was asked for already
    return Step(replace(stopping, state=State.KILLING), (DropSeries(), *release))


def _stop_killing(machine: Machine, _event: Event, _policy: Policy) -> Step:
    return Step(replace(machine, stopping=True), (DropSeries(),) if machine.renewing else ())


def _set_back(
    machine: Machine, now: float, draw: float, policy: Policy, *, trouble: Trouble, reason: str
) -> tuple[Machine, tuple[Action, ...]]:
    """Decide between another try soon and removal, and schedule the one or the other."""
    failures = machine.failures + 1
    after = replace(machine, since=now, failures=failures, trouble=trouble, reason=reason)
    used_up = (
        trouble is Trouble.MISCONFIGURED
        or failures >= policy.max_failures
        or (trouble is Trouble.HANG and len(machine.hangs) >= policy.max_hangs)
        or machine.probations > 0
    )
    if used_up:
        return _remove(after, now, policy)
    ceiling = min(policy.backoff_max, policy.backoff_min * 2.0 ** min(failures - 1, 63))
    when = now + draw * ceiling
    return replace(after, state=State.BACKOFF, retry_at=when), (RetryAt(when),)


def _remove(machine: Machine, now: float, policy: Policy) -> tuple[Machine, tuple[Action, ...]]:
    kind = _kind(machine.trouble)
    waited = machine.probations if kind is _kind(machine.removed_for) else 0  # another kind begins anew
    release = (Release(policy.grace),) if machine.body else ()
    removed = replace(machine, state=State.REMOVED, removed_for=machine.trouble, probations=waited + 1)
    if policy.revive is Revive.NEVER:
        return replace(removed, retry_at=None), release
    first, longest = _probation(kind, policy)
    when = now + min(longest, first * 2.0 ** min(waited, 63))
    return replace(removed, retry_at=when), (*release, RetryAt(when))


def _kind(trouble: Trouble | None) -> Trouble | None:
    """Return the kind of trouble by which a removed collector waits; None for what costs the host."""
    return trouble if trouble in (Trouble.UNAVAILABLE, Trouble.MISCONFIGURED) else None


def _probation(kind: Trouble | None, policy: Policy) -> tuple[float, float]:
    """Return the first wait of a removed collector and the longest.

    A server that is down comes back by itself, so the wait is always the same. A wrong password may lock an
    account, and what hangs, crashes or has a bug costs the host: they wait longer each time.
    """
    match kind:
        case Trouble.UNAVAILABLE:
            return policy.backoff_max, policy.backoff_max
        case Trouble.MISCONFIGURED:
            return policy.probation_misconfigured, policy.probation_max
        case _:
            return policy.probation, policy.probation_max


# --- the table ----------------------------------------------------------------------------------------

_S = State
TABLE: dict[State, dict[type[Event], Handler]] = {
    _S.CONNECTING: {
        Opened: _opened, Tick: _skip, Done: _stale, Failed: _failed,
        Deadline: _hung, Exited: _exited, Retry: _same, Renew: _same, Stop: _stop,
    },
    _S.IDLE: {
        Opened: _stale, Tick: _collect, Done: _stale, Failed: _stale,
        Deadline: _same, Exited: _exited, Retry: _same, Renew: _renew, Stop: _stop,
    },
    _S.COLLECTING: {
        Opened: _stale, Tick: _skip, Done: _done, Failed: _failed,
        Deadline: _hung, Exited: _exited, Retry: _same, Renew: _same, Stop: _stop,
    },
    _S.KILLING: {
        Opened: _stale, Tick: _skip, Done: _stale, Failed: _stale,
        Deadline: _kill, Exited: _reaped, Retry: _same, Renew: _same, Stop: _stop_killing,
    },
    _S.BACKOFF: {
        Opened: _stale, Tick: _same, Done: _stale, Failed: _stale,
        Deadline: _same, Exited: _bodiless, Retry: _connect, Renew: _same, Stop: _stop,
    },
    _S.REMOVED: {
        Opened: _stale, Tick: _same, Done: _stale, Failed: _stale,
        Deadline: _kill_what_is_left, Exited: _bodiless, Retry: _retry_removed, Renew: _same, Stop: _stop,
    },
    _S.STOPPED: {
        Opened: _stale, Tick: _same, Done: _stale, Failed: _stale,
        Deadline: _same, Exited: _same, Retry: _same, Renew: _same, Stop: _same,
    },
}  # fmt: skip


def step(machine: Machine, event: Event, policy: Policy) -> Step:
    """Return the machine that follows, and what has to be done for it, in order."""
    after, actions = TABLE[machine.state][type(event)](machine, event, policy)
    if DropSeries() in actions:  # what was well enough to be renewed is so no more
        after = replace(after, renewing=False)
    return Step(after, actions)


def condition(machine: Machine, *, shown: bool, ever: bool) -> Condition:
    """Return what a collector is whose samples are `shown` or not, and were `ever` or never."""
    if machine.stopping:
        return Condition.STOPPING
    if machine.removed_for:
        return Condition.REMOVED
    if machine.trouble:
        return Condition.DOWN
    return Condition.UP if shown else Condition.STALE if ever else Condition.STARTING


def sentence(machine: Machine, policy: Policy, now: float) -> str:
    """Say why a collector is where it is and what happens next; "" while there is nothing to say."""
    match machine.state:
        case State.BACKOFF:
            is_counted = machine.failures and machine.trouble is not Trouble.NEIGHBOUR
            patience = f", {_patience(machine, policy)}" if is_counted else ""
            return f"{machine.reason}; retry {_in(machine.retry_at, now)}{patience}"
        case State.REMOVED if machine.retry_at is None:
            return f"{machine.reason}; removed until a reload"
        case State.REMOVED:
            return f"{machine.reason}; removed, next attempt {_in(machine.retry_at, now)}"
        case State.CONNECTING if not machine.renewing:
            before, again = (f"{machine.reason}; ", " again") if machine.trouble else ("", "")
            return f"{before}being opened{again}, for {humanized(max(0.0, now - machine.since))} so far"
        case State.KILLING if machine.stopping:
            return "stopping"
        case State.KILLING | State.CONNECTING if machine.renewing:
            return "its worker is renewed"
        case State.KILLING:
            return f"{machine.reason}; killed, waiting for the process to end"
        case _:
            return machine.reason


def _patience(machine: Machine, policy: Policy) -> str:
    if machine.trouble is Trouble.HANG:
        return f"hang {len(machine.hangs)} of {policy.max_hangs}"
    return f"failure {machine.failures} of {policy.max_failures}"


def _in(when: float | None, now: float) -> str:
    return f"in {humanized(when - now)}" if when is not None and when > now else "now"
