"""The sink `bosun`: OpenTSDB's `/api/put`, as Bosun, OpenTSDB, VictoriaMetrics and others offer it."""

import fcntl
import gzip
import json
import math
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import requests
from urllib3.exceptions import HTTPError

from rscollector.api import (
    SINK_SENDS,
    ByteSize,
    Context,
    Distribution,
    Duration,
    Kind,
    Metric,
    Misconfigured,
    Rate,
    Sample,
    Secret,
    Sink,
    Taken,
    Unavailable,
    setting,
)
from rscollector.sinks.dialect import is_translated, rs_collector
from rscollector.sinks.http import check, reason, session
from rscollector.sinks.metadata import Metadata
from rscollector.sinks.opentsdb import Points, Refusal, body
from rscollector.sinks.sender import Answer, Pace, Sender, Verdict, verdict
from rscollector.sinks.spool import Bounds, Loss, Spool, directory

_IDLE = 0.05
_LONGEST_ANSWER = 2000
_TOO_LARGE = "Chunked request not supported"  # OpenTSDB's 400 to more than 8 KiB (prometheus#2639)
_STUCK = 4  # times the time for an answer: each byte of a slow one begins it anew
_BUCKETS = (0.005, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
_BOUNDS = (*_BUCKETS, math.inf)


def _gauge(name: str, text: str, unit: str = "") -> Metric:
    return Metric(f"bosun_{name}", Kind.GAUGE, text, unit=unit)


QUEUED = _gauge("queued_points", "Points that wait to be sent.")
QUEUED_BYTES = _gauge("queued_bytes", "Size of the points that wait.", "bytes")
OLDEST = _gauge(
    "oldest_unsent_age_seconds", "Age of the oldest point that waits; absent while none does.", "seconds"
)
DRAINING = _gauge("draining", "Whether a backlog is being sent on beside what is fresh.")
PERSISTENT = _gauge("spool_persistent", "Whether the disk took the last batch; if not, it is in memory only.")
SENT = Metric("bosun_sent_points_total", Kind.COUNTER, "Points that the receiver has taken.")
REJECTED = Metric(
    "bosun_rejected_points_total", Kind.COUNTER, "Points that were put aside, by why they could not be sent.",
    labels=("reason",),
)  # fmt: skip
DROPPED = Metric(
    "bosun_dropped_points_total", Kind.COUNTER, "Points that are gone and were not taken, by why.",
    labels=("reason",),
)  # fmt: skip
REQUESTS = Metric(
    "bosun_requests_total", Kind.COUNTER, "Requests, by first digit of the answer's status, or error.",
    labels=("status",),
)  # fmt: skip
DURATION = Metric(
    "bosun_request_duration_seconds",
    Kind.HISTOGRAM,
    "Time from a request to its answer.",
    unit="seconds",
    buckets=_BUCKETS,
)


class Dialect(StrEnum):
    """Under which names, and in which encodings, points are sent."""

    OURS = "rscollector"
    RS_COLLECTOR = "rs-collector"


@dataclass(frozen=True, slots=True)
class Drain:
    """How fast a backlog is sent on, beside what is fresh."""

    points: Rate = setting("Points in each second.", default=Rate("1000/s"))
    bytes: Rate = setting("Bytes in each second.", default=Rate("1M/s"))

    def __post_init__(self) -> None:
        if self.points <= 0 or self.bytes <= 0:
            raise ValueError("the pace of the backlog is more than 0")


@dataclass(frozen=True, slots=True)
class BosunSettings:
    """Where points are sent, and how many may wait."""

    url: str = setting("The receiver, such as https://bosun.example:8070; /api/put is added.")
    user: str = setting("The user, for basic authentication.", default="")
    password: Secret | None = setting("The password.", default=None)
    token: Secret | None = setting("A token, sent as X-Access-Token.", default=None)
    tls_ca: str = setting("File with the CA that has signed the receiver's certificate.", default="")
    tls_certificate: str = setting("File with the client's certificate.", default="")
    tls_key: str = setting("File with its key.", default="")
    dialect: Dialect = setting(
        "Names and encodings of points: our own, or those that rs-collector had.", default=Dialect.OURS
    )
    proxy: bool = setting("Whether the environment's proxy is used.", default=False)
    batch: int = setting("Points of a request, at most.", default=500)
    request_timeout: Duration = setting("Time for an answer.", default=Duration("30s"))
    spool: str = setting("The spool's directory; by default one in the state directory.", default="")
    spool_size: ByteSize = setting("Size of what may wait.", default=ByteSize("1G"))
    spool_age: Duration = setting("Age of what may wait.", default=Duration("7d"))
    spool_free: ByteSize = setting("Space on the disk that is left to others.", default=ByteSize("500M"))
    spool_memory: ByteSize = setting(
        "Size of what may wait while the disk takes nothing.", default=ByteSize("8M")
    )
    drain: Drain = setting("How fast a backlog is sent on.", default=Drain())

    def __post_init__(self) -> None:
        check(self)
        if self.spool and not self.spool.startswith("/"):
            raise ValueError("spool: expected an absolute path")
        if self.batch < 1:
            raise ValueError("batch is at least 1")

    @property
    def bounds(self) -> Bounds:
        """What the spool may hold."""
        return Bounds(
            int(self.spool_size), float(self.spool_age), int(self.spool_free), int(self.spool_memory)
        )


class Bosun(Sink[BosunSettings]):
    """Sends every sample to Bosun, or to whoever takes OpenTSDB's points."""

    metrics = (
        QUEUED,
        QUEUED_BYTES,
        OLDEST,
        DRAINING,
        PERSISTENT,
        SENT,
        REJECTED,
        DROPPED,
        REQUESTS,
        DURATION,
    )
    Settings = BosunSettings

    def open(self, context: Context) -> None:
        """Take over the spool, and begin to send what is in it."""
        settings = self.settings
        self._receiver = Receiver(settings)
        place = _place(settings, context)
        self._lock = _locked(place, context)
        self._spool = Spool(place, settings.bounds)
        self._old = settings.dialect is Dialect.RS_COLLECTOR
        self._points = Points(context.host, context.tags, rs_collector if self._old else None)
        self._sender = Sender(
            self._spool,
            self._receiver.put,
            batch=settings.batch,
            pace=Pace(int(settings.drain.points), int(settings.drain.bytes)),
            clock=time.monotonic,
        )
        self._metadata = Metadata(time.monotonic, random.random)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send, name="sender", daemon=True)
        self._thread.start()

    def take(self, _context: Context, runs: Iterable[Taken]) -> None:
        """Keep points in the spool."""
        runs = list(runs)
        metrics = {metric for run in runs for metric, *_ in run.samples}
        with self._sender.lock:
            self._metadata.know(metric for metric in metrics if not (self._old and is_translated(metric)))
        lines = [line for run in runs for line in self._points.lines(run.second, run.name, run.samples)]
        if lines:
            self._sender.put(lines)

    def collect(self, context: Context) -> Iterator[Sample]:
        """Tell what waits and what was sent."""
        if not self._thread.is_alive():  # by a fault of ours, whose traceback is in the log
            raise RuntimeError("the thread that sends has ended")
        stuck = self._receiver.waiting()
        if stuck > _STUCK * self.settings.request_timeout:
            raise Unavailable(f"{self.settings.url}: an answer does not end, since {stuck:.0f} s")
        with self._sender.lock:
            self._spool.keep_bounds()
            samples, waiting, failing = list(self._told()), self._waiting(), self._sender.failing
        if failing:
            kind = Misconfigured if failing.verdict is Verdict.ALARM else Unavailable
            since = datetime.fromtimestamp(time.time() - (time.monotonic() - failing.since), UTC)
            sentence = f"{failing.sentence}; nothing has been taken since {since:%Y-%m-%d %H:%M:%S} UTC"
            context.degraded(kind(f"{sentence}; {waiting}"))
        elif self._sender.trouble:
            context.note(f"the receiver has not taken the last points: {self._sender.trouble}")
        if self._metadata.given_up:
            context.note(self._metadata.given_up)
        if not self._spool.persistent:
            context.note("the disk takes nothing: what waits is in memory, and a restart would lose it")
        return iter(samples)

    def close(self) -> None:
        """Send on what can be sent in a few seconds; the spool keeps the rest."""
        if not hasattr(self, "_thread"):
            return
        until = time.monotonic() + SINK_SENDS
        while self._spool.points and not self._sender.trouble and time.monotonic() < until:
            time.sleep(_IDLE)
        self._stop.set()
        self._thread.join(max(0.1, until - time.monotonic()))
        os.close(self._lock)

    def _send(self) -> None:
        while not self._stop.is_set():
            wait = self._sender.step()
            if wait:
                self._tell()
                self._stop.wait(min(1.0, max(_IDLE, wait)))

    def _tell(self) -> None:
        """Tell what is due about metrics, when no point can be sent."""
        if self._sender.trouble:
            return
        with self._sender.lock:
            entries = self._metadata.due()
        if entries:
            self._metadata.answered(self._receiver.put_metadata(entries))

    def _waiting(self) -> str:
        """Say how much waits, and how much was lost or put aside, and why."""
        lost = [f"{count} ({loss.value})" for loss, count in self._spool.lost.items() if count]
        aside = [f"{count} ({why})" for why, count in self._sender.rejected.items() if count]
        told = f"{self._spool.points} points wait; lost: {', '.join(lost) or 'none'}"
        return f"{told}; put aside: {', '.join(aside)}" if aside else told

    def _told(self) -> Iterator[Sample]:
        spool, sender = self._spool, self._sender
        yield QUEUED(spool.points)
        yield QUEUED_BYTES(spool.size)
        if spool.oldest is not None:
            yield OLDEST(spool.oldest)
        yield DRAINING(int(sender.draining))
        yield PERSISTENT(int(spool.persistent))
        yield SENT(sender.sent)
        for why in (Verdict.BAD.value, Verdict.LARGE.value):
            yield REJECTED(sender.rejected[why], reason=why)
        for refusal in Refusal:
            yield DROPPED(self._points.refused[refusal], reason=refusal.value)
        for loss in Loss:
            yield DROPPED(spool.lost[loss], reason=loss.value)
        for status, count in sorted(self._receiver.requests.items()):
            yield REQUESTS(count, status=status)
        counts = self._receiver.durations
        yield DURATION(Distribution(tuple(counts[bound] for bound in _BOUNDS), self._receiver.waited))


