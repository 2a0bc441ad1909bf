"""rtnetlink for collectors: what the kernel says of links and addresses when asked, and of what changes.

A *dump* is the whole table at one moment; a *watch* is a socket in whose buffer the kernel leaves each change
until somebody reads it, without a thread. Only the kernel is believed: what another process sends is ignored.
An answer is complete or an error, and changes that were lost are told as an Overrun. No privilege is needed,
only that this process may open AF_NETLINK. What is seen is the network namespace where the socket was opened.
"""

import errno
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

from rscollector.api import CollectError, Context, Misconfigured, Unavailable
from rscollector.kit.rtnetlink import HEADER, LINK, Address, Link, Message, change, messages

LINKS, ADDRESSES = 1 << 0, 1 << 4 | 1 << 8
"""Groups of a Watch: links; addresses of IPv4 and of IPv6."""

_NLMSG_ERROR, _NLMSG_DONE, _NLMSG_OVERRUN = 2, 3, 4
_RTM_GETLINK, _RTM_GETADDR = 18, 22
_NLM_F_REQUEST, _NLM_F_DUMP, _NLM_F_DUMP_INTR = 0x1, 0x300, 0x10
_CODE = struct.Struct("=i")

_PART = 1 << 16
"""Bytes of one datagram, at most: the kernel makes none of a dump larger than 32 KiB."""
_LARGEST = 1 << 26
"""Bytes of one answer, at most: 40,000 links."""
_ATTEMPTS = 100
_PAUSE = 0.01
_SHUT_OUT = (errno.EPERM, errno.EACCES, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT)


@dataclass(frozen=True, slots=True)
class Overrun:
    """Changes were lost: what is known has to be compared with a dump that is made after this."""


Reader = Callable[[Message], Link | Address | None]
"""Makes of a message what it says, None of one about something else. Raises ValueError if it is malformed."""


def links(context: Context, read: Reader = change) -> list[Link]:
    """Return all links. Raises Unavailable or Misconfigured."""
    return [each for each in _dump(_RTM_GETLINK, context, read) if isinstance(each, Link)]


def addresses(
    context: Context, *, only: Callable[[Address], bool] | None = None, attempts: int = _ATTEMPTS
) -> list[Address]:
    """Return the addresses of all links, IPv4 and IPv6, or `only` those. Raises Unavailable or Misconfigured.

    A table that changes while it is read is asked for again, at most so many times in all.
    """

    def read(message: Message) -> Link | Address | None:
        each = change(message)
        return each if isinstance(each, Address) and (only is None or only(each)) else None

    return [each for each in _dump(_RTM_GETADDR, context, read, attempts) if isinstance(each, Address)]


class Watch:
    """A socket that the kernel tells each change of LINKS, ADDRESSES or both (`groups`) from now on.

    `buffer` is how many bytes may wait; the kernel gives net.core.rmem_max at most, and Debian's 212,992 hold
    512 changes of addresses. Raises Unavailable or Misconfigured.
    """

    def __init__(self, groups: int, buffer: int = 1 << 22) -> None:
        self._socket = _opened(groups)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self._at_once = 2 * buffer  # as much as may wait, for the kernel doubles it
        self._lost = False

    def events(self, context: Context) -> Iterator[Link | Address | Overrun]:
        """Yield what has changed since the last call, in order, and at the end whether something was lost.

        Read it to its end. It ends when nothing waits, when it has read as much as the buffer holds, or with
        the budget; the rest waits for the next call. Raises Unavailable.
        """
        until, size, empty = context.clock() + context.budget(), 0, False
        while not empty and size <= self._at_once and context.clock() <= until:
            try:
                part = _received(self._socket)
            except BlockingIOError:
                empty = True
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise _failure(error) from error
                self._lost = True
            else:
                size += len(part)
                with _readable():
                    heard = [each for message in messages(part) if (each := change(message))]
                yield from heard
        if self._lost:
            # The kernel leaves out whatever comes until all that waits is read, and says so only once: while
            # something is left to read, more may be lost after the caller's dump.
            self._lost = not empty
            yield Overrun()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def _dump(kind: int, context: Context, read: Reader, attempts: int = _ATTEMPTS) -> list[Link | Address]:
    with _opened(0) as connection:
        return _asked(connection, kind, context, read, attempts)


