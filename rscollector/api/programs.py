"""Running a program, bounded: its time, its output and its life have an end that the caller has set.

Whatever happens, the program is dead and reaped when the call is over: it has ended, or it was killed because
its time was over, it wrote too much, or the caller wants no more. The kernel kills it when the process that
has started it dies.

Raises Misconfigured for a program that cannot be started, and Unavailable for one that was killed or did not
exit with 0, with the beginning of what it said on its standard error.
"""

import ctypes
import os
import selectors
import signal
import subprocess
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import IO, cast

from rscollector.model.errors import Misconfigured, Unavailable

_CHUNK = 1 << 16
_LONGEST = 1 << 20
_COMPLAINT = 500


def output(command: Sequence[str], remaining: Callable[[], float], limit: int) -> bytes:
    """Run a program for as long as there is time `remaining`; return its output, of at most `limit` bytes."""
    kept = bytearray()
    with closing(_chunks(command, remaining)) as chunks:
        for chunk in chunks:
            kept += chunk
            if len(kept) > limit:
                raise Unavailable(f"{command[0]} wrote more than {limit} bytes, killed")
            if not remaining():  # it may never stop to write
                raise _late(command[0])
    return bytes(kept)


def lines(command: Sequence[str], remaining: Callable[[], float]) -> Generator[bytes, None, None]:
    """Run a program and yield the lines of its output as they come, in the end one that is not complete.

    What has been written when its time is over is yielded too: the caller says when it is enough.
    """
    rest = b""
    with closing(_chunks(command, remaining)) as chunks:
        for chunk in chunks:
            *whole, rest = (rest + chunk).split(b"\n")
            yield from whole
            if len(rest) > _LONGEST:
                raise Unavailable(f"{command[0]} wrote a line of more than {_LONGEST} bytes, killed")
    if rest:
        yield rest


def _chunks(command: Sequence[str], remaining: Callable[[], float]) -> Generator[bytes, None, None]:
    """Yield the output of a program in pieces, as they come. Raises unless it ends in time, and well.

    The output ends when nobody has it open any more, which a process that the program left behind may have.
    Its standard error is read too, so that it never blocks on that, and only until the program has ended.
    """
    program, complaint = command[0], b""
    with _running(command) as (child, ended), selectors.DefaultSelector() as selector:
        written, said = cast(IO[bytes], child.stdout).fileno(), cast(IO[bytes], child.stderr).fileno()
        for source in (written, said, ended):
            selector.register(source, selectors.EVENT_READ)
        awaited = {written, ended}
        while awaited:
            ready = selector.select(max(0.001, remaining()))
            if not ready:
                raise _late(program)
            for key, _ in ready:
                chunk = b"" if key.fd == ended else os.read(key.fd, _CHUNK)
                if not chunk:
                    selector.unregister(key.fd)
                    awaited.discard(key.fd)
                elif key.fd == said:
                    complaint = (complaint + chunk)[:_COMPLAINT]
                else:
                    yield chunk
        status = child.wait()
    if status != 0:
        reason = complaint.decode("utf-8", "replace").strip() or "it said nothing"
        raise Unavailable(f"{program} failed ({_status(status)}): {reason}")


@contextmanager
def _running(command: Sequence[str]) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """Start a program, which is dead and reaped afterwards; the descriptor is ready when it has ended."""
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=_die_with_parent,  # noqa: PLW1509  it calls one function that was looked up before
        )
    except OSError as error:
        raise Misconfigured(f"cannot run {command[0]}: {error.strerror}") from error
    with child:  # which closes what is open and reaps it
        try:
            ended = os.pidfd_open(child.pid)
            try:
                yield child, ended
            finally:
                os.close(ended)
        finally:
            child.kill()


def _late(program: str) -> Unavailable:
    return Unavailable(f"{program} did not end in time, killed")


def _status(status: int) -> str:
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"


_PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None, use_errno=True).prctl


def _die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies (the parent's *thread*, says prctl(2))."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def die_with_parent(parent: int) -> bool:
    """Die with the parent process; False when it is no longer there already. For the agent's workers."""
    _die_with_parent()
    return os.getppid() == parent
