"""The collector `mongodb`: one connection to one mongod or mongos, kept from tick to tick."""

import logging
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from collectors.mongodb import balancer, lag, oplog, replication, status
from collectors.mongodb.explain import explain
from collectors.mongodb.server import (
    NO_REPLICATION,
    NOT_FOUND,
    NOT_INITIATED,
    REMOVED,
    UNAUTHORIZED,
    Refused,
    Server,
)
from rscollector.api import Collector, Context, Sample, Secret, setting

log = logging.getLogger("mongodb")

_NOT_A_MEMBER = {
    NO_REPLICATION: "the server is no member of a replica set: there is nothing to say about replication",
    REMOVED: "this member was taken out of its replica set",
    NOT_INITIATED: "the replica set was never initiated, or this member was not added to it",
    NOT_FOUND: "the server knows no replication",
}
_PORT = 27017


@dataclass(frozen=True, slots=True)
class MongoDBSettings:
    """Where the server is."""

    uri: str = setting(
        "Connection string of one server instead of host and port: mongodb://host:port/?option=value, "
        "without user and password.",
        default="",
    )
    host: str = setting("The server's address.", default="127.0.0.1")
    port: int = setting("Its port.", default=_PORT)
    user: str = setting("The user to connect as; none where the server asks for none.", default="")
    password: Secret | None = setting("The password.", default=None)
    auth_database: str = setting("The database that knows the user.", default="admin")
    tls: bool = setting("Use TLS; certificate and host name are verified.", default=False)
    tls_ca: str = setting(
        "File with the CA that has signed the server's certificate, if not one of the system's; implies tls.",
        default="",
    )
    tls_certificate: str = setting("File with the client's certificate and its key.", default="")

    def __post_init__(self) -> None:
        if bool(self.user) != bool(self.password):
            raise ValueError("user and password belong together")
        if self.tls_certificate and not (self.tls or self.tls_ca or self.uri):
            raise ValueError("tls_certificate is of no use without tls")
        if not self.uri:
            return
        parts = urlsplit(self.uri)
        if parts.scheme != "mongodb":
            raise ValueError("uri: expected mongodb://host:port/…")
        if parts.password is not None:
            raise ValueError("uri: the password belongs into `password`, and the user into `user`")
        if "," in parts.netloc:
            raise ValueError("uri: expected one server: each has its own collector")
        _ = parts.port  # raises ValueError where it is no number

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        if not self.uri:
            return self.host, self.port
        parts = urlsplit(self.uri)
        return parts.hostname or "127.0.0.1", parts.port or _PORT

    @property
    def where(self) -> str:
        """The place of the server, for messages."""
        return "{}:{}".format(*self.address)


class MongoDB(Collector[MongoDBSettings]):
    """A mongod or mongos: the server, its replica set as it sees it, and how far each member is behind."""

    metrics = (*status.METRICS, *replication.METRICS, *lag.METRICS, *oplog.METRICS, *balancer.METRICS)
    Settings = MongoDBSettings

    def open(self, context: Context) -> None:
        """Connect."""
        self._server = self.connect(context)
        self._primary: str | None = None
        self._sentences: list[str] = []

    def connect(self, context: Context) -> Server:
        """Return a connection to the server."""
        return Server(self.settings, context)

    def collect(self, context: Context) -> Iterator[Sample]:
        """Ask for the server's status, and for what it knows of its replica set or its cluster."""
        self._server.begin(context)
        told = self._server.command("serverStatus", tcmalloc=0)  # metrics=0 would take `mem` away
        yield from status.samples(told)
        known: Mapping[str, Any] = {}
        if told.get("process") == "mongos":
            context.note("the server is a mongos: it has no replica set of its own")
            yield from balancer.samples(self._server)
        else:
            known = yield from self._of_replication(context)
        self._sentences = list(explain(told, known))

    def explain(self) -> list[str]:
        """Say what the last collect means."""
        return self._sentences

    def close(self) -> None:
        """Disconnect."""
        if hasattr(self, "_server"):
            self._server.close()

    def _of_replication(self, context: Context) -> Generator[Sample, None, Mapping[str, Any]]:
        known, refused = self._server.attempt("replSetGetStatus", tuple(_NOT_A_MEMBER))
        if refused:
            context.note(_NOT_A_MEMBER[refused])
            return {}
        config = self._config(context)
        yield from replication.samples(known, config)
        self._tell_who_is_primary(replication.primary(known))
        try:
            yield from oplog.samples(self._server)
            yield from lag.samples(self._server, known, config)
        except Refused as error:
            context.note(f"the oplog's window and the members' lag are missing: {error}")
        return known

    def _config(self, context: Context) -> Mapping[str, Any]:
        reply, refused = self._server.attempt("replSetGetConfig", (UNAUTHORIZED, NOT_FOUND))
        if refused:
            context.note("priorities, delays and hidden members are not known: replSetGetConfig is refused")
        config: Mapping[str, Any] = reply.get("config", {})
        return config

    def _tell_who_is_primary(self, now: str) -> None:
        before, self._primary = self._primary, now
        if before is not None and before != now:
            log.warning("the primary is %s, before %s", now or "nobody", before or "nobody")
