"""How Postfix writes what it logs: a fact is read where it is put, never where its words are found. Pure.

A message begins with Postfix' own words, and its fields have one order, in a delivery that of Postfix'
log_adhoc.c: to=, orig_to=, relay=, conn_use=, delay=, delays=, tls=, dsn=, status=, and only then the reason.
What strangers may write (addresses, headers, replies, names of mechanisms) stands between them. An address is
quoted where its local part has anything but atoms and dots, since 3.5, but for what looks like a route: a "@"
and all up to the first colon. Before, and with info_log_address_format = internal, an address with a ">" has
no end that is known. The names of hosts, and those in HELO, have no blanks: Postfix sees to that.

Every pattern is tried at one place, but that of a cleanup's answer, which is the last of its kind in a line.
None tries a part of a line again and again, so that no line takes long.
"""

import re
from functools import lru_cache
from typing import NamedTuple

_ID = rb"[0-9A-Za-z]{1,30}: "
_LOCAL = rb'(?:"[^"\\]*(?:\\.[^"\\]*)*"(?:@[^>]*)?|[^">@][^>]*)'
_ADDRESS = rb"(?:<(?:(?:@[^:]*:)?" + _LOCAL + rb')?>|[^<>", ]+)'
_CLIENT = rb"[^ ]{1,300}"

_RELAY = rb"(?:[^,\[]{1,300}\[[^\]]{1,300}\][^,]{0,10}|[^,]{1,500})"  # a socket's path may have commas
_SECONDS = rb"[\d.]{1,20}(?:e[+-]\d\d)?"
_SERVICE = rb"(?:(?:[\w.-]{1,100}(?::[\w-]{1,30})?|\[[\w.:%-]{1,60}\]:[\w-]{1,30})/){0,9}[\w.-]{1,100}"
_A_SERVICE = re.compile(_SERVICE)
_DELIVERY = re.compile(
    _ID + rb"to=" + _ADDRESS + rb"(?:, orig_to=" + _ADDRESS + rb")?, relay=" + _RELAY
    + rb"(?:, conn_use=\d+)?, delay=" + _SECONDS + rb", delays=(" + rb")/(".join([_SECONDS] * 4)
    + rb")(?:, tls=[^,]{1,200})?, dsn=([245])\.\d+\.\d+, status=([\w-]+)(?: |$)",
    re.DOTALL,
)  # fmt: skip
_TAKEN_IN = re.compile(_ID + rb"(?:uid=\d|client=[^ ,]{1,300}(, sasl_method=)?)")
_REJECT = re.compile(
    rb"(?:" + _ID + rb")?(?:milter-)?reject: ([\w-]+)(?: content)? from " + _CLIENT + rb":"
    rb"(?: ([45])\d\d)?(?: ([45])\.\d+\.\d+)?"
)  # fmt: skip
_PROXY_REJECT = re.compile(
    rb"(?:" + _ID + rb")?proxy-reject: ([\w-]+)(?: content)?:(?: ([45])\d\d)?(?: ([45])\.\d+\.\d+)?"
)
_CONTENT_REJECT = re.compile(_ID + rb"(?:milter-\w+-)?reject: (header|body|content) ")
_ANSWER = re.compile(rb"(?:>|;| proto=\w{1,20}): ([45])\.\d{1,3}\.\d{1,3}")
_MIME_REJECT = re.compile(_ID + rb"reject: mime-error ")
_BROKEN = re.compile(
    rb"(?:" + _ID + rb")?(lost connection|timeout|too many errors|improper command pipelining) after ([\w-]+)"
)
_TLS = re.compile(
    rb"(\w+) TLS connection (?:established|reused) (?:to|from) " + _CLIENT + rb"(?: to " + _CLIENT + rb")?"
    rb": (\w+(?:\.\d)?) with cipher"
)  # fmt: skip
_TLS_FAILED = re.compile(rb"SSL_(?:accept|connect) error |TLS handshake failed for ")
_SASL_FAILED = re.compile(
    rb"warning: " + _CLIENT + rb": SASL .{0,300}?authentication failed(?:[:,]|$)", re.DOTALL
)
_REMOVED = re.compile(_ID + rb"removed")
_EXPIRED = re.compile(_ID + rb"from=<.*>, status=(?:force-)?expired, returned to sender", re.DOTALL)
_REPEATED = re.compile(rb"message repeated (\d{1,9}) times: \[ (.*)\]", re.DOTALL)


class Delivery(NamedTuple):
    """An attempt to deliver to one recipient: seconds in each stage, first digit of the code, outcome."""

    delays: tuple[bytes, ...]
    digit: str
    status: bytes


@lru_cache(256)
def service(name: bytes) -> str | None:
    """Return the name of a service, which may have its address in it: 127.0.0.1:10025/smtpd."""
    return name.decode() if _A_SERVICE.fullmatch(name) else None


def service_in_tag(instance: str) -> bytes:
    """Return the pattern of the tag in a log file, with the service as its group."""
    return re.escape(instance.encode()) + rb"/(" + _SERVICE + rb")\[\d+\]: "


def repeated(message: bytes) -> tuple[int, bytes]:
    """Return how often a message was logged, and the message: rsyslog writes equal ones as one."""
    found = message.startswith(b"message repeated ") and _REPEATED.fullmatch(message)
    return (int(found[1]), found[2]) if found else (1, message)


def delivery(message: bytes) -> Delivery | None:
    """Read an attempt to deliver."""
    found = _DELIVERY.match(message)
    if found is None:
        return None
    *delays, digit, status = found.groups()
    return Delivery(tuple(delays), digit.decode(), status)


def taken_in(message: bytes) -> tuple[bool, bool]:
    """Tell whether a message of somebody's is taken in, and whether its client has authenticated."""
    found = _TAKEN_IN.match(message)
    return found is not None, bool(found and found[1])


def reject(message: bytes) -> tuple[bytes, str] | None:
    """Return at what stage something was refused, and the first digit of what the client was told."""
    if found := _CONTENT_REJECT.match(message):
        # What is told stands at the end, behind a part of the header and the addresses.
        digit = b"5"
        for answer in _ANSWER.finditer(message, found.end()):
            digit = answer[1]
        return found[1], digit.decode()
    if _MIME_REJECT.match(message):
        return b"mime-error", "5"
    if found := _REJECT.match(message) or _PROXY_REJECT.match(message):
        # postscreen that is too busy answers 421 and does not log it.
        usual = b"4" if found[1].lower() == b"connect" else b"5"
        return found[1], (found[2] or found[3] or usual).decode()
    return None


def broken(message: bytes) -> tuple[str, bytes] | None:
    """Return why a client's connection has ended too early, and after which command."""
    found = _BROKEN.match(message)
    return (found[1].decode().replace(" ", "_"), found[2]) if found else None


def tls(message: bytes) -> tuple[bytes, str] | None:
    """Return how far the peer of a TLS connection is known, and the protocol."""
    found = _TLS.match(message)
    return (found[1], found[2].decode("ascii", "replace")) if found else None


def tls_failed(message: bytes) -> bool:
    """Tell of a TLS handshake that failed."""
    return _TLS_FAILED.match(message) is not None


def sasl_failed(message: bytes) -> bool:
    """Tell of an authentication that failed; the mechanism's name is the client's."""
    return _SASL_FAILED.match(message) is not None


def removed(message: bytes) -> bool:
    """Tell of a message that has left the queue."""
    return _REMOVED.fullmatch(message) is not None


def expired(message: bytes) -> bool:
    """Tell of a message whose time was up."""
    return _EXPIRED.fullmatch(message) is not None
