"""What all benchmarks share: rows of the table, processes that are measured, and how."""

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness import RunningAgent, children, until

PLUGINS = Path(__file__).parent.parent / "plugins"
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Row:
    """One line of the table. `aim` is a bound on `ratio`, or on `figure` where there is no ratio."""

    what: str
    figure: float
    unit: str
    beside: str = ""
    ratio: float | None = None
    aim: float | None = None

    @property
    def verdict(self) -> str:
        """Say whether the aim is reached."""
        if self.aim is None:
            return ""
        value = self.figure if self.ratio is None else self.ratio
        return "yes" if value <= self.aim else "**no**"

    def cells(self) -> tuple[str, ...]:
        """Return the cells of the table."""
        ratio = "" if self.ratio is None else shown(self.ratio)
        aim = "" if self.aim is None else f"≤ {shown(self.aim)}"
        return self.what, f"{shown(self.figure)} {self.unit}", self.beside, ratio, aim, self.verdict


def shown(number: float) -> str:
    """Return a number with three digits that count."""
    return f"{number:.0f}" if abs(number) >= 100 else f"{number:.3g}"


def p99(values: list[float]) -> float:
    """Return the 99th percentile."""
    return statistics.quantiles(values, n=100)[98]


@contextmanager
def agent(toml: str, prefix: Sequence[str] = (), **environment: str) -> Iterator[RunningAgent]:
    """Run an agent on a configuration, ready; behind a command, such as one that enters a namespace."""
    with tempfile.TemporaryDirectory() as directory:
        running = RunningAgent(Path(directory), toml, (), PLUGINS, environment, prefix)
        try:
            until(running.ready)
            yield running
        finally:
            running.stop()


@contextmanager
def running(*commands: list[str], cwd: str | None = None) -> Iterator[list[int]]:
    """Run other programs, without their output; yields their process ids."""
    with ExitStack() as stack:
        pids = []
        for command in commands:
            process = subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=cwd, env=environment()
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)
            pids.append(process.pid)
        yield pids


def environment() -> dict[str, str]:
    """Return an environment in which our modules and those of the tests are found."""
    path = os.pathsep.join(map(str, (PLUGINS, HERE, HERE.parent, HERE.parent.parent)))
    return {**os.environ, "PYTHONPATH": path}


def python(script: str, *arguments: object) -> list[str]:
    """Return the command that runs one of our scripts."""
    return [sys.executable, str(HERE / script), *map(str, arguments)]


def descendants(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    found = [pid]
    for each in found:
        found += children(each)
    return found


def proportional_memory(pids: list[int]) -> float:
    """Return the PSS of some processes together, in MB."""
    total = 0
    for pid in pids:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total * 1024 / 1e6


def descriptors(pid: int) -> int:
    """Return the number of descriptors that a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def cpu_seconds(pid: int, *, reaped: bool = False) -> float:
    """Return the CPU time that a process has used itself, or with that of the children that it has `reaped`."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11 : 15 if reaped else 13])) / os.sysconf("SC_CLK_TCK")


def wake_ups(pid: int) -> int:
    """Return how often the threads of a process have been woken up."""
    count = 0
    for path in Path(f"/proc/{pid}/task").glob("*/status"):
        line = next(line for line in path.read_text().splitlines() if line.startswith("voluntary_ctxt"))
        count += int(line.split()[1])
    return count


def listening(port: int) -> bool:
    """Tell whether somebody listens on a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def fetched(port: int) -> bytes:
    """Return a server's metrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return answer.read()


def settled(seconds: float = 1.0) -> None:
    """Wait for what was begun to calm down."""
    time.sleep(seconds)
