"""The collector `mongodb`: one connection to one mongod or mongos, kept from tick to tick."""

import logging
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from collectors.mongodb import balancer, lag, oplog, replication, status
from collectors.mongodb.explain import explain
from collectors.mongodb.server import (
    NO_REPLICATION,
    NOT_FOUND,
    NOT_INITIATED,
    REMOVED,
    UNKNOWN_OPTION,
    Refused,
    Server,
)
from rscollector.api import Collector, Context, Needs, Package, Sample, Secret, setting
from rscollector.kit.optional import optional
from rscollector.kit.place import Address, TcpPlace
from rscollector.kit.tls import Tls

log = logging.getLogger("mongodb")

_NOT_A_MEMBER = {
    NO_REPLICATION: "the server is no member of a replica set: there is nothing to say about replication",
    REMOVED: (
        "this member was taken out of its replica set, or does not find itself in the set's configuration"
    ),
    NOT_INITIATED: (
        "this server has no replica set's configuration: the set is not initiated, this member is not added "
        "to it, or it is still starting"
    ),
    NOT_FOUND: "the server knows no replication",
}
_ROLE = "the role clusterMonitor"
_STATS = "collStats on local.oplog.rs, as in the role clusterMonitor"
_OPLOG = "find on local.oplog.rs, on a member that has an oplog to read"
_PORT = 27017
_LAX = ("tlsInsecure", "tlsAllowInvalidCertificates", "tlsAllowInvalidHostnames")


@dataclass(frozen=True, kw_only=True)
class MongoDBSettings(Tls, TcpPlace):
    """Where the server is."""

    uri: str = setting(
        "Connection string of one server instead of host and port: mongodb://host:port/?option=value, "
        "without user and password.",
        default="",
    )
    host: str = setting("The server's name or IP address.", default="127.0.0.1")
    port: int = setting("Its port.", default=_PORT)
    user: str = setting("The user to connect as; none where the server asks for none.", default="")
    password: Secret | None = setting("The password.", default=None)
    auth_database: str = setting(
        "The database that knows the user; by default the one of uri, or admin.", default=""
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if bool(self.user) != bool(self.password):
            raise ValueError("user and password belong together")
        if self.auth_database and not self.user:
            raise ValueError("auth_database: it belongs to a user, which is missing")
        if not self.uri:
            return
        beside = [name for name in ("host", "port") if getattr(self, name) != getattr(type(self), name)]
        if beside:
            raise ValueError(f"uri: it says where the server is: take {' and '.join(beside)} away")
        parts = urlsplit(self.uri)
        if parts.scheme != "mongodb":
            raise ValueError("uri: expected mongodb://host:port/…")
        if parts.password is not None:
            raise ValueError("uri: the password belongs into `password`, and the user into `user`")
        if "," in parts.netloc:
            raise ValueError("uri: expected one server: each has its own collector")
        _ = parts.port  # raises ValueError where it is no number
        told = self._options
        if super().uses_tls and "false" in (told.get("tls"), told.get("ssl")):
            raise ValueError("uri: it says that TLS is not used, and tls or tls_ca that it is: take one away")
        if self.uses_tls and (lax := [name for name in _LAX if told.get(name.lower()) == "true"]):
            raise ValueError(f"uri: with {lax[0]} anybody could be the server: take it away")

    @property
    def address(self) -> Address:
        """Where to connect."""
        if not self.uri:
            return self.host, self.port
        parts = urlsplit(self.uri)
        path = unquote(parts.netloc.rpartition("@")[2])
        return path if path.startswith("/") else (unquote(parts.hostname or "127.0.0.1"), parts.port or _PORT)

    @property
    def uses_tls(self) -> bool:
        """Whether TLS is used; a uri may say so, too."""
        return super().uses_tls or "true" in (self._options.get("tls"), self._options.get("ssl"))

    @property
    def _options(self) -> dict[str, str]:
        """The options of the uri, names and values in small letters."""
        return {name.lower(): value.lower() for name, value in parse_qsl(urlsplit(self.uri).query)}


class MongoDB(Collector[MongoDBSettings]):
    """A mongod or mongos: the server, its replica set as it sees it, and how far each member is behind."""

    metrics = (*status.METRICS, *replication.METRICS, *lag.METRICS, *oplog.METRICS, *balancer.METRICS)
    Settings = MongoDBSettings
    needs = Needs(packages=(Package("python3-pymongo", "pymongo>=3.11"),))

    def open(self, context: Context) -> None:
        """Connect."""
        self._server = self.connect(context)
        self._primary: str | None = None

    def connect(self, context: Context) -> Server:
        """Return a connection to the server."""
        return Server(self.settings, context)

    def collect(self, context: Context) -> Iterator[Sample]:
        """Ask for the server's status, and for what it knows of its replica set or its cluster."""
        self._server.begin(context)
        told = self._status()
        yield from status.samples(told)
        known: Mapping[str, Any] | None = {}
        config: Mapping[str, Any] = {}
        if told.get("process") == "mongos":
            context.note("the server is a mongos: it has no replica set of its own")
            with optional(context, "the balancer's state", _ROLE):
                yield from balancer.samples(self._server)
        else:
            known, config = yield from self._of_replication(context)
        context.say(*explain(told, known, config))

    def close(self) -> None:
        """Disconnect."""
        self._server.close()

    def _status(self) -> Mapping[str, Any]:
        try:
            return self._server.command("serverStatus", tcmalloc=0)  # metrics=0 would take `mem` away
        except Refused as error:
            if error.code != UNKNOWN_OPTION:
                raise
            return self._server.command("serverStatus")

    def _of_replication(
        self, context: Context
    ) -> Generator[Sample, None, tuple[Mapping[str, Any] | None, Mapping[str, Any]]]:
        """Yield what it knows of its set; returns that and the set's configuration.

        The first is {} where it has no set, and None where it does not say.
        """
        known: Mapping[str, Any] | None = None
        config: Mapping[str, Any] = {}
        with optional(context, "the replica set's state", _ROLE):
            try:
                known = self._server.command("replSetGetStatus")
            except Refused as error:
                if error.code not in _NOT_A_MEMBER:
                    raise
                context.note(_NOT_A_MEMBER[error.code])
                known = {} if error.code in (NO_REPLICATION, NOT_FOUND) else None
        if not known:
            return known, config
        with optional(context, "priorities, delays, hidden members, and so the members' lag", _ROLE):
            config = self._server.command("replSetGetConfig").get("config", {})
        yield from replication.samples(known, config)
        self._tell_who_is_primary(replication.primary(known))
        if known.get("myState") != replication.ARBITER:  # it has none
            yield from self._of_the_oplog(context, known, config)
        return known, config

    def _of_the_oplog(
        self, context: Context, known: Mapping[str, Any], config: Mapping[str, Any]
    ) -> Iterator[Sample]:
        with optional(context, "the oplog's size", _STATS):
            yield from oplog.size(self._server)
        with optional(context, "the oplog's window", _OPLOG):
            yield from oplog.window(self._server)
        if config:  # a delay that is not known is not none
            with optional(context, "the members' lag", _OPLOG):
                yield from lag.samples(self._server, known, config)

    def _tell_who_is_primary(self, now: str) -> None:
        before, self._primary = self._primary, now
        if before is not None and before != now:
            log.warning(
                "primary, as seen here: %s; before: %s", now or "none or several", before or "none or several"
            )
