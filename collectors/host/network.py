"""The network stack: what it lost, and how much of its tables is used.

All of it is of the network namespace that the agent is in, but for what the CPUs' queues dropped, which is of
the whole host.
"""

from collections.abc import Iterator
from contextlib import suppress

from collectors.host.proc import HOST, Facts, Told, columns, complain, count, read, words
from rscollector.api import Context, Sample, Unavailable
from rscollector.kit.optional import optional
from rscollector.kit.table import Table, row

RETRANSMITTED = HOST.counter("tcp_retransmitted_segments", "Segments of TCP that were sent again.")
SENT = HOST.counter("tcp_sent_segments", "Segments of TCP that were sent, those sent again not included.")
OVERFLOWS = HOST.counter(
    "tcp_listen_overflows",
    "Connections that were lost since a program did not accept those before.",
)
LISTEN_DROPS = HOST.counter("tcp_listen_drops", "Connections that were lost for this or any other reason.")
UDP_ERRORS = HOST.counter(
    "udp_receive_buffer_errors", "Datagrams that were lost since a program did not read in time.", "family"
)
SOCKETS = HOST.gauge(
    "sockets",
    "Sockets by protocol and state: inuse, orphan (its program is gone), tw (TIME-WAIT), alloc (all of TCP). "
    "Of the protocols that end in 6 only those in use are told.",
    "protocol",
    "state",
)  # fmt: skip
TRACKED = HOST.gauge("conntrack_entries", "Connections that the firewall keeps track of.")
TRACKED_LIMIT = HOST.gauge("conntrack_limit", "How many it may keep track of: new ones are lost beyond that.")
DROPPED = HOST.counter("softnet_dropped", "Packets that were lost since a CPU's queue was full.")
SQUEEZED = HOST.counter(
    "softnet_squeezed", "Times that a CPU stopped to take packets from a card though more were there."
)
_UDP = "Udp.RcvbufErrors"
_UDP6 = "Udp6RcvbufErrors"
_SNMP6 = "/proc/net/snmp6"
DATAGRAMS_LOST = {"ipv4": "RcvbufErrors in /proc/net/snmp", "ipv6": f"{_UDP6} in {_SNMP6}"}
"""Where it stands how many datagrams were lost, by family."""


def _sections(text: str) -> dict[str, str]:
    """Read a line of names, then one of values, both beginning with their section's name."""
    found: dict[str, str] = {}
    lines = text.splitlines()
    for names, values in zip(lines[::2], lines[1::2], strict=False):
        section, _, rest = names.partition(":")
        full = f" {section}.".join(["", *rest.split()]).split()  # 150 names at each tick, in two calls
        found.update(zip(full, values.partition(":")[2].split(), strict=False))
    return found


SNMP = Facts(
    "/proc/net/snmp",
    Table({"Tcp.RetransSegs": row(RETRANSMITTED, count), "Tcp.OutSegs": row(SENT, count)}),
    _sections,
)
NETSTAT = Facts(
    "/proc/net/netstat",
    Table({"TcpExt.ListenOverflows": row(OVERFLOWS, count), "TcpExt.ListenDrops": row(LISTEN_DROPS, count)}),
    _sections,
)
_NETFILTER = "/proc/sys/net/netfilter/nf_conntrack"
CONNTRACK = (
    Facts(f"{_NETFILTER}_count", Table({"entries": row(TRACKED, count)}), columns("entries")),
    Facts(f"{_NETFILTER}_max", Table({"limit": row(TRACKED_LIMIT, count)}), columns("limit")),
)
METRICS = (
    *SNMP.table.metrics, *NETSTAT.table.metrics, UDP_ERRORS, SOCKETS, TRACKED, TRACKED_LIMIT, DROPPED,
    SQUEEZED,
)  # fmt: skip
SOFTNET = "/proc/net/softnet_stat"
_STATES = ("inuse", "orphan", "tw", "alloc")
_PROTOCOLS = ("TCP", "UDP", "RAW", "TCP6", "UDP6", "RAW6")


