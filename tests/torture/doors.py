"""The doors of an agent, and how strangers come through them: what they send, and what they get to see.

Nothing here knows what serves behind the door: requests are bytes, and of the answers only that is looked at
which any client sees.
"""

import re
import selectors
import socket
import ssl
import struct
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from random import randrange

HOST = b"Host: localhost\r\n"
_HEAD = 4096  # of what is sent to a crowd only the beginning is kept
_PAGE = "/metrics"


@dataclass(frozen=True)
class Door:
    """A listener of an agent."""

    name: str
    family: int
    address: object
    headers: dict = field(default_factory=dict)
    """What an honest client says there."""

    def connect(self, timeout=10.0, buffer=None):
        """Return a connection; `buffer` is how much the kernel may keep of what the client does not read.

        A Unix socket whose backlog is full refuses a client that does not block; he waits, as others do.
        """
        deadline = time.monotonic() + timeout
        client = socket.socket(self.family)
        try:
            if buffer is not None:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            client.settimeout(timeout)
            while True:
                try:
                    client.connect(self.address)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise TimeoutError(f"{self.name}: nobody accepts") from None
                    time.sleep(0.005)
        except OSError:
            client.close()
            raise
        return client

    def connect_as_scraper(self, timeout):
        """Return a connection of who comes again and again."""
        return self.connect(timeout)


@dataclass(frozen=True)
class TlsDoor(Door):
    """A listener with TLS. Each stranger comes from another address, as far as there are some."""

    context: ssl.SSLContext = None
    scraper: str | None = "127.0.0.1"
    """The address of who scrapes again and again; None has one for each scrape."""

    def plain(self, timeout=10.0, buffer=None, source=None):
        """Return a connection on which no TLS is spoken yet."""
        client = socket.socket(self.family)
        if buffer is not None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        client.settimeout(timeout)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as all that scrape have it
        client.bind((source or f"127.{randrange(1, 255)}.{randrange(256)}.{randrange(1, 255)}", 0))
        client.connect(self.address)
        return client

    def connect(self, timeout=10.0, buffer=None, source=None):
        """Return a connection after its handshake; who is told that there are too many comes again."""
        deadline = time.monotonic() + timeout
        while True:
            client = self.plain(timeout, buffer, source)
            try:
                return self.context.wrap_socket(client, server_hostname="localhost")
            except ssl.SSLError as error:
                client.close()
                if error.reason != "TLSV1_ALERT_INTERNAL_ERROR" or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def connect_as_scraper(self, timeout):
        """Return a connection of who comes again and again."""
        return self.connect(timeout, source=self.scraper)


def request(path=_PAGE, *lines, method="GET"):
    """Return a request; each line is a header."""
    given = b"".join(
        (line if isinstance(line, bytes) else line.encode("latin-1")) + b"\r\n" for line in lines
    )
    return f"{method} {path} HTTP/1.1\r\n".encode() + HOST + given + b"\r\n"


def say(client, data):
    """Send, to somebody who may have hung up; tell whether all of it was taken."""
    with suppress(OSError):
        client.sendall(data)
        return True
    return False


@contextmanager
def crowd(door, count, sends=b"", buffer=None):
    """That many clients, who have sent something."""
    with ExitStack() as stack:
        clients = []
        for _ in range(count):
            clients.append(stack.enter_context(door.connect(buffer=buffer)))
            say(clients[-1], sends)
        yield clients


@dataclass
class Answer:
    """What a client was sent: how it begins, how much it was, and whether it was the end."""

    start: bytes = b""
    size: int = 0
    closed: bool = False

    @property
    def status(self):
        """The status, 0 where there is none."""
        return int(self.start[9:12]) if self.start.startswith(b"HTTP/1.1 ") else 0

    @property
    def is_whole(self):
        """Whether there is as much as was promised."""
        head, end, _ = self.start.partition(b"\r\n\r\n")
        promised = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        return bool(promised) and self.size == len(head + end) + int(promised[1])


def read_all(clients, timeout=60.0, keep=_HEAD):
    """Return what each client is sent until its end, or until the time is over; one at a time reads 256 KiB."""
    answers = {client: Answer() for client in clients}
    buffer = memoryview(bytearray(1 << 18))
    deadline = time.monotonic() + timeout
    with selectors.DefaultSelector() as reading:  # select() knows no more than 1024
        for client in clients:
            reading.register(client, selectors.EVENT_READ)
        while reading.get_map() and time.monotonic() < deadline:
            for key, _ in reading.select(1):
                answer = answers[key.fileobj]
                got = _received(key.fileobj, buffer)
                answer.start += buffer[: min(got, keep - len(answer.start))]
                answer.size += got
                if not got:
                    answer.closed = True
                    reading.unregister(key.fileobj)
    return list(answers.values())


def _received(client, buffer):
    try:
        return client.recv_into(buffer)
    except (ConnectionError, TimeoutError):
        return 0


def exchange(door, data, timeout=20.0):
    """Send and return all that comes until the connection is closed; fails if it is not."""
    with door.connect() as client:
        say(client, data)
        (answer,) = read_all([client], timeout, keep=1 << 24)
    assert answer.closed, f"{door.name}: still open after {timeout} s, and sent {data[:80]!r}"
    return answer.start


def exchange_all(door, sends, timeout=20.0):
    """Send each of these on a connection of its own, at once, and return what comes, by the same names."""
    with crowd(door, len(sends)) as clients:
        for client, data in zip(clients, sends.values(), strict=True):
            say(client, data)
        answers = read_all(clients, timeout)
    still = [name for name, answer in zip(sends, answers, strict=True) if not answer.closed]
    assert still == [], f"{door.name}: still open after {timeout} s"
    return {name: answer.start for name, answer in zip(sends, answers, strict=True)}


def statuses(data):
    """Return the status of each answer, one or more, in what a connection has been sent."""
    return [int(each) for each in re.findall(rb"HTTP/1\.\d (\d{3})[ \r]", data)]


def headers(data):
    """Return the headers of an answer, and its body."""
    head, _, body = data.partition(b"\r\n\r\n")
    lines = (line.partition(b":") for line in head.split(b"\r\n")[1:])
    return {name.strip().lower().decode(): value.strip().decode() for name, _, value in lines}, body


def is_cut(client):
    """Tell whether the other side has ended the connection, and sends nothing else."""
    client.setblocking(False)
    try:
        while client.recv(1 << 16):
            pass
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True
    return True


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_SETTINGS, _HEADERS = 4, 1
_INITIAL_WINDOW_SIZE = 4
_END = 0x5  # END_STREAM and END_HEADERS


def _frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _literal(name, value):
    return bytes((0, len(name))) + name + bytes((len(value),)) + value


def settings(window):
    """Return the frame with which a client of HTTP/2 begins; its window is what it takes of each stream."""
    return _frame(_SETTINGS, 0, 0, struct.pack(">HI", _INITIAL_WINDOW_SIZE, window))


def streams(count, first=1):
    """Return the frames of that many requests for the page on one connection of HTTP/2."""
    path = _PAGE.encode()
    fields = ((b":method", b"GET"), (b":path", path), (b":scheme", b"http"), (b":authority", b"localhost"))
    block = b"".join(_literal(*field) for field in fields)
    return b"".join(_frame(_HEADERS, _END, first + 2 * number, block) for number in range(count))
