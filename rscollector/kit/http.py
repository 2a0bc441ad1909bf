"""HTTP for collectors: a question and its answer over TCP, TLS or a Unix socket, bounded in time and bytes.

Each exchange has a connection of its own and one budget for all of it. No redirect is followed, no proxy is
used, no compression is asked for. What the server says stands at the end of a sentence, as one bounded line.

Raises Disconnected where nobody answers, or not in time, or not to the end; Unavailable for an answer of no
use: 5xx, too much, no HTTP; Misconfigured where an operator has to change something: a path, a password.
"""

import json
import re
import ssl
from base64 import b64encode
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from http.client import BadStatusLine, HTTPConnection, HTTPException, HTTPResponse, IncompleteRead
from typing import Any, NamedTuple

from rscollector.api import CollectError, Context, Misconfigured, Secret, Unavailable, one_line
from rscollector.kit.connection import Connection, broken, opened
from rscollector.kit.optional import Disconnected
from rscollector.kit.place import Address, shown

LIMIT = 1 << 20
"""Bytes of a body, at most, unless the caller says otherwise."""
SUCCESS = range(200, 300)
_CHUNK = 1 << 16
_SHOWN = 200
_BEGINNING = 2000  # bytes of a refusal that are read: a sentence shows less
_PATH = re.compile(r"/[!\"$-~]*")
_NAME = re.compile(r"[!#$%&'*+.^_`|~\w-]+", re.ASCII)
_TEXT = re.compile(r"[\t -~\xa0-\xff]*")
_TLS_RECORDS = ("\x15\x03", "\x16\x03")  # an alert, a handshake
_LOOK = {
    401: "; look at the user and the password",
    403: "; look at what this user may ask",
    404: "; look at the path, and at who listens there",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came: `headers` finds a name in upper and lower case; `asked` is the question, for messages."""

    asked: str
    status: int
    headers: Message
    body: bytes

    def json(self) -> Any:
        """Return what the body says in JSON. Raises Unavailable when it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            said = _said(self.body) or "blanks, or nothing"
            raise Unavailable(f"{self.asked}: answered with what is no JSON: {said}") from error


def basic(user: str, password: Secret | None = None) -> dict[str, str]:
    """Return the header of basic authentication, in UTF-8; none where there is no user."""
    if ":" in user:
        raise Misconfigured("user: basic authentication allows no colon in it")
    known = f"{user}:{password.reveal() if password else ''}"
    return {"Authorization": f"Basic {b64encode(known.encode()).decode()}"} if user else {}


class _Question(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    body: bytes | None = None


class Http:
    """A server that is asked over HTTP, each time within what is left of the collect.

    With `tls`, see `kit.tls.client_context`, it is HTTPS. `headers` are sent with each question; `limit` is
    the most bytes of a body. A status that is none of `answers` is raised, and its sentence has the beginning
    of the body.
    """

    def __init__(
        self,
        address: Address,
        *,
        tls: ssl.SSLContext | None = None,
        headers: Mapping[str, str] | None = None,
        limit: int = LIMIT,
    ) -> None:
        self._address = address
        self._tls = tls
        self._headers = {**(headers or {}), "Connection": "close"}
        self._limit = limit
        self._host, self._port = ("localhost", 443 if tls else 80) if isinstance(address, str) else address

    def get(self, context: Context, path: str, *, answers: Collection[int] = SUCCESS) -> Answer:
        """Ask with GET. Raises Unavailable or Misconfigured."""
        return self._answer(context, _Question("GET", path, self._headers), answers)

    def post(
        self, context: Context, path: str, body: bytes, media: str, *, answers: Collection[int] = SUCCESS
    ) -> Answer:
        """Ask with POST; `media` is the body's type. Raises Unavailable or Misconfigured."""
        headers = {**self._headers, "Content-Type": media}
        return self._answer(context, _Question("POST", path, headers, body), answers)

    def _answer(self, context: Context, question: _Question, answers: Collection[int]) -> Answer:
        asked = f"{shown(self._address)}: {question.method} {one_line(question.path, _SHOWN)}"
        _check(asked, question)
        seconds = context.budget()
        try:
            with opened(self._address, seconds, self._tls) as connection:
                response = self._responded(connection, question)
                if response.status not in answers:
                    raise _refused(asked, response)
                body = bytearray()
                _read(response, body, self._limit)
        except (OSError, HTTPException) as error:
            raise _failed(asked, error, seconds, tls=self._tls is not None) from error
        if len(body) > self._limit:
            raise Unavailable(f"{asked}: the answer has more than {self._limit} bytes")
        return Answer(asked, response.status, response.headers, bytes(body))

    def _responded(self, connection: Connection, question: _Question) -> HTTPResponse:
        """Send a question and return the head of its answer."""
        client = HTTPConnection(self._host, self._port)
        client.default_port = 443 if self._tls else 80
        client.sock = connection  # it has what is used of a socket
        client.request(question.method, question.path, question.body, question.headers)
        response = client.getresponse()
        coding = response.headers.get("Transfer-Encoding", "chunked")
        if coding.strip().lower() != "chunked":  # of several, http.client would take the framing for the body
            raise HTTPException(f"Transfer-Encoding: {coding}")
        return response


def _check(asked: str, question: _Question) -> None:
    """Refuse what would become another question on the wire. Raises Misconfigured."""
    if not _PATH.fullmatch(question.path):
        raise Misconfigured(f"{asked}: a path begins with / and has only ASCII in it, neither blanks nor #")
    for name, text in question.headers.items():
        if not _NAME.fullmatch(name) or not _TEXT.fullmatch(text):
            raise Misconfigured(f"{asked}: HTTP cannot have such a header: {one_line(name, _SHOWN)}")


def _read(response: HTTPResponse, body: bytearray, most: int) -> None:
    """Read to the end, or until it is more than `most` bytes; raises where it ends too early."""
    while len(body) <= most:
        # Not read(): it takes memory for what a length announces, and a length may be negative.
        chunk = response.read1(_CHUNK)
        if not chunk:
            if response.length:
                raise IncompleteRead(b"")
            return
        body += chunk


def _said(data: bytes | bytearray) -> str:
    return one_line(data.decode("utf-8", "replace"), _SHOWN)


def _refused(asked: str, response: HTTPResponse) -> CollectError:
    """Return what a status means that is no success, whatever becomes of the rest."""
    body = bytearray()
    with suppress(OSError, HTTPException):
        _read(response, body, _BEGINNING)
    status = response.status
    sentence = f"{asked}: {status} {one_line(response.reason, _SHOWN)}".rstrip() + _LOOK.get(status, "")
    if 300 <= status < 400:
        target = one_line(response.headers.get("Location", "nowhere"), _SHOWN)
        return Misconfigured(f"{sentence}; redirects are not followed, this one points to {target}")
    is_ours = 400 <= status < 500 and status not in (408, 429)
    said = _said(body)
    return (Misconfigured if is_ours else Unavailable)(f"{sentence}: {said}" if said else sentence)


def _failed(asked: str, error: OSError | HTTPException, seconds: float, *, tls: bool) -> CollectError:
    """Return what it means that no answer came, or not all of it."""
    match error:
        case OSError():
            return broken(asked, error, seconds, tls=tls)
        case IncompleteRead():
            return Disconnected(f"{asked}: the answer broke off, or is garbled")
        case BadStatusLine() if str(error).startswith(_TLS_RECORDS):
            return Misconfigured(f"{asked}: the server speaks TLS there, and was asked without")
    return Unavailable(f"{asked}: what came is no HTTP: {one_line(str(error), _SHOWN) or 'blanks'}")
