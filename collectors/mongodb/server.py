"""The connection to one server, and what its refusals mean.

The driver's threads watch the server in the background and go on trying when it is gone: then the client is
closed, so that nothing spins between a failure and the next connection. A plain connection is made first: the
driver would try a port that refuses until its time is over, and tell nothing but that.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeAlias

import pymongo
from bson.errors import BSONError
from bson.timestamp import Timestamp
from pymongo import MongoClient, errors
from pymongo.errors import (
    ConfigurationError,
    ExecutionTimeout,
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from rscollector.api import CollectError, Context, Misconfigured, Unavailable
from rscollector.kit.optional import Disconnected
from rscollector.kit.place import connected
from rscollector.kit.tls import certificate_file, check_files

if TYPE_CHECKING:
    Client: TypeAlias = MongoClient[Mapping[str, Any]]  # only a type: not in PyMongo 3

NotPrimary: Any = getattr(errors, "NotPrimaryError", None) or vars(errors)["NotMasterError"]  # before 3.12
UNAUTHORIZED, AUTHENTICATION, NOT_FOUND, UNKNOWN_OPTION = 13, 18, 59, 40415
NO_REPLICATION, REMOVED, NOT_INITIATED = 76, 93, 94
_OPERATOR = {
    UNAUTHORIZED: "the user may not do this; it needs the role clusterMonitor",
    AUTHENTICATION: "the user or the password is wrong, or the user is of another database (auth_database)",
}
_FOREIGN = "what answers there does not speak MongoDB's protocol ({})"
_MEANINGS: tuple[tuple[str, type[CollectError], str], ...] = (
    ("Got response id", Disconnected, _FOREIGN),
    ("Message length", Disconnected, _FOREIGN),
    ("Unknown opcode", Disconnected, _FOREIGN),
    (
        "connection closed",
        Disconnected,
        "the server closes the connection: all that it allows may be taken, or it asks for TLS",
    ),
    (
        "Connection refused",
        Disconnected,
        "nobody listens there; the server is down or starting, or it is elsewhere",
    ),
    (
        "client is configured to connect to a replica set",
        Misconfigured,
        "the server belongs to another replica set than the uri says ({})",
    ),
)
"""What the driver says, and what that means; it has no classes for it."""
_ARBITER = "this is an arbiter, which has no users: ask it from its own host, without `user` and `password`"
_NO_USERS = (
    "the member is neither primary nor secondary: while it copies its data (initial sync) it has no users "
    "yet; else the user or the password is wrong"
)
_COMMAND = re.compile(r" to execute command \{ (\w+):.*")
_CREDENTIALS = ("username", "password", "authSource")
_OF_A_COLLECT = 0.9
"""Share of a collect's time that an older driver may wait, so that its own sentence comes before a kill."""
_SELECTION = 0.5
"""Share of the budget in which the driver must have found the server."""
_QUESTION = 0.6
"""Share of what is left of a collect that one question may take: others may come after it."""
_OF_THE_SERVER = 0.4
"""Share that the server may work on it: it refuses then, and what it was asked before is published."""
_STEP = 0.5
"""Seconds between two looks of the driver for a server."""


_UNREADABLE = (BSONError, LookupError, TypeError, AttributeError)
"""What the driver raises at answers that no server should give."""


class Refused(Unavailable):
    """The server has answered, and the answer is no; `code` is its own, 0 where it gave none."""

    code = 0


