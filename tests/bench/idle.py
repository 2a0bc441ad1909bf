"""The agent with its default configuration, left alone for ten minutes: CPU and wake-ups."""

import time

import bench
from bench import Row
from harness import until
from memory import DEFAULT

SECONDS = 600


def rows():
    """Measure the agent and its worker over ten minutes, with nobody scraping."""
    with bench.agent(DEFAULT) as agent:
        until(lambda: all(each["up"] for each in agent.status()["collectors"]))
        bench.settled(5)
        pids = bench.descendants(agent.process.pid)
        before = [(bench.cpu_seconds(pid), bench.wake_ups(pid)) for pid in pids]
        ticks = _ticks(agent)
        began = time.monotonic()
        time.sleep(SECONDS)
        took = time.monotonic() - began
        after = [(bench.cpu_seconds(pid), bench.wake_ups(pid)) for pid in pids]
        ticks = _ticks(agent) - ticks
    for name, (cpu, waked), (cpu_after, waked_after) in zip(("agent", "worker"), before, after, strict=True):
        yield Row(f"idle {name}: CPU over ten minutes", (cpu_after - cpu) / took * 100, "% of a core")
        yield Row(f"idle {name}: wake-ups", (waked_after - waked) / took, "per second")
    spent = sum(cpu for cpu, _ in after) - sum(cpu for cpu, _ in before)
    yield Row("CPU per tick, both processes, all that an idle agent does included", spent / ticks * 1e3, "ms")


def _ticks(agent):
    runs = agent.metrics()
    return sum(value for (name, _), value in runs.items() if name == "rscollector_collector_runs_total")
