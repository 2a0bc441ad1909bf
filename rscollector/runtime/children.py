"""Child processes, each the leader of its own process group, started and reaped by the loop itself.

Started from the main thread, since a child that asked to die with its parent follows the *thread* that
started it (prctl(2)); watched with a pidfd, since asyncio's watcher costs a thread per child on 3.11. The
group is killed while its dead leader is not reaped yet, so that the number cannot belong to anyone else.

What leaves the group is found again: the agent is the reaper of all its descendants, so that a process whose
parent is gone becomes its child, a stray, whatever session it has joined. Strays are killed and reaped; the
children of whatever has turned into the agent by exec are not the agent's, and are only reaped.
"""

import asyncio
import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Self

import rscollector
from rscollector.api.deaths import signal_name
from rscollector.config.environment import listed
from rscollector.model.texts import one_line

# A worker needs the same packages as the agent, wherever they are: in a checkout, a virtual environment or
# the private directory of the Debian package. Its current directory must not be among the places.
_PACKAGES = str(Path(rscollector.__file__).parent.parent)


def python(module: str, *arguments: str) -> list[str]:
    """Return the command that runs one of our modules."""
    return [sys.executable, "-P", "-m", module, *arguments]


def environment() -> dict[str, str]:
    """Return the environment of a child: what is listed of our own, and where our packages are."""
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    places = [_PACKAGES, *(str(Path(place).absolute()) for place in given if place)]  # children run in /
    # Fewer malloc arenas: drivers start threads, and each would keep its own.
    return {**listed(os.environ), "PYTHONPATH": os.pathsep.join(places), "MALLOC_ARENA_MAX": "2"}


_PR_SET_CHILD_SUBREAPER = 36
_TRACED = 0.1
_CHILDREN = Path("/proc/self/task")


class Strays:
    """The descendants that have lost their parent. From now on this process is that, if it can find them."""

    def __init__(self) -> None:
        self._inherited = _children()  # such as the logger of `exec rscollector run 2> >(logger)`
        if any(_CHILDREN.glob("*/children")):
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)

    def end(self) -> tuple[list[str], list[str]]:
        """Reap those that have ended and kill those that still run.

        Returns the names of those that were killed, and of those that may not be, since they have changed
        their user; one that is in uninterruptible sleep is killed again the next time.
        """
        killed: list[str] = []
        immortal: list[str] = []
        for pid in _children() - Child.known:
            if os.waitpid(pid, os.WNOHANG) != (0, 0):
                self._inherited.discard(pid)
            elif pid not in self._inherited:
                try:
                    os.kill(pid, signal.SIGKILL)
                    killed.append(_name(pid))
                except PermissionError:
                    immortal.append(_name(pid))
        return sorted(killed), sorted(immortal)


def _children() -> set[int]:
    found: set[int] = set()
    for of_a_thread in _CHILDREN.glob("*/children"):
        with suppress(OSError):  # a thread that has just ended
            found.update(map(int, of_a_thread.read_text("ascii").split()))
    return found


def _name(pid: int) -> str:
    try:
        return one_line(Path(f"/proc/{pid}/comm").read_text("utf-8", "replace"))
    except OSError:
        return "?"


class Child:
    """A running process. `on_exit` is called once, with the return code as subprocess has it."""

    known: ClassVar[set[int]] = set()
    """The processes that were started here and are not reaped yet."""

    def __init__(self, process: "subprocess.Popen[bytes]", on_exit: Callable[[int], None]) -> None:
        self.pid = process.pid
        self._process = process
        self._on_exit = on_exit
        self._loop = asyncio.get_running_loop()
        self._pidfd = os.pidfd_open(process.pid)
        self._loop.add_reader(self._pidfd, self._exited)
        self.known.add(self.pid)

    @classmethod
    def start(
        cls,
        command: Sequence[str],
        output: socket.socket,
        on_exit: Callable[[int], None],
        *,
        fds: Sequence[int] = (),
    ) -> Self:
        """Start a program whose standard output and error go to `output`, in our listed environment.

        Raises OSError.
        """
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output.fileno(),
            stderr=output.fileno(),
            pass_fds=fds,
            env=environment(),
            cwd="/",
            process_group=0,
        )
        try:
            return cls(process, on_exit)
        except OSError:  # no descriptor is left to watch it with
            process.kill()
            process.wait()
            raise

    def kill(self) -> None:
        """Send SIGKILL to the process and its whole group; after it was reaped this does nothing."""
        if self._pidfd < 0:
            return
        with suppress(PermissionError):  # it has changed its user
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        with suppress(ProcessLookupError, PermissionError):  # it left its group, or a child changed its user
            os.killpg(self.pid, signal.SIGKILL)

    def state(self) -> str:
        """Return the kernel's letter for the state of the process: R, S, D, T … ("" when it is gone)."""
        try:
            text = Path(f"/proc/{self.pid}/stat").read_text("ascii", "replace")
        except OSError:
            return ""
        return text.rpartition(")")[2].split()[0]

    def _exited(self) -> None:
        self._loop.remove_reader(self._pidfd)
        self.kill()  # whatever it has left in its group
        self._reap()

    def _reap(self) -> None:
        code = self._process.poll()
        if code is None:  # a debugger traces it, and has to take note of its death before we can
            self._loop.call_later(_TRACED, self._reap)
            return
        os.close(self._pidfd)
        self._pidfd = -1
        self.known.discard(self.pid)
        self._on_exit(code)


def how(code: int) -> str:
    """Say how a process ended, from its return code."""
    if code >= 0:
        return f"exited with status {code}"
    if -code == signal.SIGKILL:
        return "was killed by SIGKILL (the kernel does that when memory is short: see dmesg)"
    return f"was killed by {signal_name(-code)}"
