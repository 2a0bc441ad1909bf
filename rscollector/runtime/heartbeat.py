"""The agent's pulse, once a second: is the loop on time, what did the clocks do, what has grown too old?

While it beats the watchdog of the service manager is fed; when it does not, `unhealthy` says so.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from rscollector.model.schedule import Clocks, clock_change
from rscollector.model.settings import humanized
from rscollector.runtime.children import Strays
from rscollector.runtime.supervisor import Supervisor
from rscollector.runtime.vitals import Vitals

log = logging.getLogger("rscollector")

_BEAT = 1.0
_STUCK = 5.0  # a tick that is this late and was not run tells that the loop does not do its work


class Heartbeat:
    """Beats from `start` on; with each beat it calls `beaten` with the loop's time."""

    def __init__(
        self, supervisor: Supervisor, vitals: Vitals, strays: Strays, beaten: Callable[[float], None]
    ) -> None:
        self._supervisor = supervisor
        self._vitals = vitals
        self._strays = strays
        self._beaten = beaten
        self._loop = asyncio.get_running_loop()
        self._at = self._loop.time()
        self._clocks = _clocks()
        self._told_of_strays = ""

    def start(self) -> None:
        """Begin to beat."""
        self._at = self._loop.time()
        self._beat()

    def unhealthy(self) -> str:
        """Return why the loop is not doing its work: it answers, but its timers do not run."""
        due = self._supervisor.ticks.next_due()
        late = self._loop.time() - min(self._at, self._at if due is None else due)
        return f"the agent's timers are {humanized(late)} late" if late > _STUCK else ""

    def _beat(self) -> None:
        now = self._loop.time()
        self._vitals.loop_lag = max(0.0, now - self._at)
        self._at = now + _BEAT
        self._loop.call_at(self._at, self._beat)
        self._watch_clocks()
        self._supervisor.expire(now)
        self._beaten(now)
        self._end_strays()

    def _end_strays(self) -> None:
        try:
            killed, immortal = self._strays.end()
            sentences = (
                ("killed what workers have left behind", killed),
                ("cannot kill what workers have left behind, it has another user", immortal),
            )
            told = "; ".join(f"{what}: {', '.join(names)}" for what, names in sentences if names)
        except OSError as error:
            told = f"cannot look for what workers leave behind ({error.strerror}); tried again each second"
        if told and told != self._told_of_strays:  # one that cannot be killed is told of once
            log.warning("%s", told)
        self._told_of_strays = told

    def _watch_clocks(self) -> None:
        clocks = _clocks()
        change = clock_change(self._clocks, clocks)
        self._clocks = clocks
        if change.stepped:
            self._vitals.steps += 1
            log.warning("the wall clock was set by %+.1f s; no tick depends on it", change.stepped)
        if change.suspended:
            self._vitals.suspends += 1
            self._supervisor.drop_all_samples()
            log.warning("suspended for %s; samples from before are dropped", humanized(change.suspended))


def _clocks() -> Clocks:
    return Clocks(time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME), time.time())
