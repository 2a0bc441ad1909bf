"""The sink `pushgateway`: the page of all metrics, pushed at each tick, for hosts that nobody can scrape.

It needs the newest page only, so it keeps nothing: a push that fails is one that the next one makes good.
"""

from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from rscollector.api import SINK_SENDS, Context, Misconfigured, PageSink, Sample, Unavailable, setting
from rscollector.sinks import telemetry
from rscollector.sinks.http import NEEDS, Client, HttpSettings, NoReply
from rscollector.sinks.verdicts import Verdict, verdict

_TYPE = "pushgateway"


@dataclass(frozen=True, kw_only=True)
class PushgatewaySettings(HttpSettings):
    """Where the page is pushed, and under which labels."""

    url: str = setting("The Pushgateway, such as http://pushgateway.example:9091.")
    job: str = setting("The label job of everything that is pushed.", default="rscollector")
    grouping: dict[str, str] = setting(
        "Further labels of the group; by default instance, with this host's name.", default_factory=dict
    )
    delete_at_stop: bool = setting("Whether the group is deleted when the agent ends.", default=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.job:
            raise ValueError("job: a Pushgateway needs one")


class Pushgateway(PageSink[PushgatewaySettings]):
    """Pushes the page to a Pushgateway, in place of the last one."""

    metrics = (*telemetry.OF_REQUESTS, telemetry.PAGE)
    Settings = PushgatewaySettings
    needs = NEEDS

    def open(self, context: Context) -> None:
        """Make the session; the first push connects."""
        self._client = Client(self.settings)
        grouping = self.settings.grouping or {"instance": context.host}
        labels = {"job": self.settings.job, **grouping}
        self._url = self.settings.url.rstrip("/") + "/metrics" + "".join(map(_part, labels.items()))
        self._page = b""

    def show(self, _context: Context, page: bytes) -> None:
        """Take the newest page."""
        self._page = page

    def collect(self, context: Context) -> Iterator[Sample]:
        """Push the page."""
        self._ask("PUT", context.budget(), self._page)
        yield from telemetry.requests_of(self._client, _TYPE)
        yield telemetry.PAGE(len(self._page), type=_TYPE)

    def close(self) -> None:
        """Push the last page, or delete the group."""
        try:
            if self.settings.delete_at_stop:
                self._ask("DELETE", SINK_SENDS)
            elif self._page:
                self._ask("PUT", SINK_SENDS, self._page)
        finally:
            self._client.close()

    def _ask(self, method: str, seconds: float, page: bytes = b"") -> None:
        """Ask the Pushgateway. Raises Unavailable or Misconfigured when it does not do that."""
        media = "text/plain; version=0.0.4; charset=utf-8"
        try:
            reply = self._client.ask(method, self._url, page, max(0.1, seconds), **{"Content-Type": media})
        except NoReply as error:
            raise Unavailable(f"{self.settings.url}: {error}") from error
        match verdict(reply.status):
            case Verdict.TAKEN:
                return
            case Verdict.LATER | Verdict.NOT_NOW:
                raise Unavailable(reply.sentence)
            case _:
                raise Misconfigured(reply.sentence)


def _part(label: tuple[str, str]) -> str:
    """Return a grouping label as the path has it; a value that a path cannot have is in base64."""
    name, value = label
    if not value or "/" in value:
        return f"/{quote(name)}@base64/{urlsafe_b64encode(value.encode()).decode().rstrip('=') or '='}"
    return f"/{quote(name)}/{quote(value, safe='')}"
