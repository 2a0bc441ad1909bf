"""What the receiver will never take: files of lines with a point and the reason, bounded.

rejected/1795208400000.json   {"reason":"…","point":{"metric":…}}, what came in a minute; several if it is
much rejected/….batch.damaged      a batch's file that is not what was written
"""

import json
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from rscollector.sinks.batches import is_plain

REJECTED = "rejected"
_OURS = re.compile(r"\d{13}(?:\.json|-.*\.batch\.damaged)")
_MOST = 10 << 20
_MOST_IN_A_FILE = 1 << 20
_MINUTE = 60_000  # ms


class Rejected:
    """The directory. Raises OSError when it cannot be made."""

    def __init__(self, spool: Path) -> None:
        self._directory = spool / REJECTED
        self._directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        self._file: Path | None = None

    def put(self, points: Sequence[tuple[bytes, str]], now: float) -> bool:
        """Put points aside, each with the reason; `now` is Unix time. Return whether that could be done."""
        lines = [
            b'{"reason":%s,"point":%s}\n' % (json.dumps(reason[:200]).encode("ascii"), line)
            for line, reason in points
        ]
        try:
            with self._current(int(now * 1000)).open("ab") as file:
                file.writelines(lines)
        except OSError:
            return False
        self._keep_bound()
        return True

    def take_in(self, damaged: Path) -> None:
        """Move a batch's file here, for somebody to look at."""
        with suppress(OSError):
            damaged.rename(self._directory / f"{damaged.name}.damaged")
        self._keep_bound()

    def _current(self, now: int) -> Path:
        """Return the file to write to. Raises OSError."""
        file = self._file
        is_young = file is not None and 0 <= now - int(file.stem) < _MINUTE
        if file is None or not is_young or (file.exists() and file.stat().st_size > _MOST_IN_A_FILE):
            file = self._file = self._directory / f"{now:013d}.json"
        return file

    def _keep_bound(self) -> None:
        """Let go of the oldest; what nobody here has made is neither counted nor touched."""
        with suppress(OSError), os.scandir(self._directory) as entries:
            ours = [entry for entry in entries if _OURS.fullmatch(entry.name) and is_plain(entry)]
            sizes = sorted((entry.name, entry.stat(follow_symlinks=False).st_size) for entry in ours)
            size = sum(each for _, each in sizes)
            for name, each in sizes:
                if size <= _MOST:
                    break
                with suppress(OSError):
                    (self._directory / name).unlink()
                    size -= each
