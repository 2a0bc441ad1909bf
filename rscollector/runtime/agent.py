"""The agent: one asyncio loop that never blocks.

Invariant: *the agent makes no blocking call while it runs*. It imports no driver, resolves no name, and reads
and writes no file but the kernel's own answers about itself and its children in /proc. Whatever can block is
in a worker or in the configuration process; log lines are written by a thread.

Start: signal handlers first, then the configuration, the sockets, the collectors, and READY last; a target
that is down does not matter. Stop: no more ticks, the collectors are closed, what does not end is killed, and
the agent is gone within ten seconds whatever hangs.
"""

import asyncio
import logging
import signal
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

from rscollector.api.heap import give_back
from rscollector.config.types import Config
from rscollector.model.settings import humanized
from rscollector.model.stopping import AGENT_STOPS
from rscollector.runtime.capacity import capacity
from rscollector.runtime.children import Strays
from rscollector.runtime.configure import read_configuration
from rscollector.runtime.control import FOREIGN, is_foreign, socket_path
from rscollector.runtime.face import AgentFace
from rscollector.runtime.heartbeat import Heartbeat
from rscollector.runtime.listening import Listening
from rscollector.runtime.logs import Log
from rscollector.runtime.looker import Looker
from rscollector.runtime.reload import reload, renew_locks
from rscollector.runtime.signals import ENDING, hold_signals
from rscollector.runtime.supervisor import Supervisor
from rscollector.runtime.systemd import Notifier
from rscollector.runtime.telemetry import Telemetry
from rscollector.runtime.vitals import Vitals
from rscollector.web.app import application
from rscollector.web.listeners import CannotListen
from rscollector.web.server import Connections

log = logging.getLogger("rscollector")

_FIRST = asyncio.FIRST_COMPLETED
_LOOKS, _LOOK = 10, 0.02
"""How often strays are looked for at the end, and how many seconds are between two looks."""
_FILES = 30.0
"""Seconds after which it is looked again whether certificates have changed."""


class CannotStart(Exception):
    """The agent cannot start; the sentences say why. `mistakes`: the configuration is to blame."""

    def __init__(self, *sentences: str, mistakes: bool = False) -> None:
        super().__init__(*sentences)
        self.mistakes = mistakes


class Agent:
    """A running agent. `run` returns when it was told to stop."""

    def __init__(self, path: Path | None, log_output: Log) -> None:
        self._path = path
        self._log = log_output
        self._loop = asyncio.get_running_loop()
        self._systemd = Notifier.from_environment()
        self._stop = asyncio.Event()
        self._reload = asyncio.Event()
        self._vitals = Vitals(started=self._loop.time())
        self._capacity = capacity()
        self._connections = Connections(self._capacity.connections)
        self._listening = Listening(self._connections)

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT. Raises CannotStart."""
        for number in ENDING:
            self._loop.add_signal_handler(number, self._stop.set)
        self._loop.add_signal_handler(signal.SIGHUP, self._reload.set)
        strays, well = Strays(), False
        try:
            await self._run(strays)
            well = True
        finally:
            await _end_all(strays)
            hold_signals(ending=well)

    async def _run(self, strays: Strays) -> None:
        configuring = asyncio.create_task(self._configure())
        await asyncio.wait({configuring, asyncio.create_task(self._stop.wait())}, return_when=_FIRST)
        if not configuring.done():
            configuring.cancel()  # the configuration's file system hangs, and we are told to stop
        else:
            configuring.result()
            await self._watch(strays)

    async def _configure(self) -> None:
        read = await read_configuration(self._path)
        if read.config is None:
            raise CannotStart(*read.mistakes, mistakes=True)
        self._vitals.config = read.config
        self._vitals.reloaded_at = time.time()
        try:
            self._listening.open(read.config.listeners, socket_path())
        except (CannotListen, ValueError) as error:
            raise CannotStart(str(error), mistakes=isinstance(error, ValueError)) from error
        self._vitals.certificates = self._listening.certificates
        if is_foreign(socket_path()):
            raise CannotStart(f"{socket_path().parent} {FOREIGN}")
        _greet(read.config)

    async def _watch(self, strays: Strays) -> None:
        """Put the parts together and run them until the end."""
        config, vitals = self._vitals.config, self._vitals
        self._supervisor = Supervisor(config.host, config.max_series_total, self._capacity)
        self._telemetry = Telemetry(self._supervisor, vitals)
        self._heartbeat = Heartbeat(self._supervisor, vitals, strays, self._beaten)
        face = AgentFace(self._supervisor, self._telemetry, vitals, self._heartbeat)
        self._supervisor.own = self._telemetry.samples
        self._supervisor.deliveries.page = face.text
        self._listening.serve(partial(application, face))
        for spec in sorted(config.specs, key=lambda each: not each.sink):  # sinks are born first
            self._supervisor.add(spec)
        reloads = asyncio.create_task(self._reload_when_asked())
        give_back()
        self._heartbeat.start()
        vitals.busy = ""
        self._systemd.ready()
        stop = asyncio.create_task(self._stop.wait())
        done, _ = await asyncio.wait({stop, reloads}, return_when=_FIRST)
        reloads.cancel()
        await self._end()
        for task in done - {stop}:  # by a fault of ours: better to be started again than to go on without it
            task.result()

    def _beaten(self, now: float) -> None:
        self._vitals.log_dropped = self._log.dropped
        self._vitals.evicted = self._connections.evicted
        self._telemetry.every_second(now)
        if not self._heartbeat.unhealthy():
            up = [self._supervisor.up(each) for each in self._supervisor.instances.values()]
            self._systemd.alive(f"{sum(up)} of {len(up)} collectors up")

    async def _reload_when_asked(self) -> None:
        looker = Looker()
        while True:
            try:
                async with asyncio.timeout(_FILES):
                    await self._reload.wait()
            except TimeoutError:
                await renew_locks(looker, self._vitals, self._listening)
                continue
            self._reload.clear()  # a hundred signals during one reload make one more
            self._systemd.reloading()
            await reload(self._path, self._supervisor, self._vitals, self._listening)
            give_back()
            self._telemetry.every_second(self._loop.time())
            self._systemd.ready()

    async def _end(self) -> None:
        self._vitals.busy = "is stopping"
        self._systemd.stopping()
        log.info("stopping")
        if not await self._supervisor.stop(AGENT_STOPS):
            log.warning("not all workers ended in %s; they are killed", humanized(AGENT_STOPS))
        self._supervisor.bodies.kill_all()
        self._listening.close()
        socket_path().unlink(missing_ok=True)
        self._systemd.close()
        log.info("stopped")


async def _end_all(strays: Strays) -> None:
    """Kill what workers, and plugins that were asked for their settings, have put out of the way."""
    for _ in range(_LOOKS):
        with suppress(OSError):
            if strays.end() == ([], []):
                return
        await asyncio.sleep(_LOOK)


def _greet(config: Config) -> None:
    files = ", ".join(config.files) or "no configuration file, so the built-in one"
    where = ", ".join(each.url for each in config.listeners)
    log.info("watching %d collectors (%s); metrics on %s", len(config.specs), files, where or "no port")
