"""All servers are asked at once, over UDP and TCP, each by a connected socket of its own.

A connected socket hears only whom it has asked, and hears of a port at which nobody listens. Whatever is
silent costs the one timeout that all have; whoever sends what is no answer to our question is not listened
to, and may not end the wait for the one that is. Nothing that one server does is the failure of another's
answer.
"""

import errno
import os
import selectors
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from dns.message import Message

from collectors.dns.wire import (
    LONGEST_ANSWER,
    Malformed,
    Question,
    is_truncated,
    message,
    refuses_edns,
)
from rscollector.api import one_line

PORT = 53
_JUNK = 20
"""Datagrams of one server that are no answer, until it is not listened to any more."""
_SO_TIMESTAMPNS = 35  # Linux, asm-generic/socket.h
_TIMESPEC = struct.Struct("@ll")
_STAMP_SPACE = socket.CMSG_SPACE(_TIMESPEC.size)


class Failure(StrEnum):
    """Why there is no answer."""

    SILENT = "silent"
    CLOSED = "closed"
    UNREACHABLE = "unreachable"
    MALFORMED = "malformed"
    TRUNCATED = "truncated"
    UNASKED = "unasked"
    """This host cannot ask it: it has no route there, no IPv6, no sockets left, or may not."""


class Heard(NamedTuple):
    """What came over UDP or over TCP: a message, or why there is none and what is told of that."""

    message: Message | None
    failure: Failure | None = None
    why: str = ""
    seconds: float = 0.0

    @property
    def answers(self) -> bool:
        """Whether somebody answers, be it that there is more over TCP."""
        return self.message is not None or self.failure is Failure.TRUNCATED


@dataclass(frozen=True)
class Query:
    """Whom to ask what; over TCP as well (`tcp`), or only where the answer over UDP is truncated."""

    question: Question
    address: str
    port: int = PORT
    tcp: bool = False


class Answer(NamedTuple):
    """What came; `tcp` is None where it was not asked over TCP."""

    udp: Heard
    tcp: Heard | None

    @property
    def best(self) -> Heard:
        """The message that there is, over UDP unless TCP tells more, or the reason that tells most."""
        if self.tcp is None or (self.udp.message and not self._tells_more_over_tcp):
            return self.udp
        if self.tcp.message:
            return self.tcp
        told = {self.udp.failure: self.udp, self.tcp.failure: self.tcp}
        order = (Failure.TRUNCATED, Failure.MALFORMED, self.udp.failure)
        return next(told[each] for each in order if each in told)

    @property
    def _tells_more_over_tcp(self) -> bool:
        """Whether only over TCP the answer has EDNS, and so signatures: the first datagram may be lost."""
        udp, tcp = self.udp.message, self.tcp and self.tcp.message
        return bool(udp and tcp and udp.edns < 0 <= tcp.edns)


def ask(queries: Sequence[Query], seconds: float) -> list[Answer]:
    """Ask everybody at once, and return the answers in the same order, after so many seconds at most."""
    with selectors.DefaultSelector() as selector:
        round_ = _Round(selector)
        try:
            return round_.run(queries, seconds)
        finally:
            round_.close()


