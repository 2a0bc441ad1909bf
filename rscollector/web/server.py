"""HTTP/1.1 in the agent's loop: an application on our listeners, one request for each connection.

Strangers may connect, say anything and read nothing. What each of them can take is bounded: connections in
number, a request's head in bytes and seconds, a connection in seconds, what waits for a client that does not
read in bytes, here and in the kernel. asyncio knows the sockets, h11 the protocol, the application (ASGI) the
pages; here are the bounds.

A connection is closed after its response: a scraper comes back after longer than any idle connection would be
kept. Nothing that follows the first request's head is looked at: no page takes a body, and no request can be
smuggled behind another.
"""

import asyncio
import http
import logging
import re
import socket
import struct
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

import h11
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Scope

from rscollector.model.errors import fence
from rscollector.model.texts import one_line

if TYPE_CHECKING:  # whoever has no lock has none of this in memory
    from rscollector.web.lock import Lock
    from rscollector.web.secured import Secured

log = logging.getLogger("rscollector.web")

HEAD = 5.0
"""Seconds in which a request's head has to come."""
LIFETIME = 15.0
"""Seconds after which a connection is over, whatever its client reads."""
_LINGER = 1.0  # for what the client still sends: if we closed at once, it might lose the answer
_LONGEST_HEAD = 16 * 1024
_LONGEST_HEADER = 1024
_WANTED = (b"accept", b"accept-encoding", b"host", b"last-event-id")
"""The headers that are kept while a request is answered; of all it would be 16 KiB for each client."""
_READ = 4 * 1024
_PART = 64 * 1024
_KEPT = 4 * 1024  # of a part, asyncio keeps so much for a client that does not read
_TURN = 8
_SEND_BUFFER = 64 * 1024  # which the kernel doubles; without it, it would take megabytes for each of them
_AT_ONCE = 16  # connections that are accepted in one turn of the loop
_WAIT = 0.1
_TLS_HANDSHAKE = 0x16
_PEER = struct.Struct("3i")  # process, user and group: unix(7)
_STREAM = (b"content-type", b"text/event-stream")
_ABSOLUTE = re.compile(rb"https?://[^/?#]*", re.IGNORECASE)


class Connections:
    """The open connections of all listeners, the oldest first, at most `most` of them."""

    def __init__(self, most: int = 1024) -> None:
        self.most = most
        self.evicted = 0
        self._open: dict[_Connection, None] = {}
        self._ending: set[_Connection] = set()  # those that had to go and have a descriptor still

    def __len__(self) -> int:
        return len(self._open)

    def are_full(self) -> bool:
        """Tell whether no more may be accepted."""
        return len(self._open) + len(self._ending) >= self.most

    def evict(self) -> None:
        """Cut the oldest, unless one is being cut: it is hardly an honest scrape, which takes little time."""
        if self._open and not self._ending:
            self.evicted += 1
            oldest = next(iter(self._open))
            del self._open[oldest]
            self._ending.add(oldest)
            oldest.abort()

    def add(self, connection: "_Connection") -> None:
        """Take note of a new connection."""
        self._open[connection] = None

    def discard(self, connection: "_Connection") -> None:
        """Forget one that has no descriptor any more."""
        self._open.pop(connection, None)
        self._ending.discard(connection)

    def abort_all(self, server: "Server") -> None:
        """End every connection of a server."""
        for connection in list(self._open):
            if connection.peer.server is server:
                connection.abort()


class Server:
    """Serves an application on listening sockets, in the running loop, from now on until it is closed."""

    def __init__(
        self,
        application: ASGIApp,
        listeners: Sequence[socket.socket],
        connections: Connections,
        lock: "Lock | None" = None,
    ) -> None:
        self._application = lock.guarded(application) if lock else application
        self._listeners = listeners
        self._connections = connections
        self.lock = lock
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray(_READ)
        self._tasks: set[asyncio.Task[None]] = set()
        for listener in listeners:
            self._accept_from(listener)

    def close(self) -> None:
        """Accept no more, and end every connection of this server."""
        for listener in self._listeners:
            self._loop.remove_reader(listener)
            listener.close()
        self._connections.abort_all(self)

    def _accept_from(self, listener: socket.socket) -> None:
        if listener.fileno() >= 0:
            self._loop.add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        """Accept those who wait, some in each turn of the loop, so that all others have theirs."""
        if self._connections.are_full():
            self._connections.evict()
        for _ in range(_AT_ONCE):
            if self._connections.are_full():
                return  # if somebody still waits, this is called again
            try:
                client, address = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:  # no descriptor, no memory, no network
                # A listener that is always ready and never accepted from would take the whole loop.
                self._loop.remove_reader(listener)
                self._loop.call_later(_WAIT, self._accept_from, listener)
                self._connections.evict()
                return
            self._begin(client, address)

    def _begin(self, client: socket.socket, address: Any) -> None:
        client.setblocking(False)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        if client.family != socket.AF_UNIX:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else parts wait for each other
        peer = Peer(self, _name(client, address))
        connection = _Connection(self._application, self._connections, memoryview(self._buffer), client, peer)
        self._connections.add(connection)
        task = self._loop.create_task(self._connect(connection, client))
        self._tasks.add(task)  # the loop itself would not keep it
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, connection: "_Connection", client: socket.socket) -> None:
        protocol: asyncio.BufferedProtocol = connection
        if self.lock and (secured := self.lock.secured(connection, connection.peer.name)):
            protocol = connection.secured = secured
        try:
            await self._loop.connect_accepted_socket(lambda: protocol, client)
        except OSError as error:
            connection.connection_lost(error)
            client.close()


