"""What can go wrong with a collector, by who can mend it.

A collector raises one of

    CollectError
    ├── Unavailable      the world: a server that is down, slow or refuses; the agent reconnects
    └── Misconfigured    the operator: a wrong password, a missing binary or privilege; hurrying is no use

and any other exception is the programmer's: a `bug`, whose traceback is logged once. The few exceptions
of the standard library that always speak of the world are read as such, so that a collector need not
translate them.
"""

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum


class FailureKind(StrEnum):
    """Why a collector failed; the value is the word in logs, metrics and on the status page."""

    UNAVAILABLE = "unavailable"
    MISCONFIGURED = "misconfigured"
    BUG = "bug"


class CollectError(Exception):
    """A failure that a collector expected; its text is shown to the operator as it is."""

    kind: FailureKind = FailureKind.BUG


class Unavailable(CollectError):
    """The service cannot be asked now; trying again may help."""

    kind = FailureKind.UNAVAILABLE


class Misconfigured(CollectError):
    """Someone has to change a setting, a privilege or a package before it can work."""

    kind = FailureKind.MISCONFIGURED


_UNREACHABLE = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN)
_WORLD = (ConnectionError, TimeoutError, socket.gaierror)
_OPERATOR = (FileNotFoundError, PermissionError)


def kind_of(error: Exception) -> FailureKind:
    """Return the kind of failure that an exception out of a collector stands for."""
    if isinstance(error, CollectError):
        return error.kind
    if isinstance(error, _WORLD) or (isinstance(error, OSError) and error.errno in _UNREACHABLE):
        return FailureKind.UNAVAILABLE
    if isinstance(error, _OPERATOR):
        return FailureKind.MISCONFIGURED
    return FailureKind.BUG


def said(error: BaseException) -> str:
    """Return the text of an exception, or its type where it has none, or cannot say it."""
    with fence():
        if text := str(error):
            return text
    return type(error).__name__


@contextmanager
def fence() -> Iterator[list[Exception]]:
    """Catch whatever a plugin's code raises, so that only the plugin pays for it.

    The list is empty after the block, or has the one exception. This is the only place that catches all.
    """
    caught: list[Exception] = []
    try:
        yield caught
    except Exception as error:  # noqa: BLE001  a plugin may raise anything
        caught.append(error)
