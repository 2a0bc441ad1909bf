"""A context whose time, programs and files are the test's."""

import math
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from rscollector.api import Context, Misconfigured, Unavailable


class FakeClock:
    """Seconds that pass when the test says so."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


class FakeContext(Context):
    """A context whose time the test moves, whose commands it answers, and whose files it wrote.

    `commands` maps a command (a tuple of its arguments) to what it writes, or to an exception that it raises;
    `ran` lists what was run. A command that has no answer is Misconfigured, as a missing program is.
    `root` is a `Root`, or the path of a directory, and this host's own files if it is not given.
    """

    def __init__(  # noqa: PLR0913
        self,
        name: str = "main",
        *,
        timeout: float = 10.0,
        interval: float = 15.0,
        agent: int = 1,
        clock: FakeClock | None = None,
        commands: Mapping[tuple[str, ...], bytes | Exception] | None = None,
        root: str | os.PathLike[str] = Path("/"),
    ) -> None:
        self.clock = clock or FakeClock()
        super().__init__(name, timeout=timeout, interval=interval, agent=agent, clock=self.clock)
        self.root = Path(root)
        self.commands = dict(commands or {})
        self.ran: list[tuple[str, ...]] = []

    def run(
        self,
        command: Sequence[str],
        *,
        limit: int = 1 << 20,
        answers: Collection[int] = (0,),  # noqa: ARG002
        seconds: float = math.inf,  # noqa: ARG002
    ) -> bytes:
        """Return the answer that the test gave for this command."""
        self.ran.append(tuple(command))
        answer = self.commands.get(tuple(command), Misconfigured(f"cannot run {command[0]}: no such program"))
        if isinstance(answer, Exception):
            raise answer
        if len(answer) > limit:
            raise Unavailable(f"{command[0]} wrote more than {limit} bytes, killed")
        return answer
