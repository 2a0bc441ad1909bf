"""A listener behind a lock, in a loop of its own thread, and certificates for it and its clients."""

import asyncio
import base64
import datetime as dt
import http.client
import socket
import ssl
import tempfile
import threading
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from starlette.responses import PlainTextResponse

from rscollector.config.types import Listener, Tls
from rscollector.web.listeners import listen, listen_unix
from rscollector.web.lock import Lock, Shared
from rscollector.web.passwords import Hashing
from rscollector.web.server import Connections, Server

BODY = b"x_size 1.0\n"


class Authority:
    """A CA of P-256 keys, as trustme has it, that also makes what no CA should."""

    def __init__(self):
        self._ca = trustme.CA()
        self.pem = self._ca.cert_pem.bytes().decode()

    def issue(self, *names):
        """Return certificate and key for these names, as texts."""
        made = self._ca.issue_cert(*(names or ("localhost", "127.0.0.1", "::1")))
        chain = "".join(each.bytes().decode() for each in made.cert_chain_pems)
        return chain, made.private_key_pem.bytes().decode()

    def issue_odd(self, begins=-1.0, ends=1.0, purpose=ExtendedKeyUsageOID.SERVER_AUTH, key=None, names=None):
        """Return the same for localhost, valid from and until so many days from now, and for one purpose.

        With `names`, these bytes stand where its names would.
        """
        key = key or ec.generate_private_key(ec.SECP256R1())
        signer = serialization.load_pem_private_key(self._ca.private_key_pem.bytes(), None)
        issuer = x509.load_pem_x509_certificate(self.pem.encode())
        now = dt.datetime.now(dt.UTC)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "odd")])
        made = x509.CertificateBuilder(
            issuer.subject, name, key.public_key(), x509.random_serial_number(),
            now + dt.timedelta(begins), now + dt.timedelta(ends),
        )  # fmt: skip
        alternative = x509.SubjectAlternativeName([x509.DNSName("localhost")])
        if names is not None:
            alternative = x509.UnrecognizedExtension(alternative.oid, names)
        made = made.add_extension(alternative, critical=False)
        made = made.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        known = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
        made = made.add_extension(
            known, critical=False
        )  # without it, Python 3.13 takes it for none of the CA's
        signed = made.sign(signer, hashes.SHA256())
        form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        text = key.private_bytes(serialization.Encoding.PEM, *form).decode()
        return signed.public_bytes(serialization.Encoding.PEM).decode(), text


class Link:
    """A certificate of a chain, made by the one above it, or a root; it ends in so many days."""

    def __init__(self, name, above=None, ends=30.0, purpose=None):
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._above, now = above, dt.datetime.now(dt.UTC)
        own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = x509.CertificateBuilder(
            above.certificate.subject if above else own, own, self._key.public_key(), x509.random_serial_number(),
            now - dt.timedelta(60), now + dt.timedelta(ends),
        )  # fmt: skip
        made = made.add_extension(x509.BasicConstraints(not purpose, None), critical=True)
        made = made.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False
        )
        signer = above._key if above else self._key
        known = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        made = made.add_extension(known, critical=False)
        if purpose:
            alternative = x509.SubjectAlternativeName([x509.DNSName(name)])
            made = made.add_extension(alternative, critical=False)
            made = made.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        else:
            usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
            made = made.add_extension(usage, critical=True)
        self.certificate = made.sign(signer, hashes.SHA256())
        self.pem = self.certificate.public_bytes(serialization.Encoding.PEM).decode()
        form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        self.key = self._key.private_bytes(serialization.Encoding.PEM, *form).decode()


@cache
def authority():
    """Return the CA that the tests share."""
    return Authority()


@cache
def stranger():
    """Return a CA that nobody trusts."""
    return Authority()


@cache
def _issued():
    return authority().issue()


def tls(**changes):
    """Return TLS with a certificate of the shared CA."""
    return replace(Tls(*_issued()), **changes)


