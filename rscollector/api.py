"""All that a plugin may import.

A collector is a class with declared metrics, a dataclass of settings, and three methods that may block: the
agent calls them in a worker process and kills it when it does not answer in time.

    from rscollector.api import Collector, Context, Kind, Metric, NoSettings, Sample

    LOAD = Metric("load_average", Kind.GAUGE, "Processes that want to run, averaged over a minute.")

    class Load(Collector[NoSettings]):
        '''The load of this host.'''

        metrics = (LOAD,)
        local = True

        def collect(self, context):
            yield LOAD(os.getloadavg()[0])

It is found by its entry point in the group `rscollector.collectors`, whose name is the collector's type, the
section of the configuration and the prefix of its metrics.
"""

import ctypes
import os
import selectors
import signal
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, ClassVar, Generic, NamedTuple, TypeVar, cast

from rscollector.model.errors import CollectError, Misconfigured, Unavailable
from rscollector.model.metrics import Distribution, Kind, Metric, Sample, Series, Value
from rscollector.model.settings import (
    ByteSize,
    Duration,
    IpAddress,
    NoSettings,
    Rate,
    Secret,
    setting,
)

__all__ = [
    "ByteSize",
    "CollectError",
    "Collector",
    "Context",
    "Distribution",
    "Duration",
    "IpAddress",
    "Kind",
    "Metric",
    "Misconfigured",
    "NoSettings",
    "PageSink",
    "Rate",
    "Sample",
    "Secret",
    "Series",
    "Sink",
    "Taken",
    "Unavailable",
    "Value",
    "setting",
]

S = TypeVar("S")
_CHUNK = 1 << 16
_LONGEST = 1 << 20


class Context:
    """What a collector is told with each call. All times are seconds.

    `name` is the instance's name, `interval` the time between two ticks, `collect_timeout` the time that each
    collect gets, `agent` the agent's process id and `clock` a monotonic clock, for whatever is measured from
    tick to tick. `state` is the path of a file of the collector's own, whose directory may have to be made,
    for what it wants to know again in its next process; None in `rscollector collect`, where nothing is kept.
    `host` and `tags` are the agent's, for a sink.
    """

    def __init__(
        self,
        name: str,
        *,
        timeout: float,
        interval: float,
        agent: int,
        collect_timeout: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.interval = interval
        self.collect_timeout = timeout if collect_timeout is None else collect_timeout
        self.agent = agent
        self.state: Path | None = None
        self.host = ""
        self.tags: dict[str, str] = {}
        self.clock = clock
        self.notes: list[str] = []
        self._deadline = clock() + timeout

    def remaining(self) -> float:
        """Return the seconds until the agent kills this process: give it to every driver as its timeout."""
        return max(0.0, self._deadline - self.clock())

    def note(self, sentence: str) -> None:
        """Tell the operator something about this collect that is no failure: `status` shows it."""
        self.notes.append(sentence)

    def run(self, command: Sequence[str], *, limit: int = 1 << 20) -> bytes:
        """Run a program without a shell and return what it wrote to its standard output.

        It is killed with its time, at the deadline, or when it writes more than `limit` bytes. Raises
        Misconfigured when it cannot be started, Unavailable when it is killed or does not exit with 0.
        """
        with _start(command) as child:
            return _output(child, command[0], self.remaining(), limit)

    def lines(self, command: Sequence[str]) -> Generator[bytes, None, None]:
        """Run a program without a shell and yield the lines that it writes to its standard output.

        It is killed at the deadline, or when the caller has enough of it and closes this. Raises as `run`
        does; no line may be longer than a MiB.
        """
        child = _start(command)
        errors, complaint = _draining(child)
        try:
            yield from _lines(child, command[0], self.remaining)
            status = child.wait(max(0.001, self.remaining()))
        except subprocess.TimeoutExpired:
            raise Unavailable(f"{command[0]} did not end in time, killed") from None
        finally:
            child.kill()
            errors.join(1)
            with child:  # which closes what is open and reaps it
                pass
        _check(command[0], status, errors, complaint)


def _start(command: Sequence[str]) -> "subprocess.Popen[bytes]":
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=_die_with_parent,  # noqa: PLW1509  it calls one function that was looked up before
        )
    except OSError as error:
        raise Misconfigured(f"cannot run {command[0]}: {error.strerror}") from error


