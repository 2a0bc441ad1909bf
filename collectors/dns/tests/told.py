"""What the collector says of a zone whose servers answer as a test has it, without a socket."""

import time

import dns.message
import dns.rrset

from collectors.dns.heard import Answer, Failure, Heard
from collectors.dns.looking import Found
from collectors.dns.report import Target
from collectors.dns.tests.answering import SOA, reply
from collectors.dns.wire import message, parsed
from collectors.dns.zone import Zone

NS1, NS1_6, NS2, HIDDEN = "192.0.2.1", "2001:db8::1", "192.0.2.2", "192.0.2.3"
SERVERS = {"ns1.example.test": (NS1, NS1_6), "ns2.example.test": (NS2,), HIDDEN: (HIDDEN,)}
NAMES = frozenset({"ns1.example.test", "ns2.example.test"})
WALL = 1_795_208_406
DAY = 86_400


def heard(zone, says, wall):
    """Return what is heard of a server: a serial, a failure or an rcode; a pair has the seconds of a signature too."""
    says, left = says if isinstance(says, tuple) else (says, None)
    if isinstance(says, Failure):
        return Heard(None, says)
    question = dns.message.make_query(zone.name, "SOA")
    if isinstance(says, str):
        return Heard(message(reply(question, rcode=says, aa=False).to_wire()), seconds=0.01)
    records = [f"{zone.label}. SOA {SOA.format(zone.label, says)}"]
    if left is not None:
        end, begin = (
            time.strftime("%Y%m%d%H%M%S", time.gmtime(wall + each)) for each in (left, left - 14 * DAY)
        )
        records.append(f"{zone.label}. RRSIG SOA 13 2 300 {end} {begin} 1 {zone.label}. AAAA")
    return Heard(message(reply(question, *records).to_wire()), seconds=0.01)


class Told:
    """A zone from tick to tick; `says` are answers by address, or is what is called with the seconds since the first."""

    def __init__(self, says, **found):
        self.zone = Zone(parsed("example.test"), (HIDDEN,))
        self.zone.found = Found(
            **({"servers": SERVERS, "parent": NAMES, "own": NAMES, "delegated": True} | found)
        )
        self._heard = {}
        self._says = says if callable(says) else lambda _: says

    def report(self, passed=0.0):
        """Return the report of a tick after so many seconds."""
        says = self._says(passed)
        answers = {}
        for target in self.zone.targets:
            said = says.get(target.address, 7)
            if isinstance(said, tuple) or said not in self._heard:
                self._heard[said] = heard(self.zone, said, WALL + passed)
            answers[target] = Answer(self._heard[said], self._heard[said])
        return self.zone.report(answers, float(passed), WALL + passed)

    def __call__(self, passed=0.0):
        """Return its samples."""
        return list(self.report(passed).samples())


def targets():
    """Return all who are asked."""
    return [Target(server, each) for server, addresses in SERVERS.items() for each in addresses]
