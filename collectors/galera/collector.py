"""The collector `galera`: one connection to one node, kept from tick to tick."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from collectors.galera import members, provider, rates
from collectors.galera.explain import explain
from collectors.galera.server import Server
from collectors.galera.variables import VARIABLES, read_only
from rscollector.api import Collector, Context, Kind, Metric, Misconfigured, Sample, Secret, setting

log = logging.getLogger("galera")

UNKNOWN = Metric(
    "galera_unknown_variables",
    Kind.GAUGE,
    "Status variables of the server that this collector does not know, or whose text it cannot read.",
)
READ_ONLY = Metric("galera_read_only", Kind.GAUGE, "Whether the server is read-only by setting.")
SERVER = Metric(
    "galera_server_info",
    Kind.INFO,
    "The server: its version, and the names of the cluster and of the node.",
    labels=("version", "galera_cluster", "galera_node"),
)

_SETTINGS = (
    "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('version', 'read_only', 'wsrep_provider', "
    "'wsrep_provider_options', 'wsrep_cluster_name', 'wsrep_node_name', 'wsrep_desync')"
)
_STATUS = r"SHOW GLOBAL STATUS LIKE 'wsrep\_%'"
_MEMBERS = "SELECT node_name FROM mysql.wsrep_cluster_members"


@dataclass(frozen=True, slots=True)
class GaleraSettings:
    """Where the node is, and who belongs to the cluster."""

    socket: str = setting("The server's Unix socket; by default /run/mysqld/mysqld.sock.", default="")
    host: str = setting("The server's address instead, for TCP.", default="")
    port: int = setting("Its port.", default=3306)
    user: str = setting("The user to connect as.", default="rscollector")
    password: Secret | None = setting("The password; none with unix_socket authentication.", default=None)
    tls_ca: str = setting(
        "File with the CA that has signed the server's certificate; with it TLS is used, and certificate and "
        "host name are verified.",
        default="",
    )
    tls_certificate: str = setting("File with the client's certificate.", default="")
    tls_key: str = setting("File with its key.", default="")
    members: tuple[str, ...] = setting(
        "Names (wsrep_node_name) of all nodes that belong to the cluster, to tell who is missing.", default=()
    )

    def __post_init__(self) -> None:
        if self.socket and self.host:
            raise ValueError("socket and host exclude each other")
        if self.tls_ca and not self.host:
            raise ValueError("tls_ca is for TCP: host is missing")
        if bool(self.tls_certificate) != bool(self.tls_key) or (self.tls_key and not self.tls_ca):
            raise ValueError("a client's certificate needs tls_certificate, tls_key and tls_ca")
        if not self.host and not self.socket:
            object.__setattr__(self, "socket", "/run/mysqld/mysqld.sock")

    @property
    def where(self) -> str:
        """The place of the server, for messages."""
        return self.socket or f"{self.host}:{self.port}"


class Galera(Collector[GaleraSettings]):
    """A node of a Galera cluster: MariaDB, MySQL with Galera, or Percona XtraDB Cluster."""

    metrics = (
        UNKNOWN,
        READ_ONLY,
        SERVER,
        *dict.fromkeys(metric for each in VARIABLES.values() for metric in each.metrics),
        *provider.METRICS,
        *members.METRICS,
        *rates.METRICS,
    )
    Settings = GaleraSettings

    def open(self, context: Context) -> None:
        """Connect."""
        self._server = self.connect(context)
        self._members = members.Members(self.settings.members)
        self._before: rates.Reading | None = None
        self._state_since = context.clock()
        self._sentences: list[str] = []

    def connect(self, context: Context) -> Server:
        """Return a connection to the node."""
        return Server(self.settings, context)

    def collect(self, context: Context) -> Iterator[Sample]:
        """Ask for status, settings and members."""
        self._server.begin(context)
        settings = self._server.pairs(_SETTINGS)
        if settings.get("wsrep_provider", "none") in ("", "none"):
            where = self.settings.where
            raise Misconfigured(
                f"{where}: this server is no member of a Galera cluster: it has no wsrep_provider"
            )
        status = {name.lower(): text for name, text in self._server.pairs(_STATUS).items()}
        reading = rates.Reading.of(status, context.clock())  # other queries may take their time
        yield from self._of_status(context, status)
        yield from self._of_settings(settings)
        yield from self._of_members(context, primary=status.get("wsrep_cluster_status") == "Primary")
        yield from self._of_rates(reading, status, _options(settings))
        self._sentences = list(explain(status, settings, self._members))

    def explain(self) -> list[str]:
        """Say what the last collect means."""
        return self._sentences

    def close(self) -> None:
        """Disconnect."""
        if hasattr(self, "_server"):
            self._server.close()

    def _of_status(self, context: Context, status: dict[str, str]) -> Iterator[Sample]:
        samples: dict[tuple[str, tuple[str, ...]], Sample] = {}
        unknown = []
        for name, text in status.items():
            try:
                for sample in VARIABLES[name].read(text) if text else ():
                    samples.setdefault((sample.metric.name, sample.values), sample)
            except (KeyError, ValueError):
                unknown.append(f"{name} = {text!r:.40}")
        yield from samples.values()
        yield UNKNOWN(len(unknown))
        if unknown:
            context.note(f"unknown variables: {', '.join(sorted(unknown))}")

    def _of_settings(self, settings: dict[str, str]) -> Iterator[Sample]:
        yield READ_ONLY(int(read_only(settings)))
        yield SERVER(
            version=settings.get("version", ""),
            galera_cluster=settings.get("wsrep_cluster_name", ""),
            galera_node=settings.get("wsrep_node_name", ""),
        )
        yield from provider.samples(_options(settings))

    def _of_members(self, context: Context, *, primary: bool) -> Iterator[Sample]:
        rows, refused = (
            self._server.optional(_MEMBERS) if primary else ([], "the node is in no primary component")
        )
        if refused:
            self._members.forget()
            context.note(f"members are not known by name: {refused}")
        elif changed := self._members.update(str(name) for (name,) in rows):
            log.warning("%s", changed)
        yield from self._members.samples()

    def _of_rates(
        self, now: rates.Reading, status: dict[str, str], chosen: dict[str, str]
    ) -> Iterator[Sample]:
        if self._before is None or self._before.state != now.state:
            self._state_since = now.at
        yield rates.IN_STATE(now.at - self._state_since)
        if self._before:
            yield from rates.between(self._before, now)
        self._before = now
        yield from rates.pressure(now, status, chosen)


def _options(settings: dict[str, str]) -> dict[str, str]:
    return provider.options(settings.get("wsrep_provider_options", ""))
