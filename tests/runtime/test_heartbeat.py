"""The agent's own pulse: late timers, clocks that jump, samples that grow old."""

import asyncio
import os
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from accelerated import spec

from rscollector.model.metrics import Kind, Metric
from rscollector.model.schedule import Clocks
from rscollector.runtime import heartbeat as room
from rscollector.runtime.heartbeat import Heartbeat
from rscollector.runtime.instance import Instance
from rscollector.runtime.supervisor import Supervisor
from rscollector.runtime.vitals import Vitals

METRIC = Metric("x_n", Kind.GAUGE, "A number.")


class NoStrays:
    """Nothing to end: the real one would make this process the parent of whatever other tests leave behind."""

    def end(self):
        """Return the names of none."""
        return [], []


def beating(function):
    """Run a function with a heartbeat, its supervisor without collectors, and its vitals, in a loop."""

    async def main():
        loop = asyncio.get_running_loop()
        supervisor, vitals = Supervisor("host", 100), Vitals(started=loop.time())
        heartbeat = Heartbeat(supervisor, vitals, NoStrays(), lambda _: None)
        parts = SimpleNamespace(supervisor=supervisor, vitals=vitals, heartbeat=heartbeat, loop=loop)
        return function(parts)

    return asyncio.run(main())


def show(parts, expires=1e12):
    """Show one sample."""
    parts.supervisor.store.commit("x/a", [("x_n", (), 1)], {"x_n": METRIC}, limit=9, expires=expires)


def shifted(clocks, *, suspended=0.0, stepped=0.0):
    """Return a reading from before a suspend or a step."""
    return Clocks(clocks.monotonic, clocks.boottime - suspended, clocks.wall - suspended - stepped)


def test_a_tick_that_is_not_run_makes_the_agent_unhealthy():
    """The loop answers, but its timers do not run: that is what the health check is for."""

    def look(parts):
        before = parts.heartbeat.unhealthy()
        schedule = parts.supervisor.ticks._schedule
        schedule.add("x/a", interval=1.0, phase=0.0, now=parts.loop.time() - 7)  # five seconds are too late
        return before, parts.heartbeat.unhealthy()

    before, late = beating(look)
    assert before == ""
    assert late.startswith("the agent's timers are ")


def test_a_suspend_drops_all_samples():
    """What was known before the machine slept is not shown as known now."""

    def wake(parts):
        show(parts)
        parts.heartbeat._clocks = shifted(parts.heartbeat._clocks, suspended=3600.0)
        parts.heartbeat._watch_clocks()
        return parts.supervisor.store.series(), parts.vitals.suspends, parts.vitals.steps

    assert beating(wake) == (0, 1, 0)


@pytest.mark.parametrize("seconds", [3600.0, -3600.0])
def test_a_step_of_the_wall_clock_is_counted_and_changes_nothing(seconds):
    """The samples stay, and the step is counted once."""

    def step(parts):
        show(parts)
        parts.heartbeat._clocks = shifted(parts.heartbeat._clocks, stepped=seconds)
        parts.heartbeat._watch_clocks()
        parts.heartbeat._watch_clocks()
        return parts.supervisor.store.series(), parts.vitals.suspends, parts.vitals.steps

    assert beating(step) == (1, 0, 1)


def test_a_part_of_the_agent_that_fails_ends_it(tmp_path):
    """It would rather be started again than go on without reloads; its workers end with it."""
    config = tmp_path / "rscollector.toml"
    config.write_text("[web]\nlisten = []\n[collector.agent.main]\n")
    script = (
        "import os, signal, sys\n"
        "from rscollector.cli.main import main\n"
        "from rscollector.runtime import reload\n"
        "from rscollector.runtime.heartbeat import Heartbeat\n"
        "reload.apply = lambda *_: 1 / 0\n"
        "Heartbeat._end_strays = lambda _: os.kill(os.getpid(), signal.SIGHUP)\n"
        f"sys.exit(main(['run', '-c', {str(config)!r}]))\n"
    )
    env = {**os.environ, "RUNTIME_DIRECTORY": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr


def test_old_samples_are_taken_off_the_page():
    """Whatever the reason, a sample that is too old is not believed any more."""

    def grow_old(parts):
        parts.supervisor.instances["x/a"] = Instance(spec("x/a"))
        show(parts, expires=parts.loop.time() - 1)
        parts.supervisor.expire(parts.loop.time())
        return parts.supervisor.store.series()

    assert beating(grow_old) == 0


def beats(monkeypatch, strays, act=None):
    """Have a heart beat fast while a function is awaited, or five times; returns its vitals."""
    monkeypatch.setattr(room, "_BEAT", 0.02)

    async def main():
        loop, beaten = asyncio.get_running_loop(), []
        loop.set_exception_handler(lambda *_: None)
        vitals = Vitals(started=loop.time())
        Heartbeat(Supervisor("host", 100), vitals, strays, beaten.append).start()
        if act:
            await act()
        while not act and len(beaten) < 5:
            await asyncio.sleep(0.01)
        return vitals

    return asyncio.run(main())


class Strays:
    """Strays that cannot be killed, or cannot even be looked for when the agent has started."""

    def __init__(self, killed=(), immortal=(), error=None):
        self.killed, self.immortal, self.error, self.times = killed, immortal, error, 0

    def end(self):
        """Return them."""
        self.times += 1
        if self.error and self.times > 1:
            raise self.error
        return self.killed, self.immortal


def test_a_stray_that_cannot_be_killed_is_told_once(monkeypatch, caplog):
    """And not once a second for as long as it lives."""
    beats(monkeypatch, Strays(["daemon"], ["root"]))
    assert [each.message for each in caplog.records] == [
        (
            "killed what workers have left behind: daemon; "
            "cannot kill what workers have left behind, it has another user: root"
        )
    ]


def test_the_watchdog_is_fed_also_when_strays_cannot_be_looked_for(monkeypatch):
    """No descriptor is left: the agent would else be killed for what it does not need."""
    strays = Strays(error=OSError("too many open files"))
    beats(monkeypatch, strays)
    assert strays.times > 2


def test_a_beat_that_comes_late_is_measured(monkeypatch):
    """What holds up the loop is seen in its own metric."""

    async def hold_up():
        await asyncio.sleep(0)
        time.sleep(0.3)
        await asyncio.sleep(0)

    assert 0.2 < beats(monkeypatch, NoStrays(), hold_up).loop_lag < 5


def test_a_heart_that_does_not_beat_makes_the_agent_unhealthy(monkeypatch):
    """Also where no tick is due for long."""
    monkeypatch.setattr(room, "_STUCK", 0.05)

    def look(parts):
        parts.supervisor.ticks.add("x/a", 3600.0)
        time.sleep(0.1)
        return parts.heartbeat.unhealthy()

    assert beating(look).startswith("the agent's timers are ")


def test_that_it_cannot_look_for_strays_is_told_once(monkeypatch, caplog):
    """At the limit of open files: it beats on, and says so again only after it could."""
    ways, asked = iter([OSError(24, "Too many open files")] * 3), []

    class Blind:
        def end(self):
            asked.append("")
            error = next(ways, None)
            if error:
                raise error
            return [], []

    beats(monkeypatch, Blind())
    assert len(asked) >= 4
    assert (
        caplog.text.count("cannot look for what workers leave behind (Too many open files); tried again") == 1
    )
