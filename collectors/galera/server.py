"""The connection to the server, and what its refusals mean.

`SHOW GLOBAL STATUS` and `SHOW GLOBAL VARIABLES` are answered in every state of a node and need no grant. An
ordinary SELECT is refused with 1047 where the node is not ready, and with 1142 where a grant is missing.

PyMySQL takes TLS without verifying anything when the server offers it and nothing is said; before 1.2 it goes
on without TLS when the server offers none, whatever is said. Its connect timeout does not cover the handshake
(PyMySQL#1177), for which the read timeout is.
"""

import ssl
import struct
from contextlib import suppress
from typing import Any

import pymysql
from pymysql.constants import CLIENT, CR, ER

from rscollector.api import Context, Misconfigured, Unavailable
from rscollector.kit.optional import Disconnected
from rscollector.kit.place import unreached
from rscollector.kit.tls import client_context

_NO_SOCKET_AUTHENTICATION = 1698
_OPERATOR = {
    ER.ACCESS_DENIED_ERROR: "the user or the password is wrong",
    ER.DBACCESS_DENIED_ERROR: "the user may not do this",
    # Of a user that does not exist the server says so, too, or that the password is wrong.
    _NO_SOCKET_AUTHENTICATION: (
        "the server knows no such user, or lets it in only as the system's user of that name (unix_socket)"
    ),
    ER.HOST_NOT_PRIVILEGED: "the server does not take connections from this host",
    ER.HOST_IS_BLOCKED: "the server has blocked this host after too many errors; `FLUSH HOSTS` helps",
    1251: "the driver does not know this user's way of logging in",
    CR.CR_AUTH_PLUGIN_CANNOT_LOAD: "the driver does not know this user's way of logging in",
    1820: "the password has expired",
    1862: "the password has expired",
    3118: "the account is locked",
    4151: "the account is locked",
    3159: "the server takes connections with TLS only; `tls` or `tls_ca` asks for it",
    CR.CR_SSL_CONNECTION_ERROR: "TLS is asked for (tls, tls_ca), and the server offers none",
}
_MAY_WANT_TLS = "the user or the password is wrong, or the server takes connections with TLS only"
_PACKAGE = "this user's way of logging in needs a Python package that is not installed"
_FOREIGN = "what answers there does not speak MySQL's protocol, or garbles it"
_WORLD = {
    ER.CON_COUNT_ERROR: "all of the server's connections are taken (max_connections)",
    ER.TOO_MANY_USER_CONNECTIONS: "all connections that this user may have are taken",
    1226: "all that this user may use is used up",
    ER.SERVER_SHUTDOWN: "the server is shutting down",
    CR.CR_SERVER_GONE_ERROR: "the server has closed the connection",
    CR.CR_SERVER_LOST: "the connection was lost during the query",
}
_FAULTS = (RuntimeError, ValueError, LookupError, TypeError, AttributeError, AssertionError, struct.error)
"""What the driver raises beside its own: a package is missing, or what came makes no sense to it."""
_ERRORS = (pymysql.err.Error, OSError, *_FAULTS)
_CLOSED = (CR.CR_SERVER_GONE_ERROR, CR.CR_SERVER_LOST, 1927, 4031)
"""Codes of a connection that was closed: while it was idle, if they come with the first question."""
_SERVERS_OWN = range(1000, 2000), range(3000, 65536)
"""Codes of what the server has answered; others are the driver's."""


class _Connection(pymysql.Connection):
    """A connection that is not talked out of TLS, before anything of the password is sent."""

    def _request_authentication(self) -> None:
        if self.ssl and not self.server_capabilities & CLIENT.SSL:  # type: ignore[attr-defined]
            raise pymysql.err.OperationalError(CR.CR_SSL_CONNECTION_ERROR, "no TLS")
        super()._request_authentication()  # type: ignore[misc]

    def give(self, seconds: float) -> None:
        """Give the next answer so much time; the driver knows of one time for all of them."""
        self._read_timeout = self._write_timeout = seconds


