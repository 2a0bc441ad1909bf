"""Certificates and keys in PEM: read from their files, and found good or not before anybody depends on them.

What is handed on are texts: the agent opens no file. What was read is remembered with what the file was then,
so that somebody can look whether it is another now.
"""

import os
import re
import shlex
import ssl
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from rscollector.config.bounded import content
from rscollector.config.looker import look
from rscollector.config.types import ClientAuth, Tls

_LONGEST = 1 << 20
_BLOCK = re.compile(
    r"-----BEGIN ((?:[A-Z0-9]+ )*)(CERTIFICATE|PRIVATE KEY)-----[\x00-\x7f]+?-----END \1\2-----\n?"
)
_WEAK = ("TOO_SMALL", "TOO_WEAK")


def blocks(text: str, wanted: str) -> list[str]:
    """Return the blocks of a PEM text; whatever stands between them may be in any language."""
    found = (each for each in _BLOCK.finditer(text) if each[2] == wanted)
    return [each[0] for each in found if each[1] != "TRUSTED "]  # which are OpenSSL's own


class Fault(NamedTuple):
    """What is wrong with a field of `Tls`."""

    field: str
    reason: str


class LockFiles:
    """Reads the files that a lock is made of; `seen` has what each was, before it was read."""

    def __init__(self) -> None:
        self.seen: dict[str, str] = {}

    def text(self, path: Path) -> str:
        """Return the text of a file. Raises ValueError with why it cannot be read."""
        try:
            now = look(str(path))
        except ValueError:  # a NUL in it, or half a character: nobody can look whether it has come
            raise ValueError(f"{path} cannot be read: no file can have this name") from None
        self.seen[str(path)] = now
        try:
            return content(path, _LONGEST).decode("utf-8")
        except UnicodeDecodeError:
            raise ValueError(f"{path} is not UTF-8: is it in PEM?") from None


def exposed(path: Path) -> str:
    """Say that every user of this host can read a secret, and what mends that; "" if they cannot."""
    try:
        file = path.resolve()
        is_open = file.stat().st_mode & stat.S_IROTH and all(
            each.stat().st_mode & stat.S_IXOTH for each in file.parents
        )
    except (OSError, ValueError, RuntimeError):  # it is told already that there is no such file
        return ""
    name = shlex.quote(str(path))
    mend = f"chgrp rscollector {name} && chmod 640 {name}"
    return f"every user of this host can read it: {mend}" if is_open else ""


def faults(tls: Tls) -> Iterator[Fault]:
    """Yield what would keep a listener from serving with it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for field, text in (("certificate", tls.certificate), ("client_ca", tls.client_ca)):
        if text and (reason := _no_certificates(text)):
            yield Fault(field, reason)
            return
    yield from _pair(context, tls)
    if tls.minimum > tls.maximum:
        yield Fault("minimum", f"it is {tls.minimum}, and the newest that is allowed is {tls.maximum}")
    try:
        if tls.ciphers:
            context.set_ciphers(":".join(tls.ciphers))
    except ssl.SSLError:
        yield Fault("ciphers", "OpenSSL on this host has none of them")
    if tls.curve and not has_curve(tls.curve):
        yield Fault("curve", f"Python on this host cannot set {tls.curve}; leave it out, and it is P-256")
    if tls.client is not ClientAuth.NONE and not tls.client_ca:
        yield Fault("client_ca", "is required: without it any certificate of a public CA would pass")


def has_curve(name: str) -> bool:
    """Tell whether Python can set a curve: that of Debian 12 knows no X25519, whatever its OpenSSL does."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).set_ecdh_curve(name)
    except (ValueError, ssl.SSLError):
        return False
    return True


def _no_certificates(text: str) -> str:
    if not (found := blocks(text, "CERTIFICATE")):
        return "there is no certificate in PEM in it (-----BEGIN CERTIFICATE-----)"
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(cadata="\n".join(found))
    except (ssl.SSLError, ValueError) as error:
        return f"a certificate in it is damaged: {_reason(error)}"
    return ""


def _pair(context: ssl.SSLContext, tls: Tls) -> Iterator[Fault]:
    keys = blocks(tls.key, "PRIVATE KEY")
    if not keys:
        yield Fault("key", "there is no private key in PEM in it (-----BEGIN PRIVATE KEY-----)")
    elif any("ENCRYPTED" in each for each in keys):
        yield Fault("key", "it needs a passphrase, and nobody is there to type one: take it off")
    else:
        try:
            with in_memory(blocks(tls.certificate, "CERTIFICATE")) as certificate, in_memory(keys) as key:
                context.load_cert_chain(certificate, key)
        except (ssl.SSLError, ValueError) as error:
            yield _unusable(error)


def _unusable(error: Exception) -> Fault:
    reason = _reason(error)
    if "MISMATCH" in reason.upper().replace(" ", "_"):
        return Fault("key", "it is not the key of the certificate, or of the first one in that file")
    if any(word in reason for word in _WEAK):
        return Fault("certificate", f"it is too weak for OpenSSL on this host: {reason}; make a new one")
    return Fault("key", f"it is damaged, or of a kind that OpenSSL on this host does not know: {reason}")


@contextmanager
def in_memory(found: Sequence[str]) -> Iterator[str]:
    """Yield a path under which OpenSSL, which takes nothing but paths, finds these blocks; no disk has it."""
    descriptor = os.memfd_create("pem")
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write("\n".join(found).encode("ascii"))
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _reason(error: Exception) -> str:
    return getattr(error, "reason", None) or str(error)
