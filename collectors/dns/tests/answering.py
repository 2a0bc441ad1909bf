"""A small server of our own, over UDP and TCP, whose answers are the test's: right, wrong, forged, or none at all."""

import socket
import struct
import threading
from contextlib import suppress

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
from harness import free_port

from collectors.dns.collector import Dns
from rscollector.testing import FakeContext, collect, values

SOA = "ns1.{0}. hostmaster.{0}. {1} 3600 600 86400 60"


class Answering:
    """Answers at any number of addresses, of this host's loopback, at one port.

    `says` maps an address to what is called with the question and the protocol, and returns a message, bytes, a list of
    bytes, or None for nothing. An address may be without UDP or TCP: `deaf` has pairs of address and protocol.
    """

    def __init__(self, says, deaf=(), port=0):
        self.port = port or free_port()
        self.says = says
        self.asked = []
        self._sockets = []
        self._over = threading.Event()
        self._threads = []
        for address in says:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            for protocol, kind in (("udp", socket.SOCK_DGRAM), ("tcp", socket.SOCK_STREAM)):
                if (address, protocol) not in deaf:
                    self._listen(address, protocol, socket.socket(family, kind))

    def _listen(self, address, protocol, made):
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, self.port))
        made.settimeout(0.1)
        if protocol == "tcp":
            made.listen(100)
        serve = self._udp if protocol == "udp" else self._tcp
        self._sockets.append(made)
        self._threads.append(threading.Thread(target=serve, args=(address, made), daemon=True))

    def __enter__(self):
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for each in self._threads:
            each.join(10)
        for each in self._sockets:
            each.close()

    def _answers(self, address, protocol, wire):
        question = dns.message.from_wire(wire)
        self.asked.append((address, protocol, question))
        answer = self.says[address](question, protocol)
        if answer is None:
            return []
        if isinstance(answer, dns.message.Message):
            return [answer.to_wire()]
        return answer if isinstance(answer, list) else [answer]

    def _udp(self, address, made):
        while not self._over.is_set():
            with suppress(TimeoutError, ConnectionError):
                wire, client = made.recvfrom(65_535)
                for answer in self._answers(address, "udp", wire):
                    made.sendto(answer, client)

    def _tcp(self, address, made):
        while not self._over.is_set():
            with suppress(TimeoutError, OSError):
                connection, _ = made.accept()
                threading.Thread(target=self._connection, args=(address, connection), daemon=True).start()

    def _connection(self, address, connection):
        with connection, suppress(OSError, struct.error):
            connection.settimeout(5)
            while True:
                (length,) = struct.unpack("!H", connection.recv(2, socket.MSG_WAITALL))
                answers = self._answers(address, "tcp", connection.recv(length, socket.MSG_WAITALL))
                if not answers:
                    self._over.wait(5)
                for answer in answers:
                    connection.sendall(struct.pack("!H", len(answer)) + answer)


def reply(question, *records, aa=True, rcode="NOERROR", authority=(), additional=()):
    """Return an answer with records, each as a line of a zone file."""
    made = dns.message.make_response(question)
    if aa:
        made.flags |= dns.flags.AA
    made.set_rcode(dns.rcode.from_text(rcode))
    for section, lines in (
        (made.answer, records),
        (made.authority, authority),
        (made.additional, additional),
    ):
        for line in lines:
            name, rdtype, text = line.split(" ", 2)
            section.append(dns.rrset.from_text(name, 60, "IN", rdtype, text))
    return made


def serving(zone, serial=1, **more):
    """Return what answers for a zone with this serial, whatever else it is asked for: nothing."""

    def says(question, protocol):
        asked = question.question[0]
        if dns.rdatatype.to_text(asked.rdtype) == "SOA":
            return reply(question, f"{zone}. SOA {SOA.format(zone, serial)}", **more)
        return reply(question, **more)

    return says


def silent(question, protocol):
    """Say nothing."""


def asking(server, **settings):
    """Return the collector as it asks at the server's port, for a zone that has its servers in a list."""
    given = {"zones": ["example.test"], "servers": list(server.says), "delegation": False} | settings

    class Asking(Dns):
        port = server.port

    return Asking, given


def asked(server, context=None, **settings):
    """Return what the collector says, once, and the context with its notes and sentences."""
    context = context or FakeContext(timeout=2)
    plugin, given = asking(server, **settings)
    return values(collect(plugin, given, context=context)), context


def of(found, metric, address, **labels):
    """Return the number of a metric at an address, None if there is none."""
    more = [f'{label}="{text}"' for label, text in labels.items()]
    wanted = [f'address="{address}"', *more]
    matching = [
        value for series, value in found.items()
        if series.startswith(f"{metric}{{") and all(each in series for each in wanted)
    ]  # fmt: skip
    return matching[0] if matching else None


def state(found, address):
    """Return the state of who is at an address."""
    at = [series for series, value in found.items() if value == 1 and series.startswith("dns_server_state{")]
    return next((each.rpartition('="')[2][:-2] for each in at if f'address="{address}"' in each), None)
