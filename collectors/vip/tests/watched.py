"""A collector in a namespace, asked in this process as a worker would, and what each tick shows."""

import os
from ipaddress import ip_address

from collectors.vip import Vip
from collectors.vip.wanted import VipSettings
from rscollector.api import Context, IpAddress
from rscollector.testing import values

V4, V6 = "192.0.2.10", "2001:db8::10"


class Watched:
    """The collector; `state` is its file, `agent` the process that it belongs to."""

    def __init__(self, net, state=None, addresses=(V4,), networks=(), agent=None, **settings):
        self.net, self.state, self.agent = net, state, agent or os.getpid()
        listed = tuple(map(IpAddress, addresses))
        self._settings = VipSettings(addresses=listed, networks=tuple(networks), **settings)
        self.begin()

    def context(self):
        """Return what a worker is told at a tick."""
        made = Context("main", timeout=10, interval=15, agent=self.agent)
        made.state = self.state
        return made

    def begin(self):
        """Open it, as a worker that has just been born."""
        self._collector = Vip(self._settings)
        with self.net.inside():
            self._collector.open(self.context())

    def die(self):
        """Have the worker killed: nothing is kept, and nobody watches."""
        self._collector.close()

    def tick(self):
        """Return the series of one tick; `sentences` are what it says of them."""
        context = self.context()
        with self.net.inside():
            found = values(self._collector.collect(context))
        self.sentences, self.notes = context.sentences, context.notes
        return found

    def counts(self, address=V4):
        """Return how often an address was gained, lost and moved by a tick."""
        found = self.tick()
        return [found[f'vip_{each}_total{{address="{address}"}}'] for each in ("gained", "lost", "moved")]


def there_and_back(times, address=V4):
    """Return the commands that give a0 an address and take it away again."""
    size = ip_address(address).max_prefixlen
    end = " nodad" if size == 128 else ""
    return [f"address add {address}/{size} dev a0{end}", f"address del {address}/{size} dev a0"] * times
