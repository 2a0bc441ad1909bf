"""The connection to the server, and what its refusals mean.

`SHOW GLOBAL STATUS` and `SHOW GLOBAL VARIABLES` are answered in every state of a node and need no grant. An
ordinary SELECT is refused with 1047 where the node is not ready, and with 1142 where a grant is missing.

PyMySQL takes TLS without verifying anything when the server offers it and nothing is said; before 1.2 it goes
on without TLS when the server offers none, whatever is said. Its connect timeout does not cover the handshake
(PyMySQL#1177), for which the read timeout is.
"""

import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any

import pymysql
from pymysql.constants import CLIENT, CR, ER

from rscollector.api import Context, Misconfigured, Unavailable

_NO_SOCKET_AUTHENTICATION = 1698
_OPERATOR = {
    ER.ACCESS_DENIED_ERROR: "the user or the password is wrong",
    ER.DBACCESS_DENIED_ERROR: "the user may not do this",
    _NO_SOCKET_AUTHENTICATION: "the server lets this user in only as the system's user of that name",
    ER.HOST_NOT_PRIVILEGED: "the server does not take connections from this host",
    ER.HOST_IS_BLOCKED: "the server has blocked this host after too many errors; `FLUSH HOSTS` helps",
    1862: "the password has expired",
    4151: "the account is locked",
    CR.CR_SSL_CONNECTION_ERROR: "tls_ca asks for TLS, and the server offers none",
}
_WORLD = {
    ER.CON_COUNT_ERROR: "all of the server's connections are taken (max_connections)",
    ER.TOO_MANY_USER_CONNECTIONS: "all connections that this user may have are taken",
    1226: "all that this user may use is used up",
    ER.SERVER_SHUTDOWN: "the server is shutting down",
    CR.CR_SERVER_GONE_ERROR: "the server has closed the connection",
    CR.CR_SERVER_LOST: "the connection was lost during the query",
}
_CLOSED = (CR.CR_SERVER_GONE_ERROR, CR.CR_SERVER_LOST, 1927, 4031)
"""Codes of a connection that was closed: while it was idle, if they come with the first question."""
REFUSED = (1047, ER.TABLEACCESS_DENIED_ERROR, ER.NO_SUCH_TABLE, ER.BAD_DB_ERROR, ER.DBACCESS_DENIED_ERROR)
"""Codes with which a node refuses an ordinary SELECT: it is not ready, or a grant is missing."""


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

    A server may close a connection that is idle for longer than its `wait_timeout`, and so may what is in
    between: if that is found out by the first question of a collect, the connection is opened again.
    """

    def __init__(self, settings: Any, context: Context) -> None:
        self.where = settings.where
        self._settings = settings
        self.begin(context)
        try:
            self._connect()
        except (pymysql.err.Error, OSError) as error:
            raise self._translated(error) from error

    def begin(self, context: Context) -> None:
        """Take note of a collect, whose time the questions share from now on."""
        self._context = context
        self._has_answered = False

    def _connect(self) -> None:
        _check_files(self._settings)
        self._connection = _Connection(**_arguments(self._settings, self._context.budget()))
        try:  # have queries answered from what the node has, however far behind it is
            self._answer("SET SESSION wsrep_sync_wait = 0")
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
        except (pymysql.err.Error, OSError) as error:
            raise self._translated(error) from error

    def optional(self, statement: str) -> tuple[list[tuple[Any, ...]], str]:
        """Return the rows of a statement that may be refused, and why it was."""
        try:
            return self._ask(statement), ""
        except (pymysql.err.Error, OSError) as error:
            if isinstance(error, pymysql.err.Error) and error.args and error.args[0] in REFUSED:
                return [], str(error.args[-1])
            raise self._translated(error) from error

    def close(self) -> None:
        """Close the connection; a server that is gone cannot be told."""
        with suppress(pymysql.err.Error, OSError):
            self._connection.close()

    def _translated(self, error: Exception) -> Exception:
        code, text = (error.args[0], error.args[-1]) if len(error.args) > 1 else (0, str(error))
        cause = getattr(error, "original_exception", error)
        if isinstance(cause, ssl.SSLError):
            reason = getattr(cause, "verify_message", "") or cause.reason or cause
            return Misconfigured(f"{self.where}: TLS failed: {reason}")
        if isinstance(cause, PermissionError):
            return Misconfigured(f"{self.where}: this user may not use the socket")
        if code in _OPERATOR:
            return Misconfigured(f"{self.where}: {_OPERATOR[code]} ({code}: {text})")
        if isinstance(cause, FileNotFoundError | ConnectionError):
            return Unavailable(f"{self.where}: nobody answers there; the server is down or starting")
        return Unavailable(f"{self.where}: {_WORLD.get(code, 'the server cannot be asked')} ({code}: {text})")


def _is_closed(error: Exception) -> bool:
    """Tell whether the connection was closed, which a server that takes too long has not done."""
    late = isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError)
    return not late and (
        isinstance(error, ConnectionError) or error.args[:1] in [(code,) for code in _CLOSED]
    )


def _check_files(settings: Any) -> None:
    for name in ("tls_ca", "tls_certificate", "tls_key"):
        path = getattr(settings, name)
        try:
            if path:
                Path(path).open("rb").close()
        except OSError as error:
            raise Misconfigured(f"{name} = {path}: {error.strerror}") from error


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
    if not settings.tls_ca:
        given["ssl_disabled"] = True  # else it would take what is offered, unverified, and seem to be safe
        return given
    return given | {
        "ssl_ca": settings.tls_ca,
        "ssl_cert": settings.tls_certificate or None,
        "ssl_key": settings.tls_key or None,
        "ssl_verify_cert": True,
        "ssl_verify_identity": True,
    }
