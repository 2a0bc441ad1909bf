"""Functions that may hang or crash, each in a forked child, all at once, within one time for all.

For the process that reads the configuration and for one-shot commands, which have one thread and may fork.
What a child tells comes through a pipe, a JSON value in each line; when its time is over, or its work is
done, its whole process group is killed.
"""

import json
import os
import select
import selectors
import signal
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from rscollector.api.deaths import die_with_parent, signal_name
from rscollector.model.errors import fence

Tell = Callable[[Any], None]
_CHUNK = 1 << 16
_MOST = 16 * 1024 * 1024
_DONE = b".\n"
_GONE = 1.0  # seconds in which what was killed, or has closed its pipe, is gone


class Outcome(NamedTuple):
    """What a child has told, value by value, and how it ended: "" when it has done its work."""

    told: list[Any]
    ended: str


def forked(tasks: Mapping[str, Callable[[Tell], None]], seconds: float) -> dict[str, Outcome]:
    """Run each task in a child of its own; what is not done after `seconds` is killed."""
    children = {name: _Child(task) for name, task in tasks.items()}
    until = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        for child in children.values():
            if not child.ended:
                selector.register(child.pipe, selectors.EVENT_READ, child)
        while selector.get_map() and (left := until - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                if not key.data.read():
                    selector.unregister(key.fd)
    for step in (lambda child, until: child.judge(seconds, until), _Child.kill, _Child.reap):
        until = time.monotonic() + _GONE
        for child in children.values():
            step(child, until)
    return {name: child.outcome() for name, child in children.items()}


class _Child:
    """A forked child, what it has told, and how it has `ended`, as far as that is known."""

    def __init__(self, task: Callable[[Tell], None]) -> None:
        self.ended = ""
        self.pipe = self._pid = self._pidfd = -1
        self._output = b""
        self._closed = False
        parent = os.getpid()
        try:
            self.pipe, theirs = os.pipe()
            try:
                self._pid = os.fork()
                if self._pid == 0:
                    _work(task, theirs, parent)
            finally:
                os.close(theirs)
            self._pidfd = os.pidfd_open(self._pid)
        except OSError as error:
            self.ended = f"could not be started: {error.strerror}"

    def read(self) -> bool:
        """Take what has come; return whether more may come."""
        chunk = os.read(self.pipe, _CHUNK)
        self._output += chunk
        self._closed = not chunk
        return not self._closed and len(self._output) <= _MOST and not self._is_done

    @property
    def _is_done(self) -> bool:
        return self._output == _DONE or self._output.endswith(b"\n" + _DONE)

    def judge(self, seconds: float, until: float) -> None:
        """Find out how it has ended; one that has closed its pipe is gone soon."""
        if self.ended or self._is_done:
            return
        if len(self._output) > _MOST:
            self.ended = f"told more than {_MOST >> 20} MiB, killed"
        elif self._closed and self._is_gone(until):
            self.ended = _how(os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOWAIT))
        else:
            self.ended = f"took more than {seconds:g} s, killed"

    def kill(self, _until: float) -> None:
        """Kill it with its group, if it has one already."""
        if self._pid > 0:
            for kill in (os.killpg, os.kill):
                with suppress(ProcessLookupError, PermissionError):
                    kill(self._pid, signal.SIGKILL)

    def reap(self, until: float) -> None:
        """Wait for its end; one in uninterruptible sleep is left to whoever comes after this process."""
        if self._pidfd >= 0 and self._is_gone(until):
            os.waitpid(self._pid, 0)
        for descriptor in (self.pipe, self._pidfd):
            with suppress(OSError):
                os.close(descriptor)

    def outcome(self) -> Outcome:
        """Return what it has told, and how it ended."""
        lines = self._output.removesuffix(_DONE).split(b"\n")[:-1]
        try:
            return Outcome(list(map(json.loads, lines)), self.ended)
        except ValueError:  # somebody else has written into the pipe
            return Outcome([], "told what cannot be read, killed")

    def _is_gone(self, until: float) -> bool:
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return bool(poll.poll(max(0.0, 1000 * (until - time.monotonic()))))


def _how(end: "os.waitid_result | None") -> str:
    if end is None or end.si_code == os.CLD_EXITED:
        return f"exited with status {end.si_status if end else '?'}"
    return f"was killed by {signal_name(end.si_status)}"


def _work(task: Callable[[Tell], None], pipe: int, parent: int) -> None:
    """Do the work of a child, in the child, which ends here whatever happens."""
    try:
        os.setpgid(0, 0)
        os.dup2(2, 1)  # what a plugin prints is no output of ours
        with fence() as caught:
            if die_with_parent(parent):
                task(lambda value: _write(pipe, json.dumps(value).encode() + b"\n"))
                _write(pipe, _DONE)
        for error in caught:
            traceback.print_exception(error)
    finally:  # it must not go on as a second parent
        os._exit(1)


def _write(pipe: int, data: bytes) -> None:
    while data:
        data = data[os.write(pipe, data) :]
