"""Whose failure it is."""

import errno
import socket

import pytest

from rscollector.model.errors import (
    CollectError,
    FailureKind,
    Misconfigured,
    Unavailable,
    fence,
    kind_of,
    said,
)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (Unavailable("down"), FailureKind.UNAVAILABLE),
        (Misconfigured("wrong"), FailureKind.MISCONFIGURED),
        (ConnectionResetError(), FailureKind.UNAVAILABLE),
        (TimeoutError(), FailureKind.UNAVAILABLE),
        (socket.gaierror(), FailureKind.UNAVAILABLE),
        (FileNotFoundError(), FailureKind.MISCONFIGURED),
        (PermissionError(), FailureKind.MISCONFIGURED),
        (OSError("disk"), FailureKind.BUG),
        (ValueError("oops"), FailureKind.BUG),
        (CollectError("neither"), FailureKind.BUG),
        (OSError(errno.EHOSTUNREACH, "No route to host"), FailureKind.UNAVAILABLE),
    ],
)
def test_every_exception_has_a_kind(error, kind):
    """The world's and the operator's errors are told from the programmer's."""
    assert kind_of(error) is kind


def test_the_fence_keeps_what_was_raised_and_lets_the_process_end():
    """Exceptions are caught; what asks the process to end is not."""
    with fence() as caught:
        raise ValueError("oops")
    assert [str(each) for each in caught] == ["oops"]
    with fence() as nothing:
        pass
    assert nothing == []
    with pytest.raises(SystemExit), fence():
        raise SystemExit(3)


def test_a_plugins_own_error_has_the_kind_of_the_one_it_is_made_from():
    """A collector may have exceptions of its own beneath ours, and beneath those of the standard library."""

    class PrimaryIsGone(Unavailable):
        """An error of a plugin."""

    class Odd(BrokenPipeError):
        """An error of a driver."""

    found = [kind_of(each) for each in (PrimaryIsGone("x"), Odd())]
    assert found == [FailureKind.UNAVAILABLE, FailureKind.UNAVAILABLE]


def test_what_was_caught_is_the_exception_itself():
    """The traceback and the cause are kept for the log."""
    error = ValueError("oops")
    with fence() as caught:
        raise error from KeyError("cause")
    assert caught[0] is error
    assert isinstance(caught[0].__cause__, KeyError)
    assert caught[0].__traceback__ is not None


class Speechless(Exception):
    """Cannot say what it is."""

    def __str__(self):
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("error", "text"),
    [(ValueError("wrong"), "wrong"), (ValueError(), "ValueError"), (Speechless(), "Speechless")],
)
def test_what_an_exception_says_is_never_nothing(error, text):
    """One without a text, or that cannot give it, is named by its type."""
    assert said(error) == text
