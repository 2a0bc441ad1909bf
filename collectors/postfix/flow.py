"""What the log tells of the mail that flows: counters and delays, one line of the log after the other. Pure.

A line begins with a tag, `postfix/smtp[2104]` or `postfix/submission/smtpd[7]`; what follows is the message,
whose structure `lines` knows. Labels take their values from fixed sets, but for the names of services: the
programs of Postfix have theirs, whoever writes into the log first, and there are at most `_NAMES` others.
"""

import math
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from collectors.postfix import lines
from rscollector.api import Distribution, Metric, Namespace, Sample
from rscollector.kit.bounded import OTHER, Bounded

POSTFIX = Namespace("postfix")
DELAYS = (0.01, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 10800.0, 86400.0)
STAGES = ("before_queue_manager", "queue_manager", "connection_setup", "transmission")

DELIVERIES = POSTFIX.counter(
    "deliveries",
    "Attempts to deliver, for each recipient, by transport, outcome and first digit of the status code.",
    "transport", "status", "class",
)  # fmt: skip
DELAY = POSTFIX.histogram(
    "delivery_delay_seconds",
    "Time that sent mail has spent: waiting for the queue manager, in its queue, connecting, transmitting.",
    DELAYS,
    "transport",
    "stage",
)
RECEIVED = POSTFIX.counter("messages_received", "Messages that a service has begun to take in.", "service")
REMOVED = POSTFIX.counter("messages_removed", "Messages that have left the queue, delivered or returned.")
EXPIRED = POSTFIX.counter("messages_expired", "Messages returned to their sender since their time was up.")
REJECTS = POSTFIX.counter(
    "rejects", "Commands or messages refused, by where and by first digit of the code.",
    "service", "stage", "class",
)  # fmt: skip
CONNECTIONS = POSTFIX.counter("connections", "Connections from clients.", "service")
BROKEN = POSTFIX.counter(
    "broken_connections", "Connections from clients that ended too early.", "service", "reason", "after"
)
SASL_LOGINS = POSTFIX.counter("sasl_logins", "Messages from clients that have authenticated.", "service")
SASL_FAILURES = POSTFIX.counter("sasl_failures", "Authentications that failed.", "service")
TLS_CONNECTIONS = POSTFIX.counter(
    "tls_connections",
    "TLS connections, made or used again, by how far the peer is known.",
    "service",
    "trust",
    "protocol",
)
TLS_FAILURES = POSTFIX.counter("tls_failures", "TLS handshakes that failed.", "service")
POSTSCREEN = POSTFIX.counter("postscreen_events", "What postscreen has found out about clients.", "event")
PROBLEMS = POSTFIX.counter("log_problems", "Lines with which a service complains.", "service", "severity")
LINES = POSTFIX.counter("log_lines", "Lines of this instance that were read.")
MALFORMED = POSTFIX.counter("log_malformed_lines", "Lines that are none of any program's log.")
GAPS = POSTFIX.counter(
    "log_gaps",
    "Times that lines may be missing: the place in the log was lost, or journald has suppressed some.",
)
UNREAD = POSTFIX.gauge("log_unread_bytes", "What of the log file did not fit into the tick.")

COUNTERS = (
    DELIVERIES, RECEIVED, REMOVED, EXPIRED, REJECTS, CONNECTIONS, BROKEN, SASL_LOGINS, SASL_FAILURES,
    TLS_CONNECTIONS, TLS_FAILURES, POSTSCREEN, PROBLEMS, LINES, MALFORMED, GAPS,
)  # fmt: skip
METRICS = (*COUNTERS, DELAY, UNREAD)

_NAMES = 50
_LONGEST = 1 << 16
"""Bytes of a message that are looked at: no address is so long that it hides what comes after it."""

