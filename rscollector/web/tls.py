"""TLS of a listener: from texts to a context, which is tried before it is used and exchanged as a whole.

Invariant: *a connection has one context, from its first byte on, and that one was good when it was tried*.
There are two traps here. A certificate that is loaded into a context in use, and does not belong to its key,
breaks every later handshake. And a context that is put in by the callback for the server's name changes the
certificate only: one that wants certificates of clients lets them in without. So nothing changes a context
that is in use; the next connection is given another one.
"""

import ipaddress
import math
import re
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any

from rscollector.config.pem import blocks, in_memory
from rscollector.config.types import ClientAuth, Tls
from rscollector.model.settings import humanized

_FRAME = re.compile(r"^\[\w+\] | \(_ssl\.c:\d+\)$")
_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME: the times are looked at here, to be told in words
_CURVE = "prime256v1"
"""What all clients know. OpenSSL itself takes what costs us 100 ms (ffdhe8192), and who asks for it none."""
_STEPS = 5
_SOON = 14 * 86400.0
_MOST_SESSIONS = 1000
_VERIFY = {
    ClientAuth.NONE: ssl.CERT_NONE,
    ClientAuth.OPTIONAL: ssl.CERT_OPTIONAL,
    ClientAuth.REQUIRED: ssl.CERT_REQUIRED,
}
_VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
_SAYS = {
    "KEY_VALUES_MISMATCH": "the key does not belong to the certificate, which has to be the first of a chain",
    "KEY_TYPE_MISMATCH": "the key does not belong to the certificate, which has to be the first of a chain",
    "EE_KEY_TOO_SMALL": "the key is too short for this host's OpenSSL; make one for the curve P-256",
    "No cipher can be selected.": "this host's OpenSSL knows none of the ciphers",
    "NO_SHARED_CIPHER": "no client could connect: none of the ciphers suits this kind of key",
}


@dataclass(frozen=True, slots=True)
class Made:
    """A context that was tried, and what else a handshake needs.

    `chain` is from when to when that one between the certificate and its CA is valid that expires first,
    `clients_end` when the last CA of clients expires: as Unix time, infinite where there are none.
    """

    tls: Tls
    context: ssl.SSLContext
    not_before: float
    not_after: float
    chain: tuple[float, float]
    clients_end: float

    def admits(self, certificate: dict[str, Any] | None) -> bool:
        """Tell whether a client may come in whose certificate was verified, or who has none."""
        names = {_name(str(value)) for _, value in (certificate or {}).get("subjectAltName", ())}
        allowed = map(_name, self.tls.client_sans)
        return not (certificate and self.tls.client_sans) or not names.isdisjoint(allowed)

    def trouble(self, now: float) -> str:
        """Say what is wrong with the certificate's time, "" if nothing is."""
        if now > self.not_after:
            return f"the certificate has expired ({_date(self.not_after)})"
        if now < self.not_before:
            return f"the certificate is not valid before {_date(self.not_before)}"
        return ""

    def hints(self, now: float) -> Iterator[str]:
        """Say what is over, or should have been renewed, as is mostly done when a third of a life is left."""
        if trouble := self.trouble(now):
            yield trouble
        soon = min(_SOON, (self.not_after - self.not_before) / 4)
        for what, ends in (
            ("the certificate", self.not_after),
            ("a certificate between it and its CA", self.chain[1]),
            ("the CA of clients", self.clients_end),
        ):
            if now <= ends < now + soon:
                yield f"{what} expires in {humanized(ends - now)}"
            elif ends < now and ends != self.not_after:
                yield f"{what} has expired ({_date(ends)})"


class Context:
    """The newest good context. Raises ValueError with a sentence when there is none to begin with."""

    def __init__(self, tls: Tls) -> None:
        self._made = _built(tls)

    @property
    def validity(self) -> tuple[float, float]:
        """From when to when the certificate in use is valid, or what of its chain ends before it does."""
        own = self._made.not_before, self._made.not_after
        return min(own, self._made.chain, key=itemgetter(1))

    def replace(self, tls: Tls) -> str:
        """Use another one from the next connection on; raises ValueError, and then the old one goes on.

        Returns why its certificate cannot be used, "" if it can. If not, the one before goes on with all else
        that is new: who is to be kept out from now on must not come in for a certificate that has expired.
        A certificate whose time is over, or has not come, does not take the place of one that is valid. Where
        there is no other it is used: who looks sees what is wrong, and collectors and sinks work meanwhile.
        """
        now, before = time.time(), self._made
        try:
            made = _built(tls)
            trouble = "" if before.trouble(now) else made.trouble(now)
        except ValueError as error:
            trouble = str(error)
        if trouble:
            made = _built(replace(tls, certificate=before.tls.certificate, key=before.tls.key))
        self._made = made
        return trouble

    def newest(self) -> Made:
        """Return what the next connection uses."""
        # OpenSSL keeps the sessions of clients that know no tickets; a flood of them would be 20 MB.
        if self._made.context.session_stats()["number"] > _MOST_SESSIONS:
            with suppress(ValueError):  # such as for want of a descriptor, of which a flood takes many
                self._made = _built(self._made.tls)
        return self._made


