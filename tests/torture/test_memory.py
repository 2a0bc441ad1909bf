"""Disasters of memory: a collector that leaks, and the kernel that has none left."""

import re
from pathlib import Path

from cgroups import limited
from harness import free_port, until
from storm import AGENT, resident, section

RESTARTS = {"type": "rogue", "name": "bad", "reason": "memory"}


def test_a_worker_that_leaks_is_renewed_between_two_ticks(storm):
    """50 MB more with each run: the worker is exchanged before they hurt, and its series stay on the page.

    kumina/postfix_exporter#38 was told to restart by a timer; Azure/WALinuxAgent#2671 ends the whole agent.
    """
    weather = storm(section("leak", count=50, max_memory='"150M"', timeout='"10s"'))
    seen = set()
    weather.strike()

    def renewed():
        seen.add(weather.agent.value("rogue_runs_total", name="bad") is not None)
        return (weather.agent.value("rscollector_collector_restarts_total", **RESTARTS) or 0) >= 2

    until(renewed)
    assert seen == {True}
    assert re.search(
        r"rogue/bad: its worker uses \d+ MiB, more than max_memory = 150 MiB; it is renewed",
        weather.agent.log,
    )
    assert (
        weather.agent.value(
            "rscollector_collector_runs_total", **{**RESTARTS, "reason": None, "result": "crash"}
        )
        is None
    )
    weather.passes()


def test_a_shared_worker_that_leaks_is_renewed_for_all_that_live_in_it(storm):
    """With isolation = "shared" the innocent move too, lose no series, and are charged with nothing."""
    weather = storm(
        section("leak", count=100, timeout='"10s"'),
        agent_settings='isolation = "shared"\nmax_memory = "150M"',
    )
    weather.strike()
    until(lambda: (weather.agent.value("rscollector_collector_restarts_total", **RESTARTS) or 0) >= 1)
    neighbour = {"type": "rogue", "name": "neighbour"}
    until(
        lambda: weather.agent.value(
            "rscollector_collector_restarts_total", **{**neighbour, "reason": "memory"}
        )
    )
    assert weather.agent.value("rscollector_collector_runs_total", result="neighbour", **neighbour) == 0
    weather.switch.unlink()
    until(weather.all_up)
    until(lambda: len(weather.agent.family()) == 1)
    weather.ends()


def test_the_kernel_kills_a_worker_and_not_the_agent(storm):
    """Out of memory: the kernel takes the worker, which has offered itself, and the reason says where to look.

    elastic/elastic-agent#3641: nobody could see that it had happened. By the scores the worker is the first to go. Only
    it has a limit here: while what it had is being freed, the kernel may take a second one that has the same.
    """
    weather = storm(section("leak", count=400, first=1, timeout='"10s"'))
    worker = weather.agent.collector("rogue/bad")["worker_pid"]
    assert Path(f"/proc/{worker}/oom_score_adj").read_text() == "500\n"
    assert _score(worker) > _score(weather.pid)
    told = re.compile(
        r"rogue/bad: .*the worker was killed by SIGKILL \(the kernel does that when memory is short"
    )
    with limited("memory", resident(worker) + (100 << 20), worker):
        weather.strike()
        until(lambda: told.search(weather.agent.log))
        weather.switch.unlink()
        until(
            lambda: weather.agent.value(
                "rscollector_collector_runs_total", type="rogue", name="bad", result="crash"
            )
        )
        until(weather.all_up)
    weather.passes()


def _score(pid):
    return int(Path(f"/proc/{pid}/oom_score").read_text())


def test_labels_without_end_cost_the_agent_nothing(agent):
    """Two hundred labels of 60 kB in each of two collectors: dropped, counted and told, before they cost memory."""
    sections = "".join(section("long", name, count=60_000, max_memory='"1G"') for name in ("a", "b"))
    started = agent(AGENT.format(agent="", port=free_port()) + sections)
    long = {"type": "rogue", "reason": "invalid"}
    until(
        lambda: (started.value("rscollector_collector_dropped_samples_total", name="a", **long) or 0) > 1000
    )
    until(
        lambda: (started.value("rscollector_collector_dropped_samples_total", name="b", **long) or 0) > 1000
    )
    assert resident(started.process.pid) < 100 << 20
    assert "label values of more than 2048 characters together" in started.log
    assert started.value("rscollector_collector_up", name="neighbour", type="rogue") == 1
