"""What a child prints, line by line, into the log: rate-limited, the excess counted, never in its way."""

import asyncio
import socket
from collections.abc import Callable

_CHUNK = 64 * 1024
_LONGEST = 16 * 1024


class Output:
    """The reading end of a child's standard output and error.

    `said` is called with each line, at most `burst` of them in `period` seconds; `dropped` counts the rest.
    A child that floods it is read and forgotten, 64 KiB at a time: neither it nor the loop is held up.
    """

    def __init__(self, said: Callable[[str], None], *, burst: int = 50, period: float = 10.0) -> None:
        self._said = said
        self._burst, self._period = burst, period
        self._left, self._until = burst, 0.0
        self._rest = b""
        self._loop = asyncio.get_running_loop()
        self._ours, self.theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._loop.add_reader(self._ours, self._readable)
        self.dropped = 0

    def close(self) -> None:
        """Read what is there already, and no more."""
        self.theirs.close()
        self._readable()
        if self._rest:
            self._take([self._rest])
        self._loop.remove_reader(self._ours)
        self._ours.close()

    def _readable(self) -> None:
        try:
            data = self._ours.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(self._ours)
        *lines, rest = (self._rest + data).split(b"\n")
        self._take(lines)
        self._rest = rest[: _LONGEST + 1]

    def _take(self, lines: list[bytes]) -> None:
        now = self._loop.time()
        if now >= self._until:
            self._left, self._until = self._burst, now + self._period
        said = lines[: self._left]
        self._left -= len(said)
        self.dropped += len(lines) - len(said)
        for line in said:
            more = "…" if len(line) > _LONGEST else ""
            self._said(line[:_LONGEST].decode("utf-8", "replace") + more)
