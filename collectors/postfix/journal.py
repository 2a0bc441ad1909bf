"""The systemd journal, read on from where it was left, by `journalctl` as a child.

A place in it is a cursor, or "@" and seconds since 1970 while nothing was read yet. Only the facility mail
is asked for, and what journald itself says of lines that it has suppressed. journalctl is started for each
tick and ends when it has told what is new, or is killed when that is more than fits: then the next one goes
on from the last entry that was counted.
"""

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from rscollector.api import Context, Misconfigured, Unavailable

_DROPPED = "a596d6fe7bfa4994828e72309e95d61e"
"""The id of the message in which journald tells how many lines of a unit it has suppressed."""
_OF_POSTFIX = re.compile(rb"Suppressed \d+ messages from (?:/.*/)?postfix[^/]*", re.DOTALL)
_COMMAND = (
    "journalctl", "--quiet", "--no-pager", "--output=json",
    "--output-fields=MESSAGE,SYSLOG_IDENTIFIER,MESSAGE_ID,_TRANSPORT",
    "SYSLOG_FACILITY=2", "+", f"MESSAGE_ID={_DROPPED}", "_TRANSPORT=driver",
)  # fmt: skip
_FILES = (Path("/var/log/journal"), Path("/run/log/journal"))


class Journal:
    """The journal of this host. `place` moves on with each entry that is taken.

    `gap` is called when the entry of a place is not there any more, and when journald has suppressed lines of
    Postfix.
    """

    def __init__(self, place: str | None, gap: Callable[[], None]) -> None:
        closed: list[Path] = []
        machines = [machine for directory in _FILES for machine in _listed(directory, closed)]
        files = [file for each in machines for file in _listed(each, closed) if file.suffix == ".journal"]
        systems = [file for file in files if file.name.startswith("system")]
        if closed and not systems:
            raise Misconfigured(
                f"this user may not look into {closed[0]}: it needs to be in the group systemd-journal"
            )
        if not files:
            raise Misconfigured(
                "no journal is kept on this host: let `log` name the file that Postfix writes"
            )
        files = systems or files  # not a user's own
        if not any(os.access(file, os.R_OK, effective_ids=True) for file in files):
            raise Misconfigured(
                f"{files[0]}: this user may not read it: it needs to be in the group systemd-journal"
            )
        self.place = place or _now()
        self._gap = gap

    def entries(self, context: Context, enough: Callable[[], bool]) -> Iterator[tuple[bytes, bytes]]:
        """Yield identifier and message of each new entry, until there is no more or it is `enough`."""
        # --after-cursor would leave out the oldest that is left where the cursor's own entry is gone.
        since, known = ("--since", True) if self.place.startswith("@") else ("--cursor", False)
        with closing(context.lines([*_COMMAND, f"{since}={self.place}"])) as lines:
            for line in lines:
                cursor, identifier, message, dropped = _entry(line)
                if not known:
                    known = True
                    if cursor == self.place:
                        continue
                    self._gap()
                if not dropped:
                    yield identifier, message
                elif _OF_POSTFIX.fullmatch(message):
                    self._gap()
                self.place = cursor
                if enough():
                    break
        if not known:  # not even the last entry is there any more
            self._gap()
            self.place = _now()


def _listed(directory: Path, closed: list[Path]) -> list[Path]:
    """Return what is in a directory; one that this user may not enter is added to those that are closed."""
    try:
        return sorted(directory.iterdir())
    except PermissionError:
        closed.append(directory)
    except OSError:
        pass  # it is none, or is not there
    return []


def _now() -> str:
    return f"@{time.time():.6f}"


def _entry(line: bytes) -> tuple[str, bytes, bytes, bool]:
    """Return cursor, identifier and message, and whether journald tells of lines that it has dropped."""
    try:
        entry = json.loads(line)
        identifier, message = _bytes(entry.get("SYSLOG_IDENTIFIER")), _bytes(entry.get("MESSAGE"))
        # Anybody may write an entry with this id; the field with a _ is journald's.
        dropped = entry.get("MESSAGE_ID") == _DROPPED and entry.get("_TRANSPORT") == "driver"
        return str(entry["__CURSOR"]), identifier, message, dropped
    except (ValueError, KeyError, TypeError, AttributeError):  # whose text may be somebody's address
        raise Unavailable(f"journalctl gave a line of {len(line)} bytes that is no entry") from None


def _bytes(field: Any) -> bytes:
    """Return a field, which is a list of bytes where it is no UTF-8, and null where it is very long."""
    if isinstance(field, list):
        return bytes(each for each in field if isinstance(each, int) and 0 <= each < 256)
    return str(field or "").encode("utf-8", "surrogatepass")
