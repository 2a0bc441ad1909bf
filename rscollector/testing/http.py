"""A small HTTP server for the tests of plugins, which answers as the test says, and misbehaves on request.

    from rscollector.testing.http import FakeHttp, Reply, Trouble

    def test_a_leader_is_seen():
        with FakeHttp() as fake:
            fake.answers["/version"] = b'{"etcdserver": "3.5.1"}'
            fake.answers["/health"] = Reply(503, b'{"health": "false"}', {"Content-Type": "application/json"})
            fake.answers["/metrics"] = Trouble.DRIBBLING
            samples = collect(Etcd, {"host": fake.host, "port": fake.port})
        assert [request.path for request in fake.requests] == ["/version", "/health", "/metrics"]

It listens for as long as its `with` block lasts. Whatever clients do, and whatever was asked of it, it is
gone within a second after that, with all its threads.
"""

import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import Message
from enum import Enum
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Self

__all__ = ["FakeHttp", "Reply", "Request", "Trouble"]

_POLL = 0.02
_DRIP = 0.05
_CHUNK = b"x" * (1 << 16)
_WITHOUT_BODY = (204, 304)


@dataclass(frozen=True)
class Reply:
    """What is answered. A Content-Length is added unless `headers` has one, or a Transfer-Encoding."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """What was asked: `path` with its query; `headers` finds a name in upper and lower case."""

    method: str
    path: str
    headers: Message
    body: bytes


class Trouble(Enum):
    """What a server may do instead of answering."""

    SILENT = "takes the question and says nothing"
    DRIBBLING = "answers a byte now and then, and does not come to an end"
    BROKEN_OFF = "hangs up in the middle of its answer"
    NOT_HTTP = "says something else"
    TOO_LARGE = "answers without an end, as fast as it can"


class FakeHttp:
    """A server on a loopback port, or on a Unix socket at `path`; with `tls`, a server's context, over TLS.

    `answers` maps a path to a Reply, to bytes (a body with status 200) or to a Trouble. A path with its query
    comes before one without, and a method with its path, such as "POST /api/put", before both; what is not
    there is 404. It may be changed at any time. `requests` lists what was asked, in the order of coming.
    """

    def __init__(self, path: Path | str | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.answers: dict[str, Reply | bytes | Trouble] = {}
        self.requests: list[Request] = []
        self._place = str(path) if path else ("127.0.0.1", 0)
        self._tls = tls

    def __enter__(self) -> Self:
        kind = _UnixServer if isinstance(self._place, str) else _TcpServer
        self._server = kind(self._place, _handler(self), self._tls)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.hang_up()
        self._server.server_close()  # which waits for the threads
        if isinstance(self._place, str):
            Path(self._place).unlink(missing_ok=True)

    @property
    def address(self) -> str | tuple[str, int]:
        """Where it listens: the path of its Unix socket, or host and port."""
        return self._place if isinstance(self._place, str) else (self.host, self.port)

    @property
    def host(self) -> str:
        """The IP address, of a server on a port."""
        return str(self._server.server_address[0])

    @property
    def port(self) -> int:
        """The port, of a server on one."""
        return int(self._server.server_address[1])

    def answer_to(self, request: Request) -> Reply | Trouble:
        """Return what the table has for a request."""
        path = request.path.partition("?")[0]
        for key in (f"{request.method} {request.path}", f"{request.method} {path}", request.path, path):
            if (found := self.answers.get(key)) is not None:
                return Reply(body=found) if isinstance(found, bytes) else found
        return Reply(404, b"the test has no answer for this path\n")


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Has a thread for each connection, and can end them all."""

    request_queue_size = 100
    allow_reuse_address = True

    def __init__(self, place: Any, handler: type[BaseHTTPRequestHandler], tls: ssl.SSLContext | None) -> None:
        self.closing = threading.Event()
        self._tls = tls
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        super().__init__(place, handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, client = self.socket.accept()
        if self._tls:  # the handshake is made by the connection's own thread
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        with self._lock:
            self._open.add(connection)
        return connection, client

    def close_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
            request.close()

    def hang_up(self) -> None:
        """Cut all connections: who waits for something waits no longer."""
        self.closing.set()
        with self._lock:
            for connection in self._open:
                with suppress(OSError):  # of TLS only the socket beneath is safe to be used by two threads
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def handle_error(self, *_: Any) -> None:
        """Say nothing: clients that hang up are what this is for."""


class _TcpServer(_Server):
    pass


class _UnixServer(_Server):
    address_family = socket.AF_UNIX


def _handler(fake: FakeHttp) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body are one packet
        server: _Server

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            request = Request(self.command, self.path, self.headers, body)
            fake.requests.append(request)
            match fake.answer_to(request):
                case Reply() as reply:
                    self.reply(reply)
                case Trouble() as trouble:
                    self.close_connection = True
                    for part in _parts(trouble, self.server.closing):
                        self.wfile.write(part)
                        self.wfile.flush()

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = answer  # noqa: N815  as http.server calls them

        def reply(self, reply: Reply) -> None:
            given = {name.lower() for name in reply.headers}
            self.send_response(reply.status)
            for name, text in reply.headers.items():
                self.send_header(name, text)
            if not given & {"content-length", "transfer-encoding"} and reply.status not in _WITHOUT_BODY:
                self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    return Handler


def _parts(trouble: Trouble, closing: threading.Event) -> Iterator[bytes]:
    """Yield what a server says that misbehaves."""
    match trouble:
        case Trouble.SILENT:
            closing.wait()
        case Trouble.DRIBBLING:
            yield b"HTTP/1.1 200 OK\r\n\r\n"
            while not closing.wait(_DRIP):
                yield b"x"
        case Trouble.BROKEN_OFF:
            yield b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nthis is only the begi"
        case Trouble.NOT_HTTP:
            yield b"220 mail.example ESMTP\r\n"
        case Trouble.TOO_LARGE:
            yield b"HTTP/1.1 200 OK\r\n\r\n"
            while not closing.is_set():
                yield _CHUNK
