"""The application: `/metrics`, the pages `/` and `/collectors/{type}/{name}`, `/-/…`, and the API (`api`).

It runs in the agent's loop and must not stop it: pages are made once for all who ask (see `pages`), what
takes long with them runs in a thread. What a client may cost beside that is the server's matter.
"""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.resources import files
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from rscollector.config.types import Right
from rscollector.exposition.render import Format
from rscollector.web.api import PREFIX, Api, Told
from rscollector.web.compressed import Compressor, pieces
from rscollector.web.events import in_steps
from rscollector.web.negotiate import gzip_wanted, negotiate
from rscollector.web.pages import PageResponse, Pages, Parts

_PIECE = 64 * 1024
_MOST_PAGES = 4  # the newest of each format, compressed and not
_MOST_OTHERS = 2
_FRESH = 1.0
_POLICY = {
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
"""Nothing is loaded from elsewhere, and nobody else shows the page in his own."""
_Endpoint = Callable[[Request], Awaitable[Response]]
_HTML = {"content-type": "text/html; charset=utf-8", "cache-control": "no-store", **_POLICY}


class Face(Told, Protocol):
    """What the application shows; the agent implements it."""

    def page(self, wanted: Format) -> Iterable[bytes]:
        """Return a page, in chunks."""

    def event_id(self) -> str:
        """Return the id of an event that would come now."""

    def overview(self) -> dict[str, Any]:
        """Return the status without what it says of the collectors."""

    def unhealthy(self) -> str:
        """Return why the agent's loop is not doing its work, "" when it is."""

    def unready(self) -> str:
        """Return why the agent is not ready, "" when it is."""


def application(face: Face, rights: frozenset[Right] = frozenset(Right)) -> ASGIApp:
    """Return the application of a listener that has these rights: whatever else there is, is not there."""
    handlers = _Handlers(face)
    paths: dict[str, _Endpoint] = {"/-/healthy": handlers.healthy, "/-/ready": handlers.ready}
    if Right.METRICS in rights:
        paths["/metrics"] = handlers.metrics
    if Right.READ not in rights:
        return _router(_routes(paths), _not_found)
    paths |= {
        "/": handlers.index,
        "/collectors/{type}/{name}": handlers.collector,
        "/page.css": _file("page.css", "text/css"),
        "/page.js": _file("page.js", "text/javascript"),
    }

    async def not_found(scope: Scope, receive: Receive, send: Send) -> None:
        is_of_the_api = f"{scope['path']}/".startswith(f"{PREFIX}/")
        await (handlers.api.not_found() if is_of_the_api else _not_found)(scope, receive, send)

    return _router([*_routes(paths), *handlers.api.routes], not_found)


def _routes(paths: Mapping[str, _Endpoint]) -> list[Route]:
    return [Route(path, endpoint) for path, endpoint in paths.items()]


def _router(routes: Sequence[Route], default: ASGIApp) -> Router:
    # With `redirect_slashes` it would send a client of /metrics/ to whatever host that has named.
    return Router(routes, redirect_slashes=False, default=default)


_not_found = PlainTextResponse("Not Found", 404)


class _Handlers:
    def __init__(self, face: Face) -> None:
        self._face = face
        self._metrics = Pages(_MOST_PAGES)
        self._index = Pages(_MOST_OTHERS)
        self._collector = Pages(_MOST_PAGES)
        self._thread = ThreadPoolExecutor(1, "pages", _leave_signals_to_the_main_thread)
        self._compressor = Compressor()
        self._people = _People()
        self.api = Api(face, self._aside)

    async def metrics(self, request: Request) -> Response:
        wanted, content_type = negotiate(request.headers.get("accept", ""))
        headers = {"content-type": content_type, "vary": "Accept, Accept-Encoding"}
        zipped = gzip_wanted(request.headers.get("accept-encoding", ""))
        if zipped:
            headers["content-encoding"] = "gzip"

        async def make() -> Parts:
            parts = list(pieces(self._face.page(wanted), _PIECE))
            if not zipped:
                return parts
            return list(pieces(await self._aside(self._compressor.compress, wanted, parts), _PIECE))

        return PageResponse(await self._metrics.get((wanted, zipped), _FRESH, make), headers)

    async def index(self, request: Request) -> Response:
        """Send the page for people; `?show=wrong` leaves out what is well."""
        only_wrong = request.query_params.get("show") == "wrong"

        async def make() -> Parts:
            event_id, status = self._face.event_id(), self._face.overview()
            keys = self._face.changed(None).keys
            status["collectors"] = await in_steps(self._face, keys, with_minutes=True)
            return await self._people.page(
                "index",
                status,
                time.time(),
                event_id=event_id,
                only_wrong=only_wrong,
                unhealthy=self._face.unhealthy(),
                unready=self._face.unready(),
            )

        return PageResponse(await self._index.get(only_wrong, _FRESH, make), _HTML)

    async def collector(self, request: Request) -> Response:
        """Send the page of a collector or sink, or one that says that there is none."""
        key = "{type}/{name}".format_map(request.path_params)

        async def make() -> Parts:
            event_id, told = self._face.event_id(), self._face.collector(key)
            if told is None:
                return []
            return await self._people.page("collector", told, time.time(), event_id)

        there = self._face.history(key) is not None  # what a stranger asks for is no kind of a page
        page = await self._collector.get(key, _FRESH, make) if there else None
        if page is None or not page.parts:
            (missing,) = await self._people.page("missing", key, self._face.event_id(), self._face.unready())
            return Response(missing, 404, _HTML)
        return PageResponse(page, _HTML)

    async def healthy(self, _: Request) -> Response:
        return _verdict(self._face.unhealthy(), "healthy")

    async def ready(self, _: Request) -> Response:
        return _verdict(self._face.unready(), "ready")

    async def _aside(self, function: Callable[..., Any], *given: Any) -> Any:
        """Call a function in the thread; the loop goes on meanwhile."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *given)


class _People:
    """Makes the pages for people, in a thread of its own.

    What makes them is imported when the first one is asked for: most agents are only scraped, and it costs a
    tenth of their memory. Where a file system hangs then, only these pages do.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "people", _leave_signals_to_the_main_thread)
        self._html: Any = None

    async def page(self, name: str, *given: Any, **more: Any) -> Parts:
        """Return the page that `html.Html` has by this name."""
        make = partial(self._made, name, *given, **more)
        return [await asyncio.get_running_loop().run_in_executor(self._thread, make)]

    def _made(self, name: str, *given: Any, **more: Any) -> bytes:
        if self._html is None:
            from rscollector.web.html import Html

            self._html = Html()
        text: str = getattr(self._html, name)(*given, **more)
        return text.encode("utf-8", "replace")


def _leave_signals_to_the_main_thread() -> None:
    """Any thread may get a signal, and here it would kill, once the main one has dropped its handler."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


def _verdict(trouble: str, good: str) -> Response:
    return PlainTextResponse(f"{trouble or good}\n", 503 if trouble else 200)


def _file(name: str, media_type: str) -> _Endpoint:
    text = files("rscollector.web").joinpath("templates", name).read_text("utf-8")

    async def send(_: Request) -> Response:
        return Response(text, media_type=media_type, headers={"cache-control": "max-age=60", **_POLICY})

    return send