class Server:
    """A connection to a server. Every method raises Misconfigured or Unavailable with a sentence.

    Where the connection is gone, that is Disconnected; else the server has refused and can be asked on.

    What the driver waits for is bounded by what is left of the collect at each question, where the driver can
    do that (PyMongo 4.2); with an older one the server bounds its own work, and each answer has the time that
    was left when the connection was made. A connection that was closed while it was idle is opened again by
    the driver.
    """

    def __init__(self, settings: Any, context: Context) -> None:
        self.where = settings.where
        self._settings = settings
        self.begin(context)
        self._client: Client | None = None
        check_files(settings)
        connected(settings.address, context.budget).close()
        self._arguments = _arguments(settings, min(context.budget(), context.collect_timeout * _OF_A_COLLECT))
        try:
            self._client = _client(settings, self._arguments)
            with self._in_time(_SELECTION):
                self._client.admin.command("ping")
        except (PyMongoError, OSError, ValueError, *_UNREADABLE) as error:
            self.close()
            raise self._translated(error) from error

    def begin(self, context: Context) -> None:
        """Take note of a collect, whose time the questions share from now on."""
        self._context = context

    def _in_time(self, share: float) -> AbstractContextManager[None]:
        within, seconds = getattr(pymongo, "timeout", None), self._context.budget()
        # It looks for a server that is gone in steps, and may be as late as one of them.
        return within(max(seconds / 2, share * seconds - _STEP)) if within else nullcontext()

    @property
    def _milliseconds(self) -> int:
        """How long the server may work on a question: it says that it was too long before we give up."""
        return max(1, int(self._context.budget() * _OF_THE_SERVER * 1000))

    def command(
        self, name: str, value: Any = 1, *, database: str = "admin", **options: Any
    ) -> Mapping[str, Any]:
        """Return the reply to a command."""
        with self._asked() as client:
            reply: Mapping[str, Any] = client[database].command(
                name, value, maxTimeMS=self._milliseconds, **options
            )
        return reply

    def entry(self, condition: Mapping[str, Any], *, newest: bool = False) -> Mapping[str, Any] | None:
        """Return `ts`, `wall` and term `t` of the oldest entry of the oplog that fits, or of the newest."""
        with self._asked() as client:
            # Before 4.4 the server goes to a timestamp directly only if it is told to, else it reads all.
            # Then it reads forward from there, and refuses a question that has no such beginning ($lt).
            oplog, fields = client["local"]["oplog.rs"], {"ts": 1, "wall": 1, "t": 1}
            found = oplog.find(condition, fields, oplog_replay="ts" in condition and not newest)
            if newest:
                found = found.sort("$natural", -1)
            entry = next(iter(found.limit(1).max_time_ms(self._milliseconds)), None)
        if entry is not None and not isinstance(entry.get("ts"), Timestamp):
            raise Refused(f"{self.where}: what it tells of its oplog has no timestamp")
        return entry

    def setting(self, name: str) -> Mapping[str, Any]:
        """Return a document of a sharded cluster's settings, an empty one where there is none."""
        with self._asked() as client:
            settings = client["config"]["settings"]
            return settings.find_one({"_id": name}, max_time_ms=self._milliseconds) or {}

    def close(self) -> None:
        """Close the connection and end the driver's threads, beside us.

        The driver takes leave of the server, and looks for it if it is gone: not in our time.
        """
        client, self._client = self._client, None
        if client is not None:
            Thread(target=client.close, daemon=True).start()

    @contextmanager
    def _asked(self) -> Iterator["Client"]:
        """Ask something in the block, in time, and translate what the driver raises."""
        if self._client is None:
            raise Disconnected(f"{self.where}: the connection is closed")
        try:
            with self._in_time(_QUESTION):
                yield self._client
        except (PyMongoError, OSError, *_UNREADABLE) as error:
            told = self._translated(error)
            if isinstance(told, Disconnected):
                self.close()
            raise told from error

    def _stranger(self) -> CollectError | None:
        """Say why a member that is asked as nobody knows no users at all, None if it should know them."""
        strange = {name: value for name, value in self._arguments.items() if name not in _CREDENTIALS}
        try:
            with closing(_client(self._settings, strange)) as client, self._in_time(_SELECTION):
                said = client.admin.command("isMaster")  # its name in every version
        except PyMongoError:
            return Unavailable(f"{self.where}: it does not know this user, and does not say why")
        if said.get("arbiterOnly"):
            return Misconfigured(f"{self.where}: {_ARBITER}")
        member = said.get("setName") or said.get("isreplicaset")
        if member and not (said.get("ismaster") or said.get("secondary")):
            return Unavailable(f"{self.where}: {_NO_USERS}")
        return None

    def _translated(self, error: Exception) -> CollectError:
        text = str(error).partition(", Timeout:")[0].partition(" (configured timeouts:")[0]
        if isinstance(error, ExecutionTimeout):
            return Refused(f"{self.where}: it did not answer in time ({_first(text)})")
        if isinstance(error, _UNREADABLE):
            return Refused(f"{self.where}: its answer cannot be read ({_first(text)})")
        if isinstance(error, NetworkTimeout):  # the driver takes another connection for the next question
            return Refused(f"{self.where}: it accepts connections and does not answer ({_first(text)})")
        if isinstance(error, OperationFailure | NotPrimary):
            return self._refused(_code(error), _first(text))
        kind, sentence = _meaning(error, text)
        return kind(f"{self.where}: {sentence}")

    def _refused(self, code: int, text: str) -> CollectError:
        if code == AUTHENTICATION and (reason := self._stranger()):
            return reason
        if code == UNAUTHORIZED and "username" not in self._arguments:
            return Misconfigured(f"{self.where}: the server asks for `user` and `password`")
        if code in _OPERATOR:
            return Misconfigured(f"{self.where}: {_OPERATOR[code]} ({code}: {text})")
        refused = Refused(f"{self.where}: the server refuses ({code or 'without a code'}: {text})")
        refused.code = code
        return refused