_PROGRAMS = frozenset((
    "anvil", "bounce", "cleanup", "discard", "dnsblog", "error", "flush", "lmtp", "local", "master", "nqmgr",
    "oqmgr", "pickup", "pipe", "postdrop", "postfix-script", "postlogd", "postmap", "postqueue", "postscreen",
    "postsuper", "proxymap", "qmgr", "qmqpd", "scache", "sendmail", "showq", "smtp", "smtpd", "spawn",
    "tlsmgr", "tlsproxy", "trivial-rewrite", "verify", "virtual",
))  # fmt: skip
_OUTCOMES = (("sent", "2"), ("deferred", "4"), ("bounced", "5"))
STATUSES = (
    "sent", "deferred", "bounced", "softbounce", "deliverable", "undeliverable",
    "undeliverable-but-not-cached", OTHER,
)  # fmt: skip
_COMMANDS = (
    "connect", "helo", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "bdat", "end-of-message", "rset",
    "noop", "vrfy", "etrn", "quit", "unknown", "header", "body",
    "content", "mime-error",
)  # fmt: skip
_EVENTS = (
    "pass new", "pass old", "allowlisted", "denylisted", "allowlist veto", "pregreet", "dnsbl", "hangup",
    "command time limit", "command count limit", "command length limit", "non-smtp command",
    "command pipelining", "bare newline",
)  # fmt: skip
_FORMERLY = {
    b"WHITELISTED": b"ALLOWLISTED", b"BLACKLISTED": b"DENYLISTED", b"WHITELIST VETO": b"ALLOWLIST VETO",
}  # fmt: skip

_POSTSCREEN = re.compile(rb"([A-Z-]+(?: [A-Z]+)*) ")
_SEVERITY = re.compile(rb"(warning|error|fatal|panic): ")
_PROTOCOL = re.compile(r"(TLS|SSL)v\d(\.\d)?")

Key = tuple[str, ...]