def _built(tls: Tls) -> Made:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificates = _blocks(tls.certificate, "CERTIFICATE", "the certificate")
    keys = _blocks(tls.key, "PRIVATE KEY", "the key")
    with _told("the certificate and its key cannot be used"):
        _set(context, tls)
        with in_memory(certificates) as certificate, in_memory(keys) as key:
            context.load_cert_chain(certificate, key, _no_password)
    seen = _tried(context, certificates[0])
    _verify_clients(context, tls)
    with _told("the certificate and its chain cannot be read"):
        chain = min(_chain(seen, certificates[1:]), key=itemgetter(1), default=(0.0, math.inf))
        clients = max((_times(each)[1] for each in _authorities(context)), default=math.inf)
        return Made(tls, context, *_times(seen), chain, clients)


def _set(context: ssl.SSLContext, tls: Tls) -> None:
    context.minimum_version = _VERSIONS[tls.minimum]
    context.maximum_version = _VERSIONS[tls.maximum]
    context.num_tickets = 0  # who comes each 15 s makes a handshake each time, and nothing outlives a context
    context.set_alpn_protocols(["http/1.1"])
    if tls.ciphers:
        context.set_ciphers(":".join(tls.ciphers))
    context.set_ecdh_curve(tls.curve or _CURVE)


def _verify_clients(context: ssl.SSLContext, tls: Tls) -> None:
    """Have clients verified by the CA that is given; by the system's, any public certificate would do."""
    if tls.client is ClientAuth.NONE:
        return
    authorities = _blocks(tls.client_ca, "CERTIFICATE", "the CA of clients")
    with _told("the CA of clients cannot be used"):
        context.load_verify_locations(cadata="\n".join(authorities))
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # one that is no root is enough, as it is to Go
    context.verify_mode = _VERIFY[tls.client]


def _chain(seen: dict[str, Any], certificates: list[str]) -> Iterator[tuple[float, float]]:
    """Yield the times of each of those that lead from a certificate to its root, which clients have."""
    store = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for each in certificates:
        store.load_verify_locations(cadata=each)
    found = {each["subject"]: each for each in sorted(_authorities(store), key=_times)}
    while (seen := found.pop(seen["issuer"], {})) and seen["issuer"] != seen["subject"]:
        yield _times(seen)


def _authorities(context: ssl.SSLContext) -> list[Any]:
    try:
        return context.get_ca_certs()
    except ValueError:  # a name in one of them is no text, by which it works all the same
        return []


def _times(certificate: dict[str, Any]) -> tuple[float, float]:
    """Return from when to when it is valid, as Unix time."""
    begins, ends = (ssl.cert_time_to_seconds(certificate[name]) for name in ("notBefore", "notAfter"))
    return begins, ends


def _tried(context: ssl.SSLContext, own: str) -> dict[str, Any]:
    """Have a client connect that trusts just this certificate; returns what it has seen."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags = ssl.VerifyFlags(ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME)
    with _told("no client could connect with this certificate"):
        client.load_verify_locations(cadata=own)
        there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
        asking = client.wrap_bio(back, there)
        answering = context.wrap_bio(there, back, server_side=True)
        for _ in range(_STEPS):
            for each in (asking, answering):
                with suppress(ssl.SSLWantReadError):
                    each.do_handshake()
        seen = asking.getpeercert()
    if not seen:
        raise ValueError("no client could connect with this certificate: the handshake does not end")
    return seen


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Raise what OpenSSL says as ValueError with a sentence."""
    try:
        yield
    except ssl.SSLError as error:
        raise ValueError(_SAYS.get(_reason(error)) or f"{what}: {words(error)}") from error
    except (OSError, ValueError) as error:
        raise ValueError(f"{what}: {error}") from error


def _reason(error: ssl.SSLError) -> str:
    """Return OpenSSL's word for an error; Python's own have none."""
    return getattr(error, "reason", None) or _FRAME.sub("", str(error.args[-1]))


def words(error: ssl.SSLError) -> str:
    """Return in words what went wrong."""
    verified = getattr(error, "verify_message", "")
    return str(verified) or _reason(error).lower().replace("_", " ")


def _blocks(text: str, wanted: str, what: str) -> list[str]:
    """Return the blocks of a PEM text, of which there has to be one."""
    if not (found := blocks(text, wanted)):
        raise ValueError(f"{what}: expected a text in PEM with -----BEGIN {wanted}-----")
    return found


def _no_password() -> str:
    """Without this, OpenSSL would ask on the terminal."""
    raise ValueError("the key is encrypted; write it without a password: openssl pkey -in KEY -out NEW")


def _date(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))


def _name(text: str) -> str:
    """Return a name as it is compared: an address of IPv6 may be written in many ways."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text


def said_by(certificate: dict[str, Any] | None) -> str:
    """Return the name in a client's certificate, "" if there is none."""
    subject = {name: value for part in (certificate or {}).get("subject", ()) for name, value in part}
    return str(subject.get("commonName", "")) or next(
        (str(value) for _, value in (certificate or {}).get("subjectAltName", ())), ""
    )
