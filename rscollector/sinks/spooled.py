"""The common half of every sink that sends all points: spool, sender, its thread and lock, its own metrics.

A sink adds how points are made of samples (`encode`), how they are sent (`post`), and what they have in
common with others of their series (`series_of`).
"""

import fcntl
import os
import threading
import time
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, TypeVar

from rscollector.api import (
    SINK_SENDS,
    ByteSize,
    Context,
    Duration,
    Misconfigured,
    Rate,
    Sample,
    Sink,
    Taken,
    Unavailable,
    setting,
)
from rscollector.sinks import telemetry
from rscollector.sinks.batches import because
from rscollector.sinks.http import Client, HttpSettings
from rscollector.sinks.sender import Pace, Sender
from rscollector.sinks.spool import Bounds, Loss, Spool, directory
from rscollector.sinks.verdicts import Answer, Verdict

_PAUSE = 0.05
_CUT = 0.5  # seconds that a request may take to end when its connection is cut


@dataclass(frozen=True, slots=True)
class Drain:
    """How fast a backlog is sent on, beside what is fresh."""

    points: Rate = setting("Points in each second.", default=Rate("1000/s"))
    bytes: Rate = setting("Bytes in each second.", default=Rate("1M/s"))

    def __post_init__(self) -> None:
        if self.points <= 0 or self.bytes <= 0:
            raise ValueError("the pace of the backlog is more than 0")


@dataclass(frozen=True, kw_only=True)
class SpooledSettings(HttpSettings):
    """Where points are sent, and how many may wait."""

    batch: int = setting("Points of a request, at most.", default=500)
    request_timeout: Duration = setting("Time for a request and all of its answer.", default=Duration("30s"))
    spool: str = setting("The spool's directory; by default one in the state directory.", default="")
    spool_size: ByteSize = setting("Size of what may wait.", default=ByteSize("1G"))
    spool_age: Duration = setting(
        "Age of what may wait; the time for which the host was off does not count.", default=Duration("7d")
    )
    spool_free: ByteSize = setting("Space on the disk that is left to others.", default=ByteSize("500M"))
    spool_memory: ByteSize = setting(
        "Size of what may wait while the disk takes nothing.", default=ByteSize("8M")
    )
    drain: Drain = setting("How fast a backlog is sent on.", default=Drain())

    def __post_init__(self) -> None:
        HttpSettings.__post_init__(self)
        if self.spool and not self.spool.startswith("/"):
            raise ValueError("spool: expected an absolute path")
        if self.batch < 1:
            raise ValueError("batch is at least 1")


S = TypeVar("S", bound=SpooledSettings)


