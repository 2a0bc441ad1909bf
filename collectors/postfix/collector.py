"""The collector `postfix`: the queues of one instance of Postfix, and what its log tells of the flow of mail.

The queues do not need the log: when it cannot be read they are told all the same, with `postfix_log_readable`
as 0.
"""

import os
import re
import stat
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

from collectors.postfix import flow, queues, showq
from collectors.postfix.access import closed, shut_out
from collectors.postfix.directories import Spool
from collectors.postfix.explain import explain, explain_flow
from collectors.postfix.progress import JOURNAL, Progress
from rscollector.api import (
    CollectError,
    Collector,
    Context,
    DropIn,
    Misconfigured,
    Needs,
    Sample,
    Unavailable,
    setting,
)
from rscollector.kit.bounded import OTHER
from rscollector.kit.optional import optional

READABLE = flow.POSTFIX.gauge("log_readable", "Whether the log could be read.")

_LISTED = ("incoming", "active", "deferred", "hold")
_NAME = re.compile(r"[!-#%-~]*[!-#%-.0-~]")


@dataclass(frozen=True, slots=True)
class PostfixSettings:
    """Where the instance has its queues, and where it logs."""

    queue_directory: str = setting("The instance's queue directory.", default="/var/spool/postfix")
    log: str = setting(
        'Where Postfix logs: "journal", the path of a file, or "" for nowhere that could be read.',
        default=JOURNAL,
    )
    syslog_name: str = setting("The instance's syslog_name.", default="postfix")

    def __post_init__(self) -> None:
        if not self.queue_directory.startswith("/"):
            raise ValueError("queue_directory: expected an absolute path")
        if self.log not in ("", JOURNAL) and not self.log.startswith("/"):
            raise ValueError('log: expected "journal" or an absolute path')
        if not _NAME.fullmatch(self.syslog_name):
            raise ValueError(
                f"syslog_name: {self.syslog_name!r} is no name (ASCII, no $, no blank, no slash at its end): "
                "type what `postconf -x -h syslog_name` prints; -x has it without $"
            )


class Postfix(Collector[PostfixSettings]):
    """What waits in the queues of a Postfix, how old it is, and whether mail flows."""

    metrics = (*queues.METRICS, READABLE, *flow.METRICS)
    Settings = PostfixSettings
    needs = Needs(
        groups=("postdrop", "systemd-journal"),
        program="/usr/sbin/postfix",
        drop_ins=(
            DropIn(
                "queue-directories",
                "Postfix lets only its own user into the queue directories. The collector asks the service "
                "showq instead, which lists every message each time; with many thousands of them, reading "
                "the directories costs a thousandth of that. With this capability it may read every file, "
                "and write none.",
                capabilities=("CAP_DAC_READ_SEARCH",),
            ),
        ),
    )

    def open(self, context: Context) -> None:
        """See which way of reading is open to this user."""
        root = self._root = context.path(self.settings.queue_directory)
        _must_be_there(root)
        readable = all(
            # Without effective_ids the kernel leaves capabilities out of its answer.
            os.access(root / queue, os.R_OK | os.X_OK, effective_ids=True)
            for queue in ("active", "deferred")
        )
        self._spool = Spool(root) if readable else None
        self._progress: Progress | None = None

    def collect(self, context: Context) -> Iterator[Sample]:
        """Read the queues, from their directories or from showq, then the log."""
        _must_be_there(self._root)
        self._trouble: CollectError | None = None
        told = yield from self._of_queues(context)
        followed = bool(self.settings.log) and (yield from self._of_flow(context))
        if self._trouble and not (told or followed):
            raise self._trouble
        if self._trouble:
            context.degraded(self._trouble)

    def close(self) -> None:
        """Close the log."""
        self._leave_log()

    def _of_queues(self, context: Context) -> Generator[Sample, None, bool]:
        """Yield what is in the queues, and return whether any was told.

        What the directories do not tell is asked of showq; one that does not answer is noted and leaves time
        for the flow.
        """
        tallies = self._from_directories(context)
        if missing := [queue for queue in _LISTED if queue not in tallies]:
            share = 0.5 if self.settings.log else 1.0
            with optional(context, ", ".join(missing) if tallies else "the queues"):
                try:
                    tallies = _from_showq(str(self._root / "public" / "showq"), context, share) | tallies
                except CollectError as error:
                    self._trouble = self._trouble or error
                    raise
        for queue, tally in tallies.items():
            yield from tally.samples(queue)
        if tallies:
            context.say(*explain(tallies))
        return bool(tallies)

    def _from_directories(self, context: Context) -> dict[str, queues.Tally]:
        """Return what the directories tell; each that may not be read costs its own queue."""
        if not self._spool:
            context.note("maildrop and corrupt are not told: only their owner may look into the directories")
            return {}
        half, now = context.budget() / 2, time.time()
        tallies: dict[str, queues.Tally] = {}
        for queue in queues.QUEUES:
            try:
                tallies[queue] = self._spool.tally(queue, now, lambda: context.budget() < half)
            except CollectError as error:
                instead = "showq is asked" if queue in _LISTED else f"{queue} is not told"
                context.note(f"{error}, so that {instead}")
                if isinstance(error, Unavailable):
                    self._trouble = error
        return tallies

    def _of_flow(self, context: Context) -> Generator[Sample, None, bool]:
        """Yield what the log tells, and return whether it can be read."""
        with optional(context, "the flow of mail") as asked:
            progress = self._progress = self._progress or self._begun(context)
            progress.read(context)
        yield READABLE(int(not asked.refused))
        if asked.refused:
            self._leave_log()
            return False
        yield from progress.flow.samples()
        context.say(*explain_flow(progress.flow))
        return True

    def _begun(self, context: Context) -> Progress:
        log = self.settings.log
        return Progress(
            log if log == JOURNAL else str(context.path(log)), self.settings.syslog_name, context.state
        )

    def _leave_log(self) -> None:
        progress, self._progress = self._progress, None
        if progress:
            progress.close()


def _must_be_there(root: Path) -> None:
    try:
        there = stat.S_ISDIR(root.stat().st_mode)
    except PermissionError:
        raise Misconfigured(shut_out(root, closed(root) or root.parent)) from None
    except (FileNotFoundError, NotADirectoryError):
        there = False
    except OSError as error:
        raise Unavailable(f"{root}: the queues cannot be looked at ({error.strerror})") from error
    if not there:
        raise Misconfigured(f"{root}: no such directory: is Postfix installed, or is its queue elsewhere?")


def _from_showq(path: str, context: Context, share: float = 1.0) -> dict[str, queues.Tally]:
    now = time.time()
    tallies = {queue: queues.Tally(now) for queue in _LISTED}
    for each in showq.listing(path, context, context.budget() * share):
        queue = each.queue if each.queue in queues.QUEUES else OTHER
        tallies.setdefault(queue, queues.Tally(now)).add([each.arrival], each.size, each.recipients)
    return tallies
