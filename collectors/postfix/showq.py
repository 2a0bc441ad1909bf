"""The showq service: one socket that lists the queues, message after message, for whoever may connect.

The answer is a stream of NUL-terminated names and values; an empty name ends a record, an empty record all of
it. The first record is the protocol's name, since 3.6. A message has one sender, and a recipient for each
that still waits. Addresses and reasons are strangers' and are let go where they are read.
"""

import os
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from collectors.postfix.access import closed, shut_out
from rscollector.api import Context, Misconfigured, Unavailable

_CHUNK = 1 << 16
_KEPT = (b"queue_name", b"time", b"size")
_NUMBER = re.compile(rb"\d{1,15}")
_LONGEST_PATH = 107
_LONGEST = 1 << 20
"""Bytes of one name or value, at most: something longer is no answer of showq."""


class Message(NamedTuple):
    """What showq tells of a message; `arrival` in seconds since 1970, `size` in bytes."""

    queue: str
    arrival: int
    size: int
    recipients: int


def listing(path: str, context: Context, seconds: float) -> Iterator[Message]:
    """Yield the messages that showq lists, which may take so many seconds.

    Raises Misconfigured where this user, or anybody, cannot connect, Unavailable where nobody answers, or not
    to the end.
    """
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise Misconfigured(
            f"{path}: showq cannot be asked: a socket's path has at most {_LONGEST_PATH} bytes, and this "
            "has more; let queue_directory be a link to it with a short name"
        )
    until = context.clock() + seconds
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(seconds)
        try:
            connection.connect(path)
        except PermissionError:
            raise Misconfigured(_refused(Path(path))) from None
        except (BlockingIOError, TimeoutError):
            raise _silent(
                path, "so many wait for its answer already that the kernel lets in no more"
            ) from None
        except FileNotFoundError:
            raise Unavailable(
                f"{path}: no such socket: Postfix was never started with this queue directory, or it is none "
                "of Postfix'"
            ) from None
        except OSError as error:
            raise Unavailable(f"{path}: nobody answers: Postfix is stopped ({error.strerror})") from None
        try:
            yield from messages(_received(connection, path, context, until))
        except NoListing as error:
            raise Unavailable(f"{path}: showq was asked for the queues: {error}") from None


def _refused(path: Path) -> str:
    directory = closed(path)
    if directory is None or directory == path.parent:  # Postfix lets its group pass there
        return f"{path}: this user may not ask showq: it needs to be in the group postdrop"
    return shut_out(path, directory)


def _received(connection: socket.socket, path: str, context: Context, until: float) -> Callable[[], bytes]:
    began, received = context.clock(), 0

    def more() -> bytes:
        nonlocal received
        connection.settimeout(max(0.0, until - context.clock()))
        try:
            chunk = connection.recv(_CHUNK)
        except (TimeoutError, BlockingIOError):
            if received:
                raise _unfinished(path, until - began, received) from None
            raise _silent(path, f"it has said nothing for {until - began:.1f} s") from None
        except OSError as error:
            raise Unavailable(f"{path}: showq broke off its answer ({error.strerror})") from None
        received += len(chunk)
        return chunk

    return more


def _unfinished(path: str, seconds: float, received: int) -> Unavailable:
    return Unavailable(
        f"{path}: showq was asked for the queues and has not come to their end within {seconds:.1f} s "
        f"({received} bytes came): they are too long for this timeout, or it was stopped meanwhile; "
        "`time postqueue -j | wc -l` tells"
    )


def _silent(path: str, what: str) -> Unavailable:
    return Unavailable(
        f"{path}: showq does not answer: it was asked for the queues, and {what}; it or Postfix' master was "
        "stopped by a signal (STAT T in `ps -C master,showq -o pid,stat,args`: kill -CONT it, or restart "
        "Postfix), or waits for the disk (STAT D)"
    )


class NoListing(Exception):
    """What came is no listing of queues; the sentence says what it is instead, and no word of it."""


def messages(more: Callable[[], bytes]) -> Iterator[Message]:
    """Take a stream apart; raises NoListing when it ends too early, or is none of showq's."""
    record: dict[bytes, bytes] = {}
    recipients, begun, ended = 0, False, False
    fields = _fields(more)
    for name in fields:
        if name:
            value = next(fields, b"")
            begun, ended = True, False
            if name == b"recipient":
                recipients += 1
            elif name in _KEPT:
                record[name] = value
            continue
        if b"queue_name" in record:
            yield _message(record, recipients)
        begun, ended = False, not begun
        record, recipients = {}, 0
    if not ended:
        raise NoListing("it hung up before the end")


def _fields(more: Callable[[], bytes]) -> Iterator[bytes]:
    rest, whole = b"", 0
    while chunk := more():
        *fields, rest = (rest + chunk).split(b"\0")
        whole += len(fields)
        yield from fields
        if len(rest) > _LONGEST:
            raise NoListing("what came is none")
    if rest and not whole:
        raise NoListing("what came is a text, as Postfix before 3.1 gives it")


def _message(record: dict[bytes, bytes], recipients: int) -> Message:
    arrival, size = (_number(record, name) for name in (b"time", b"size"))
    return Message(record[b"queue_name"].decode("ascii", "replace"), arrival, size, recipients)


def _number(record: dict[bytes, bytes], name: bytes) -> int:
    text = record.get(name, b"")
    if not _NUMBER.fullmatch(text):
        raise NoListing(f"it told of a message whose {name.decode()} is no number")
    return int(text)