class _Round:
    """Questions that are under way."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self._open: set[_Talk] = set()

    def run(self, queries: Sequence[Query], seconds: float) -> list[Answer]:
        asked = [(self._begin(_Udp(each)), self._begin(_Tcp(each)) if each.tcp else None) for each in queries]
        also: dict[int, _Talk] = {}
        began = time.monotonic()
        again, end = began + seconds / 2, began + seconds
        while self._open and (now := time.monotonic()) < end:
            if now >= again:
                again = end
                for each in [each for each in self._open if isinstance(each, _Udp)]:
                    each.repeat()
                    self._sort(each)
            for talk in self._hear(min(again, end) - time.monotonic()):
                if isinstance(talk, _Udp) and talk.is_truncated and not talk.query.tcp:
                    also[id(talk)] = self._begin(_Tcp(talk.query))
        answers = []
        for udp, by_tcp in asked:
            tcp = by_tcp or also.get(id(udp))
            answers.append(Answer(udp.heard, tcp.heard if tcp else None))
        return answers

    def _begin(self, talk: "_Talk") -> "_Talk":
        talk.begin()
        self._sort(talk)
        return talk

    def _sort(self, talk: "_Talk") -> None:
        """Have the selector wait for what this one waits for."""
        if talk.over:
            if talk in self._open:
                self._selector.unregister(talk.channel)
                self._open.discard(talk)
            talk.close()
        elif talk not in self._open:
            self._selector.register(talk.channel, talk.events, talk)
            self._open.add(talk)
        elif self._selector.get_key(talk.channel).events != talk.events:
            self._selector.modify(talk.channel, talk.events, talk)

    def _hear(self, seconds: float) -> Iterator["_Talk"]:
        """Take what has come: all of it is received before anything is read, for that takes its time."""
        ready = [key.data for key, _ in self._selector.select(max(0.0, seconds))]
        for talk in ready:
            talk.receive()
        for talk in ready:
            talk.read()
            self._sort(talk)
            if talk.over:
                yield talk

    def close(self) -> None:
        for talk in self._open:
            talk.close()


class _Talk:
    """A question to one server over one socket."""

    channel: socket.socket
    kind: int
    events = selectors.EVENT_READ

    def __init__(self, query: Query) -> None:
        self.query = query
        self.heard = Heard(None, Failure.SILENT)
        self.over = False
        self._id = int.from_bytes(os.urandom(2), "big")
        self._wire = query.question.wire
        self._began = self._came = time.monotonic()

    @property
    def is_truncated(self) -> bool:
        return self.heard.failure is Failure.TRUNCATED

    def begin(self) -> None:
        """Make the socket and send; what fails here is this host's affair, but for a port that is closed."""
        family = socket.AF_INET6 if ":" in self.query.address else socket.AF_INET
        try:
            self.channel = socket.socket(family, self.kind | socket.SOCK_NONBLOCK)
        except OSError as error:
            self._fail(Failure.UNASKED, error.strerror or str(error))
            return
        try:
            self._began = time.monotonic()
            self._connect()
        except ConnectionRefusedError as error:
            self._failed(error)
        except OSError as error:
            self._fail(Failure.UNASKED, error.strerror or str(error))

    def _connect(self) -> None:
        raise NotImplementedError

    def receive(self) -> None:
        """Take the bytes that have come."""
        raise NotImplementedError

    def read(self) -> None:
        """Make of them what they are."""
        raise NotImplementedError

    def close(self) -> None:
        with suppress(AttributeError):  # there is no socket where none could be made
            self.channel.close()

    def _asked(self) -> bytes:
        return self._id.to_bytes(2, "big") + self._wire[2:]

    def _fail(self, failure: Failure, why: str = "") -> None:
        self.heard = Heard(None, failure, why, time.monotonic() - self._began)
        self.over = True

    def _failed(self, error: OSError) -> None:
        """End with what the network says of the other end."""
        match error:
            case ConnectionError():
                failure = Failure.CLOSED
            case TimeoutError():
                failure = Failure.SILENT
            case _:
                failure = Failure.UNREACHABLE
        self._fail(failure, error.strerror or str(error))

    def _take(self, wire: bytes) -> bool:
        """Read an answer; tell whether the question is to be sent again, without EDNS."""
        try:
            read = message(wire)
        except Malformed as error:
            self.heard = Heard(None, Failure.MALFORMED, one_line(str(error), 200))
            return False
        if refuses_edns(read) and self._wire is self.query.question.wire:
            return True
        self.heard = Heard(read, seconds=self._came - self._began)
        self.over = True
        return False


