"""The sink `pushgateway`: the page of all metrics, pushed at each tick, for hosts that nobody can scrape.

It needs the newest page only, so it keeps nothing: a push that fails is one that the next one makes good.
"""

from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

import requests
from urllib3.exceptions import HTTPError

from rscollector.api import (
    SINK_SENDS,
    Context,
    Kind,
    Metric,
    Misconfigured,
    PageSink,
    Sample,
    Secret,
    Unavailable,
    setting,
)
from rscollector.sinks.http import check, reason, session

PUSHES = Metric("pushgateway_pushes_total", Kind.COUNTER, "Pages that the Pushgateway has taken.")
SIZE = Metric("pushgateway_page_bytes", Kind.GAUGE, "Size of the last page that it has taken.", unit="bytes")


@dataclass(frozen=True, slots=True)
class PushgatewaySettings:
    """Where the page is pushed, and under which labels."""

    url: str = setting("The Pushgateway, such as http://pushgateway.example:9091.")
    job: str = setting("The label job of everything that is pushed.", default="rscollector")
    grouping: dict[str, str] = setting(
        "Further labels of the group; by default instance, with this host's name.", default_factory=dict
    )
    delete_at_stop: bool = setting("Whether the group is deleted when the agent ends.", default=False)
    user: str = setting("The user, for basic authentication.", default="")
    password: Secret | None = setting("The password.", default=None)
    tls_ca: str = setting("File with the CA that has signed the receiver's certificate.", default="")
    tls_certificate: str = setting("File with the client's certificate.", default="")
    tls_key: str = setting("File with its key.", default="")
    proxy: bool = setting("Whether the environment's proxy is used.", default=False)

    def __post_init__(self) -> None:
        check(self)
        if not self.job:
            raise ValueError("job: a Pushgateway needs one")


class Pushgateway(PageSink[PushgatewaySettings]):
    """Pushes the page to a Pushgateway, in place of the last one."""

    metrics = (PUSHES, SIZE)
    Settings = PushgatewaySettings

    def open(self, context: Context) -> None:
        """Make the session; the first push connects."""
        self._session = session(self.settings)
        grouping = self.settings.grouping or {"instance": context.host}
        labels = {"job": self.settings.job, **grouping}
        self._url = self.settings.url.rstrip("/") + "/metrics" + "".join(map(_part, labels.items()))
        self._page = b""
        self._pushes = 0

    def show(self, _context: Context, page: bytes) -> None:
        """Take the newest page."""
        self._page = page

    def collect(self, context: Context) -> Iterator[Sample]:
        """Push the page."""
        self._ask("PUT", context.budget(), self._page)
        self._pushes += 1
        yield PUSHES(self._pushes)
        yield SIZE(len(self._page))

    def close(self) -> None:
        """Push the last page, or delete the group."""
        if hasattr(self, "_page"):
            try:
                if self.settings.delete_at_stop:
                    self._ask("DELETE", SINK_SENDS)
                elif self._page:
                    self._ask("PUT", SINK_SENDS, self._page)
            finally:
                self._session.close()

    def _ask(self, method: str, seconds: float, page: bytes = b"") -> None:
        try:
            answer = self._session.request(
                method, self._url, data=page, timeout=max(0.1, seconds), allow_redirects=False,
                headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
            )  # fmt: skip
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            raise Unavailable(f"{self.settings.url}: {reason(error)}") from error
        if answer.ok:
            return
        said = " ".join(answer.text[:500].split())[:200]
        kind = Unavailable if answer.status_code >= 500 or answer.status_code == 429 else Misconfigured
        raise kind(f"{self.settings.url}: {answer.status_code} {answer.reason}: {said}".rstrip(": "))


def _part(label: tuple[str, str]) -> str:
    """Return a grouping label as the path has it; a value that a path cannot have is in base64."""
    name, value = label
    if not value or "/" in value:
        return f"/{quote(name)}@base64/{urlsafe_b64encode(value.encode()).decode().rstrip('=') or '='}"
    return f"/{quote(name)}/{quote(value, safe='')}"
