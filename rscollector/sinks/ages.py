"""How long something has waited, by a clock that nobody sets, also over a restart of the host.

CLOCK_BOOTTIME begins anew with each boot. So a stamp has the boot's id with it; and of the clocks of earlier
boots a file says what they would show now, had they gone on for as long as a sink was running. It is written
once a minute while something waits. Who has not seen an earlier boot's clock begins to count when it first
meets a stamp of it: what waits may be older than is said, and is never younger.
"""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from rscollector.api import replace_file
from rscollector.kit.boot import boot_id

_WRITTEN = 60.0


class Stamp(NamedTuple):
    """When something began to wait: the id of the boot, and seconds by its CLOCK_BOOTTIME."""

    boot: str
    at: float


UNKNOWN = Stamp("", 0.0)
"""The stamp of what was written by 0.1.0."""


def boottime() -> float:
    """Return the seconds since the boot, those of a suspend among them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Ages:
    """Tells ages. The file at `path` may be missing, damaged or not writable: no age is too high for it."""

    def __init__(self, path: Path, clock: Callable[[], float] = boottime, boot: str = "") -> None:
        self._path = path
        self._clock = clock
        self._boot = boot or boot_id() or "-"
        self._earlier: dict[str, float] = {}
        self._at = self._written = clock()
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            kept = json.loads(path.read_text("ascii"))
            earlier = {str(boot): float(at) for boot, at in kept["earlier"].items()}
            self._earlier = {str(kept["boot"]): float(kept["at"]), **earlier}
        self._earlier.pop(self._boot, None)

    def stamp(self, at: float | None = None) -> Stamp:
        """Return the stamp of a time of this boot, by default of now."""
        return Stamp(self._boot, self._clock() if at is None else at)

    def age(self, stamp: Stamp) -> float:
        """Return how long ago that was, in seconds."""
        if stamp.boot == self._boot:
            return max(0.0, self._clock() - stamp.at)
        self.go_on(waits=True)
        return max(0.0, self._earlier.setdefault(stamp.boot, stamp.at) - stamp.at)

    def go_on(self, *, waits: bool) -> None:
        """Let the clocks of earlier boots go on; forget them when nothing waits any more."""
        now = self._clock()
        passed, self._at = now - self._at, now
        if not waits:
            self._earlier.clear()
            return
        self._earlier = {boot: at + passed for boot, at in self._earlier.items()}
        if now - self._written >= _WRITTEN:
            self._written = now
            kept = {"boot": self._boot, "at": now, "earlier": self._earlier}
            with suppress(OSError):  # after a restart of the host some minutes are not counted then
                replace_file(self._path, json.dumps(kept).encode("ascii"))
