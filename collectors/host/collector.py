"""The collector `host`: what the kernel says of the machine that this agent is on.

Its files are read beneath `context.root`; what cannot be read costs its own numbers only. It is `local`: the
one program that it runs, chronyc, asks this host only, once a minute, and is told its own timeout.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from collectors.host import clock, cpu, disks, kernel, memory, network, pressure, raid
from collectors.host.explain import explain
from collectors.host.guest import described
from collectors.host.look import Look
from rscollector.api import Collector, Context, Sample, setting
from rscollector.kit.optional import optional


@dataclass(frozen=True)
class HostSettings:
    """What is left out."""

    ignored_disks: tuple[str, ...] = setting(
        "Patterns of disks that are not shown, by the kernel's name or the device mapper's; a host with many "
        'paths to each disk leaves these out by "sd*".',
        default=("loop*", "ram*", "zram*", "sr*", "fd*"),
    )


class Host(Collector[HostSettings]):
    """This host: CPU, load, memory, swap, pressure, disks, network stack, md arrays and clock."""

    metrics = (
        *cpu.METRICS, *memory.METRICS, *pressure.METRICS, *disks.METRICS, *network.METRICS, *kernel.METRICS,
        *raid.METRICS, *clock.METRICS,
    )  # fmt: skip
    local = True
    Settings = HostSettings
    apart = 0.25
    """Seconds between the first two readings, at least: `collect --explain` has no others to compare."""

    @staticmethod
    def ask_clock() -> clock.Timex:
        """Ask the kernel for its clock, which is in no file."""
        return clock.adjtimex()

    def open(self, context: Context) -> None:
        """Read everything once, to have something to compare with."""
        self._cpu, self._network = cpu.Cpu(), network.Network()
        self._disks = disks.Disks(self.settings.ignored_disks)
        self._chrony = clock.Chrony()
        self._guest = described(context)
        self._look = Look()
        notes = len(context.notes)
        self._look.take(context.clock(), self._of_files(context))
        del context.notes[notes:]  # the first collect has them again
        self._is_first = True

    def collect(self, context: Context) -> list[Sample]:
        """Read everything."""
        if self._is_first:
            self._is_first = False
            time.sleep(min(context.budget(), max(0.0, self.apart - (context.clock() - self._look.at))))
        samples = [*self._of_files(context), *clock.samples(context, self.ask_clock, self._chrony)]
        self._look.take(context.clock(), samples)
        context.say(*explain(self._look, self._chrony.source))
        if self._guest:
            context.say(self._guest)
        return samples

    def _of_files(self, context: Context) -> Iterator[Sample]:
        yield from self._cpu.samples(context)
        with optional(context, "memory"):
            yield from memory.samples(context)
        with optional(context, "paging and what was killed"):
            yield from memory.VMSTAT.samples(context)
        yield from pressure.samples(context)
        yield from self._disks.samples(context)
        yield from self._network.samples(context)
        yield from kernel.samples(context)
        yield from raid.samples(context)
