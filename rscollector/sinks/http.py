"""The HTTP side of a sink: authentication and TLS from its settings, and requests that end.

The status of an answer says what became of a request. It counts also where the rest of the answer breaks
off, is garbled, or never comes to an end.
"""

import math
import re
import socket
import ssl
import threading
import time
import zlib
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from weakref import WeakSet

import requests
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth
from urllib3.exceptions import HTTPError

from rscollector.api import Needs, Package, Secret, setting
from rscollector.kit.tls import TlsFiles, check_files
from rscollector.model.masks import Masks
from rscollector.model.texts import one_line

NEEDS = Needs(packages=(Package("python3-requests", "requests>=2.28"),))
BUCKETS = (0.005, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
BOUNDS = (*BUCKETS, math.inf)
_CONNECT = 10.0
_CUT_AGAIN = 0.5
_LONGEST_ANSWER = 2000
_LONGEST_SENTENCE = 200
_GZIP = b"\x1f\x8b"
_ERROR = 500


@dataclass(frozen=True, kw_only=True)
class HttpSettings(TlsFiles):
    """How a receiver is reached."""

    url: str = setting("The receiver, such as https://receiver.example:8070.")
    user: str = setting("The user, for basic authentication.", default="")
    password: Secret | None = setting("The password.", default=None)
    proxy: bool = setting("Whether the environment's proxy is used.", default=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("url: expected http:// or https:// and a host")
        if not self.url.isprintable() or re.search(r"[\s?#]", self.url):
            raise ValueError("url: expected neither blanks nor ? or # in it")
        try:
            _ = parts.port
        except ValueError:
            raise ValueError("url: expected a port from 0 to 65535") from None
        if parts.username or parts.password:
            raise ValueError("url: user and password have settings of their own")


class Reply(NamedTuple):
    """An answer: its status, its media type, a sentence with what it says, the seconds that it asks for."""

    status: int
    media: str
    sentence: str
    retry_after: float


class NoReply(Exception):
    """There was no answer, or none that is HTTP; the text says why."""


class Client:
    """A session with one receiver. One thread asks; others may read what is counted, and cut it off.

    `requests` and `durations` count answers, `waited` is the sum of their seconds. Raises Misconfigured
    when a file of the settings is not right.
    """

    def __init__(self, settings: HttpSettings) -> None:
        check_files(settings)  # requests would say so only with the first request
        self.requests = Counter({f"{digit}xx": 0 for digit in range(2, 6)} | {"error": 0})
        self.durations: Counter[float] = Counter()
        self.waited = 0.0
        self._headers = {"User-Agent": "rscollector", "Accept-Encoding": "identity"}
        self._masks = Masks()
        values = (getattr(settings, field.name) for field in fields(settings))
        self._masks.add(value.reveal() for value in values if isinstance(value, Secret))
        self._adapter = _Adapter()
        self._session = requests.Session()
        self._session.trust_env = settings.proxy
        if settings.user:
            password = settings.password.reveal() if settings.password else ""
            # As text they would be sent in Latin-1, or not at all.
            self._session.auth = HTTPBasicAuth(settings.user.encode(), password.encode())
        found = self._session.merge_environment_settings(settings.url, {}, True, None, None)
        self._proxies = found["proxies"]
        self._verify: Any = (
            settings.tls_ca or found["verify"]
        )  # the CA of the settings before the environment's
        files = (settings.tls_certificate, settings.tls_key or settings.tls_certificate)
        self._cert = files if settings.tls_certificate else None

    def ask(self, method: str, url: str, data: bytes, timeout: float, **headers: str) -> Reply:
        """Send a request and return the answer. Raises NoReply, at the latest after `timeout` seconds."""
        began = time.monotonic()
        ended = threading.Event()
        try:
            threading.Thread(target=self._cut_unless, args=(ended, timeout), daemon=True).start()
            reply = self._asked(method, url, data, timeout, headers)
            self.requests[f"{reply.status // 100}xx"] += 1
        except (requests.RequestException, HTTPError, OSError, ValueError, RuntimeError) as error:
            self.requests["error"] += 1  # RuntimeError: no thread can be started
            late = time.monotonic() - began >= timeout
            why = f"no answer within {timeout:g} s" if late else self._shown(_reason(error))
            raise NoReply(why) from error
        else:
            return reply
        finally:
            ended.set()
            self._took(time.monotonic() - began)

    def _cut_unless(self, ended: threading.Event, timeout: float) -> None:
        """Cut a request that has not ended in time; one that only then has a connection is cut as well."""
        wait = timeout
        while not ended.wait(wait):
            self.cut()
            wait = _CUT_AGAIN

    def cut(self) -> None:
        """Cut the connection: who waits for an answer waits no longer."""
        for connection in list(self._adapter.connections):
            with suppress(OSError, TypeError):  # it is not connected yet, or not any more
                sock = connection.connected
                socket.socket.shutdown(getattr(sock, "socket", sock), socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection."""
        self._adapter.close()

    def _asked(self, method: str, url: str, data: bytes, timeout: float, headers: dict[str, str]) -> Reply:
        # The adapter, and not the session: that one follows redirects and reads their bodies to the end.
        request = self._session.prepare_request(
            requests.Request(method, url, {**self._headers, **headers}, data=data)
        )
        with self._adapter.send(
            request,
            stream=True,
            timeout=(min(_CONNECT, timeout), timeout),
            verify=self._verify,
            cert=self._cert,
            proxies=self._proxies,
        ) as answer:
            said = b""
            with suppress(requests.RequestException, HTTPError, OSError, ValueError):
                # Read in any case: only then is the connection used again.
                said = answer.raw.read(_LONGEST_ANSWER, decode_content=False)
            if answer.status_code >= _ERROR:
                self._adapter.close()  # its name may be another host's by now
            more = "…" if len(said) == _LONGEST_ANSWER else ""
            sentence = f"{answer.status_code} {answer.reason}: {_text(said)}{more}".rstrip(": ")
            return Reply(
                answer.status_code,
                answer.headers.get("Content-Type", "").partition(";")[0].strip().lower(),
                f"{url}: {self._shown(sentence)}",
                retry_after(answer.headers.get("Retry-After", "")),
            )

    def _shown(self, text: str) -> str:
        """Return what a receiver or a library says, without our secrets: it is kept on disk."""
        return one_line(text, _LONGEST_SENTENCE, self._masks.masked)

    def _took(self, seconds: float) -> None:
        self.waited += seconds
        self.durations[next(bound for bound in BOUNDS if seconds <= bound)] += 1


class _Adapter(HTTPAdapter):
    """Knows its connections."""

    def __init__(self) -> None:
        self.connections: WeakSet[Any] = WeakSet()
        super().__init__(pool_connections=1, pool_maxsize=1)

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        super().init_poolmanager(*arguments, **named)
        _watch(self.poolmanager, self.connections)

    def proxy_manager_for(self, *arguments: Any, **named: Any) -> Any:
        manager = super().proxy_manager_for(*arguments, **named)
        _watch(manager, self.connections)
        return manager


def _watch(manager: Any, connections: "WeakSet[Any]") -> None:
    def watched(pool: Any) -> Any:
        class Connection(pool.ConnectionCls):  # type: ignore[misc]
            connected: Any = None  # `sock` is None again when an answer without a length begins

            def connect(self) -> None:
                connections.add(self)
                super().connect()
                self.connected = self.sock

        return type(pool.__name__, (pool,), {"ConnectionCls": Connection})

    pools = manager.pool_classes_by_scheme.items()
    if not any("watched" in pool.ConnectionCls.__qualname__ for _, pool in pools):
        manager.pool_classes_by_scheme = {scheme: watched(pool) for scheme, pool in pools}


def retry_after(text: str) -> float:
    """Return the seconds for which an answer asks us to wait, 0 where it does not say that."""
    if re.fullmatch(r"\d{1,9}", text.strip(), re.ASCII):
        return float(text)
    with suppress(ValueError, TypeError, IndexError, ArithmeticError, OSError):
        when = parsedate_to_datetime(text[:100])
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        return max(0.0, (when - datetime.now(UTC)).total_seconds())
    return 0.0


def _text(said: bytes) -> str:
    """Return a body as text; Bosun compresses one without saying so."""
    if said.startswith(_GZIP):
        with suppress(zlib.error):
            said = zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(said, _LONGEST_ANSWER)
    return said.decode("utf-8", "replace")


def _reason(error: Exception) -> str:
    """Say why nothing came back, from the innermost of the exceptions."""
    inner: BaseException = error
    while (deeper := inner.__cause__ or inner.__context__) and not isinstance(deeper, TypeError):
        inner = deeper  # the TypeError is how urllib3 1.26 finds out what http.client can do
    if "EOF occurred" in str(inner) or isinstance(inner, (ConnectionResetError, BrokenPipeError)):
        return "the receiver closes the connection; with TLS, it may want a client's certificate"
    said = str(getattr(inner, "strerror", None) or inner)
    return f"no TLS: {said}" if isinstance(inner, ssl.SSLError) else f"nobody answers: {said}"
