"""One question to one server over one connected socket, until there is an answer or a reason why not.

A connected socket hears only whom it has asked, and hears of a port at which nobody listens. Whoever sends
what is no answer to our question is not listened to, and may not end the wait for the one that is. It never
waits: who has all of them is told by a selector when there is something to receive.
"""

import errno
import os
import selectors
import socket
import struct
import time
from contextlib import suppress

from collectors.dns.heard import Failure, Heard, Query
from collectors.dns.wire import LONGEST_ANSWER, Malformed, is_truncated, message, refuses_edns
from rscollector.api import one_line

_JUNK = 20
"""Datagrams of one server that are no answer, until it is not listened to any more."""
_SO_TIMESTAMPNS = 35  # Linux, asm-generic/socket.h
_TIMESPEC = struct.Struct("@ll")
_STAMP_SPACE = socket.CMSG_SPACE(_TIMESPEC.size)


class Talk:
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
        """Whether the answer says that there is more of it over TCP."""
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
        """Give back the socket."""
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


class Udp(Talk):
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
        """Take the datagrams that have come, and when the kernel received them."""
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

        The kernel begins to stamp a moment after the first socket wants it: what came before is timed by our
        taking. It stamps by the wall clock: when that is set meanwhile, our taking is the bound.
        """
        passed = time.monotonic() - self._began
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS) and len(data) == _TIMESPEC.size:
                seconds, nanoseconds = _TIMESPEC.unpack(data)
                received: float = seconds + nanoseconds / 1e9
                return min(passed, max(0.0, received - self._sent))
        return passed

    def read(self) -> None:
        """Find the right answer among them."""
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


class Tcp(Talk):
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
        """Go on with the connection: send what is left of the question, and take what has come."""
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
        """Read the first message, if all of it is there."""
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
