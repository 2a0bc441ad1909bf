"""The state file: what the next worker has to know of the file systems of this boot.

Which questions wait, so that no second one is asked; and by which mount points each file system was named, so
that it goes on under its name.
"""

import json
from collections.abc import Iterable
from typing import Any

from collectors.filesystem.mountinfo import Mount
from collectors.filesystem.question import Question
from collectors.filesystem.systems import Names, System
from rscollector.api import Context, replace_file
from rscollector.kit.boot import BOOT_ID, boot_id

_MOST_NAMES = 4
_LOST = "the next worker will ask again what hangs, and may name file systems by other mounts"


class Kept:
    """What is kept. `names` has the names that each file system has had, the oldest first."""

    def __init__(self, context: Context) -> None:
        self.names: Names = ()
        self._path = context.state
        self._boot = boot_id(context.path(BOOT_ID))
        self._text = ""
        self._before = self._read()

    def named(self, there: Iterable[System]) -> None:
        """Remember the names of these; what is mounted no more is forgotten."""
        known = dict(self.names)
        names = {}
        for each in there:
            had = known.get(each.key, ())
            names[each.key] = had if each.mountpoint in had else (*had, each.mountpoint)[:_MOST_NAMES]
        self.names = tuple(names.items())

    def taken_up(self, there: dict[str, System]) -> dict[str, Question]:
        """Return the children of an earlier worker that still wait, the first time."""
        before, self._before = self._before, {}
        found = {key: _left(kept, there[key].mount) for key, kept in before.items() if key in there}
        return {key: question for key, question in found.items() if question}

    def keep(self, waiting: dict[str, Question], context: Context) -> None:
        """Write down which children wait and what is called how, if that is another than before."""
        kept = {key: [each.pid, each.start, each.since] for key, each in waiting.items()}
        text = json.dumps({"boot": self._boot, "waiting": kept, "names": dict(self.names)})
        if self._path is None or text == self._text:
            return
        try:
            replace_file(self._path, text.encode("ascii"))
            self._text = text
        except OSError as error:
            context.note(f"{self._path}: {error.strerror}: {_LOST}")

    def _read(self) -> dict[str, Any]:
        try:
            self._text = self._path.read_text("ascii") if self._path else ""
            kept = json.loads(self._text) if self._text else {}
            if not kept or kept["boot"] != self._boot:
                return {}
            names = kept.get("names", {}).items()  # not kept by the version before
            self.names = tuple((str(key), tuple(map(str, each))) for key, each in names)
            return dict(kept["waiting"])
        except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
            return {}


def _left(kept: Any, mount: Mount | None) -> Question | None:
    try:
        pid, start, since = kept
        return Question.left(int(pid), int(start), float(since), mount) if mount else None
    except (ValueError, TypeError, OverflowError):
        return None  # the file is damaged
