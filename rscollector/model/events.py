"""The words of the lifecycle: what can happen to a collector, and what can have to be done about it."""

from dataclasses import dataclass
from enum import StrEnum

from rscollector.model.errors import FailureKind


class Trouble(StrEnum):
    """Why the last body ended or the last run failed; the value is a label in the agent's own metrics."""

    UNAVAILABLE = "unavailable"
    MISCONFIGURED = "misconfigured"
    BUG = "bug"
    HANG = "hang"
    CRASH = "crash"
    NEIGHBOUR = "neighbour"  # another instance in the same worker hung or crashed
    MEMORY = "memory"  # its worker grew beyond the limit and was renewed between two ticks


# --- events -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Opened:
    """The worker has opened the collector."""

    now: float
    seq: int


@dataclass(frozen=True, slots=True)
class Tick:
    """The schedule says that it is time to collect."""

    now: float


@dataclass(frozen=True, slots=True)
class Done:
    """The worker has collected; `degraded` says what keeps the collector from what it is for, if so."""

    now: float
    seq: int
    degraded: FailureKind | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """The worker answered that opening or collecting failed."""

    now: float
    seq: int
    kind: FailureKind
    reason: str
    draw: float


@dataclass(frozen=True, slots=True)
class Deadline:
    """No answer came in `waited` seconds."""

    now: float
    waited: float


@dataclass(frozen=True, slots=True)
class Exited:
    """The body is gone: its process has been reaped, or the worker has closed it.

    `charged` is false where another instance in the same worker was to blame; `where` is the place in the
    code, or the state of the process, at the time of a hang.
    """

    now: float
    draw: float
    reason: str = ""
    charged: bool = True
    where: str = ""


@dataclass(frozen=True, slots=True)
class Retry:
    """The wait after a failure or the probation is over, or an operator asks to try at once."""

    now: float


@dataclass(frozen=True, slots=True)
class Renew:
    """The worker has grown too large: the collector is to move into a new one, between two ticks."""

    now: float


@dataclass(frozen=True, slots=True)
class Stop:
    """The collector is to end for good."""

    now: float


Event = Opened | Tick | Done | Failed | Deadline | Exited | Retry | Renew | Stop
EVENTS: tuple[type[Event], ...] = (Opened, Tick, Done, Failed, Deadline, Exited, Retry, Renew, Stop)


# --- actions ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Open:
    """Open the collector in its worker, starting one if there is none, and arm the deadline."""

    seq: int


@dataclass(frozen=True, slots=True)
class Collect:
    """Ask the worker for a collect and arm the deadline when it is sent."""

    seq: int


@dataclass(frozen=True, slots=True)
class Commit:
    """Show the rows that came with this run."""


@dataclass(frozen=True, slots=True)
class DropSeries:
    """Take the collector's series out of the exposition."""


@dataclass(frozen=True, slots=True)
class Release:
    """Close the collector gracefully, and arm the deadline after which its worker is killed."""

    grace: float


@dataclass(frozen=True, slots=True)
class Kill:
    """Send SIGKILL to the worker's process group."""


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Send `Retry` at this time."""

    when: float


@dataclass(frozen=True, slots=True)
class Skip:
    """Count a tick that found the collector busy."""


@dataclass(frozen=True, slots=True)
class Ended:
    """Count a run that ended without success, by its trouble."""

    trouble: Trouble


Action = Open | Collect | Commit | DropSeries | Release | Kill | RetryAt | Skip | Ended