def client_context(certificate=None, **settings):
    """Return how a client connects that trusts the shared CA, with a certificate of its own if given."""
    context = ssl.create_default_context(cadata=authority().pem)
    for name, value in settings.items():
        setattr(context, name, value)
    if certificate:
        with tempfile.NamedTemporaryFile() as file:
            file.write("".join(certificate).encode())
            file.flush()
            context.load_cert_chain(file.name)
    return context


def basic(user, password):
    """Return the header with these credentials."""
    raw = b":".join(each if isinstance(each, bytes) else each.encode() for each in (user, password))
    return f"Basic {base64.b64encode(raw).decode()}"


async def echo(scope, receive, send):
    """Answer what a test wants to see of a request, or a page of a megabyte."""
    if scope["path"] == "/big":
        await PlainTextResponse(BODY * 100_000)(scope, receive, send)
        return
    told = "".join(f"{name.decode()}={value.decode('latin-1')}\n" for name, value in scope["headers"])
    text = f"{scope['scheme']} {scope['path']} {scope.get('client')}\n{told}"
    headers = {"server": "secret/1", "x-frame-options": "sameorigin"}
    await PlainTextResponse(text if scope["path"] != "/metrics" else BODY, 200, headers)(scope, receive, send)


class Locked:
    """A server with a lock on a TCP port, or on a Unix socket, until it is stopped."""

    def __init__(self, directory=None, pace=0.5, application=echo, **listener):
        self._directory, self._pace, self._application = directory, pace, application
        self.listener = Listener(address="127.0.0.1:0", **listener)
        self.connections = Connections()
        self._ready = threading.Event()
        self.thread = threading.Thread(target=asyncio.run, args=[self._serve()])
        self.thread.start()
        assert self._ready.wait(20)

    async def _serve(self):
        self.loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        self.shared = Shared(Hashing(self._pace))
        self.lock = Lock(self.listener, self.shared)
        if self._directory:
            sockets = [listen_unix(Path(self._directory, "socket"))]
        else:
            sockets = listen([self.listener.address])
        self.address = sockets[0].getsockname()
        server = Server(self._application, sockets, self.connections, self.lock)
        self._ready.set()
        await self._end.wait()
        server.close()
        while len(self.connections):
            await asyncio.sleep(0)

    @property
    def port(self):
        """Its port."""
        return self.address[1]

    def replace(self, **changes):
        """Give it other settings, as a reload does; returns what that returns, and raises what that raises."""

        async def change():
            trouble = self.lock.replace(replace(self.listener, **changes))
            self.listener = replace(self.listener, **changes)
            return trouble

        return asyncio.run_coroutine_threadsafe(change(), self.loop).result(20)

    def connect(self, data=b"", host="127.0.0.1", source=None):
        """Return a raw connection on which this was sent."""
        if self._directory:
            client = socket.socket(socket.AF_UNIX)
            client.connect(self.address)
        else:
            client = socket.create_connection((host, self.port), 20, source and (source, 0))
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as all that scrape have it
        client.settimeout(20)
        client.sendall(data)
        return client

    def get(self, path="/metrics", context=None, source=None, method="GET", **headers):
        """Return status, headers and body, over TLS where the server has it."""
        with closing(http.client.HTTPConnection("localhost", timeout=30)) as connection:
            connection.sock = self.connect(source=source)
            if self.listener.tls:
                context = context or client_context()
                connection.sock = context.wrap_socket(connection.sock, server_hostname="localhost")
            given = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, headers=given)
            response = connection.getresponse()
            return response.status, response.headers, response.read()

    def stop(self):
        """Stop it."""
        self.loop.call_soon_threadsafe(self._end.set)
        self.thread.join(20)
        assert not self.thread.is_alive()


@contextmanager
def locked(*arguments, **listener):
    """Serve behind a lock."""
    made = Locked(*arguments, **listener)
    try:
        yield made
    finally:
        made.stop()
