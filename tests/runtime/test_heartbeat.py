"""The agent's own pulse: late timers, clocks that jump, samples that grow old."""

import asyncio
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from rscollector.model.metrics import Kind, Metric
from rscollector.model.schedule import Clocks
from rscollector.runtime.heartbeat import Heartbeat
from rscollector.runtime.supervisor import Supervisor
from rscollector.runtime.vitals import Vitals

METRIC = Metric("x_n", Kind.GAUGE, "A number.")


class NoStrays:
    """Nothing to end: the real one would make this process the parent of whatever other tests leave behind."""

    def end(self):
        """Return the names of none."""
        return []


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
        schedule.add("x/a", interval=1.0, phase=0.0, now=parts.loop.time() - 60)
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
        show(parts, expires=parts.loop.time() - 1)
        parts.supervisor.expire(parts.loop.time())
        return parts.supervisor.store.series()

    assert beating(grow_old) == 0
