"""The log of one instance, read on tick by tick: where it is read, how far, and what was counted so far.

Place and counts are kept in one file, which is replaced as a whole, so that the one never tells of lines that
the other does not: a line is counted once, whenever the agent, this process or the host is killed.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from collectors.postfix import lines
from collectors.postfix.flow import Flow
from collectors.postfix.journal import Journal
from collectors.postfix.logfile import LogFile, Place
from rscollector.api import Context, replace_file

_TIME = rb"(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT[^ ]{1,30}) "
_ANYBODYS = re.compile(_TIME)
_IN_A_JOURNAL = re.compile(r"@\d{1,12}(?:\.\d{1,9})?|[a-z]=[0-9a-f]{1,32}(?:;[a-z]=[0-9a-f]{1,32}){0,9}")
"""A time, or a cursor as journald makes it: s=…;i=…;b=…;m=…;t=…;x=…."""
JOURNAL = "journal"


class Progress:
    """What has been read. `log` is "journal" or the path of a file, `name` the instance's syslog_name."""

    def __init__(self, log: str, name: str, state: Path | None) -> None:
        self._log, self._state = log, state
        self._name = name.encode() + b"/"
        self._ours = re.compile(_TIME + rb"[^ ]{1,255} " + lines.service_in_tag(name))
        self.flow = Flow()
        place = self._go_on()
        self._source = Journal(place, self.flow.gap) if log == JOURNAL else self._file(place)
        self._kept: Any = None

    def read(self, context: Context) -> None:
        """Count what has come, for at most half of what is left of the tick's time; keep how far that was.

        Raises Misconfigured or Unavailable when the log cannot be read.
        """
        half = context.budget() / 2

        def enough() -> bool:
            return context.budget() < half

        if isinstance(self._source, Journal):
            self._read_journal(self._source, context, enough)
        else:
            self._read_file(self._source, enough)
        self._keep(context)

    def close(self) -> None:
        """Close the log."""
        if isinstance(self._source, LogFile):
            self._source.close()

    def _read_journal(self, journal: Journal, context: Context, enough: Callable[[], bool]) -> None:
        for identifier, message in journal.entries(context, enough):
            if identifier.startswith(self._name):
                self.flow.line(identifier[len(self._name) :], message)

    def _read_file(self, file: LogFile, enough: Callable[[], bool]) -> None:
        ours, count = self._ours.match, self.flow.line
        for block in file.blocks(enough):
            for line in block.split(b"\n"):
                if found := ours(line):
                    count(found[1], line[found.end() :])
                elif line and not _ANYBODYS.match(line):
                    self.flow.malformed()
        self.flow.unread = file.unread

    def _go_on(self) -> Any:
        """Take up what was counted, and return where that was; None to begin at the end."""
        if self._state is None:
            return None
        try:
            kept = json.loads(self._state.read_text("ascii"))
            self.flow.go_on(kept["flow"])
            return self._place(kept["place"]) if kept["log"] == self._log else None
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, ArithmeticError, RecursionError):
            self.flow = Flow()
            self.flow.gap()  # it is damaged: nobody knows what came since
            return None

    def _place(self, kept: Any) -> Any:
        """Return a place as journal or file has it. Raises ValueError or TypeError when it is none."""
        if self._log == JOURNAL:
            if not _IN_A_JOURNAL.fullmatch(kept):
                raise ValueError("no place in a journal")
            return kept
        inode, offset, check = map(int, kept)
        if min(inode, offset, check) < 0:
            raise ValueError("no place in a file")
        return Place(inode, offset, check)

    def _file(self, place: Place | None) -> LogFile:
        return LogFile(Path(self._log), place, self.flow.gap)

    def _keep(self, context: Context) -> None:
        if self._state is None or self._source.place == self._kept:
            return
        text = json.dumps({"log": self._log, "place": self._source.place, "flow": self.flow.kept()})
        try:
            replace_file(self._state, text.encode("ascii"))
            self._kept = self._source.place
        except OSError as error:
            context.note(f"{self._state}: {error.strerror}: a restart will begin at the end of the log")
