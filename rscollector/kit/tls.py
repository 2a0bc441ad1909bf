"""TLS as settings, with one meaning everywhere: a CA, a client's certificate and its key, files in PEM.

Certificate and name of the server are always verified. The files are looked at before anything is sent, so
that what is wrong with one of them is said with the name of its setting.
"""

import os
import ssl
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rscollector.api import Misconfigured, setting
from rscollector.kit.settings import Checked

_MEANING = {
    "KEY_VALUES_MISMATCH": "the key is not that of the first certificate in it",
    "NO_CERTIFICATE_OR_CRL_FOUND": "no certificate in PEM is in it",
}


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class TlsFiles(Checked):
    """The files, for a service whose URL says whether TLS is used."""

    tls_ca: str = setting(
        "File with the CA that has signed the server's certificate, if not one of the system's.",
        default="",
    )
    tls_certificate: str = setting(
        "File with the client's certificate, and with its key if tls_key is not given.", default=""
    )
    tls_key: str = setting("File with the key of the client's certificate.", default="")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tls_key and not self.tls_certificate:
            raise ValueError("tls_key: it belongs to a tls_certificate, which is missing")


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Tls(TlsFiles):
    """The files, and whether TLS is used at all."""

    tls: bool = setting("Use TLS; a tls_ca implies it.", default=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tls_certificate and not self.uses_tls:
            raise ValueError("tls_certificate: it is of no use without tls")

    @property
    def uses_tls(self) -> bool:
        """Whether TLS is used."""
        return self.tls or bool(self.tls_ca)


def check_files(files: TlsFiles) -> None:
    """See that the files, if there are any, are what they should be. Raises Misconfigured."""
    if files.tls_ca or files.tls_certificate:
        _loaded(files)


def client_context(files: TlsFiles) -> ssl.SSLContext:
    """Return what a client needs for its connections. Raises Misconfigured where a file is not right."""
    context = _loaded(files)
    if not files.tls_ca:
        context.load_default_certs()
    return context


@contextmanager
def certificate_file(files: TlsFiles) -> Iterator[str]:
    """Yield the path of one file with certificate and key, for a driver that takes no two.

    Where they are two, it is in memory, for as long as the block lasts.
    """
    if not files.tls_key:
        yield files.tls_certificate
        return
    descriptor = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        for path in (files.tls_key, files.tls_certificate):  # whose file may have another key still
            os.write(descriptor, Path(path).read_bytes() + b"\n")
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _loaded(files: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # which verifies certificate and name
    for name in ("tls_ca", "tls_certificate", "tls_key"):
        if path := getattr(files, name):
            with _told(name, path):
                _must_be_a_file(name, path)
    if files.tls_ca:
        with _told("tls_ca", files.tls_ca):
            context.load_verify_locations(files.tls_ca)
    if files.tls_certificate:
        with _told("tls_certificate", files.tls_certificate):
            context.load_cert_chain(files.tls_certificate, files.tls_key or None, _no_passphrase)
    return context


def _must_be_a_file(name: str, path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe would be waited for
    try:
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            raise Misconfigured(f"{name} = {path}: this is a pipe, and no file")
    finally:
        os.close(descriptor)


def _no_passphrase() -> str:
    # Without this OpenSSL would ask for it, on the terminal.
    raise Misconfigured("the client's key has a passphrase: let tls_key be one without")


@contextmanager
def _told(name: str, path: str) -> Iterator[None]:
    try:
        yield
    except ssl.SSLError as error:
        reason = _MEANING.get(error.reason or "", "it is no file in PEM, or not a whole one")
        raise Misconfigured(f"{name} = {path}: {reason}") from error
    except OSError as error:
        raise Misconfigured(f"{name} = {path}: {error.strerror}") from error
