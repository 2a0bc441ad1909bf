"""Functions that may hang or crash, each in a forked child, all at once, with one end for all.

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

from rscollector.api.programs import die_with_parent

Tell = Callable[[Any], None]
_CHUNK = 1 << 16
_MOST = 16 * 1024 * 1024
_DONE = b".\n"
_GONE = 1000
"""Milliseconds in which a child is gone that was killed, or has closed its pipe."""


class Outcome(NamedTuple):
    """What a child has told, value by value, and how it ended: "" when it has done its work."""

    told: list[Any]
    ended: str


def forked(tasks: Mapping[str, Callable[[Tell], None]], seconds: float) -> dict[str, Outcome]:
    """Run each task in a child of its own; what is not done after so many seconds is killed."""
    children = {name: _Child(task) for name, task in tasks.items()}
    until = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        for child in children.values():
            selector.register(child.pipe, selectors.EVENT_READ, child)
        while selector.get_map() and (left := until - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                if not key.data.read():
                    selector.unregister(key.fd)
    return {name: child.end(seconds) for name, child in children.items()}


class _Child:
    """A forked child and what it has told."""

    def __init__(self, task: Callable[[Tell], None]) -> None:
        self.pipe, theirs = os.pipe()
        self._output = b""
        self._closed = False
        parent = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            _work(task, theirs, parent)
        os.close(theirs)
        self._pidfd = os.pidfd_open(self._pid)

    def read(self) -> bool:
        """Take what has come; return whether more may come."""
        chunk = os.read(self.pipe, _CHUNK)
        self._output += chunk
        self._closed = not chunk
        return not self._closed and len(self._output) <= _MOST and not self._is_done

    @property
    def _is_done(self) -> bool:
        return self._output == _DONE or self._output.endswith(b"\n" + _DONE)

    def end(self, seconds: float) -> Outcome:
        """Kill it with its group, and say what it has told and how it ended."""
        os.close(self.pipe)
        ended = "" if self._is_done else self._how(seconds)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._pid, signal.SIGKILL)
        with suppress(ProcessLookupError, PermissionError):  # it may not have had its group yet
            os.kill(self._pid, signal.SIGKILL)
        if self._is_gone():  # one in uninterruptible sleep is left to whoever comes after this process
            os.waitpid(self._pid, 0)
        os.close(self._pidfd)
        lines = self._output.removesuffix(_DONE).split(b"\n")[:-1]
        try:
            return Outcome(list(map(json.loads, lines)), ended)
        except ValueError:  # somebody else has written into the pipe
            return Outcome([], "told what cannot be read, killed")

    def _how(self, seconds: float) -> str:
        if len(self._output) > _MOST:
            return f"told more than {_MOST >> 20} MiB, killed"
        if not (self._closed and self._is_gone()):
            return f"took more than {seconds:g} s, killed"
        found = os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOWAIT)
        assert found  # noqa: S101
        if found.si_code == os.CLD_EXITED:
            return f"exited with status {found.si_status}"
        return f"was killed by {signal.Signals(found.si_status).name}"

    def _is_gone(self) -> bool:
        """Wait a little for its end; return whether it has come."""
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return bool(poll.poll(_GONE))


def _work(task: Callable[[Tell], None], pipe: int, parent: int) -> None:
    """Do the work of a child, in the child, which ends here whatever happens."""
    try:
        os.setpgid(0, 0)
        os.dup2(2, 1)  # what a plugin prints is no output of ours
        if die_with_parent(parent):
            task(lambda value: _write(pipe, json.dumps(value).encode() + b"\n"))
            _write(pipe, _DONE)
    except BaseException:  # noqa: BLE001  it must not go on as a second parent
        traceback.print_exc()
    finally:
        os._exit(1)


def _write(pipe: int, data: bytes) -> None:
    while data:
        data = data[os.write(pipe, data) :]
