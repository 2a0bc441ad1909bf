"""Running a program, bounded: its time, its output and its life have an end that the caller has set.

A program is over when its process has ended, whoever else still has its output open. Whatever happens, it is
reaped when the call is over, and what it has left in its process group is killed: it has ended, or its time
was over, it wrote too much, or the caller wants no more. The kernel kills it when the process that started it
dies. It has a session of its own and speaks English (`LC_ALL=C.UTF-8`).

Raises Misconfigured for a program that cannot be started, and Unavailable for one that was killed, or has an
exit status that is no answer, with the beginning of what it said on its standard error.
"""

import errno
import fcntl
import os
import selectors
import signal
import subprocess
import termios
import time
from array import array
from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import IO, cast

from rscollector.api.deaths import die_with_thread, signal_name
from rscollector.model.errors import Misconfigured, Unavailable

_CHUNK = 1 << 16
_LONGEST = 1 << 20
_COMPLAINT = 500
_GONE = 1.0
_SHORT_OF = (errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ETXTBSY)
_WHY = "cannot be killed: it has changed its user, or hangs in the kernel"
_immortal: "list[tuple[str, subprocess.Popen[bytes]]]" = []


def output(command: Sequence[str], seconds: float, limit: int, answers: Collection[int]) -> bytes:
    """Run a program for at most `seconds`; return its output, of at most `limit` bytes.

    `answers` are the exit statuses that are no failure.
    """
    until = time.monotonic() + seconds
    kept = bytearray()
    with closing(_chunks(command, until, answers)) as chunks:
        for chunk in chunks:
            kept += chunk
            if len(kept) > limit:
                raise Unavailable(f"{command[0]} wrote more than {limit} bytes, killed")
            if time.monotonic() > until:  # it may never stop to write
                raise _late(command[0])
    return bytes(kept)


def lines(command: Sequence[str], seconds: float) -> Generator[bytes, None, None]:
    """Run a program and yield the lines of its output as they come, in the end one that is not complete.

    What has been written when its time is over is yielded too: the caller says when it is enough.
    """
    rest = b""
    with closing(_chunks(command, time.monotonic() + seconds, (0,))) as chunks:
        for chunk in chunks:
            *whole, rest = (rest + chunk).split(b"\n")
            yield from whole
            if len(rest) > _LONGEST:
                raise Unavailable(f"{command[0]} wrote a line of more than {_LONGEST} bytes, killed")
    if rest:
        yield rest


def _chunks(command: Sequence[str], until: float, answers: Collection[int]) -> Generator[bytes, None, None]:
    """Yield the output of a program in pieces, as they come. Raises unless it ends in time, and well.

    Its standard error is read too, so that it never blocks on that.
    """
    program, complaint = command[0], b""
    with _running(command) as (child, ended), selectors.DefaultSelector() as selector:
        written, said = cast(IO[bytes], child.stdout).fileno(), cast(IO[bytes], child.stderr).fileno()
        for source in (written, said, ended):
            selector.register(source, selectors.EVENT_READ)
        while ended not in (ready := _ready(selector, until)):
            if written not in ready and time.monotonic() > until:
                raise _late(program)
            for source in ready:
                chunk = os.read(source, _CHUNK)
                if not chunk:
                    selector.unregister(source)
                elif source == said:
                    complaint = (complaint + chunk)[:_COMPLAINT]
                else:
                    yield chunk
        complaint = (complaint + _what_is_there(said))[:_COMPLAINT]
        yield _what_is_there(written)
    if child.returncode not in answers:
        reason = complaint.decode("utf-8", "replace").strip() or "it said nothing"
        raise Unavailable(f"{program} failed ({_status(child.returncode)}): {reason}")


def _ready(selector: selectors.BaseSelector, until: float) -> list[int]:
    return [key.fd for key, _ in selector.select(max(0.001, until - time.monotonic()))]


def _what_is_there(pipe: int) -> bytes:
    """Return what a pipe holds now: somebody who is left may write into it for ever."""
    size = array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, size)
    return os.read(pipe, size[0]) if size[0] else b""


@contextmanager
def _running(command: Sequence[str]) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """Start a program, which is dead and reaped afterwards; the descriptor is ready when it has ended."""
    child = _started(command)
    with ExitStack() as undo:
        for pipe in (child.stdout, child.stderr):
            undo.callback(cast(IO[bytes], pipe).close)
        undo.callback(_end, child, command[0])
        try:
            ended = os.pidfd_open(child.pid)
        except OSError as error:
            raise Unavailable(f"cannot watch {command[0]}: {error.strerror}") from error
        undo.callback(os.close, ended)
        yield child, ended


def _started(command: Sequence[str]) -> "subprocess.Popen[bytes]":
    _immortal[:] = [(name, child) for name, child in _immortal if child.poll() is None]
    if any(name == command[0] for name, _ in _immortal):
        raise Unavailable(f"the last {command[0]} runs still, and {_WHY}")
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
            preexec_fn=die_with_thread,  # noqa: PLW1509  it calls one function that was looked up before
        )
    except OSError as error:
        kind = Unavailable if error.errno in _SHORT_OF else Misconfigured
        raise kind(f"cannot run {command[0]}: {error.strerror}") from error


def _end(child: "subprocess.Popen[bytes]", program: str) -> None:
    """Kill a program with its group and reap it; while one cannot be killed, it is not started again."""
    _kill(child)
    try:
        child.wait(_GONE)
    except subprocess.TimeoutExpired:
        _immortal.append((program, child))
        raise Unavailable(f"{program} {_WHY}") from None


def _kill(child: "subprocess.Popen[bytes]") -> None:
    """Kill a program that is not reaped yet, and its group."""
    with suppress(ProcessLookupError, PermissionError):  # it has changed its user
        os.killpg(child.pid, signal.SIGKILL)


def _late(program: str) -> Unavailable:
    return Unavailable(f"{program} did not end in time, killed")


def _status(status: int) -> str:
    return f"killed by {signal_name(-status)}" if status < 0 else f"exit status {status}"
