"""What the log tells of the mail that flows: counters and delays, one line of the log after the other. Pure.

A line begins with a tag, `postfix/smtp[2104]` or `postfix/submission/smtpd[7]`; what follows is the message.
Whatever stands in a message behind its fixed words may come from a stranger, and be any bytes. Every pattern
is tried at one place and looks ahead a bounded way, so that no line takes long. Labels take their values from
fixed sets, but for the names of services, of which there are few in any master.cf and at most `_NAMES` here.
"""

import math
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

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
    "tls_connections", "TLS connections, by how far the peer is known.", "service", "trust", "protocol"
)
TLS_FAILURES = POSTFIX.counter("tls_failures", "TLS handshakes that failed.", "service")
POSTSCREEN = POSTFIX.counter("postscreen_events", "What postscreen has found out about clients.", "event")
PROBLEMS = POSTFIX.counter("log_problems", "Lines with which a service complains.", "service", "severity")
LINES = POSTFIX.counter("log_lines", "Lines of this instance that were read.")
MALFORMED = POSTFIX.counter("log_malformed_lines", "Lines that are none of any program's log.")
GAPS = POSTFIX.counter(
    "log_gaps", "Times that the place in the log was not found again, so that lines may be missing."
)
UNREAD = POSTFIX.gauge("log_unread_bytes", "What of the log file did not fit into the tick.")

COUNTERS = (
    DELIVERIES, RECEIVED, REMOVED, EXPIRED, REJECTS, CONNECTIONS, BROKEN, SASL_LOGINS, SASL_FAILURES,
    TLS_CONNECTIONS, TLS_FAILURES, POSTSCREEN, PROBLEMS, LINES, MALFORMED, GAPS,
)  # fmt: skip
METRICS = (*COUNTERS, DELAY, UNREAD)

_NAMES = 50
_LONGEST = 4096

_OUTCOMES = (("sent", "2"), ("deferred", "4"), ("bounced", "5"))
_STATUSES = ("sent", "deferred", "bounced", "softbounce", "deliverable", "undeliverable", "expired")
_COMMANDS = (
    "connect", "helo", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "bdat", "end-of-message", "rset",
    "noop", "vrfy", "etrn", "quit", "unknown", "header", "body",
)  # fmt: skip
_EVENTS = (
    "pass new", "pass old", "allowlisted", "denylisted", "allowlist veto", "pregreet", "dnsbl", "hangup",
    "command time limit", "command count limit", "command length limit", "non-smtp command",
    "command pipelining", "bare newline",
)  # fmt: skip
_FORMERLY = {
    b"WHITELISTED": b"ALLOWLISTED", b"BLACKLISTED": b"DENYLISTED", b"WHITELIST VETO": b"ALLOWLIST VETO",
}  # fmt: skip

_DELIVERY = re.compile(
    rb", relay=[^,]*, (?:conn_use=\d+, )?delay=[\d.]+, delays=([\d.]+)/([\d.]+)/([\d.]+)/([\d.]+)"
    rb"(?:, tls=[^,]*)?, dsn=([245])\.\d+\.\d+, status=([\w-]+)"
)
_CLIENT = re.compile(rb"[0-9A-Za-z]+: (?:client=|uid=)")
_REJECT = re.compile(
    rb"[0-9A-Za-z]+: (?:milter-)?reject: ([\w-]+)(?: from [^ ]{1,300} (?:([45])\d\d )?(?:([45])\.\d+\.\d+)?)?"
)
_PROXY_REJECT = re.compile(
    rb"(?:[0-9A-Za-z]+: )?proxy-reject: ([\w-]+): (?:([45])\d\d )?(?:([45])\.\d+\.\d+)?"
)
_BROKEN = re.compile(rb"(lost connection|timeout|too many errors|improper command pipelining) after ([\w-]+)")
_TLS = re.compile(rb"(\w+) TLS connection established (?:to|from) [^ ]{1,300}: (\w+(?:\.\d)?) with cipher")
_SASL_FAILED = re.compile(rb"warning: [^ ]{1,300}: SASL [\w-]+ authentication failed")
_POSTSCREEN = re.compile(rb"([A-Z-]+(?: [A-Z]+)*) ")
_SEVERITY = re.compile(rb"(warning|error|fatal|panic): ")

Key = tuple[str, ...]