class _Udp(_Talk):
    """Over UDP: what is no answer is ignored, and the right one waited for."""

    kind = socket.SOCK_DGRAM

    def __init__(self, query: Query) -> None:
        super().__init__(query)
        self._got: list[bytes] = []
        self._junk = 0
        self._sent = 0.0

    def _connect(self) -> None:
        self.channel.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self.channel.connect((self.query.address, self.query.port))
        self._sent = time.time()
        self.channel.send(self._asked())

    def repeat(self) -> None:
        """Send again, without EDNS: a datagram may be lost, and some servers drop what they do not know."""
        self._wire = self.query.question.plain
        try:
            self.channel.send(self._asked())
        except BlockingIOError:
            pass  # what the kernel has no room for is lost, as on any way
        except OSError as error:
            self._failed(error)

    def receive(self) -> None:
        try:
            for _ in range(_JUNK):
                data, ancillary, *_ = self.channel.recvmsg(65_535, _STAMP_SPACE)
                self._got.append(data)
                self._came = self._began + self._passed(ancillary)
        except BlockingIOError:
            pass
        except OSError as error:
            if not self._got:
                self._failed(error)

    def _passed(self, ancillary: list[tuple[int, int, bytes]]) -> float:
        """Return the seconds until the kernel has received it, which is before we come to take it.

        It begins to stamp a moment after the first socket wants it: what came before is timed by our taking.

        That is by the wall clock: when it is set meanwhile, it is the time until we have taken it at most.
        """
        passed = time.monotonic() - self._began
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS) and len(data) == _TIMESPEC.size:
                seconds, nanoseconds = _TIMESPEC.unpack(data)
                received: float = seconds + nanoseconds / 1e9
                return min(passed, max(0.0, received - self._sent))
        return passed

    def read(self) -> None:
        got, self._got = self._got, []
        for wire in got:
            if self.over:
                return
            if not self.query.question.is_answered_by(wire, self._id):
                self.heard = Heard(None, Failure.MALFORMED, "what came is no answer to our question")
            elif is_truncated(wire):
                self._fail(Failure.TRUNCATED)
            elif self._take(wire):
                self.repeat()
                continue
            self._junk += 1
            if self._junk >= _JUNK:
                self.over = True


class _Tcp(_Talk):
    """Over TCP: two bytes of length before each message."""

    kind = socket.SOCK_STREAM
    events = selectors.EVENT_WRITE

    def __init__(self, query: Query) -> None:
        super().__init__(query)
        self._got = b""
        self._to_send = b""
        self._is_connected = False

    def _connect(self) -> None:
        self._put()
        code = self.channel.connect_ex((self.query.address, self.query.port))
        if code not in (0, errno.EINPROGRESS):
            raise OSError(code, os.strerror(code))

    def _put(self) -> None:
        self._to_send += len(self._wire).to_bytes(2, "big") + self._asked()

    def receive(self) -> None:
        try:
            if not self._is_connected:
                if code := self.channel.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    raise OSError(code, os.strerror(code))  # noqa: TRY301  as if connect had said it
                self._is_connected = True
            if self._to_send:
                self._to_send = self._to_send[self.channel.send(self._to_send) :]
            self._more()
        except BlockingIOError:
            pass
        except OSError as error:
            self._failed(error)
        self.events = selectors.EVENT_WRITE if self._to_send else selectors.EVENT_READ

    def _more(self) -> None:
        while not self._whole():
            if not (more := self.channel.recv(65_535)):
                raise ConnectionResetError(errno.ECONNRESET, "it has closed the connection without an answer")
            self._got += more
            self._came = time.monotonic()

    def _whole(self) -> bytes:
        """Return the first message, if all of it is there."""
        end = 2 + int.from_bytes(self._got[:2], "big")
        return self._got[2:end] if len(self._got) >= max(2, end) else b""

    def read(self) -> None:
        if self.over:
            return
        if int.from_bytes(self._got[:2], "big") > LONGEST_ANSWER:
            self._fail(Failure.MALFORMED, f"it announces more than {LONGEST_ANSWER} bytes")
        elif wire := self._whole():
            self._got = self._got[2 + len(wire) :]
            if not self.query.question.is_answered_by(wire, self._id):
                self._fail(Failure.MALFORMED, "what came is no answer to our question")
            elif is_truncated(wire):
                self._fail(Failure.TRUNCATED)
            elif self._take(wire):
                self._wire = self.query.question.plain
                self._put()
                self.events = selectors.EVENT_WRITE
            else:
                self.over = True
        elif len(self._got) >= 2 and not any(self._got[:2]):
            self._fail(Failure.MALFORMED, "a message of no bytes")
