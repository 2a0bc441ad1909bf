"""The timers as they were listed last, and when they are to be listed anew. Pure.

To list them is a fourth of what a tick costs, and they hardly change: of one that has elapsed the time is
over, and one that was started, stopped or loaded anew has another state, or systemd has read the unit files.
So they are listed when anything of that is seen, when a clock was set or stood still (suspend), and each
five minutes: a time that moves unseen is right again by then, as when somebody has run the job of
`OnUnitActiveSec=` by hand, restarted a timer or set the time zone between two ticks. Nothing that is alerted
on goes by such a time: whoever is overdue by the list is listed anew before anybody says so.
"""

from collections.abc import Mapping, Sequence
from math import inf

from collectors.systemd.values import Timer, Unit

_EVERY = 300.0
_SET = 1.0
"""So many seconds the clocks may drift apart: more is one that was set, or stood still."""


class Timetable:
    """What was listed; `now` is a time of CLOCK_MONOTONIC, and `wall` the Unix time, in seconds."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Know nothing: systemctl has not told."""
        self.listed: Sequence[Timer] = ()
        self.odd = 0
        self._units: dict[str, Unit] = {}
        self._loaded = ""
        self._jobs: set[str] = set()
        self._next = self._again = -inf
        self._shift = 0.0

    def is_due(self, units: Mapping[str, Unit], loaded: str, wall: float, now: float) -> bool:
        """Tell whether timers may be others than those that were listed."""
        return (
            now >= self._again
            or wall >= self._next
            or abs(wall - now - self._shift) > _SET
            or loaded != self._loaded
            or self._of(units) != self._units
        )

    def take(
        self,
        listed: tuple[Sequence[Timer], int],
        units: Mapping[str, Unit],
        loaded: str,
        wall: float,
        now: float,
    ) -> None:
        """Take what was listed when these were the units, or a moment later, and how many cannot be read."""
        self.listed, self.odd = listed
        self._jobs = {each.activates for each in self.listed}
        self._units, self._loaded = self._of(units), loaded
        self._next = min((each.next for each in self.listed if each.next is not None), default=inf)
        self._again, self._shift = now + _EVERY, wall - now

    def _of(self, units: Mapping[str, Unit]) -> dict[str, Unit]:
        """Return the timers among units, and what they start."""
        return {name: unit for name, unit in units.items() if name.endswith(".timer") or name in self._jobs}
