"""The stream of what changes: `/api/v1/events`, as EventSource reads it (server-sent events).

An event is at most one in a second, and has the objects of the status of those whose state, reason or notes
have changed. Its id says where to read on: a reader that comes back with it, as EventSource does by itself,
is told what has changed since, and all where that is forgotten. Over TCP, and behind a lock, a
stream ends before its connection would be cut as every other is, so its reader has to come back; on the
control socket it goes on.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import count
from typing import Any, NamedTuple, Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from rscollector.web.problems import problem

_MOST = 8
_PACE = 1.0
_AT_ONCE = 100  # objects that are made in one step of the loop, 10 µs each
_LIFE = 12  # events, a second each; after 15 s the server cuts it
_QUIET = 10  # seconds after which a comment tells that nothing has changed
_ID = re.compile(r"(\d{1,20})-(\d{1,20})", re.ASCII)
_HEADERS = {
    "content-type": "text/event-stream",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-accel-buffering": "no",  # else nginx would keep it until there is more
}
_BEGIN = b"retry: 1000\n\n"


class Changed(NamedTuple):
    """What has changed since a number, up to another; `everything` where it is not known what.

    `keys` are whose objects in the status have changed, `gone` those that there are no more; `configuration`
    is told with everything, and after a reload.
    """

    number: int
    everything: bool
    keys: list[str]
    gone: list[str]
    configuration: dict[str, Any] | None


class Changing(Protocol):
    """What has changed about an agent; its numbers begin anew with each `epoch`."""

    epoch: int

    def changed(self, since: int | None) -> Changed:
        """Return what has changed since a number; None for all there is."""

    def objects(self, keys: Iterable[str], *, with_minutes: bool = False) -> list[dict[str, Any]]:
        """Return the objects of the status of these, as far as they are still there."""


async def in_steps(told: Changing, keys: Sequence[str], **more: bool) -> list[dict[str, Any]]:
    """Return the objects of all of these; the loop has a turn now and then."""
    found = []
    for first in range(0, len(keys), _AT_ONCE):
        found += told.objects(keys[first : first + _AT_ONCE], **more)
        await asyncio.sleep(0)
    return found


class Events:
    """The streams, at most eight: whoever comes then takes the place of the oldest."""

    def __init__(self, told: Changing, aside: Callable[..., Awaitable[Any]]) -> None:
        self._told = told
        self._aside = aside
        self._streams: dict[_Stream, None] = {}
        self._second: asyncio.Future[None] | None = None
        self._writing: dict[int | None, asyncio.Task[tuple[int, bytes]]] = {}

    async def stream(self, request: Request) -> Response:
        """Begin a stream: with what is new since the id that the reader has, or with all."""
        asked = request.query_params.get("since")
        if asked is not None and not _ID.fullmatch(asked):
            return problem(400, "since is the id of an event, such as 1790000000-42")
        found = _ID.fullmatch(request.headers.get("last-event-id") or asked or "")
        here = found and int(found[1]) == self._told.epoch
        return _Stream(self, int(found[2]) if found and here else None, head=request.method == "HEAD")

    def begin(self, stream: "_Stream") -> None:
        """Give a stream a place."""
        self._streams[stream] = None
        if len(self._streams) > _MOST:
            oldest = next(iter(self._streams))
            self.end(oldest)  # at once: of many that come in the same second each takes another one's place
            oldest.end()

    def end(self, stream: "_Stream") -> None:
        """Have its place back."""
        self._streams.pop(stream, None)

    async def pause(self) -> None:
        """Wait for the next second: all streams go on in the same turn."""
        await asyncio.shield(self._this_second())

    def _this_second(self) -> asyncio.Future[None]:
        """Return the end of this second; with it is forgotten what was told in it."""
        if self._second is None or self._second.done():
            loop = asyncio.get_running_loop()
            self._second = loop.create_future()
            self._second.add_done_callback(lambda _: self._writing.clear())
            loop.call_later(_PACE, self._second.set_result, None)
        return self._second

    async def event(self, since: int | None) -> tuple[int, bytes]:
        """Return where to read on, and the event of what has changed since, b"" for nothing.

        Whoever asks for the same in the same second is given the same, and whoever comes with one more number
        when many have come with as many, is given everything: that is made once.
        """
        self._this_second()
        if since not in self._writing and len(self._writing) >= _MOST:
            since = None
        writing = self._writing.get(since)
        if writing is None:
            writing = self._writing[since] = asyncio.create_task(self._event(since))
        return await asyncio.shield(writing)

    async def _event(self, since: int | None) -> tuple[int, bytes]:
        changed = self._told.changed(since)
        if not (changed.keys or changed.gone or changed.configuration):
            return changed.number, b""
        collectors = await in_steps(self._told, changed.keys)
        return changed.number, await self._aside(_written, self._told.epoch, changed, collectors)


class _Stream(Response):
    """Sends one event after the other, until its reader is gone or its place is somebody else's."""

    def __init__(self, events: Events, since: int | None, *, head: bool) -> None:
        self._events = events
        self._since = since
        self._head = head
        self._task: asyncio.Task[None] | None = None
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]

    def end(self) -> None:
        """Cut it, also where its reader does not read."""
        if self._task:
            self._task.cancel()

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Send it."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        if self._head:
            await send({"type": "http.response.body", "body": b""})
            return
        self._task = asyncio.current_task()
        self._events.begin(self)
        try:
            await self._send(send, None if scope["server"] else _LIFE)
        finally:
            self._events.end(self)

    async def _send(self, send: Send, life: int | None) -> None:
        part, quiet = _BEGIN, 0
        for _ in count() if life is None else range(life):
            self._since, event = await self._events.event(self._since)
            part, quiet = part + event, 0 if event else quiet + 1
            if quiet >= _QUIET:
                part, quiet = b":\n\n", 0
            if part:
                await send({"type": "http.response.body", "body": part, "more_body": True})
            part = b""
            await self._events.pause()
        await send({"type": "http.response.body", "body": b""})


def _written(epoch: int, changed: Changed, collectors: list[dict[str, Any]]) -> bytes:
    told = {
        "everything": changed.everything,
        "collectors": collectors,
        "gone": changed.gone,
        "config": changed.configuration,
    }
    data = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
    return f"id: {epoch}-{changed.number}\ndata: {data}\n\n".encode("utf-8", "replace")