def _lines(child: "subprocess.Popen[bytes]", program: str, remaining: Callable[[], float]) -> Iterator[bytes]:
    output, rest = cast(IO[bytes], child.stdout).fileno(), b""
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        while True:
            if not selector.select(max(0.001, remaining())):
                raise Unavailable(f"{program} did not end in time, killed")
            chunk = os.read(output, _CHUNK)
            *lines, rest = (rest + chunk).split(b"\n")
            yield from lines
            if len(rest) > _LONGEST:
                raise Unavailable(f"{program} wrote a line of more than {_LONGEST} bytes, killed")
            if not chunk:
                break
    if rest:
        yield rest


def _draining(child: "subprocess.Popen[bytes]") -> tuple[threading.Thread, list[bytes]]:
    complaint: list[bytes] = []
    errors = threading.Thread(target=_drain, args=(child.stderr, complaint), daemon=True)
    errors.start()
    return errors, complaint


def _check(program: str, status: int, errors: threading.Thread, complaint: list[bytes]) -> None:
    if status != 0:
        errors.join(1)
        said = b"".join(complaint).decode("utf-8", "replace").strip()
        raise Unavailable(f"{program} failed ({_status(status)}): {said or 'it said nothing'}")


def _output(child: "subprocess.Popen[bytes]", program: str, timeout: float, limit: int) -> bytes:
    killed = threading.Event()

    def kill() -> None:
        killed.set()
        child.kill()

    timer = threading.Timer(timeout, kill)
    timer.start()
    errors, complaint = _draining(child)
    try:
        output = cast(IO[bytes], child.stdout).read(limit + 1)
        if len(output) > limit:
            child.kill()
            raise Unavailable(f"{program} wrote more than {limit} bytes, killed")
        status = child.wait()
    finally:
        timer.cancel()
        timer.join()
    if killed.is_set():
        raise Unavailable(f"{program} did not end in time, killed")
    _check(program, status, errors, complaint)
    return output


def _drain(stream: IO[bytes], kept: list[bytes]) -> None:
    """Read a child's complaints to their end and keep the beginning, so that it never blocks on them."""
    while chunk := stream.read1(4096):  # type: ignore[attr-defined]
        if not kept:
            kept.append(chunk[:500])


def _status(status: int) -> str:
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"


_PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None, use_errno=True).prctl


def _die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies (the parent's *thread*, says prctl(2))."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def die_with_parent(parent: int) -> bool:
    """Die with the parent process; False when it is no longer there already. For the agent's workers."""
    _die_with_parent()
    return os.getppid() == parent


class Collector(ABC, Generic[S]):
    """One instance of a collector. It is made, opened, asked and closed in a worker process, serially.

    Each call may block until `context.remaining()` is over. Raise Unavailable when the service cannot be
    asked and Misconfigured when someone has to change something; the collector is closed and, later, a new
    one is opened. Whatever was yielded before an exception is not shown: a collect is all or nothing.
    """

    metrics: ClassVar[tuple[Metric, ...]]
    """Every metric that it may emit; the names start with the collector's type."""

    local: ClassVar[bool] = False
    """Whether it asks nothing but this kernel, and so may share a worker process with others like it."""

    Settings: ClassVar[type[Any]] = NoSettings
    """A frozen dataclass whose fields are made with `setting`."""

    def __init__(self, settings: S) -> None:
        self.settings = settings

    def open(self, context: Context) -> None:
        """Connect to the service."""

    @abstractmethod
    def collect(self, context: Context) -> Iterable[Sample]:
        """Return the samples of one moment."""

    def explain(self) -> Iterable[str]:
        """Say in plain language what the last collect means, for `rscollector collect --explain`."""
        return ()

    def close(self) -> None:
        """Give back what `open` took. It must not raise and need not be polite: the process may end."""


class Taken(NamedTuple):
    """The samples of one run of a collector; `second` is its end as Unix time, `name` the instance's."""

    second: int
    name: str
    samples: list[tuple[Metric, tuple[str, ...], Value]]


class Sink(Collector[S]):
    """A collector that is also given what the others have collected. Its own samples are about itself.

    It is asked whenever there is something for it, and at its ticks. What it was given it must have kept when
    `take` returns: then the agent forgets it. Its process outlives the agent for as long as `close` takes.
    """

    @abstractmethod
    def take(self, context: Context, runs: Iterable[Taken]) -> None:
        """Keep what was collected, to send it on."""


class PageSink(Collector[S]):
    """A collector that is shown the page of all metrics at each tick, in Prometheus' text format."""

    @abstractmethod
    def show(self, context: Context, page: bytes) -> None:
        """Take the newest page."""