class Receiver:
    """The HTTP session. `requests` and `durations` count answers, `waited` is the sum of their seconds."""

    def __init__(self, settings: BosunSettings) -> None:
        self.requests = Counter({f"{digit}xx": 0 for digit in range(2, 6)} | {"error": 0})
        self.durations: Counter[float] = Counter()
        self.waited = 0.0
        self._url = settings.url.rstrip("/") + "/api"
        self._since: float | None = None
        self._timeout = (min(10.0, float(settings.request_timeout)), float(settings.request_timeout))
        self._session = session(settings)
        if settings.token:
            self._session.headers["X-Access-Token"] = settings.token.reveal()

    def put(self, lines: list[bytes]) -> Answer:
        """Send points, and say what the answer means for them."""
        return self._post("/put", gzip.compress(body(lines), 1, mtime=0), {"Content-Encoding": "gzip"})

    def put_metadata(self, entries: list[dict[str, Any]]) -> Answer:
        """Tell about metrics: an array, uncompressed, which is all that Bosun reads here."""
        return self._post("/metadata/put", json.dumps(entries).encode("ascii"), {})

    def waiting(self) -> float:
        """Return for how long an answer has been waited for, in seconds."""
        since = self._since
        return 0.0 if since is None else time.monotonic() - since

    def _post(self, path: str, data: bytes, headers: dict[str, str]) -> Answer:
        url = self._url + path
        headers = {"Content-Type": "application/json", **headers}
        began = self._since = time.monotonic()
        means = Verdict.LATER
        try:
            with self._session.post(
                url, data, headers=headers, timeout=self._timeout, allow_redirects=False, stream=True
            ) as answer:
                means = verdict(answer.status_code)
                # Read in any case: only then is the connection used again.
                said = answer.raw.read(_LONGEST_ANSWER, decode_content=True)
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            self.requests["error"] += 1
            # What it has said it takes is not sent again, though the rest of its answer is missing.
            return (
                Answer(means) if means is Verdict.TAKEN else Answer(Verdict.LATER, f"{url}: {reason(error)}")
            )
        finally:
            self._since = None
            self._took(time.monotonic() - began)
        self.requests[f"{answer.status_code // 100}xx"] += 1
        if means is Verdict.TAKEN:
            return Answer(means)
        text = " ".join(said.decode("utf-8", "replace").split())[:200]
        if means is Verdict.BAD and _TOO_LARGE in text:
            means = Verdict.LARGE
        sentence = f"{url}: {answer.status_code} {answer.reason}: {text}".rstrip(": ")
        return Answer(means, sentence, _retry_after(answer.headers.get("Retry-After", "")))

    def _took(self, seconds: float) -> None:
        self.waited += seconds
        self.durations[next(bound for bound in _BOUNDS if seconds <= bound)] += 1


def _retry_after(text: str) -> float:
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError):
        return 0.0


def _place(settings: BosunSettings, context: Context) -> Path:
    if context.state is None:
        raise Misconfigured("a sink is for the agent, which gives it what to send")
    return directory({"spool": settings.spool}, context.state)


def _locked(place: Path, context: Context) -> int:
    """Lock the spool: the sink of an agent that was killed may have it for some seconds more."""
    try:
        place.mkdir(mode=0o750, parents=True, exist_ok=True)
        lock = os.open(place / "lock", os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise Misconfigured(f"{place}: the spool cannot be made: {error.strerror}") from error
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if context.remaining() < 1:
                os.close(lock)
                raise Misconfigured(f"{place}: another process has this spool") from None
            time.sleep(_IDLE)
        else:
            return lock