class Flow:
    """The counters of one instance, since they were first counted; kept from one process to the next.

    `unread` is the number of bytes of the log that are left, None where that is not known.
    """

    def __init__(self) -> None:
        self._counts: Counter[Key] = Counter()
        self._delays: dict[Key, list[float]] = {}
        self._names = Bounded(_NAMES)
        self.unread: int | None = None
        self._readers: dict[bytes, Callable[[str, bytes], object]] = {
            b"smtpd": self._smtpd,
            b"pickup": self._taken_in,
            b"qmgr": self._qmgr,
            b"cleanup": self._reject,
            b"postscreen": self._postscreen,
            b"tlsproxy": self._tls,
        }
        for metric in COUNTERS:
            if not metric.labels:
                self._counts[metric.name,] = 0
        self._begin("smtp")
        for metric in (CONNECTIONS, RECEIVED, SASL_FAILURES):
            self._counts[metric.name, "smtpd"] = 0

    def line(self, service: bytes, message: bytes) -> None:
        """Count a message; `service` is the tag without the instance's name: smtp, submission/smtpd."""
        name = self._names(service.decode("ascii", "replace"))
        message = message[:_LONGEST]
        self._counts[LINES.name,] += 1
        if found := _SEVERITY.match(message):
            self._count(PROBLEMS, name, found[1].decode())
        self._readers.get(service.rpartition(b"/")[2], self._delivery)(name, message)

    def malformed(self) -> None:
        """Count a line that is none of any program's."""
        self._count(MALFORMED)

    def gap(self) -> None:
        """Count a place that was not found again."""
        self._count(GAPS)

    def _count(self, metric: Metric, *values: str) -> None:
        self._counts[(metric.name, *values)] += 1

    def _begin(self, transport: str) -> None:
        """Have a transport's usual outcomes there before the first of them: a rate needs a number before."""
        for status, digit in _OUTCOMES:
            self._counts[DELIVERIES.name, transport, status, digit] += 0

    # --- one method for each service ---

    def _delivery(self, name: str, message: bytes) -> None:
        at = message.find(b", relay=")
        found = _DELIVERY.match(message, at) if at > 0 else None
        if found is None:
            self._tls(name, message)
            return
        *delays, digit, status = found.groups()
        if (DELIVERIES.name, name, *_OUTCOMES[0]) not in self._counts:
            self._begin(name)
        outcome = _one_of(_STATUSES, status)
        self._count(DELIVERIES, name, outcome, digit.decode())
        if outcome == "sent":
            for stage, text in zip(STAGES, delays, strict=True):
                self._delayed(name, stage, text)

    def _delayed(self, name: str, stage: str, text: bytes) -> None:
        try:
            seconds = float(text)
        except ValueError:  # such as 1.2.3
            return
        delays = self._delays.get((name, stage)) or self._delays.setdefault(
            (name, stage), [0] * (len(DELAYS) + 1) + [0.0]
        )
        delays[bisect_left(DELAYS, seconds)] += 1
        delays[-1] += seconds

    def _smtpd(self, name: str, message: bytes) -> None:
        if message.startswith(b"connect from "):
            self._count(CONNECTIONS, name)
        elif message.startswith(b"disconnect from "):
            pass  # the counts of commands in it are in the other lines
        elif found := _BROKEN.match(message):
            self._count(BROKEN, name, found[1].decode().replace(" ", "_"), _one_of(_COMMANDS, found[2]))
        elif _SASL_FAILED.match(message):
            self._count(SASL_FAILURES, name)
        elif not (self._taken_in(name, message) or self._reject(name, message)):
            self._tls(name, message)

    def _taken_in(self, name: str, message: bytes) -> bool:
        if not _CLIENT.match(message):
            return False
        self._count(RECEIVED, name)
        if b", sasl_method=" in message:
            self._count(SASL_LOGINS, name)
        return True

    def _reject(self, name: str, message: bytes) -> bool:
        found = _REJECT.match(message) or _PROXY_REJECT.match(message)
        if found is None:
            return False
        stage = _one_of(_COMMANDS, found[1])
        # postscreen that is too busy answers 421 and does not log it; header and body checks refuse for good.
        usual = b"4" if stage == "connect" else b"5"
        self._count(REJECTS, name, stage, (found[2] or found[3] or usual).decode())
        return True

    def _qmgr(self, _name: str, message: bytes) -> None:
        if message.endswith(b": removed"):
            self._count(REMOVED)
        elif message.endswith(
            (b", status=expired, returned to sender", b"force-expired, returned to sender")
        ):
            self._count(EXPIRED)

    def _postscreen(self, name: str, message: bytes) -> None:
        if message.startswith(b"CONNECT from "):
            self._count(CONNECTIONS, name)
        elif not self._reject(name, message) and (found := _POSTSCREEN.match(message)):
            event = _FORMERLY.get(found[1], found[1])
            if event != b"DISCONNECT":
                self._count(POSTSCREEN, _one_of(_EVENTS, event).replace(" ", "_"))

    def _tls(self, name: str, message: bytes) -> None:
        if found := _TLS.match(message):
            trust = _one_of(("anonymous", "untrusted", "trusted", "verified"), found[1])
            protocol = found[2].decode("ascii", "replace")
            known = protocol if re.fullmatch(r"(TLS|SSL)v\d(\.\d)?", protocol) else OTHER
            self._count(TLS_CONNECTIONS, name, trust, known)
        elif message.startswith((b"SSL_accept error ", b"SSL_connect error ")):
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
