"""The agent's own pulse: late timers, clocks that jump, samples that grow old."""

import asyncio
import logging
import os
import subprocess
import sys

import pytest

from rscollector.model.metrics import Kind, Metric
from rscollector.model.schedule import Clocks
from rscollector.runtime.agent import Agent
from rscollector.runtime.logs import Log
from rscollector.runtime.supervisor import Supervisor

METRIC = Metric("x_n", Kind.GAUGE, "A number.")


@pytest.fixture
def pulse(caplog):
    """Run a function with an agent that has a store and a schedule but no collectors, in a loop."""
    log = Log(logging.CRITICAL)

    def run(function):
        async def main():
            agent = Agent(None, log)
            agent._supervisor = Supervisor("host", 100)
            return function(agent)

        return asyncio.run(main())

    yield run
    log.close()


def show(agent, expires=1e12):
    """Show one sample."""
    agent._supervisor.store.commit("x/a", [("x_n", (), 1)], {"x_n": METRIC}, limit=9, expires=expires)


def shifted(clocks, *, suspended=0.0, stepped=0.0):
    """Return a reading from before a suspend or a step."""
    return Clocks(clocks.monotonic, clocks.boottime - suspended, clocks.wall - suspended - stepped)


def test_a_tick_that_is_not_run_makes_the_agent_unhealthy(pulse):
    """The loop answers, but its timers do not run: that is what the health check is for."""

    def look(agent):
        now = agent._loop.time()
        before = agent.unhealthy()
        agent._supervisor.schedule.add("x/a", interval=1.0, phase=0.0, now=now - 60)
        return before, agent.unhealthy()

    before, late = pulse(look)
    assert before == ""
    assert late.startswith("the agent's timers are ")


def test_a_suspend_drops_all_samples(pulse):
    """What was known before the machine slept is not shown as known now."""

    def wake(agent):
        show(agent)
        agent._clocks = shifted(agent._clocks, suspended=3600.0)
        agent._watch_clocks()
        return agent._supervisor.store.series(), agent._vitals.suspends, agent._vitals.steps

    assert pulse(wake) == (0, 1, 0)


@pytest.mark.parametrize("seconds", [3600.0, -3600.0])
def test_a_step_of_the_wall_clock_is_counted_and_changes_nothing(pulse, seconds):
    """The samples stay, and the step is counted once."""

    def step(agent):
        show(agent)
        agent._clocks = shifted(agent._clocks, stepped=seconds)
        agent._watch_clocks()
        agent._watch_clocks()
        return agent._supervisor.store.series(), agent._vitals.suspends, agent._vitals.steps

    assert pulse(step) == (1, 0, 1)


def test_a_part_of_the_agent_that_fails_ends_it(tmp_path):
    """It would rather be started again than go on without reloads; its workers end with it."""
    config = tmp_path / "rscollector.toml"
    config.write_text("[web]\nlisten = []\n[collector.agent.main]\n")
    script = (
        "import os, signal, sys\n"
        "from rscollector.cli.main import main\n"
        "from rscollector.runtime.agent import Agent\n"
        "Agent._apply = lambda *_: 1 / 0\n"
        "Agent._end_strays = lambda _: os.kill(os.getpid(), signal.SIGHUP)\n"
        f"sys.exit(main(['run', '-c', {str(config)!r}]))\n"
    )
    env = {**os.environ, "RUNTIME_DIRECTORY": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr


def test_old_samples_are_taken_off_the_page(pulse):
    """Whatever the reason, after three intervals a sample is not believed any more."""

    def grow_old(agent):
        show(agent, expires=agent._loop.time() - 1)
        agent._supervisor.expire(agent._loop.time())
        return agent._supervisor.store.series()

    assert pulse(grow_old) == 0
