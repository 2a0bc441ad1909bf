"""The application: `/metrics`, `/`, `/api/v1/status`, `/-/healthy`, `/-/ready`.

It runs in the agent's loop and must not stop it: pages are made once for all who ask (see `pages`), what
takes long with them runs in a thread. What a client may cost beside that is the server's matter.
"""

import asyncio
import json
import signal
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from typing import Any, Protocol

from jinja2 import Environment
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from rscollector.exposition.render import Format
from rscollector.model.settings import humanized
from rscollector.web.compressed import Compressor, pieces
from rscollector.web.negotiate import gzip_wanted, negotiate
from rscollector.web.pages import PageResponse, Pages, Parts

_PIECE = 64 * 1024
_MOST_PAGES = 4  # the newest of each format, compressed and not
_MOST_OTHERS = 2
_FRESH = 1.0
_FRESH_STATUS = 0.1  # people who have just changed something ask for it


class Face(Protocol):
    """What the application shows; the agent implements it."""

    def page(self, wanted: Format) -> Iterable[bytes]:
        """Return a page, in chunks."""

    def status(self) -> dict[str, Any]:
        """Return the agent's status, plain values."""

    def unhealthy(self) -> str:
        """Return why the agent's loop is not doing its work, "" when it is."""

    def unready(self) -> str:
        """Return why the agent is not ready, "" when it is."""


def application(face: Face) -> ASGIApp:
    """Return the application."""
    handlers = _Handlers(face)
    routes = {
        "/": handlers.index,
        "/metrics": handlers.metrics,
        "/api/v1/status": handlers.status,
        "/-/healthy": handlers.healthy,
        "/-/ready": handlers.ready,
    }
    # With `redirect_slashes` it would send a client of /metrics/ to whatever host that has named.
    return Router([Route(path, endpoint) for path, endpoint in routes.items()], redirect_slashes=False)


class _Handlers:
    def __init__(self, face: Face) -> None:
        self._face = face
        self._metrics = Pages(_MOST_PAGES)
        self._index = Pages(_MOST_OTHERS)
        self._status = Pages(_MOST_OTHERS)
        self._thread = ThreadPoolExecutor(1, "pages", _leave_signals_to_the_main_thread)
        self._compressor = Compressor()
        self._template = _template("index.html")

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

    async def index(self, _: Request) -> Response:
        page = await self._index.get("", _FRESH, lambda: self._rendered(self._as_html))
        return PageResponse(page, {"content-type": "text/html; charset=utf-8"})

    async def status(self, _: Request) -> Response:
        page = await self._status.get("", _FRESH_STATUS, lambda: self._rendered(_as_json))
        return PageResponse(page, {"content-type": "application/json"})

    async def healthy(self, _: Request) -> Response:
        return _verdict(self._face.unhealthy(), "healthy")

    async def ready(self, _: Request) -> Response:
        return _verdict(self._face.unready(), "ready")

    async def _rendered(self, write: Callable[[dict[str, Any]], str]) -> Parts:
        text = await self._aside(write, self._face.status())
        return [text.encode("utf-8")]

    def _as_html(self, status: dict[str, Any]) -> str:
        return self._template.render(status=status)  # type: ignore[no-any-return]

    async def _aside(self, function: Callable[..., Any], *given: Any) -> Any:
        """Call a function in the thread; the loop goes on meanwhile."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *given)


def _leave_signals_to_the_main_thread() -> None:
    """Any thread may get a signal, and here it would kill, once the main one has dropped its handler."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


def _as_json(status: dict[str, Any]) -> str:
    return json.dumps(status, ensure_ascii=False, separators=(",", ":"))


def _verdict(trouble: str, good: str) -> Response:
    return PlainTextResponse(f"{trouble or good}\n", 503 if trouble else 200)


def _template(name: str) -> Any:
    text = files("rscollector.web").joinpath("templates", name).read_text("utf-8")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["duration"] = humanized
    return environment.from_string(text)
