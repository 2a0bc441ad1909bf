"""Pages that are put together once for all who ask in the same moment.

What a page costs does not depend on how many ask for it, and how many there are at a time does not depend on
who reads them: whoever has not yet read a page that is too old to be held is cut.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import cast

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

Parts = Sequence[bytes]


class Page:
    """A page in parts, and the tasks that are sending it. After `until` nobody is given it any more."""

    def __init__(self, parts: Parts, until: float = 0.0) -> None:
        self.parts = parts
        self.until = until
        self.size = sum(map(len, parts))
        self.readers: set[asyncio.Task[None]] = set()

    def drop(self) -> None:
        """Hold it no longer: who is reading it is cut."""
        for reader in self.readers:
            reader.cancel()


class Pages:
    """The newest page of each kind, at most `most` pages in all, those included that somebody is reading."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._newest: dict[Hashable, tuple[float, asyncio.Task[Page]]] = {}
        self._held: list[Page] = []

    async def get(self, kind: Hashable, fresh: float, make: Callable[[], Awaitable[Parts]]) -> Page:
        """Return the page of a kind, made anew if it was begun more than `fresh` seconds ago."""
        now = asyncio.get_running_loop().time()
        began, making = self._newest.get(kind, (0.0, None))
        if making is None or (making.done() and now - began >= fresh):
            making = asyncio.create_task(self._made(make, now + fresh))
            self._newest[kind] = now, making
        return await asyncio.shield(making)

    async def _made(self, make: Callable[[], Awaitable[Parts]], until: float) -> Page:
        page = Page(await make(), until)
        self._held.append(page)
        if len(self._held) > self._most:
            self._drop_one()
        return page

    def _drop_one(self) -> None:
        """Hold one page less: one that nobody needs any more, or else the oldest."""
        now = asyncio.get_running_loop().time()
        unwanted = (page for page in self._held if page.until <= now and not page.readers)
        dropped = next(unwanted, self._held[0])
        self._held.remove(dropped)
        self._newest = {kind: each for kind, each in self._newest.items() if not _is(each[1], dropped)}
        dropped.drop()


def _is(making: "asyncio.Task[Page]", page: Page) -> bool:
    return making.done() and not making.exception() and making.result() is page


class PageResponse(Response):
    """Sends a page. The server sends a part when the client has taken the one before."""

    def __init__(self, page: Page, headers: Mapping[str, str]) -> None:
        self._page = page
        super().__init__(headers={**headers, "content-length": str(page.size)})

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send it, unless it is dropped meanwhile."""
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._page.readers.add(task)
        try:
            start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            await send(start)
            for part in self._page.parts:
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            self._page.readers.discard(task)
