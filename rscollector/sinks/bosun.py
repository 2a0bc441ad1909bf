"""The sink `bosun`: OpenTSDB's `/api/put`, as Bosun, OpenTSDB, VictoriaMetrics and others offer it."""

import gzip
import json
import random
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from rscollector.api import Context, Metric, Secret, Taken, setting
from rscollector.sinks.dialect import is_translated, rs_collector
from rscollector.sinks.http import NEEDS, NoReply
from rscollector.sinks.metadata import Metadata
from rscollector.sinks.opentsdb import Points, Refusal, Samples, body
from rscollector.sinks.spooled import Drain, SpooledSettings, SpooledSink
from rscollector.sinks.verdicts import Answer, Verdict, verdict

__all__ = ["Bosun", "BosunSettings", "Dialect", "Drain"]

_TOO_LARGE = "Chunked request not supported"  # OpenTSDB's 400 to more than 8 KiB (prometheus#2639)
_PAGE_OF_A_PERSON = "text/html"


class Dialect(StrEnum):
    """Under which names, and in which encodings, points are sent."""

    OURS = "rscollector"
    RS_COLLECTOR = "rs-collector"


@dataclass(frozen=True, kw_only=True)
class BosunSettings(SpooledSettings):
    """Where points are sent, and how many may wait."""

    url: str = setting("The receiver, such as https://bosun.example:8070; /api/put is added.")
    token: Secret | None = setting("A token, sent as X-Access-Token.", default=None)
    dialect: Dialect = setting(
        "Names and encodings of points: our own, or those that rs-collector had.", default=Dialect.OURS
    )


_NO_HEADER = "the token begins or ends with a blank, or has several lines, and cannot be sent in a header"


class Bosun(SpooledSink[BosunSettings]):
    """Sends every sample to Bosun, or to whoever takes OpenTSDB's points."""

    type = "bosun"
    Settings = BosunSettings
    needs = NEEDS

    def open(self, context: Context) -> None:
        """Take over the spool, and begin to send what is in it."""
        settings = self.settings
        self._old = settings.dialect is Dialect.RS_COLLECTOR
        self._points = Points(context.host, context.tags, rs_collector if self._old else None)
        self._metadata = Metadata(time.monotonic, random.random)
        self._of_metadata = threading.Lock()
        self._url = settings.url.rstrip("/") + "/api"
        super().open(context)

    def encode(self, runs: list[Taken]) -> list[bytes]:
        """Return the points of runs, as JSON."""
        metrics = {metric for run in runs for metric in _metrics(run.samples)}
        with self._of_metadata:
            self._metadata.know(metric for metric in metrics if not (self._old and is_translated(metric)))
        return [line for run in runs for line in self._points.lines(run.second, run.name, run.samples)]

    def series_of(self, line: bytes) -> bytes:
        """Return a point's name and tags."""
        return line.partition(b',"value":')[0]

    def unsendable(self) -> Iterator[tuple[str, int]]:
        """Yield what OpenTSDB cannot have."""
        return ((refusal.value, self._points.refused[refusal]) for refusal in Refusal)

    def post(self, lines: list[bytes]) -> Answer:
        """Send points, and say what the answer means for them."""
        return self._post("/put", gzip.compress(body(lines), 1, mtime=0), {"Content-Encoding": "gzip"})

    def rest(self) -> None:
        """Tell what is due about metrics."""
        with self._of_metadata:
            entries = [] if self.is_refused else self._metadata.due()
        if entries:
            data = json.dumps(entries).encode("ascii")  # uncompressed, which is all that Bosun reads here
            self._metadata.answered(self._post("/metadata/put", data, {}))

    def notes(self) -> Iterator[str]:
        """Yield why the receiver is told nothing about metrics."""
        if self._metadata.given_up:
            yield self._metadata.given_up

    def _post(self, path: str, data: bytes, headers: dict[str, str]) -> Answer:
        url, timeout = self._url + path, float(self.settings.request_timeout)
        headers = {"Content-Type": "application/json", **headers}
        if self.settings.token:
            token = self.settings.token.reveal()
            if token != token.strip() or not token.isprintable():
                return Answer(Verdict.ALARM, f"{url}: not asked: {_NO_HEADER}")
            headers["X-Access-Token"] = token.encode().decode("latin-1")  # UTF-8, as it is
        try:
            reply = self.client.ask("POST", url, data, timeout, **headers)
        except NoReply as error:
            return Answer(Verdict.SILENCE, f"{url}: {error}")
        means = verdict(reply.status)
        if means is Verdict.TAKEN and reply.media == _PAGE_OF_A_PERSON:
            return Answer(
                Verdict.ALARM, f"{reply.sentence} (a page for people, such as a login: not the receiver)"
            )
        if means is Verdict.TAKEN:
            return Answer(means)
        if means is Verdict.BAD and _TOO_LARGE in reply.sentence:
            means = Verdict.LARGE
        return Answer(means, reply.sentence, reply.retry_after)


def _metrics(samples: Samples) -> Iterable[Metric]:
    columns = getattr(samples, "columns", None)
    return columns.metrics if columns else (metric for metric, *_ in samples)
