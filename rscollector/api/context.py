"""What a collector is told with each call: names, times, and the programs that it may run within them."""

import math
import time
from collections.abc import Callable, Collection, Generator, Sequence
from pathlib import Path

from rscollector.model.errors import CollectError

_MARGIN = 0.1
_SHORTEST = 0.001


class Context:
    """What a collector is told with each call. All times are seconds.

    `name` is the instance's name, `interval` the time between two ticks, `collect_timeout` the time that each
    collect gets, `agent` the agent's process id and `clock` a monotonic clock, for whatever is measured from
    tick to tick. `state` is the path of a file of the collector's own, whose directory may have to be made,
    for what it wants to know again in its next process; None in `rscollector collect`, where nothing is kept.
    `root` is the directory beneath which the host's own files are, so that a test can show it another host.
    `host` and `tags` are the agent's, for a sink.
    """

    def __init__(
        self,
        name: str,
        *,
        timeout: float,
        interval: float,
        agent: int,
        collect_timeout: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.interval = interval
        self.collect_timeout = timeout if collect_timeout is None else collect_timeout
        self.agent = agent
        self.state: Path | None = None
        self.root = Path("/")
        self.host = ""
        self.tags: dict[str, str] = {}
        self.clock = clock
        self.notes: list[str] = []
        self.sentences: list[str] = []
        self.degradation: CollectError | None = None
        self._deadline = clock() + timeout
        self._margin = timeout * _MARGIN

    def path(self, text: str) -> Path:
        """Return where a file of the host is that has this absolute path."""
        return self.root / text.lstrip("/")

    def remaining(self) -> float:
        """Return the seconds until the agent kills this process."""
        return max(0.0, self._deadline - self.clock())

    def budget(self) -> float:
        """Return the seconds that the next call of a driver may take: give it to each as its timeout.

        It is what is left of the collect without a tenth of the whole, in which the sentence about what took
        so long comes before the kill; never zero, which many drivers take for "for ever".
        """
        return max(_SHORTEST, self._deadline - self._margin - self.clock())

    def note(self, sentence: str) -> None:
        """Tell the operator something about this collect that is no failure: `status` shows it."""
        self.notes.append(str(sentence))  # which may be an exception

    def say(self, *sentences: str) -> None:
        """Say in plain language what is collected, the most important first, for `collect --explain`."""
        self.sentences += map(str, sentences)

    def degraded(self, error: CollectError) -> None:
        """Tell that the collector answers, but cannot do what it is for, such as a sink that cannot send.

        What it yields is shown. It is not up, and the error is its reason, as if it had been raised.
        """
        self.degradation = error

    def run(
        self,
        command: Sequence[str],
        *,
        limit: int = 1 << 20,
        answers: Collection[int] = (0,),
        seconds: float = math.inf,
    ) -> bytes:
        """Run a program without a shell and return what it wrote to its standard output.

        It is killed after so many seconds, when the budget is over, or when it writes more than `limit`
        bytes. Raises Misconfigured when it cannot be started, Unavailable when it is killed or its exit
        status is none of `answers`.
        """
        from rscollector.api import programs

        return programs.output(command, min(seconds, self.budget()), limit, answers)

    def lines(self, command: Sequence[str]) -> Generator[bytes, None, None]:
        """Run a program without a shell and yield the lines that it writes to its standard output.

        It is killed when the budget is over, or when the caller has enough of it and closes this. Raises as
        `run` does; no line may be longer than a MiB.
        """
        from rscollector.api import programs

        return programs.lines(command, self.budget())
