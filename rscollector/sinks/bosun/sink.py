"""The sink `bosun`: OpenTSDB's `/api/put`, as Bosun, OpenTSDB, VictoriaMetrics and others offer it."""

import gzip
import json
import random
import re
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from rscollector.api import Context, Metric, Sample, Secret, Taken, setting
from rscollector.sinks.bosun import dialect, host
from rscollector.sinks.bosun.metadata import Metadata, descriptions
from rscollector.sinks.bosun.opentsdb import Names, Points, Refusal, Samples, body, legal
from rscollector.sinks.http import NEEDS, Client, NoReply
from rscollector.sinks.spooled import SpooledSettings, SpooledSink
from rscollector.sinks.verdicts import Answer, Verdict, verdict

_TOO_LARGE = "Chunked request not supported"  # OpenTSDB's 400 to more than 8 KiB (prometheus#2639)
_PAGE_OF_A_PERSON = "text/html"
_PATTERN = re.compile(r"[A-Za-z0-9_./*?-]|\[!?[A-Za-z0-9_./-]+\]")
_LOOK = 600.0  # seconds after which the host is looked at again
_TELL = 1.0  # seconds after which there may be something new to tell


class Dialect(StrEnum):
    """Under which names, and in which encodings, points are sent."""

    OURS = "rscollector"
    RS_COLLECTOR = "rs-collector"
    SCOLLECTOR = "scollector"


@dataclass(frozen=True, slots=True)
class Filter:
    """Which metrics are sent, as patterns of their names."""

    include: tuple[str, ...] = setting("Which are sent; by default all.", default=())
    exclude: tuple[str, ...] = setting("Which of these are not.", default=())

    def __post_init__(self) -> None:
        for each in (*self.include, *self.exclude):
            if not re.fullmatch(f"(?:{_PATTERN.pattern})+", each):
                raise ValueError(
                    f'{each!r} is no pattern of names such as "galera.*": '
                    "it has letters, digits, _ . / - and * ? […], and is no regular expression"
                )


@dataclass(frozen=True, kw_only=True)
class BosunSettings(SpooledSettings):
    """Where points are sent, and how many may wait."""

    url: str = setting("The receiver, such as https://bosun.example:8070; /api/put is added.")
    token: Secret | None = setting("A token, sent as X-Access-Token.", default=None)
    dialect: Dialect = setting(
        "Names and encodings of points: our own, or those that others had.", default=Dialect.OURS
    )
    prefix: str = setting('Text before the name of each metric, such as "prod.".', default="")
    filter: Filter = setting('Which metrics are sent, such as { include = ["galera.*"] }.', default=Filter())

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.prefix != legal(self.prefix):
            raise ValueError("prefix: expected letters, digits, and - _ . /")


_NO_HEADER = "the token begins or ends with a blank, or has several lines, and cannot be sent in a header"


class Bosun(SpooledSink[BosunSettings]):
    """Sends every sample to Bosun, or to whoever takes OpenTSDB's points."""

    type = "bosun"
    Settings = BosunSettings
    needs = NEEDS

    def open(self, context: Context) -> None:
        """Take over the spool, and begin to send what is in it."""
        settings = self.settings
        self._read_old_names()
        self._names = Names(settings.prefix, settings.filter.include, settings.filter.exclude)
        self._points = Points(context.host, context.tags, self._translator, self._names)
        describe = self._translator.descriptions if self._translator else descriptions
        self._metadata = Metadata(time.monotonic, random.random, describe, self._names)
        self._of_metadata = threading.Lock()
        self._look_at = context.clock()
        self._url = settings.url.rstrip("/") + "/api"
        super().open(context)
        self._ended = threading.Event()
        self._teller = Client(settings)
        self._teller.requests = self.client.requests  # they are counted together
        threading.Thread(target=self._tell, name="metadata", daemon=True).start()

    def _read_old_names(self) -> None:
        self._translator: dialect.Translator | None = None
        self._broken: list[str] = []
        if self.settings.dialect is not Dialect.OURS:
            self._translator = dialect.installed(self.settings.dialect, self._broken.append)

    def encode(self, runs: list[Taken]) -> list[bytes]:
        """Return the points of runs, as JSON."""
        with self._of_metadata:
            self._metadata.know(metric for run in runs for metric in _metrics(run.samples))
        return [line for run in runs for line in self._points.lines(run.second, run.name, run.samples)]

    def collect(self, context: Context) -> Iterator[Sample]:
        """Tell what waits and what was sent; now and then, look at the host."""
        if context.clock() >= self._look_at:
            self._look_at = context.clock() + _LOOK
            known = host.entries(context)
            with self._of_metadata:
                self._metadata.know_host(known)
        return super().collect(context)

    def close(self) -> None:
        """Send on what can be sent in a few seconds; the spool keeps the rest."""
        self._ended.set()
        self._teller.cut()
        super().close()

    def series_of(self, line: bytes) -> bytes:
        """Return a point's name and tags."""
        return line.partition(b',"value":')[0]

    def unsendable(self) -> Iterator[tuple[str, int]]:
        """Yield what OpenTSDB cannot have."""
        return ((refusal.value, self._points.refused[refusal]) for refusal in Refusal)

    def post(self, lines: list[bytes]) -> Answer:
        """Send points, and say what the answer means for them."""
        data = gzip.compress(body(lines), 1, mtime=0)
        return self._post(self.client, "/put", data, {"Content-Encoding": "gzip"})

    def notes(self) -> Iterator[str]:
        """Yield which old names are missing, what the filter may miss, and why metadata are not taken."""
        yield from self._broken
        if self._translator:
            yield from (f"{name} is not sent: {why}" for name, why in self._translator.faults.items())
        yield from self._names.notes()
        if why := self._metadata.refusal:
            yield f"the receiver takes no metadata: {why}; it is told again later"

    def _tell(self) -> None:
        """Tell what is due about metrics and the host, while points are taken and without holding them up."""
        while not self._ended.wait(_TELL):
            if self.is_refused or not self._sender.sent:
                continue
            with self._of_metadata:
                entries = self._metadata.due()
            if entries:
                data = json.dumps(entries).encode("ascii")  # uncompressed, which is all that Bosun reads here
                answer = self._post(self._teller, "/metadata/put", data, {})
                with self._of_metadata:
                    self._metadata.answered(answer)
        self._teller.close()

    def _post(self, client: Client, path: str, data: bytes, headers: dict[str, str]) -> Answer:
        url, timeout = self._url + path, float(self.settings.request_timeout)
        headers = {"Content-Type": "application/json", **headers}
        if self.settings.token:
            token = self.settings.token.reveal()
            if token != token.strip() or not token.isprintable():
                return Answer(Verdict.ALARM, f"{url}: not asked: {_NO_HEADER}")
            headers["X-Access-Token"] = token.encode().decode("latin-1")  # UTF-8, as it is
        try:
            reply = client.ask("POST", url, data, timeout, **headers)
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
