"""What the kernel has told since the last tick, and what it shows now; kept for the next process.

Two sockets, one for addresses and one for links, are opened once. The kernel leaves each change in their
buffers, and a tick reads them: nothing wakes up in between. A tick's dump is taken for the table when nothing
was told around it, and when changes were lost. What happened while nobody watched (another worker, a suspend)
is a *gap*: the kept table is compared with a dump.
"""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from collectors.vip.table import Table
from collectors.vip.wanted import Wanted
from rscollector.api import Context, Unavailable, replace_file
from rscollector.kit import netlink
from rscollector.kit.boot import BOOT_ID, boot_id
from rscollector.kit.netlink import Overrun
from rscollector.kit.rtnetlink import IFF_RUNNING, Address, Link

_ATTEMPTS, _PATIENCE = 3, 3
"""Dumps in a tick, while more is told around each; and how often an interrupted one is asked for again."""
_SHORT_SLEEP = 1.0
_MOST_COMPARED = 1000


@dataclass(slots=True)
class Doubts:
    """How often changes were lost in the buffers, and how often nobody watched for a time."""

    overruns: int = 0
    link_overruns: int = 0
    gaps: int = 0


@dataclass(slots=True)
class Links:
    """Whether each link was running, by its index, and how often it has stopped."""

    running: dict[int, bool] = field(default_factory=dict)
    losses: dict[int, int] = field(default_factory=dict)

    def change(self, link: Link) -> None:
        """Take in what was told of a link, or shown."""
        if link.gone:
            self.running.pop(link.ifindex, None)
            self.losses.pop(link.ifindex, None)
            return
        running = bool(link.flags & IFF_RUNNING)
        if self.running.get(link.ifindex) and not running:
            self.losses[link.ifindex] = self.losses.get(link.ifindex, 0) + 1
        self.running[link.ifindex] = running

    def replace(self, links: Iterable[Link]) -> None:
        """Take in all that there are."""
        there = {link.ifindex: link for link in links}
        for each in (self.running, self.losses):
            for ifindex in each.keys() - there.keys():
                del each[ifindex]
        for link in there.values():
            self.change(link)


class Watcher:
    """Follows the watched addresses, and all links, from tick to tick. Raises Unavailable, Misconfigured."""

    def __init__(self, wanted: Wanted, context: Context) -> None:
        self.table, self.links, self.doubts = Table(wanted), Links(), Doubts()
        self._begun, self._number = False, 0
        self._stale = self._links_stale = True
        self._asleep = _asleep()
        self._life = self._saved = ""
        self._go_on(context)
        self._addresses = netlink.Watch(netlink.ADDRESSES)
        try:
            self._link_watch = netlink.Watch(netlink.LINKS)
        except BaseException:
            self._addresses.close()
            raise

    def look(self, context: Context) -> tuple[list[Address] | None, dict[int, Link]]:
        """Take in what has changed; return the watched addresses, for a second opinion, and all links.

        There is None if they change too fast for a dump, or if this host has very many.
        """
        self._notice_sleep()
        addresses = self._look_at_addresses(context)
        links = self._look_at_links(context)
        self._keep(context)
        return addresses, links

    def close(self) -> None:
        """Close the sockets."""
        self._addresses.close()
        self._link_watch.close()

    def _look_at_addresses(self, context: Context) -> list[Address] | None:
        for left in reversed(range(_ATTEMPTS)):
            self._hear(context)
            self._number = 0
            try:
                dump = netlink.addresses(context, only=self._is_wanted, attempts=_PATIENCE)
            except Unavailable:
                if self._stale and not left:
                    raise
                continue
            if (self._stale and not left) or not self._hear(context):
                self.table.replace(dump, context.clock())
                self._stale, self._begun = False, True
                return dump if self._number <= _MOST_COMPARED else None
        return None  # but each change was told

    def _is_wanted(self, each: Address) -> bool:
        self._number += 1
        return each.local in self.table.wanted

    def _hear(self, context: Context) -> int:
        """Take in what was told of addresses; return how many times."""
        heard, now = 0, context.clock()
        for event in self._addresses.events(context):
            heard += 1
            if isinstance(event, Overrun):
                self.doubts.overruns += not self._stale
                self._stale = True
            elif isinstance(event, Address) and self._begun:
                self.table.change(event, now)
        return heard

    def _look_at_links(self, context: Context) -> dict[int, Link]:
        for event in self._link_watch.events(context):
            if isinstance(event, Overrun):
                self.doubts.link_overruns += 1
                self._links_stale = True
            elif isinstance(event, Link):
                self.links.change(event)
        there = netlink.links(context)
        if self._links_stale:
            self.links.replace(there)
            self._links_stale = False
        return {link.ifindex: link for link in there}

    def _notice_sleep(self) -> None:
        before, self._asleep = self._asleep, _asleep()
        if self._asleep - before > _SHORT_SLEEP:
            self.doubts.gaps += 1

    def _go_on(self, context: Context) -> None:
        """Take up what a worker of the same agent has kept."""
        if context.state is None:
            return
        self._life = _life(context)
        try:
            kept = json.loads(context.state.read_bytes())
            if kept["life"] == self._life:
                self.doubts = Doubts(*map(int, kept["doubts"]))
                self.table.go_on(kept["addresses"], complete=kept["networks"] == self.table.wanted.networks)
                self.links = Links(
                    *({int(index): each[n] for index, each in kept["links"].items()} for n in (0, 1))
                )
                self.doubts.gaps += 1
        except FileNotFoundError:
            pass
        except (OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError):
            self.table, self.links = Table(self.table.wanted), Links()
            self.doubts = Doubts(gaps=1)  # it is damaged: nobody knows what was counted

    def _keep(self, context: Context) -> None:
        if context.state is None:
            return
        used = {ifindex for held in self.table.held.values() for ifindex in held.on}
        links = {
            index: [self.links.running.get(index, False), self.links.losses.get(index, 0)] for index in used
        }
        doubts = [self.doubts.overruns, self.doubts.link_overruns, self.doubts.gaps]
        kept = {"life": self._life, "networks": self.table.wanted.networks, "doubts": doubts, "links": links}
        text = json.dumps({**kept, "addresses": self.table.kept()})
        if text == self._saved:
            return
        try:
            replace_file(context.state, text.encode("ascii"))
            self._saved = text
        except OSError as error:
            context.note(f"{context.state}: {error.strerror}: the next worker will count from 0")


def _asleep() -> float:
    """Return the seconds for which this host was suspended since its boot."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()


def _life(context: Context) -> str:
    """Name this life of the agent: the boot, the process, and when that was started."""
    stat = Path(f"/proc/{context.agent}/stat").read_bytes()
    return f"{boot_id(context.path(BOOT_ID))} {context.agent} {int(stat.rpartition(b')')[2].split()[19])}"
