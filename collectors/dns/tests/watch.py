"""The collector in the namespace from which the servers can be asked, tick after tick."""

import os

from collectors.dns import Dns
from collectors.dns.tests.answering import of, state
from collectors.dns.tests.servers import PRIMARY, RESOLVER
from rscollector.api import Context
from rscollector.config.secrets import read
from rscollector.runtime.foreground import settings_of
from rscollector.testing import values


class Watcher:
    """The collector for some zones; `found` is what the last tick has told."""

    def __init__(self, servers, zones, settings):
        self._servers = servers
        given = {"zones": list(zones), "primaries": [PRIMARY], "resolvers": [RESOLVER]} | settings
        self.collector = Dns(settings_of(Dns, given, read))
        self.collector.open(self._context())
        self.tick()

    @staticmethod
    def _context():
        return Context("main", timeout=8, interval=15, agent=os.getpid())

    def tick(self):
        """Ask once, and return what was told."""
        self.context = self._context()
        with self._servers.client.inside():
            self.found = values(self.collector.collect(self.context))
        return self.found

    def zone(self, metric, zone):
        """Return a number of a zone."""
        return self.found.get(f'dns_zone_{metric}{{zone="{zone}"}}')

    def of(self, metric, address, zone, **labels):
        """Return a number of a server of a zone."""
        return of(self._only(zone), f"dns_server_{metric}", address, **labels)

    def state(self, address, zone):
        """Return the state of a server of a zone."""
        return state(self._only(zone), address)

    def states(self, zone, *addresses):
        """Return the states of servers now."""
        self.tick()
        return [self.state(each, zone) for each in addresses]

    def _only(self, zone):
        return {series: value for series, value in self.found.items() if f'zone="{zone}"' in series}
