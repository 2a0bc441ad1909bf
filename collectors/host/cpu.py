"""CPU time by mode, summed over all CPUs, and what /proc/stat and /proc/loadavg tell beside it."""

import os
from collections.abc import Iterator
from math import isfinite

from collectors.host.proc import HOST, Facts, columns, complain, count, leading, read
from rscollector.api import Context, Sample
from rscollector.kit.optional import optional
from rscollector.kit.table import Table, row


def _load(text: str) -> float:
    if not isfinite(load := float(text)) or load < 0:
        raise ValueError(text)
    return load


CPU = HOST.counter(
    "cpu_seconds",
    "Time of all CPUs together by what they did; that of guests is part of user and nice.",
    "mode",
)
CPUS = HOST.gauge("cpus", "CPUs that are online.")
RUNNING = HOST.gauge("procs_running", "Tasks that run or wait for a CPU now.")
BLOCKED = HOST.gauge("procs_blocked", "Tasks that wait for a disk now.")
BOOTED = HOST.gauge(
    "boot_time_seconds", "When the kernel was started, as Unix time; it changes with the clock."
)
FACTS = Facts(
    "/proc/stat",
    Table(
        {
            "ctxt": row(
                HOST.counter("context_switches", "Times that a CPU went from one task to another."), count
            ),
            "intr": row(HOST.counter("interrupts", "Interrupts that were served."), leading),
            "processes": row(HOST.counter("forks", "Processes and threads that were started."), count),
            "procs_running": row(RUNNING, count),
            "procs_blocked": row(BLOCKED, count),
            "btime": row(BOOTED, count),
        }
    ),
)
LOADS = {
    f"load{minutes}": row(
        HOST.gauge(f"load{minutes}", f"Tasks that run, or wait for a CPU or a disk, averaged over {span}."),
        _load,
    )
    for minutes, span in ((1, "a minute"), (5, "5 minutes"), (15, "15 minutes"))
}
LOAD = Facts("/proc/loadavg", Table(LOADS), columns(*LOADS))
METRICS = (CPU, CPUS, *LOAD.table.metrics, *FACTS.table.metrics)

MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
_TICKS = os.sysconf("SC_CLK_TCK")
_STEP_BACK = 60 * _TICKS


class Cpu:
    """Remembers the highest times of each mode, for the kernel's may step back."""

    def __init__(self) -> None:
        self._highest: dict[str, int] = {}

    def samples(self, context: Context) -> Iterator[Sample]:
        """Yield what /proc/stat and /proc/loadavg tell."""
        with optional(context, "CPU time"):
            told = FACTS.parse(read(context, FACTS.path))
            yield from self._times(context, told.get("cpu", ""))
            if cpus := sum(name.startswith("cpu") for name in told) - ("cpu" in told):
                yield CPUS(cpus)
            yield from FACTS.of(context, told)
        with optional(context, "the load"):
            yield from LOAD.samples(context)

    def _times(self, context: Context, line: str) -> Iterator[Sample]:
        odd = []
        for mode, text in zip(MODES, line.split(), strict=False):
            try:
                yield CPU(self._steady(mode, count(text)) / _TICKS, mode=mode)
            except ValueError:
                odd.append(f"{mode} = {text!r:.40}")
        complain(context, FACTS.path, odd if line else ["it has no line cpu"])

    def _steady(self, mode: str, ticks: int) -> int:
        """Hold a time that has stepped back a little, until it has caught up.

        The kernel's idle and iowait do (node_exporter#1903, proc(5)), and each step would be taken for a
        restart: a rate of all seconds since boot. What falls by a minute was begun anew.
        """
        highest = self._highest.get(mode, 0)
        if not highest - _STEP_BACK <= ticks < highest:
            self._highest[mode] = highest = ticks
        return highest
