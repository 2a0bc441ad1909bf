"""The API beneath `/api/v1`: the same that the pages show, as JSON, for reading only.

`openapi.yaml` beside this file describes it. An answer is made once for all who ask in the same moment, as
every page is, and written in a thread. What a stranger asks for becomes the kind of a page only where there
is such a thing: there are never more kinds than collectors and sinks.
"""

import json
import logging
import math
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping, Sequence
from importlib.resources import files
from operator import itemgetter
from typing import Any, Protocol

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from rscollector.model.errors import fence
from rscollector.model.texts import one_line
from rscollector.web.events import Changing, Events
from rscollector.web.pages import Page, PageResponse, Pages, Parts
from rscollector.web.problems import problem
from rscollector.web.rows import rows

log = logging.getLogger("rscollector.web")

PREFIX = "/api"
_FRESH = 0.1  # people who have just changed something ask for it
_FRESH_CONFIGURED = 1.0  # what only a reload changes, and takes longer to tell
_MOST_STATUS = 2
_MOST_LISTS = 4
_MOST_INSTANCES = 4  # with 2,000 samples each, some 300 kB
_ECHOED = 100  # characters of what was asked for, in the sentence about it
_HEADERS = {
    "content-type": "application/json",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
}
_COLLECTORS = "/api/v1/collectors"
_SHOW_WRONG = ("show", "wrong")
_NAME = itemgetter("name")

Aside = Callable[..., Awaitable[Any]]
"""Calls a function with its arguments in a thread."""
Shape = Callable[[Any], Any]


class Told(Changing, Protocol):
    """What the API tells; plain values for JSON, and nothing here blocks."""

    def status(self) -> dict[str, Any]:
        """Return the agent's status."""

    def collector(self, key: str) -> dict[str, Any] | None:
        """Return all that is known of a collector or sink, None when there is none of this key."""

    def history(self, key: str) -> list[dict[str, Any]] | None:
        """Return what a collector or sink was and why, the newest first; None when there is none."""

    def metadata(self) -> list[dict[str, Any]]:
        """Return all metrics that are declared by what runs."""

    def configuration(self) -> dict[str, Any]:
        """Return what is configured, secrets masked, and where each setting stands."""


class Api:
    """The handlers, and the pages they have made."""

    def __init__(self, told: Told, aside: Aside) -> None:
        self._told = told
        self._aside = aside
        self._status = Pages(_MOST_STATUS)
        self._lists = Pages(_MOST_LISTS)
        self._instances = Pages(_MOST_INSTANCES)
        self._names = Pages(1)
        self._description = files("rscollector.web").joinpath("openapi.yaml").read_bytes()
        self.routes = [
            _Route("/api/v1/status", self.status),
            _Route(_COLLECTORS, self.collectors, (_SHOW_WRONG,)),
            _Route(f"{_COLLECTORS}/{{type}}/{{name}}", self.collector),
            _Route(f"{_COLLECTORS}/{{type}}/{{name}}/history", self.history),
            _Route("/api/v1/sinks", self.sinks),
            _Route("/api/v1/metrics", self.metrics),
            _Route("/api/v1/config", self.config),
            _Route("/api/v1/openapi.yaml", self.description),
            _Route("/api/v1/events", Events(told, aside).stream, free=("since",)),
        ]

    async def status(self, _: Request) -> Response:
        """Send the status."""
        return await self._sent(self._status, "status", self._told.status, dict)

    async def collectors(self, request: Request) -> Response:
        """Send the collectors and sinks of the status; `?show=wrong` leaves out what is well."""
        only_wrong = request.query_params.get("show") == "wrong"
        shape = _wrong if only_wrong else _collectors
        return await self._sent(self._lists, ("collectors", only_wrong), self._told.status, shape)

    async def sinks(self, _: Request) -> Response:
        """Send the sinks of the status."""

        def read() -> Any:
            return self._told.status(), self._told.configuration()

        return await self._sent(self._lists, "sinks", read, _sinks, _FRESH_CONFIGURED)

    async def metrics(self, _: Request) -> Response:
        """Send what is declared of all metrics."""
        return await self._sent(self._lists, "metrics", self._told.metadata, _metrics, _FRESH_CONFIGURED)

    async def config(self, _: Request) -> Response:
        """Send the configuration."""
        read = self._told.configuration
        return await self._sent(self._lists, "config", read, _configuration, _FRESH_CONFIGURED)

    async def collector(self, request: Request) -> Response:
        """Send all that is known of one collector or sink."""
        return await self._of_instance(request, "collector", self._told.collector, _instance)

    async def history(self, request: Request) -> Response:
        """Send what one collector or sink was, and why."""
        return await self._of_instance(request, "history", self._told.history, lambda told: {"history": told})

    async def description(self, _: Request) -> Response:
        """Send the description of all this."""
        headers = {"cache-control": "max-age=60", "x-content-type-options": "nosniff"}
        return Response(self._description, headers=headers, media_type="application/yaml")

    def not_found(self) -> Response:
        """Return the answer for a path beneath /api that is none."""
        there_is = [route.path for route in self.routes]
        return problem(404, "there is nothing at this path, but there is at these", there_is=there_is)

    async def _of_instance(
        self, request: Request, kind: str, read: Callable[[str], Any], shape: Shape
    ) -> Response:
        key = "{type}/{name}".format(**request.path_params)
        if self._told.history(key) is None:
            return await self._no_such(key)
        page = await self._page(self._instances, (kind, key), lambda: read(key), shape)
        return PageResponse(page, _HEADERS) if page.parts else await self._no_such(key)

    async def _no_such(self, key: str) -> Response:
        async def make() -> Parts:
            return [_key(each).encode() for each in _sorted(self._told.status()["collectors"])]

        page = await self._names.get("names", _FRESH_CONFIGURED, make)
        known = [name.decode() for name in page.parts]
        of_its_type = [name for name in known if name.startswith(key.partition("/")[0] + "/")]
        there_is = [_COLLECTORS, *(f"{_COLLECTORS}/{name}" for name in of_its_type or known)]
        return problem(404, f"there is no collector or sink {one_line(key, _ECHOED)}", there_is=there_is)

    async def _sent(
        self, pages: Pages, kind: Hashable, read: Callable[[], Any], shape: Shape, fresh: float = _FRESH
    ) -> Response:
        return PageResponse(await self._page(pages, kind, read, shape, fresh), _HEADERS)

    async def _page(
        self, pages: Pages, kind: Hashable, read: Callable[[], Any], shape: Shape, fresh: float = _FRESH
    ) -> Page:
        """Return what was read, in its shape; without parts where it is gone. Only `read` is in the loop."""

        async def make() -> Parts:
            told = read()
            return [] if told is None else [await self._aside(_shaped, shape, told)]

        return await pages.get(kind, fresh, make)


