"""How long until the first data, and until the command line answers."""

import statistics
import subprocess
import sys
import time

import bench
from bench import Row
from harness import RunningAgent, free_port, until

ROUNDS = 10
DEFAULT = """
[web]
listen = ["127.0.0.1:{port}"]
[collector.agent.main]
[collector.vip.main]
"""


def rows():
    """Measure starts of the agent, of `rscollector --help`, and of an interpreter that does nothing."""
    started = statistics.median(_first_data() for _ in range(ROUNDS))
    yield Row("start to the first scrape with data", started, "s", aim=1)
    help_ = _command("-m", "rscollector.cli.main", "--help")
    bare = _command("-c", "pass")
    yield Row("rscollector --help", help_, "ms", f"python -c pass {bare:.3g} ms", aim=150)


def _first_data():
    port = free_port()
    with bench.tempfile.TemporaryDirectory() as directory:
        began = time.perf_counter()
        agent = RunningAgent(bench.Path(directory), DEFAULT.format(port=port), (), bench.PLUGINS, {})
        try:
            until(lambda: bench.listening(port) and b"\nvip_" in bench.fetched(port))
            return time.perf_counter() - began
        finally:
            agent.stop()


def _command(*arguments):
    times = []
    for _ in range(2 * ROUNDS):
        began = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True, env=bench.environment())
        times.append((time.perf_counter() - began) * 1e3)
    return statistics.median(times)
