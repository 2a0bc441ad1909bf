"""The connection to one server, and what its refusals mean.

The driver's threads watch the server in the background and go on trying when it is gone: whoever has an error
closes the client, so that nothing spins between a failure and the next connection. A plain connection is made
first: the driver would try a port that refuses until its time is over, and tell nothing but that.
"""

import datetime as dt
import socket
from collections.abc import Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeAlias

import pymongo
from bson.timestamp import Timestamp
from pymongo import MongoClient
from pymongo.errors import (
    ConfigurationError,
    ExecutionTimeout,
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from rscollector.api import CollectError, Context, Misconfigured, Unavailable

if TYPE_CHECKING:
    Client: TypeAlias = MongoClient[Mapping[str, Any]]  # only a type: not in PyMongo 3

UNAUTHORIZED, AUTHENTICATION, NAMESPACE_NOT_FOUND, NOT_FOUND = 13, 18, 26, 59
NO_REPLICATION, REMOVED, NOT_INITIATED = 76, 93, 94
_OPERATOR = {
    UNAUTHORIZED: "the user may not do this; it needs the role clusterMonitor",
    AUTHENTICATION: "the user or the password is wrong, or the user is of another database (auth_database)",
}
_CREDENTIALS = ("username", "password", "authSource")
_OF_A_COLLECT = 0.9
"""Share of a collect's time that an older driver may wait, so that its own sentence comes before a kill."""
_SELECTION = 0.5
"""Share of the budget in which the driver must have found the server."""
_STEP = 0.5
"""Seconds between two looks of the driver for a server."""


class Refused(Exception):
    """The oplog may not be read, for want of a privilege or in the state of the member; the text says."""


class Server:
    """A connection to a server. Every method raises Misconfigured or Unavailable with a sentence.

    What the driver waits for is bounded by what is left of the collect at each question, where the driver can
    do that (PyMongo 4.2); with an older one the server bounds its own work, and each answer has the time that
    was left when the connection was made. A connection that was closed while it was idle is opened again by
    the driver.
    """

    def __init__(self, settings: Any, context: Context) -> None:
        self.where = settings.where
        self.begin(context)
        self._client: Client | None = None
        self._knock(*settings.address)
        self._arguments = _arguments(settings, min(context.budget(), context.collect_timeout * _OF_A_COLLECT))
        try:
            self._client = _client(self._arguments)
            with self._in_time(_SELECTION):
                self._client.admin.command("ping")
        except (PyMongoError, OSError, ValueError) as error:
            raise self._failed(error) from error

    def begin(self, context: Context) -> None:
        """Take note of a collect, whose time the questions share from now on."""
        self._context = context

    def _in_time(self, share: float = 1.0) -> AbstractContextManager[None]:
        within, seconds = getattr(pymongo, "timeout", None), self._context.budget()
        # It looks for a server that is gone in steps, and may be as late as one of them.
        return within(max(seconds / 2, share * seconds - _STEP)) if within else nullcontext()

    @property
    def _milliseconds(self) -> int:
        return max(1, int(self._context.budget() * 1000))

    def command(self, name: str, **options: Any) -> Mapping[str, Any]:
        """Return the reply to a command to the database admin."""
        return self.attempt(name, (), **options)[0]

    def attempt(
        self, name: str, refusals: tuple[int, ...], database: str = "admin", value: Any = 1, **options: Any
    ) -> tuple[Mapping[str, Any], int]:
        """Return the reply to a command and 0, or nothing and the code with which it was refused."""
        try:
            with self._in_time():
                milliseconds = self._milliseconds
                return self._connected[database].command(name, value, maxTimeMS=milliseconds, **options), 0
        except OperationFailure as error:
            if error.code in refusals:
                return {}, int(error.code or 0)
            raise self._failed(error) from error
        except (PyMongoError, OSError) as error:
            raise self._failed(error) from error

    def entry(self, condition: Mapping[str, Any], *, newest: bool = False) -> Mapping[str, Any] | None:
        """Return `ts` and `wall` of the oldest entry of the oplog that fits, or of the newest."""
        try:
            # Before 4.4 the server goes to a timestamp directly only if it is told to, else it reads all.
            oplog = self._connected["local"]["oplog.rs"]
            found = oplog.find(condition, {"ts": 1, "wall": 1}, oplog_replay="ts" in condition).limit(1)
            if newest:
                found = found.sort("$natural", -1)
            with self._in_time():
                return next(iter(found.max_time_ms(self._milliseconds)), None)
        except ExecutionTimeout as error:
            raise self._failed(error) from error
        except OperationFailure as error:
            raise Refused(f"{error.code}: {_first(str(error))}") from error
        except (PyMongoError, OSError) as error:
            raise self._failed(error) from error

    def first_after(self, timestamp: Timestamp, wall: dt.datetime | None) -> Mapping[str, Any] | None:
        """Return the first entry of the oplog that somebody lacks who has come to this place, None if none.

        `wall` is newer than `timestamp`, where both are known: the timestamp is where to begin to look.
        """
        condition: dict[str, Any] = {"ts": {"$gt": timestamp}}
        if wall is not None:
            condition["wall"] = {"$gt": wall}
        return self.entry(condition)

    def setting(self, name: str) -> Mapping[str, Any]:
        """Return a document of a sharded cluster's settings, an empty one where there is none."""
        try:
            settings = self._connected["config"]["settings"]
            with self._in_time():
                return settings.find_one({"_id": name}, max_time_ms=self._milliseconds) or {}
        except (PyMongoError, OSError) as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Close the connection and end the driver's threads."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    @property
    def _connected(self) -> "Client":
        if self._client is None:
            raise Unavailable(f"{self.where}: the connection is closed")
        return self._client

    def _stranger(self) -> Exception | None:
        """Say why a member that is asked as nobody knows no users at all, None if it should know them."""
        strange = {name: value for name, value in self._arguments.items() if name not in _CREDENTIALS}
        try:
            with closing(_client(strange)) as client, self._in_time(_SELECTION):
                said = client.admin.command("isMaster")  # its name in every version
        except PyMongoError:
            return Unavailable(f"{self.where}: it knows no such user now, and does not say why")
        if said.get("arbiterOnly"):
            return Misconfigured(f"{self.where}: this is an arbiter: it has no users, and tells nobody")
        member = said.get("setName") or said.get("isreplicaset")
        if member and not (said.get("ismaster") or said.get("secondary")):
            return Unavailable(f"{self.where}: the member has no users yet: it copies its data")
        return None

    def _knock(self, host: str, port: int) -> None:
        try:
            socket.create_connection((host, port), timeout=self._context.budget()).close()
        except TimeoutError as error:
            raise Unavailable(f"{self.where}: nothing answers there, not even with a refusal") from error
        except ConnectionError as error:
            raise Unavailable(
                f"{self.where}: nobody listens there; the server is down or starting"
            ) from error
        except OSError as error:
            raise Unavailable(f"{self.where}: {error.strerror or error}") from error

    def _failed(self, error: Exception) -> Exception:
        # The driver takes leave of the server, and looks for it if it is gone: not in our time.
        Thread(target=self.close, daemon=True).start()
        text = str(error).partition(", Timeout:")[0]
        if isinstance(error, ExecutionTimeout):
            return Unavailable(f"{self.where}: it did not answer in time ({_first(text)})")
        if isinstance(error, OperationFailure):
            return self._refused(error.code, _first(text))
        kind, sentence = _meaning(error, text)
        return kind(f"{self.where}: {sentence}")

    def _refused(self, code: int | None, text: str) -> Exception:
        if code == AUTHENTICATION and (reason := self._stranger()):
            return reason
        if code == UNAUTHORIZED and "username" not in self._arguments:
            return Misconfigured(f"{self.where}: the server asks for `user` and `password`")
        if code in _OPERATOR:
            return Misconfigured(f"{self.where}: {_OPERATOR[code]} ({code}: {text})")
        return Unavailable(f"{self.where}: the server refuses ({code}: {text})")


def _meaning(error: Exception, text: str) -> tuple[type[CollectError], str]:
    """Return whose matter an error is that is no refusal, and what it means."""
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return Misconfigured, f"TLS failed: {_reason(text)}"
    if "SSL handshake failed" in text:
        return Unavailable, f"TLS failed, or the server offers none: {_reason(text)}"
    if isinstance(error, ConfigurationError | ValueError | OSError):
        return Misconfigured, _first(text)
    if "connection closed" in text:
        return Unavailable, "the server closes the connection; it may ask for TLS"
    if "Connection refused" in text:
        return Unavailable, "nobody listens there; the server is down or starting"
    if isinstance(error, NetworkTimeout | ServerSelectionTimeoutError):
        return Unavailable, f"it accepts connections and does not answer ({_first(text)})"
    return Unavailable, f"the connection was lost ({_first(text)})"


def _first(text: str) -> str:
    return text.partition(", full error:")[0].partition("\n")[0][:200]


def _reason(text: str) -> str:
    """Return what is said between the prefixes of driver and library and the place in its source."""
    return text.rpartition("] ")[2].partition(" (_ssl")[0].removeprefix("certificate verify failed: ")


def _client(arguments: Mapping[str, Any]) -> "Client":
    return MongoClient(**arguments)


def _arguments(settings: Any, seconds: float) -> dict[str, Any]:
    answer = max(1, int(seconds * 1000))
    given: dict[str, Any] = {
        "host": settings.uri or settings.host,
        "directConnection": True,
        "appname": "rscollector",
        "serverSelectionTimeoutMS": max(1, int(seconds * _SELECTION * 1000)),
        "connectTimeoutMS": answer,
        "socketTimeoutMS": answer,
        "heartbeatFrequencyMS": 60_000,  # we ask ourselves, and more often
        "maxPoolSize": 1,
        "retryReads": False,
    }
    if not settings.uri:
        given["port"] = settings.port
    if settings.user:
        password = settings.password.reveal() if settings.password else None
        given |= {"username": settings.user, "password": password, "authSource": settings.auth_database}
    if settings.tls or settings.tls_ca:
        given |= {"tls": True, "tlsCAFile": settings.tls_ca or None}
        given |= {"tlsCertificateKeyFile": settings.tls_certificate} if settings.tls_certificate else {}
    return given