class SpooledSink(Sink[S]):
    """A sink with a spool. `type` is its label in what it tells of itself."""

    type: ClassVar[str]
    metrics = (
        telemetry.QUEUED,
        telemetry.QUEUED_BYTES,
        telemetry.OLDEST,
        telemetry.DRAINING,
        telemetry.STEPPED_OVER,
        telemetry.PERSISTENT,
        telemetry.SENT,
        telemetry.REJECTED,
        telemetry.DROPPED,
        telemetry.UNSENDABLE,
        *telemetry.OF_REQUESTS,
    )

    @abstractmethod
    def encode(self, runs: list[Taken]) -> list[bytes]:
        """Return the points of runs, a line for each."""

    @abstractmethod
    def post(self, lines: list[bytes]) -> Answer:
        """Send points, and say what the answer means for them. Called by the sender's thread."""

    @abstractmethod
    def series_of(self, line: bytes) -> bytes:
        """Return what a point has in common with the others of its series."""

    @abstractmethod
    def unsendable(self) -> Iterator[tuple[str, int]]:
        """Yield why no points could be made of samples, and of how many."""

    def notes(self) -> Iterator[str]:
        """Yield what an operator wants to know beside the numbers."""
        return iter(())

    def open(self, context: Context) -> None:
        """Take over the spool, and begin to send what is in it."""
        settings = self.settings
        self._context = context
        self.client = Client(settings)
        place = _place(settings, context)
        self._lock = _locked(place, context)
        bounds = Bounds(
            int(settings.spool_size),
            float(settings.spool_age),
            int(settings.spool_free),
            int(settings.spool_memory),
        )
        with ExitStack() as undo:
            undo.callback(os.close, self._lock)
            self._begin(place, bounds)
            undo.pop_all()  # from here on the thread has the lock

    def _begin(self, place: Path, bounds: Bounds) -> None:
        settings = self.settings
        try:
            self._spool = Spool(place, bounds)
        except OSError as error:
            raise Misconfigured(f"the spool cannot be used: {because(error)}") from error
        self._sender = Sender(
            self._spool,
            self.post,
            batch=settings.batch,
            pace=Pace(int(settings.drain.points), int(settings.drain.bytes)),
            series_of=self.series_of,
            clock=time.monotonic,
        )
        self._stop, self._wake = threading.Event(), threading.Event()
        thread = threading.Thread(target=self._send, name="sender", daemon=True)
        thread.start()
        self._thread = thread

    def take(self, context: Context, runs: Iterable[Taken]) -> None:
        """Keep points in the spool."""
        self._context = context
        runs = list(runs)
        if lines := self.encode(runs):
            self._sender.put(lines, min((run.at for run in runs if run.at is not None), default=None))
            self._wake.set()

    def collect(self, context: Context) -> Iterator[Sample]:
        """Tell what waits and what was sent."""
        self._context = context
        if not self._is_sending():  # by a fault of ours, whose traceback is in the log
            raise RuntimeError("the thread that sends has ended")
        with self._sender.lock:
            self._spool.keep_bounds()
            samples, waiting, failing = list(self._told()), self._waiting(), self._sender.failing
            stepped_over, why = self._sender.stepped_over
        if failing:
            kind = Misconfigured if failing.verdict is Verdict.ALARM else Unavailable
            since = datetime.fromtimestamp(time.time() - (time.monotonic() - failing.since), UTC)
            sentence = f"{failing.sentence}; nothing has been taken since {since:%Y-%m-%d %H:%M:%S} UTC"
            context.degraded(kind(f"{sentence}; {waiting}"))
        elif self._spool.lost.total() or self._sender.rejected.total():
            context.note(waiting)
        if stepped_over:
            context.note(f"{stepped_over} points are stepped over, and tried again: {why}")
        if not self._spool.persistent:
            context.note(
                "the disk takes nothing: what waits is in memory, and a restart would lose it"
                f" ({self._spool.why})"
            )
        for note in self.notes():
            context.note(note)
        return iter(samples)

    def close(self) -> None:
        """Send on what can be sent in a few seconds, or in what is left of them; the spool keeps the rest."""
        until = time.monotonic() + min(SINK_SENDS, self._context.remaining() - 2 * _CUT)
        while self._spool.points and not self.is_refused and time.monotonic() < until and self._is_sending():
            time.sleep(_PAUSE)
        self._stop.set()
        self._wake.set()
        self._thread.join(max(0.0, until - time.monotonic()))
        if self._is_sending():
            self.client.cut()
            self._thread.join(_CUT)

    @property
    def is_refused(self) -> bool:
        """Whether the receiver has not taken what it was sent last."""
        return bool(self._sender.trouble)

    def _is_sending(self) -> bool:
        return self._thread.is_alive()

    def _send(self) -> None:
        """Send until it is to stop. Whoever sends has the lock, however long a request takes to end."""
        try:
            while not self._stop.is_set():
                if wait := self._sender.step():
                    self._wake.wait(max(_PAUSE, wait))
                    self._wake.clear()
        finally:
            self.client.close()
            os.close(self._lock)

    def _waiting(self) -> str:
        """Say how much waits, and how much was lost or put aside, and why."""
        lost = [f"{count} ({loss.value})" for loss, count in self._spool.lost.items() if count]
        aside = [f"{count} ({why})" for why, count in self._sender.rejected.items() if count]
        told = f"{self._spool.points} points wait; lost so far: {', '.join(lost) or 'none'}"
        return f"{told}; put aside: {', '.join(aside)}" if aside else told

    def _told(self) -> Iterator[Sample]:
        spool, sender, kind = self._spool, self._sender, self.type
        yield telemetry.QUEUED(spool.points, type=kind)
        yield telemetry.QUEUED_BYTES(spool.size, type=kind)
        if sender.oldest is not None:
            yield telemetry.OLDEST(sender.oldest, type=kind)
        yield telemetry.DRAINING(int(sender.draining), type=kind)
        yield telemetry.STEPPED_OVER(sender.stepped_over[0], type=kind)
        yield telemetry.PERSISTENT(int(spool.persistent), type=kind)
        yield telemetry.SENT(sender.sent, type=kind)
        for verdict in (Verdict.BAD, Verdict.LARGE, Verdict.LATER, Verdict.ALARM):
            yield telemetry.REJECTED(sender.rejected[verdict.value], type=kind, reason=verdict.value)
        for loss in Loss:
            yield telemetry.DROPPED(spool.lost[loss], type=kind, reason=loss.value)
        for why, count in self.unsendable():
            yield telemetry.UNSENDABLE(count, type=kind, reason=why)
        yield from telemetry.requests_of(self.client, kind)


def _place(settings: SpooledSettings, context: Context) -> Path:
    if context.state is None:
        raise Misconfigured("a sink is for the agent, which gives it what to send")
    return directory({"spool": settings.spool}, context.state)


def _locked(place: Path, context: Context) -> int:
    """Lock the spool: the sink of an agent that was killed may have it for some seconds more."""
    try:
        place.mkdir(mode=0o750, parents=True, exist_ok=True)
        lock = os.open(place / "lock", os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise Misconfigured(f"the spool cannot be made: {because(error)}") from error
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if context.remaining() < 1:
                os.close(lock)
                raise Misconfigured(
                    f"{place}: this spool is in use, by another process or by a request that does not end"
                ) from None
            time.sleep(_PAUSE)
        else:
            return lock
