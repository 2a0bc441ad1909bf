"""The showq service: one socket that lists the queues, message after message, for whoever may connect.

The answer is a stream of NUL-terminated names and values; an empty name ends a record. The first record is
the protocol's name, since 3.6. A message has one sender, and a recipient for each that still waits.
"""

import socket
from collections.abc import Callable, Iterator

from rscollector.api import Context, Misconfigured, Unavailable

_CHUNK = 1 << 16
_LONGEST = 1 << 20
"""Bytes of one name or value, at most: something longer is no answer of showq."""


def listing(path: str, context: Context) -> Iterator[dict[str, str]]:
    """Yield the messages as showq tells them: queue_name, queue_id, time, size, and recipients as a count.

    Raises Misconfigured where this user may not connect, Unavailable where nobody answers, or not to the end.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(context.budget())
        try:
            connection.connect(path)
        except PermissionError as error:
            raise Misconfigured(
                f"{path}: this user may not ask showq: it needs to be in the group postdrop"
            ) from error
        except OSError as error:
            raise Unavailable(f"{path}: nobody answers: Postfix is stopped ({error.strerror})") from error
        yield from records(_received(connection, path, context))


def _received(connection: socket.socket, path: str, context: Context) -> Callable[[], bytes]:
    def more() -> bytes:
        connection.settimeout(context.budget())
        try:
            return connection.recv(_CHUNK)
        except TimeoutError as error:
            raise Unavailable(f"{path}: showq does not answer") from error
        except OSError as error:
            raise Unavailable(f"{path}: showq broke off ({error.strerror})") from error

    return more


def records(more: Callable[[], bytes]) -> Iterator[dict[str, str]]:
    """Take a stream apart; raises Unavailable when it ends inside a record, or is none of showq's."""
    rest = b""
    name: bytes | None = None
    record: dict[str, str] = {}
    recipients = 0
    while chunk := more():
        *fields, rest = (rest + chunk).split(b"\0")
        if len(rest) > _LONGEST:
            raise Unavailable("this is no answer of showq")
        for field in fields:
            if name is None:
                if field:
                    name = field
                    continue
                if "queue_name" in record:
                    yield {**record, "recipients": str(recipients)}
                record, recipients = {}, 0
                continue
            if name == b"recipient":
                recipients += 1
            else:
                record[name.decode("ascii", "replace")] = field.decode("utf-8", "replace")
            name = None
    if rest or record or name is not None:
        raise Unavailable("showq broke off in the middle of a message")