class Server:
    """A connection to a server. Every method raises Misconfigured or Unavailable with a sentence.

    Where the connection is gone, that is Disconnected.

    A server may close a connection that is idle for longer than its `wait_timeout`, and so may what is in
    between: if that is found out by the first question of a collect, the connection is opened again.
    """

    def __init__(self, settings: Any, context: Context) -> None:
        self.where = settings.where
        self._settings = settings
        self.begin(context)
        try:
            self._connect()
        except _ERRORS as error:
            self.close()
            raise self._translated(error) from error

    def begin(self, context: Context) -> None:
        """Take note of a collect, whose time the questions share from now on."""
        self._context = context
        self._has_answered = False

    def _connect(self) -> None:
        arguments = _arguments(self._settings, self._context.budget())
        self._connection = _Connection(**arguments, defer_connect=True)
        self._connection.connect()
        # Have queries answered from what the node has, however far behind it is, and not wait for locks.
        try:
            self._answer("SET SESSION wsrep_sync_wait = 0, lock_wait_timeout = 1")
        except pymysql.err.Error as error:
            if error.args[:1] != (
                ER.UNKNOWN_SYSTEM_VARIABLE,
            ):  # no Galera, which is for the collector to say
                raise

    def _ask(self, statement: str) -> list[tuple[Any, ...]]:
        try:
            return self._answer(statement)
        except (pymysql.err.Error, OSError) as error:
            if self._has_answered or not _is_closed(error):
                raise
        self.close()
        self._connect()
        return self._answer(statement)

    def _answer(self, statement: str) -> list[tuple[Any, ...]]:
        self._connection.give(self._context.budget())
        with self._connection.cursor() as cursor:
            cursor.execute(statement)
            rows = list(cursor.fetchall())
        self._has_answered = True
        return rows

    def pairs(self, statement: str) -> dict[str, str]:
        """Return the rows of a statement with two columns."""
        return {str(name): "" if value is None else str(value) for name, value in self.rows(statement)}

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Return the rows of a statement."""
        try:
            return self._ask(statement)
        except _ERRORS as error:
            raise self._translated(error) from error

    def close(self) -> None:
        """Close the connection; a server that is gone cannot be told."""
        with suppress(pymysql.err.Error, OSError):
            self._connection.close()

    def _translated(self, error: Exception) -> Exception:
        if isinstance(error, RuntimeError) and "required" in str(error):
            return Misconfigured(f"{self.where}: {_PACKAGE} ({error})")
        code, text = (error.args[0], error.args[-1]) if len(error.args) > 1 else (0, str(error))
        if isinstance(error, _FAULTS) or (isinstance(error, pymysql.err.InternalError) and not code):
            return Disconnected(f"{self.where}: {_FOREIGN} ({type(error).__name__}: {text})")
        cause = getattr(error, "original_exception", error)
        if isinstance(cause, ssl.SSLError):
            reason = getattr(cause, "verify_message", "") or cause.reason or cause
            return Misconfigured(f"{self.where}: TLS failed: {reason}")
        if code in _OPERATOR:
            return Misconfigured(f"{self.where}: {self._meaning(code)} ({code}: {text})")
        if isinstance(cause, OSError) and cause is not error:
            return unreached(self.where, cause)
        return self._other(code, text)

    def _meaning(self, code: int) -> str:
        is_plain = self._settings.host and not self._settings.uses_tls
        # A server with require_secure_transport says so to a right password, too.
        return _MAY_WANT_TLS if code == ER.ACCESS_DENIED_ERROR and is_plain else _OPERATOR[code]

    def _other(self, code: int, text: str) -> Exception:
        """Return what an error means that is nobody's to mend: an answer, or that none came."""
        if code == CR.CR_SERVER_LOST and "timed out" in text:
            return Disconnected(
                f"{self.where}: it does not answer: it hangs, or is no MySQL server ({code}: {text})"
            )
        is_answer = code not in _CLOSED and any(code in each for each in _SERVERS_OWN)
        kind = Unavailable if is_answer else Disconnected
        meaning = _WORLD.get(code, "the server refuses" if is_answer else "the server cannot be asked")
        return kind(f"{self.where}: {meaning} ({code}: {text})")


def _is_closed(error: Exception) -> bool:
    """Tell whether the connection was closed, which a server that takes too long has not done."""
    late = isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError)
    return not late and (
        isinstance(error, ConnectionError) or error.args[:1] in [(code,) for code in _CLOSED]
    )


def _arguments(settings: Any, seconds: float) -> dict[str, Any]:
    given: dict[str, Any] = {
        "user": settings.user,
        # As text it would be sent in Latin-1, or not at all.
        "password": settings.password.reveal().encode() if settings.password else b"",
        "connect_timeout": seconds,
        "read_timeout": seconds,
        "write_timeout": seconds,
        "autocommit": True,
        "charset": "utf8mb4",
    }
    if settings.socket:
        given["unix_socket"] = settings.socket
    else:
        given |= {"host": settings.host, "port": settings.port}
    if settings.uses_tls:
        return given | {"ssl": client_context(settings)}
    given["ssl_disabled"] = True  # else it would take what is offered, unverified, and seem to be safe
    return given