class Network:
    """Remembers what CPUs have dropped, for their numbers have 32 bits, and go when a CPU does."""

    def __init__(self) -> None:
        self._softnet = {metric: Grown() for metric in (DROPPED, SQUEEZED)}

    def samples(self, context: Context) -> Iterator[Sample]:
        """Yield what the stack tells."""
        with optional(context, "TCP and UDP"):
            told = SNMP.parse(read(context, SNMP.path))
            yield from SNMP.of(context, told)
            yield from _datagrams(context, told)
        with optional(context, "listen overflows"):
            yield from NETSTAT.samples(context)
        with optional(context, "sockets"):
            yield from _sockets(context)
        with optional(context, "what CPUs' queues dropped"):
            yield from self._queues(context)
        yield from _conntrack(context)

    def _queues(self, context: Context) -> Iterator[Sample]:
        odd = []
        for place, line in enumerate(read(context, SOFTNET).splitlines()):
            fields = line.split()
            # A CPU that is offline has no line: since Linux 5.10 each tells whose it is.
            cpu = fields[12] if len(fields) > 12 else str(place)
            try:
                numbers = [_hexadecimal(fields[index]) for index in (1, 2)]
            except (ValueError, IndexError):
                odd.append(f"{line!r:.80}")
                continue
            for grown, number in zip(self._softnet.values(), numbers, strict=True):
                grown.take(cpu, number)
        complain(context, SOFTNET, odd)
        for metric, grown in self._softnet.items():
            if grown.total is not None:
                yield metric(grown.total)


def _hexadecimal(text: str) -> int:
    """Read a number of 32 bits. Raises ValueError."""
    if len(text) != len("ffffffff") or not text.isalnum():
        raise ValueError(text)
    return int(text, 16)


class Grown:
    """The sum of counters of 32 bits: one that wraps, or is gone, does not let it fall."""

    def __init__(self) -> None:
        self.total: int | None = None
        self._last: dict[str, int] = {}

    def take(self, name: str, number: int) -> None:
        """Take what one of the counters says now."""
        growth = (number - self._last.get(name, 0)) % (1 << 32)
        # What seems to have grown by more than half of all has fallen: it was begun anew.
        self.total = (self.total or 0) + (growth if growth < 1 << 31 or name not in self._last else number)
        self._last[name] = number


def _datagrams(context: Context, told: Told) -> Iterator[Sample]:
    families = {"ipv4": told.get(_UDP)}
    with suppress(Unavailable):  # this host has no IPv6
        families["ipv6"] = words(read(context, _SNMP6)).get(_UDP6)
    for family, text in families.items():
        if text is None:
            continue
        try:
            yield UDP_ERRORS(count(text), family=family)
        except ValueError as error:
            complain(context, SNMP.path if family == "ipv4" else _SNMP6, [f"RcvbufErrors of UDP: {error}"])


def _sockets(context: Context) -> Iterator[Sample]:
    """Yield the sockets of IPv4, with all states of TCP, and those of IPv6."""
    path = "/proc/net/sockstat"
    text = read(context, path)
    with suppress(Unavailable):  # this host has no IPv6
        text += read(context, f"{path}6")
    odd, seen = [], set()
    for line in text.splitlines():
        protocol, _, rest = line.partition(":")
        if protocol not in _PROTOCOLS or protocol in seen:
            continue
        seen.add(protocol)
        for state, number in words(rest).items():
            if state not in _STATES:
                continue
            try:
                yield SOCKETS(count(number), protocol=protocol.lower(), state=state)
            except ValueError:
                odd.append(f"{protocol} {state} = {number!r:.40}")
    complain(context, path, odd if seen else ["it tells of no protocol"])


def _conntrack(context: Context) -> Iterator[Sample]:
    """Yield how full the table is; a host without that part of the firewall has none, and misses nothing."""
    for facts in CONNTRACK:
        with suppress(Unavailable):
            yield from facts.samples(context)