def _asked(
    connection: socket.socket, kind: int, context: Context, read: Reader = change, attempts: int = _ATTEMPTS
) -> list[Link | Address]:
    """Return what is read of a dump's answer; one during which the table has changed is asked for again."""
    until = context.clock() + context.budget()
    for sequence in count(1):
        # A link's header is the longer one, and zeroes ask for everything.
        flags, size = _NLM_F_REQUEST | _NLM_F_DUMP, HEADER.size + LINK.size
        try:
            connection.settimeout(context.budget())
            connection.send(HEADER.pack(size, kind, flags, sequence, 0) + bytes(LINK.size))
        except OSError as error:
            raise _failure(error) from error
        answer, whole = [], True
        with _readable():
            for message in _answer(connection, sequence, context):
                whole = whole and not message.flags & _NLM_F_DUMP_INTR
                if each := read(message):
                    answer.append(each)
        if whole:
            return answer
        if context.clock() >= until or sequence >= attempts:
            break
        time.sleep(_PAUSE)
    raise Unavailable(f"netlink: the table changed while it was read, {sequence} times in a row")


def _answer(connection: socket.socket, sequence: int, context: Context) -> Iterator[Message]:
    """Yield the messages of one answer, the last one is NLMSG_DONE. Raises unless it comes to that."""
    port, until, size = connection.getsockname()[0], context.clock() + context.budget(), 0
    while size <= _LARGEST and context.clock() <= until:
        connection.settimeout(context.budget())
        try:
            part = _received(connection)
        except OSError as error:
            raise _failure(error) from error
        size += len(part)
        with _readable():
            heard = list(messages(part))
        for message in heard:
            if (message.sequence, message.port) != (sequence, port):
                continue  # the answer to a question that was given up, or to somebody else's
            _check(message)
            yield message
            if message.type == _NLMSG_DONE:
                return
    raise Unavailable(f"netlink: the answer does not end ({size} bytes)")


def _opened(groups: int) -> socket.socket:
    opened = None
    try:
        opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        opened.bind((0, groups))
    except OSError as error:
        if opened:
            opened.close()
        if error.errno in _SHUT_OUT:
            raise Misconfigured(
                f"netlink: this process may not ask the kernel ({error.strerror}): "
                "RestrictAddressFamilies of the unit must allow AF_NETLINK"
            ) from error
        raise _failure(error) from error
    return opened


def _received(connection: socket.socket) -> bytes:
    """Return the next datagram, empty if it is not the kernel's. Raises OSError; Unavailable if it is cut."""
    part, _, flags, sender = connection.recvmsg(_PART)
    if sender[0]:
        return b""
    if flags & socket.MSG_TRUNC:
        raise Unavailable(f"netlink: a message of more than {_PART} bytes")
    return part


def _failure(error: OSError) -> CollectError:
    if error.errno in (errno.EPERM, errno.EACCES):
        return Misconfigured(f"netlink: the kernel refuses to answer this process ({error.strerror})")
    return Unavailable(f"netlink: {error.strerror or 'no answer in time'}")


def _check(message: Message) -> None:
    """Raise the error that a message tells; NLMSG_DONE has a code too, from a dump that broke off."""
    if message.type == _NLMSG_OVERRUN:
        raise Unavailable("netlink: the kernel has lost a part of the answer")
    if message.type in (_NLMSG_ERROR, _NLMSG_DONE):
        code = -_CODE.unpack_from(message.payload)[0] if len(message.payload) >= _CODE.size else 0
        if code:
            raise _failure(OSError(code, os.strerror(code) if 0 < code < 4096 else f"error {code}"))


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise Unavailable(f"netlink: the kernel's answer cannot be read: {error}") from error
