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
import resource
import signal
import time
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

from rscollector.config.plan import plan
from rscollector.config.types import Config
from rscollector.exposition.render import EOF, Format
from rscollector.model.schedule import Clocks, clock_change
from rscollector.model.settings import humanized
from rscollector.model.stopping import AGENT_STOPS
from rscollector.runtime.children import Strays
from rscollector.runtime.configure import Read, read_configuration
from rscollector.runtime.control import FOREIGN, is_foreign, socket_path
from rscollector.runtime.logs import Log
from rscollector.runtime.status import status
from rscollector.runtime.supervisor import Supervisor
from rscollector.runtime.systemd import Notifier
from rscollector.runtime.telemetry import Telemetry, Vitals
from rscollector.web.app import application
from rscollector.web.listeners import CannotListen, Connections, Listener, listen, listen_unix
from rscollector.web.server import run as serve

log = logging.getLogger("rscollector")

_FIRST = asyncio.FIRST_COMPLETED
_BEAT = 1.0
_STUCK = 5.0  # a tick that is this late and was not run tells that the loop does not do its work
_FILES = 65536


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
        self._state = "is starting"
        self._vitals = Vitals(started=self._loop.time())
        self._connections = Connections()
        self._clocks = _clocks()
        self._beat_at = self._loop.time()
        self._config = Config()
        self._immortal: list[str] = []
        self._strays: Strays
        self._supervisor: Supervisor
        self._telemetry: Telemetry

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT. Raises CannotStart."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._stop.set)
        self._loop.add_signal_handler(signal.SIGHUP, self._reload.set)
        self._strays = Strays()
        _raise_the_limit_of_files()
        configuring = asyncio.create_task(self._configure())
        await asyncio.wait({configuring, asyncio.create_task(self._stop.wait())}, return_when=_FIRST)
        if not configuring.done():
            configuring.cancel()  # the configuration's file system hangs, and we are told to stop
            return
        listeners = configuring.result()
        web_stop = asyncio.Event()
        web = asyncio.create_task(serve(application(self), listeners, web_stop))
        for spec in self._config.specs:
            self._supervisor.add(spec)
        reloads = asyncio.create_task(self._reload_when_asked())
        self._beat()
        self._state = ""
        self._systemd.ready()
        stop = asyncio.create_task(self._stop.wait())
        done, _ = await asyncio.wait({stop, web, reloads}, return_when=_FIRST)
        reloads.cancel()
        await self._end(web, web_stop)
        for task in done - {stop}:  # by a fault of ours: better to be started again than to go on without it
            task.result()

    async def _configure(self) -> list[Listener]:
        read = await read_configuration(self._path)
        if read.config is None:
            raise CannotStart(*read.mistakes, mistakes=True)
        self._config = read.config
        self._vitals.reloaded_at = time.time()
        self._supervisor = Supervisor(read.config.host, read.config.max_series_total)
        self._telemetry = Telemetry(self._supervisor, self._vitals)
        self._supervisor.page = self._text
        self._supervisor.own = self._telemetry.samples
        try:
            listeners = listen(read.config.listen, self._connections)
            listeners.append(listen_unix(socket_path(), self._connections))
        except CannotListen as error:
            raise CannotStart(str(error)) from error
        if is_foreign(socket_path()):
            raise CannotStart(f"{socket_path().parent} {FOREIGN}")
        files = ", ".join(read.config.files) or "no configuration file, so the built-in one"
        where = ", ".join(f"http://{address}/metrics" for address in read.config.listen)
        log.info(
            "watching %d collectors (%s); metrics on %s", len(read.config.specs), files, where or "no port"
        )
        return listeners

    async def _end(self, web: "asyncio.Task[None]", web_stop: asyncio.Event) -> None:
        self._state = "is stopping"
        self._systemd.stopping()
        log.info("stopping")
        if not await self._supervisor.stop(AGENT_STOPS):
            log.warning("not all workers ended in %s; they are killed", humanized(AGENT_STOPS))
        self._supervisor.kill_all()
        web_stop.set()
        self._connections.cut_all()  # hypercorn would wait for a client that does not read
        await asyncio.wait([web], timeout=2)
        web.cancel()
        socket_path().unlink(missing_ok=True)
        self._systemd.close()
        log.info("stopped")

    # --- reload ---

    async def _reload_when_asked(self) -> None:
        while await self._reload.wait():
            self._reload.clear()  # a hundred signals during one reload make one more
            self._systemd.reloading()
            self._apply(await read_configuration(self._path))
            self._telemetry.every_second(self._loop.time())
            self._systemd.ready()

    def _apply(self, read: Read) -> None:
        vitals, config = self._vitals, read.config
        vitals.reload_ok = config is not None
        vitals.reload_error = "\n".join(read.mistakes)
        if config is None:
            for mistake in read.mistakes:
                log.error("%s", mistake)
            count = len(read.mistakes)
            log.error("reload failed: %d mistakes; the configuration before it stays in use", count)
            return
        vitals.reloaded_at = time.time()
        wanted = {spec.key: spec for spec in config.specs}
        todo = plan({key: each.digest for key, each in self._supervisor.instances.items()}, wanted)
        if (config.listen, config.host) != (self._config.listen, self._config.host):
            log.warning("web.listen and agent.host change only with a restart; the old ones stay")
        for key in todo.remove:
            self._supervisor.remove(key)
        for key in todo.change:
            self._supervisor.remove(key, wanted[key])
        for key in todo.add:
            self._supervisor.add(wanted[key])
        self._supervisor.revive()
        self._supervisor.store.max_series = config.max_series_total
        self._config = config
        log.info("reloaded: %s", todo)

    # --- the heartbeat ---

    def _beat(self) -> None:
        """Once a second: is the loop on time, what did the clocks do, which samples are too old."""
        now = self._loop.time()
        self._vitals.loop_lag = max(0.0, now - self._beat_at)
        self._beat_at = now + _BEAT
        self._loop.call_at(self._beat_at, self._beat)
        self._watch_clocks()
        self._supervisor.expire(now)
        self._vitals.log_dropped = self._log.dropped
        self._vitals.evicted = self._connections.evicted
        self._telemetry.every_second(now)
        self._end_strays()
        if not self.unhealthy():
            up = [self._supervisor.up(each) for each in self._supervisor.instances.values()]
            self._systemd.alive(f"{sum(up)} of {len(up)} collectors up")

    def _end_strays(self) -> None:
        strays = sorted(self._strays.end())
        if strays and strays != self._immortal:  # those that cannot be killed are told once
            log.warning("killed what workers have left behind: %s", ", ".join(strays))
        self._immortal = strays

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

    # --- web.Face ---

    def page(self, wanted: Format) -> tuple[object, Iterable[bytes]]:
        """Return the page of all metrics, in chunks."""
        telemetry, store = self._telemetry, self._supervisor.store
        telemetry.render_some()
        generation = telemetry.generation, store.generation
        return generation, chain(telemetry.chunks(wanted), store.chunks(wanted), [EOF[wanted]])

    def _text(self) -> str:
        return b"".join(self.page(Format.TEXT)[1]).decode("utf-8")

    def status(self) -> dict[str, Any]:
        """Return what `rscollector status` shows."""
        return status(self._config, self._supervisor, self._vitals, self._loop.time())

    def unhealthy(self) -> str:
        """Return why the loop is not doing its work: it answers, but its timers do not run."""
        late = self._loop.time() - min(self._beat_at, self._supervisor.schedule.next_due() or self._beat_at)
        return f"the agent's timers are {humanized(late)} late" if late > _STUCK else ""

    def unready(self) -> str:
        """Return what the agent is busy with instead of watching."""
        return f"the agent {self._state}" if self._state else ""


def _raise_the_limit_of_files() -> None:
    """A few hundred workers need more than the usual 1024; a million would slow programs that close all."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, _FILES)), hard))


def _clocks() -> Clocks:
    return Clocks(time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME), time.time())