@dataclass(frozen=True, slots=True)
class Peer:
    """Who has connected, and to which server."""

    server: Server
    name: str


def _name(client: socket.socket, address: Any) -> str:
    """Return an address, or the user on the other end of a Unix socket: no name is looked up."""
    if client.family != socket.AF_UNIX:
        return str(address[0]).removeprefix("::ffff:")
    _, uid, _ = _PEER.unpack(client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return f"uid {uid}"


class _Connection(asyncio.BufferedProtocol):
    """A connection: the head of a request, then its response, then its end."""

    def __init__(
        self,
        application: ASGIApp,
        connections: Connections,
        buffer: memoryview,
        client: socket.socket,
        peer: Peer,
    ) -> None:
        self.peer = peer
        self.secured: Secured | None = None
        self._application = application
        self._connections = connections
        self._client = client
        self._buffer = buffer  # all connections read into the same, and what was read is used at once
        self._loop = asyncio.get_running_loop()
        self._http: h11.Connection | None = None
        self._transport: asyncio.Transport
        self._is_connected = self._is_aborted = False
        self._has_no_body = self._is_answered = False
        self._parts = 0
        self._task: asyncio.Task[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._late = self._loop.call_later(HEAD, self.abort)
        self._end = self._loop.call_later(LIFETIME, self.abort)

    def abort(self) -> None:
        """End it now, whatever it has not sent yet."""
        self._is_aborted = True
        if self._is_connected:
            self._transport.abort()

    # --- asyncio.BufferedProtocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a request."""
        self._transport, self._is_connected = cast(asyncio.Transport, transport), True
        self._transport.set_write_buffer_limits(0)
        if self._is_aborted:
            self._transport.abort()

    def get_buffer(self, _sizehint: int) -> memoryview:
        """Return where to read into."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take a part of a request's head; what comes behind it is read and forgotten."""
        data = bytes(self._buffer[:nbytes])
        if self._http is None:
            data = data.lstrip(b"\r\n")  # RFC 9112, 2.2
        if self._task or not data:
            return
        if self._http is None:
            self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_LONGEST_HEAD)
            if data[0] == _TLS_HANDSHAKE:
                self._respond(self._refuse(400, "this port speaks HTTP, not HTTPS"))
                return
        try:
            self._http.receive_data(data)
            event = self._http.next_event()
        except h11.RemoteProtocolError as error:
            hint = error.error_status_hint
            status = hint if hint < http.HTTPStatus.INTERNAL_SERVER_ERROR else 400  # the fault is theirs
            said = str(error).partition(": bytearray")[0]  # behind it is what they have sent
            self._respond(self._refuse(status, one_line(said, 200)))
            return
        if isinstance(event, h11.Request):
            self._respond(self._answer(event))

    def eof_received(self) -> bool:
        """Close it: nothing is read while a response is sent, so no request will come, or all is sent."""
        return False

    def pause_writing(self) -> None:
        """Wait for the client to read."""
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """Go on: the client has read."""
        if self._writable and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def connection_lost(self, _error: Exception | None) -> None:
        """Forget it."""
        self._connections.discard(self)
        self._late.cancel()
        self._end.cancel()
        if self._task:
            self._task.cancel()

    def refuse(self, status: int, sentence: str) -> None:
        """Answer, before there was a request, in words."""
        self._respond(self._refuse(status, sentence))

    # --- the response ---

    def _respond(self, response: Awaitable[None]) -> None:
        self._late.cancel()
        self._http = None
        self._transport.pause_reading()
        self._task = self._loop.create_task(self._responded(response))

    async def _responded(self, response: Awaitable[None]) -> None:
        try:
            with fence() as caught:
                await response
            if caught:
                log.error("a request failed by a fault of ours", exc_info=caught[0])
                if not self._is_answered:
                    await self._refuse(500, "this is a fault of the server: its log says more")
            await self._until_writable()
        except asyncio.CancelledError:  # its page is held no longer, or the client is gone
            self.abort()
            return  # raised, it would keep all of this alive until garbage is collected
        try:
            self._transport.write_eof()
        except OSError:  # the client is gone already
            self.abort()
            return
        # The client may be sending still; were it refused, it might never read the answer.
        self._end.cancel()
        self._end = self._loop.call_later(_LINGER, self.abort)
        self._transport.resume_reading()

    def _answer(self, request: h11.Request) -> Awaitable[None]:
        """Return what answers a request; of the request itself only what the application wants is kept."""
        if request.http_version not in (b"1.0", b"1.1"):
            return self._refuse(400, "this server speaks HTTP/1.1")
        self._has_no_body = request.method == b"HEAD"
        scope = _scope(request, self._client)
        if lock := self.peer.server.lock:
            self._add_what_is_wanted(lock, scope, request)
        return self._application(scope, _no_body, self._send)

    def _add_what_is_wanted(self, lock: "Lock", scope: Scope, request: h11.Request) -> None:
        scope["client"], scope["server"] = (self.peer.name, 0), None
        scope["headers"] += [(name, value) for name in lock.wanted if (value := _header(request, name))]
        if self.secured:
            scope["scheme"] = "https"
            scope["extensions"] = {"tls": {"client_cert_name": self.secured.client_name}}

    async def _refuse(self, status: int, sentence: str) -> None:
        await PlainTextResponse(f"{sentence}\n", status)({"type": "http"}, _no_body, self._send)

    async def _send(self, message: Message) -> None:
        """Send what the application says: a part goes out when the client has taken the one before."""
        if message["type"] == "http.response.start":
            self._is_answered = True
            is_ours = self._client.family == socket.AF_UNIX and not self.peer.server.lock
            if is_ours and _STREAM in message["headers"]:
                self._end.cancel()  # it ends with its reader
            self._transport.write(_head(message["status"], message["headers"]))
            return
        body = memoryview(b"" if self._has_no_body else message.get("body", b""))
        while body and not self._transport.is_closing():
            await self._until_writable()
            body = body[self._sent_at_once(body[:_PART]) :]
            kept = self.secured.record if self.secured else _KEPT
            self._transport.write(body[:kept])  # which tells us when the client has read
            body = body[kept:]
            self._parts += 1
            if self._parts % _TURN == 0:  # a client that keeps up would else keep the loop until it has all
                await asyncio.sleep(0)

    async def _until_writable(self) -> None:
        """Wait until asyncio has nothing of ours that goes before what comes next."""
        if self._writable:
            await self._writable

    def _sent_at_once(self, part: memoryview) -> int:
        """Return how much of a part the kernel has taken; what is secured has to become records first."""
        if self.secured:
            return 0
        try:
            return self._client.send(part)
        except OSError:  # it takes nothing now, or the client is gone, as asyncio will notice
            return 0


def _head(status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the head of a response; its body ends at its length, or with the connection."""
    now = formatdate(usegmt=True).encode("ascii")
    lines = [f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}".encode("ascii")]
    lines += [name + b": " + value for name, value in (*headers, (b"date", now), (b"connection", b"close"))]
    return b"\r\n".join([*lines, b"", b""])


async def _no_body() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


def _header(request: h11.Request, wanted: bytes) -> bytes:
    """Return the value of a header, which may come in several lines (RFC 9110, 5.3).

    What proxies have seen stands at its end, and before it whatever a client would like them to have seen.
    """
    value = b", ".join(value for name, value in request.headers if name == wanted)
    return value[-_LONGEST_HEADER:] if wanted == b"x-forwarded-for" else value[:_LONGEST_HEADER]


def _scope(request: h11.Request, client: socket.socket) -> Scope:
    """Return a request as ASGI has it. A target may be a whole address, as proxies write it."""
    target = request.target
    if absolute := _ABSOLUTE.match(target):
        target = target[absolute.end() :]
        target = target if target.startswith(b"/") else b"/" + target
    path, _, query = target.partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": request.http_version.decode("ascii"),
        "method": request.method.decode("ascii"),
        "scheme": "http",
        "path": unquote(path.decode("ascii")),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": [(name, value) for name in _WANTED if (value := _header(request, name))],
        "client": None,
        "server": ("unix", None) if client.family == socket.AF_UNIX else None,
    }