def _code(error: Any) -> int:
    """Return the server's code of a refusal, 0 where it gave none."""
    code = getattr(error, "code", 0) or (error.details or {}).get("code")
    return code if isinstance(code, int) else 0


def _meaning(error: Exception, text: str) -> tuple[type[CollectError], str]:
    """Return whose matter an error is that is no refusal, and what it means."""
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return Misconfigured, f"TLS failed: {_reason(text)}"
    if "SSL handshake failed" in text:
        return Disconnected, f"TLS failed, or the server offers none: {_reason(text)}"
    if isinstance(error, ConfigurationError | ValueError | OSError):
        return Misconfigured, _first(text)
    for part, kind, meaning in _MEANINGS:
        if part in text:
            return kind, meaning.format(_first(text))
    if isinstance(error, ServerSelectionTimeoutError):
        return Disconnected, f"it accepts connections and does not answer ({_first(text)})"
    return Disconnected, f"the connection was lost ({_first(text)})"


def _first(text: str) -> str:
    text = text.partition(", full error:")[0].partition("\n")[0]
    return _COMMAND.sub(r" to execute \1", text)[:200]  # which would have its arguments, and no end


def _reason(text: str) -> str:
    """Return what is said between the prefixes of driver and library and the place in its source."""
    return text.rpartition("] ")[2].partition(" (_ssl")[0].removeprefix("certificate verify failed: ")


def _client(settings: Any, arguments: Mapping[str, Any]) -> "Client":
    with certificate_file(settings) as file:  # which the driver reads at once
        given = {**arguments, "tlsCertificateKeyFile": file} if file else arguments
        return MongoClient(**given)


def _arguments(settings: Any, seconds: float) -> dict[str, Any]:
    answer = max(1, int(seconds * 1000))
    given: dict[str, Any] = {
        "host": settings.uri or (f"[{settings.host}]" if ":" in settings.host else settings.host),
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
        given |= {"username": settings.user, "password": password}
        if settings.auth_database or not settings.uri:  # a uri may name one, or the driver takes admin
            given["authSource"] = settings.auth_database or "admin"
    if settings.uses_tls:
        given |= {"tls": True} | ({"tlsCAFile": settings.tls_ca} if settings.tls_ca else {})
    return given
