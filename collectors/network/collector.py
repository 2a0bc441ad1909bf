"""The collector `network`: interfaces and bonds of this network namespace, as the kernel tells them.

One netlink dump tells all of them, without a privilege; files tell the rest (`hardware`). An interface that
cannot be read costs its own numbers only.
"""

import os
import re
import time
from dataclasses import dataclass
from fnmatch import translate

from collectors.network import bonds, driver, hardware, interfaces
from collectors.network.bonds import LACP
from collectors.network.bundles import bundle_of
from collectors.network.explain import Told, explain
from collectors.network.interfaces import PHYSICAL, Interface, names_of
from rscollector.api import Collector, Context, Sample, setting
from rscollector.kit import netlink
from rscollector.kit.links import Links, labels
from rscollector.kit.rtnetlink import IFF_MASTER, IFF_SLAVE, Link

_SHOWN = 5
_OF_BONDS = IFF_MASTER | IFF_SLAVE


@dataclass(frozen=True)
class NetworkSettings:
    """What is left out, and what drivers are asked."""

    ignored_interfaces: tuple[str, ...] = setting(
        "Patterns of interfaces that are not shown: those of containers come and go. A bond and what it has "
        "are shown whatever they are called.",
        default=(
            "veth*", "docker*", "podman*", "br-*", "cni*", "cali*", "cilium*", "flannel*", "kube-*", "lxc*",
            "lxd*",
        ),
    )  # fmt: skip
    driver_statistics: tuple[str, ...] = setting(
        "Names or patterns of what drivers count by themselves, as `ethtool -S` calls it, such as "
        '"rx*_drops"; nothing by default. Only what counts upwards makes sense here. This needs ethtool, and '
        "gives the collector a worker of its own, since a driver may take long to answer.",
        default=(),
    )


class Network(Collector[NetworkSettings]):
    """Network interfaces and bonds: frames, errors, drops, links, speed, and LACP with its partner."""

    metrics = (*interfaces.METRICS, *hardware.METRICS, *bonds.METRICS, driver.STATISTIC)
    max_series = 10_000  # 500 interfaces of 16 series, with some for speed, kinds of errors and bonds
    Settings = NetworkSettings
    dump = staticmethod(netlink.links)
    """How the kernel is asked for its links, which are in no file."""
    apart = 0.25
    """Seconds between the first two readings, at least: `collect --explain` has no others to compare."""

    @classmethod
    def is_local(cls, settings: NetworkSettings) -> bool:
        """Share a worker unless drivers are asked by a program."""
        return not settings.driver_statistics

    def open(self, context: Context) -> None:
        """Read everything once, to have something to compare with."""
        patterns = map(translate, self.settings.ignored_interfaces)
        self._ignored = re.compile("|".join(patterns) or r"(?!)")
        self._links = Links(self.dump)
        self._before: list[Link] = []
        self._shown: dict[int, Interface] = {}
        self._odd: list[str] = []
        notes = len(context.notes)
        self._read(context)
        del context.notes[notes:]  # the first collect has them again
        self._is_first = True

    def collect(self, context: Context) -> list[Sample]:
        """Read everything."""
        if self._is_first:
            self._is_first = False
            time.sleep(min(context.budget(), max(0.0, self.apart - (context.clock() - self._at))))
        before = self._at
        traffic = self._read(context)
        samples: list[Sample] = []
        shown = list(self._shown.values())
        devices = [each for each in shown if each.kind == PHYSICAL]
        told = Told(shown, self._at - before)
        for each in devices:
            if each.has_carrier:
                told.hardware[each.names.own] = found = hardware.read(context, each.link.name)
                samples += found.samples(each.names.own)
        for each in shown:
            if each.bond:
                seen = hardware.seen(context, each.link.name) if each.bond.mode == LACP else {}
                told.bundles.append(bundle_of(each, each.bond, shown, seen))
                samples += told.bundles[-1].samples()
        if self.settings.driver_statistics:
            asked = [(os.fsdecode(each.link.name), each.names.own) for each in devices]
            samples += driver.samples(context, asked, self.settings.driver_statistics)
        context.say(*explain(told))
        return samples + traffic  # what is beyond max_series is left out, and is not to be a bond

    def _read(self, context: Context) -> list[Sample]:
        """Return what the dump tells of all interfaces that are shown."""
        links = self._links.ask(context)
        self._at = context.clock()
        if links != self._before:
            self._look_again(context, links)
        samples, odd = [], list(self._odd)
        for each in self._shown.values():
            try:
                samples += each.samples()
            except ValueError as error:
                odd.append(f"{each.names.own}: {error}")
        if odd:
            more = f" and {len(odd) - _SHOWN} more" if len(odd) > _SHOWN else ""
            context.note(f"missing: what cannot be read of {'; '.join(odd[:_SHOWN])}{more}")
        return samples

    def _look_again(self, context: Context, links: list[Link]) -> None:
        """Take in what has changed, beside counters; what has not is kept with all that it has counted."""
        called = labels(links)
        before, self._before, self._shown, self._odd = self._shown, links, {}, []
        for link in links:
            label = called[link.ifindex]
            if self._ignored.match(label) and not link.flags & _OF_BONDS:
                continue
            try:
                names, known = names_of(link, called), before.get(link.ifindex)
                if known is None or known.link is not link or known.names != names:
                    known = Interface(link, names, hardware.has_device(context, link.name), known)
                self._shown[link.ifindex] = known
            except ValueError as error:
                self._odd.append(f"{label}: {error}")
        # The same: what this host has is not left out for the sake of what its guests have.
        self._shown = dict(sorted(self._shown.items(), key=lambda each: not each[1].is_of_host))