class Flow:
    """The counters of one instance, since they were first counted; kept from one process to the next.

    `unread` is the number of bytes of the log that are left, None where that is not known.
    """

    def __init__(self) -> None:
        self._counts: Counter[Key] = Counter()
        self._delays: dict[Key, list[float]] = {}
        self._names = Bounded(_NAMES)
        self._times = 1  # that the message which is being counted was logged
        self.unread: int | None = None
        self._readers: dict[bytes, Callable[[str, bytes], object]] = {
            b"smtpd": self._smtpd,
            b"pickup": self._taken_in,
            b"qmqpd": self._smtpd,
            b"qmgr": self._qmgr,
            b"oqmgr": self._qmgr,
            b"nqmgr": self._qmgr,
            b"cleanup": self._cleanup,
            b"postscreen": self._postscreen,
            b"tlsproxy": self._tls,
        }
        for metric in COUNTERS:
            if not metric.labels:
                self._counts[metric.name,] = 0
        self._begin("smtp")
        for metric in (CONNECTIONS, RECEIVED, SASL_FAILURES):
            self._counts[metric.name, "smtpd"] = 0
        self._counts[RECEIVED.name, "pickup"] = 0

    def line(self, service: bytes, message: bytes) -> None:
        """Count a message; `service` is the tag without the instance's name: smtp, submission/smtpd."""
        name = self._name(service)
        self._times, message = lines.repeated(message[:_LONGEST])
        self._counts[LINES.name,] += 1
        if found := _SEVERITY.match(message):
            self._count(PROBLEMS, name, found[1].decode())
        self._readers.get(service.rpartition(b"/")[2], self._delivery)(name, message)

    def malformed(self) -> None:
        """Count a line that is none of any program's."""
        self._counts[MALFORMED.name,] += 1

    def gap(self) -> None:
        """Count a place that was not found again, or lines that the journal does not have."""
        self._counts[GAPS.name,] += 1

    def _name(self, service: bytes) -> str:
        name = lines.service(service)
        if name is None:
            return OTHER
        return name if name in _PROGRAMS else self._names(name)

    def _count(self, metric: Metric, *values: str) -> None:
        self._counts[(metric.name, *values)] += self._times

    def _begin(self, transport: str) -> None:
        """Have a transport's usual outcomes there before the first of them: a rate needs a number before."""
        for status, digit in _OUTCOMES:
            self._counts[DELIVERIES.name, transport, status, digit] += 0

    # --- one method for each service ---

    def _delivery(self, name: str, message: bytes) -> None:
        found = lines.delivery(message)
        if found is None:
            self._tls(name, message)
            return
        if (DELIVERIES.name, name, *_OUTCOMES[0]) not in self._counts:
            self._begin(name)
        outcome = _one_of(STATUSES, found.status)
        self._count(DELIVERIES, name, outcome, found.digit)
        if outcome == "sent":
            for stage, text in zip(STAGES, found.delays, strict=True):
                self._delayed(name, stage, text)

    def _delayed(self, name: str, stage: str, text: bytes) -> None:
        try:
            seconds = float(text)
        except ValueError:  # such as 1.2.3
            return
        delays = self._delays.get((name, stage)) or self._delays.setdefault(
            (name, stage), [0] * (len(DELAYS) + 1) + [0.0]
        )
        delays[bisect_left(DELAYS, seconds)] += self._times
        delays[-1] += seconds * self._times

    def _smtpd(self, name: str, message: bytes) -> None:
        if message.startswith(b"connect from "):
            self._count(CONNECTIONS, name)
        elif message.startswith(b"disconnect from "):
            pass  # the counts of commands in it are in the other lines
        elif found := lines.broken(message):
            self._count(BROKEN, name, found[0], _one_of(_COMMANDS, found[1]))
        elif lines.sasl_failed(message):
            self._count(SASL_FAILURES, name)
        elif not (self._taken_in(name, message) or self._reject(name, message)):
            self._tls(name, message)

    def _taken_in(self, name: str, message: bytes) -> bool:
        taken, authenticated = lines.taken_in(message)
        if taken:
            self._count(RECEIVED, name)
        if authenticated:
            self._count(SASL_LOGINS, name)
        return taken

    def _reject(self, name: str, message: bytes) -> bool:
        found = lines.reject(message)
        if found is None:
            return False
        self._count(REJECTS, name, _one_of(_COMMANDS, found[0]), found[1])
        return True

    def _cleanup(self, name: str, message: bytes) -> None:
        if not self._reject(name, message):
            self._delivery(name, message)

    def _qmgr(self, name: str, message: bytes) -> None:
        if lines.removed(message):
            self._count(REMOVED)
        elif lines.expired(message):
            self._count(EXPIRED)
        else:
            self._delivery(name, message)  # it defers by itself what no transport takes

    def _postscreen(self, name: str, message: bytes) -> None:
        if message.startswith(b"CONNECT from "):
            self._count(CONNECTIONS, name)
        elif not self._reject(name, message) and (found := _POSTSCREEN.match(message)):
            event = _FORMERLY.get(found[1], found[1])
            if event != b"DISCONNECT":
                self._count(POSTSCREEN, _one_of(_EVENTS, event).replace(" ", "_"))

    def _tls(self, name: str, message: bytes) -> None:
        if found := lines.tls(message):
            trust = _one_of(("anonymous", "untrusted", "trusted", "verified"), found[0])
            self._count(TLS_CONNECTIONS, name, trust, found[1] if _PROTOCOL.fullmatch(found[1]) else OTHER)
        elif lines.tls_failed(message):
            self._count(TLS_FAILURES, name)

    # --- what is told, and what is kept ---

    def value(self, metric: Metric, **labels: str) -> int:
        """Return the sum over a counter's values that have these labels."""
        wanted = [(metric.labels.index(label) + 1, text) for label, text in labels.items()]
        return sum(
            count
            for key, count in self._counts.items()
            if key[0] == metric.name and all(key[at] == text for at, text in wanted)
        )

    def samples(self) -> Iterator[Sample]:
        """Yield everything that was counted."""
        by_name = {metric.name: metric for metric in COUNTERS}
        for (name, *values), count in self._counts.items():
            yield Sample(by_name[name], tuple(values), count)
        for key, (*counts, total) in self._delays.items():
            yield Sample(DELAY, key, Distribution(tuple(map(int, counts)), total))
        if self.unread is not None:
            yield UNREAD(self.unread)

    def kept(self) -> dict[str, Any]:
        """Return everything that was counted, for JSON."""
        return {
            "names": self._names.kept,
            "counts": [[*key, count] for key, count in self._counts.items()],
            "delays": [[*key, values] for key, values in self._delays.items()],
        }

    def go_on(self, kept: Any) -> None:
        """Go on from what was kept. Raises ValueError, TypeError, KeyError or OverflowError if it is none."""
        labels = {metric.name: len(metric.labels) for metric in COUNTERS}
        counts: Counter[Key] = Counter()
        for name, *values, count in kept["counts"]:
            if labels.get(name) == len(values) and all(isinstance(each, str) for each in values):
                counts[(name, *values)] = _counted(int(count))
        delays: dict[Key, list[float]] = {}
        for transport, stage, values in kept["delays"]:
            if len(values) == len(DELAYS) + 2:
                numbers = [*map(int, values[:-1]), float(values[-1])]
                delays[str(transport), str(stage)] = [_counted(number) for number in numbers]
        self._names = Bounded(_NAMES, kept.get("names", ()))
        self._counts.update(counts)
        self._delays.update(delays)


def _counted(number: float) -> Any:
    if not 0 <= number < math.inf:
        raise ValueError("no count")
    return number


def _one_of(known: tuple[str, ...], word: bytes) -> str:
    text = word.decode("ascii", "replace").lower()
    return text if text in known else OTHER
