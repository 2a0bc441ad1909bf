"""The collector `postfix`: the queues of one instance of Postfix."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from collectors.postfix import queues, showq
from collectors.postfix.directories import Spool
from collectors.postfix.explain import explain
from rscollector.api import Collector, Context, Misconfigured, Sample, Unavailable, setting

_LISTED = ("incoming", "active", "deferred", "hold")


@dataclass(frozen=True, slots=True)
class PostfixSettings:
    """Where the instance has its queues."""

    queue_directory: str = setting("The instance's queue directory.", default="/var/spool/postfix")

    def __post_init__(self) -> None:
        if not self.queue_directory.startswith("/"):
            raise ValueError("queue_directory: expected an absolute path")


class Postfix(Collector[PostfixSettings]):
    """What waits in the queues of a Postfix, how large and how old it is."""

    metrics = queues.METRICS
    Settings = PostfixSettings

    def open(self, _context: Context) -> None:
        """See which way of reading is open to this user."""
        root = self._root = Path(self.settings.queue_directory)
        if not root.is_dir():
            raise Misconfigured(
                f"{root}: no such directory: is Postfix installed, or is its queue elsewhere?"
            )
        readable = all(os.access(root / queue, os.R_OK | os.X_OK) for queue in ("active", "deferred"))
        self._spool = Spool(root) if readable else None
        self._sentences: list[str] = []

    def collect(self, context: Context) -> Iterator[Sample]:
        """Read the queues, from their directories or from showq."""
        if self._spool:
            tallies = _from_directories(self._spool, context)
        else:
            tallies = _from_showq(str(self._root / "public" / "showq"), context)
            context.note("maildrop and corrupt are not told: only their owner may look into the directories")
        for queue, tally in tallies.items():
            yield from tally.samples(queue)
        self._sentences = list(explain(tallies))

    def explain(self) -> list[str]:
        """Say what the last collect means."""
        return self._sentences

    def close(self) -> None:
        """Nothing is kept open."""


def _from_directories(spool: Spool, context: Context) -> dict[str, queues.Tally]:
    half = context.remaining() / 2
    now = time.time()
    return {queue: spool.tally(queue, now, lambda: context.remaining() < half) for queue in queues.QUEUES}


def _from_showq(path: str, context: Context) -> dict[str, queues.Tally]:
    now = time.time()
    tallies = {queue: queues.Tally(now) for queue in _LISTED}
    for each in showq.listing(path, context):
        try:
            tally = tallies.setdefault(each["queue_name"], queues.Tally(now))
            tally.add([int(each["time"])], int(each["size"]), int(each["recipients"]))
        except (KeyError, ValueError) as error:
            raise Unavailable(f"{path}: showq tells of a message what it should not: {each}") from error
    return tallies