class _Route(Route):
    """A path, and which parameters it takes: whatever else is asked of it is refused in one shape."""

    def __init__(
        self,
        path: str,
        endpoint: Callable[[Request], Awaitable[Response]],
        takes: Collection[tuple[str, str]] = (),
        free: Collection[str] = (),
    ) -> None:
        self._asked = endpoint
        self._takes = takes
        self._free = free
        super().__init__(path, self._answered)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request of whatever method."""
        if scope["method"] not in ("GET", "HEAD"):
            sentence = "this is for reading only: ask with GET or HEAD"
            await problem(405, sentence, headers={"allow": "GET, HEAD"})(scope, receive, send)
            return
        await self.app(scope, receive, send)

    async def _answered(self, request: Request) -> Response:
        if sentence := self._unfit(request.query_params):
            return problem(400, sentence)
        with fence() as caught:
            return await self._asked(request)
        log.error("a request failed by a fault of ours", exc_info=caught[0])
        return problem(500, "this is a fault of rscollector: its log says more")

    def _unfit(self, parameters: QueryParams) -> str:
        """Say what is wrong with the parameters, "" when nothing is."""
        given = [(name, value) for name, value in parameters.multi_items() if name not in self._free]
        there_is = " and ".join(f"{name}={value}" for name, value in self._takes) or "no parameter"
        if unknown := [f"{name}={value}" for name, value in given if (name, value) not in self._takes]:
            return f"{one_line(', '.join(unknown), _ECHOED)} is not known here: this takes {there_is}"
        return f"a parameter is there twice: this takes {there_is}" if len(given) > len(set(given)) else ""


# --- shapes; these run in the thread ---


def _key(each: Mapping[str, Any]) -> str:
    return f"{each['type']}/{each['name']}"


def _sorted(collectors: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted(collectors, key=itemgetter("type", "name"))


def _collectors(status: Mapping[str, Any]) -> dict[str, Any]:
    return {"collectors": _sorted(status["collectors"])}


def _wrong(status: Mapping[str, Any]) -> dict[str, Any]:
    wrong = {row.key for row in rows(status) if row.is_wrong}
    return {"collectors": _sorted([each for each in status["collectors"] if _key(each) in wrong])}


def _sinks(told: tuple[Mapping[str, Any], Mapping[str, Any]]) -> dict[str, Any]:
    status, configuration = told
    sinks = {_key(each) for each in configuration["sinks"]}
    return {"sinks": _sorted([each for each in status["collectors"] if _key(each) in sinks])}


def _metrics(metadata: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"metrics": sorted(metadata, key=_NAME)}


def _configuration(told: Mapping[str, Any]) -> dict[str, Any]:
    return {**told, "collectors": _sorted(told["collectors"]), "sinks": _sorted(told["sinks"])}


def _instance(told: Mapping[str, Any]) -> dict[str, Any]:
    return {**told, "metrics": sorted(told["metrics"], key=_NAME)}


def _shaped(shape: Callable[[Any], Any], told: Any) -> bytes:
    """Return the JSON; numbers that JSON does not have are texts, as in Prometheus' API."""
    value = shape(told)
    try:
        text = _dumped(value)
    except ValueError:
        text = _dumped(_finite(value))
    return text.encode("utf-8", "replace")


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _finite(value: Any) -> Any:
    match value:
        case dict():
            return {key: _finite(each) for key, each in value.items()}
        case list() | tuple():
            return [_finite(each) for each in value]
        case float() if not math.isfinite(value):
            return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    return value
