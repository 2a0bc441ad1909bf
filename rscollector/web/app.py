"""The application: `/metrics`, `/`, `/api/v1/status`, `/-/healthy`, `/-/ready`.

It runs in the agent's loop and must not stop it: bodies go out in parts of about 64 KiB, so that for a client
that reads slowly one part is copied and not a page; compression runs in a thread (see `compressed`). How long
a client may take is the listeners' matter.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any, Protocol

from jinja2 import Environment
from prometheus_client.exposition import gzip_accepted
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rscollector.exposition.render import Format, negotiate
from rscollector.model.settings import humanized
from rscollector.web.compressed import Compressor, pieces

PART = 64 * 1024
_TURN = 8


class Face(Protocol):
    """What the application shows; the agent implements it."""

    def page(self, wanted: Format) -> tuple[object, Iterable[bytes]]:
        """Return a page's generation (anything that changes with the page) and the page, in chunks."""

    def status(self) -> dict[str, Any]:
        """Return the agent's status, plain values."""

    def unhealthy(self) -> str:
        """Return why the agent's loop is not doing its work, "" when it is."""

    def unready(self) -> str:
        """Return why the agent is not ready, "" when it is."""


class Parts(Response):
    """A response whose body goes out in parts, each after the client has taken the one before."""

    def __init__(self, parts: Sequence[bytes], headers: Mapping[str, str]) -> None:
        self._parts = parts
        super().__init__(headers={**headers, "content-length": str(sum(map(len, parts)))})

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send the response."""
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        await send(start)
        for number, part in enumerate(self._parts, 1):
            await send({"type": "http.response.body", "body": part, "more_body": True})
            if number % _TURN == 0:  # a client that keeps up would else keep the loop until it has all
                await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b""})


def application(face: Face) -> ASGIApp:
    """Return the application."""
    compressor = Compressor()
    template = _template("index.html")

    async def metrics(request: Request) -> Response:
        wanted, content_type = negotiate(request.headers.get("accept", ""))
        generation, chunks = face.page(wanted)
        parts = list(pieces(chunks, PART))
        headers = {"content-type": content_type, "vary": "Accept, Accept-Encoding"}
        if gzip_accepted(request.headers.get("accept-encoding", "")):
            parts = list(pieces(await compressor.compress(wanted, generation, parts), PART))
            headers["content-encoding"] = "gzip"
        return Parts(parts, headers)

    async def index(_: Request) -> Response:
        return HTMLResponse(template.render(status=face.status()))

    async def status(_: Request) -> Response:
        return JSONResponse(face.status())

    async def healthy(_: Request) -> Response:
        return _verdict(face.unhealthy(), "healthy")

    async def ready(_: Request) -> Response:
        return _verdict(face.unready(), "ready")

    routes = {
        "/": index,
        "/metrics": metrics,
        "/api/v1/status": status,
        "/-/healthy": healthy,
        "/-/ready": ready,
    }
    return _closing(Starlette(routes=[Route(path, endpoint) for path, endpoint in routes.items()]))


def _closing(inner: ASGIApp) -> ASGIApp:
    """Have the connection closed after each response.

    A scraper comes back after longer than any idle connection is kept, and hypercorn keeps the descriptor of
    a connection that its client has closed until the idle time is over.
    """

    async def outer(scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start" and scope["http_version"] == "1.1":
                message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        await inner(scope, receive, sending if scope["type"] == "http" else send)

    return outer


def _verdict(trouble: str, good: str) -> Response:
    return PlainTextResponse(f"{trouble or good}\n", 503 if trouble else 200)


def _template(name: str) -> Any:
    text = files("rscollector.web").joinpath("templates", name).read_text("utf-8")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["duration"] = humanized
    return environment.from_string(text)
