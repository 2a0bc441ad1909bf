"""The collector `galera`: one connection to one node, kept from tick to tick."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from collectors.galera import members, provider, rates
from collectors.galera.explain import explain
from collectors.galera.server import Server
from collectors.galera.variables import GALERA, VARIABLES, read_only, rejected, some_uuid, switched_off
from rscollector.api import (
    Collector,
    Context,
    Misconfigured,
    Needs,
    Package,
    Sample,
    Secret,
    Unavailable,
    setting,
)
from rscollector.kit.optional import optional
from rscollector.kit.place import Place
from rscollector.kit.rates import Readings
from rscollector.kit.tls import Tls

log = logging.getLogger("galera")

UNKNOWN = GALERA.gauge(
    "unknown_variables",
    "Status variables of the server that this collector does not know, or whose text it cannot read.",
)
REPLICATES = GALERA.gauge("replication_enabled", "Whether replication of write-sets is switched on.")
REJECTS = GALERA.gauge(
    "rejects_queries",
    "Whether the node rejects the queries of its clients, by setting.",
)
READ_ONLY = GALERA.gauge("read_only", "Whether the server is read-only by setting.")
SERVER = GALERA.info(
    "server",
    "The server: its version, the names of the cluster and of the node, and the node's id in the group.",
    "version",
    "galera_cluster",
    "galera_node",
    "node_id",
)

_SETTINGS = (
    "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('version', 'read_only', 'wsrep_provider', "
    "'wsrep_provider_options', 'wsrep_cluster_name', 'wsrep_node_name', 'wsrep_desync', 'wsrep_on', "
    "'wsrep_reject_queries', 'wsrep_dirty_reads')"
)
_STATUS = r"SHOW GLOBAL STATUS LIKE 'wsrep\_%'"
_MEMBERS = "SELECT node_uuid, node_name FROM mysql.wsrep_cluster_members"
_NAMES_NEED = "a node in the primary component, and SELECT on mysql.wsrep_cluster_members"
_SOCKET = "/run/mysqld/mysqld.sock"


@dataclass(frozen=True, kw_only=True)
class GaleraSettings(Tls, Place):
    """Where the node is, and who belongs to the cluster."""

    socket: str = setting(f"The server's Unix socket; by default {_SOCKET}.", default="")
    host: str = setting("The server's name or IP address, for TCP instead of its socket.", default="")
    port: int = setting("Its port.", default=3306)
    user: str = setting("The user to connect as.", default="rscollector")
    password: Secret | None = setting("The password; none with unix_socket authentication.", default=None)
    members: tuple[str, ...] = setting(
        "Names (wsrep_node_name) of all nodes that belong to the cluster, to tell who is missing.", default=()
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.uses_tls and not self.host:
            raise ValueError("TLS needs TCP: set host, or take tls and tls_ca away")
        if not self.host and not self.socket:
            object.__setattr__(self, "socket", _SOCKET)


class Galera(Collector[GaleraSettings]):
    """A node of a Galera cluster: MariaDB, MySQL with Galera, or Percona XtraDB Cluster."""

    metrics = (
        UNKNOWN,
        READ_ONLY,
        REPLICATES,
        REJECTS,
        SERVER,
        *VARIABLES.metrics,
        *provider.OPTIONS.metrics,
        *members.METRICS,
        *rates.METRICS,
    )
    Settings = GaleraSettings
    needs = Needs(packages=(Package("python3-pymysql", "pymysql[rsa]>=1.0.2"),))

    def open(self, context: Context) -> None:
        """Connect."""
        self._server = self.connect(context)
        self._members = members.Members(self.settings.members)
        self._readings = Readings()
        self._state, self._state_since = "", context.clock()

    def connect(self, context: Context) -> Server:
        """Return a connection to the node."""
        return Server(self.settings, context)

    def collect(self, context: Context) -> Iterator[Sample]:
        """Ask for status, settings and members."""
        self._server.begin(context)
        settings = self._server.pairs(_SETTINGS)
        # A name may have a hint behind it: "wsrep_monitor_status (L/A/C)".
        status = {name.lower().split()[0]: text for name, text in self._server.pairs(_STATUS).items()}
        at = context.clock()  # other queries may take their time
        if why := _no_member(settings, status):
            raise Misconfigured(f"{self.settings.where}: this server is no member of a Galera cluster: {why}")
        yield from self._of_status(context, status)
        yield from self._of_settings(settings, node_id=some_uuid(status.get("wsrep_gcomm_uuid", "")) or "")
        yield from self._of_members(context, primary=status.get("wsrep_cluster_status") == "Primary")
        yield from self._of_rates(at, status, _options(settings))
        context.say(*explain(status, settings, self._members))

    def close(self) -> None:
        """Disconnect."""
        self._server.close()

    def _of_status(self, context: Context, status: dict[str, str]) -> Iterator[Sample]:
        unknown = yield from VARIABLES.samples({name: text for name, text in status.items() if text})
        yield UNKNOWN(len(unknown))
        if unknown:
            context.note(
                f"variables that are unknown, or have an unknown value: {', '.join(sorted(unknown))}"
            )

    def _of_settings(self, settings: dict[str, str], *, node_id: str) -> Iterator[Sample]:
        yield READ_ONLY(int(read_only(settings)))
        if "wsrep_on" in settings:
            yield REPLICATES(int(not switched_off(settings)))
        if "wsrep_reject_queries" in settings:
            yield REJECTS(int(rejected(settings) != "NONE"))
        yield SERVER(
            version=settings.get("version", ""),
            galera_cluster=settings.get("wsrep_cluster_name", ""),
            galera_node=settings.get("wsrep_node_name", ""),
            node_id=node_id,
        )
        yield from provider.samples(_options(settings))

    def _of_members(self, context: Context, *, primary: bool) -> Iterator[Sample]:
        self._members.forget()
        with optional(context, "the members' names", _NAMES_NEED):
            if not primary:
                raise Unavailable("the node is in no primary component")
            if changed := self._members.update(self._server.pairs(_MEMBERS)):
                log.warning("%s", changed)
        yield from self._members.samples()

    def _of_rates(self, at: float, status: dict[str, str], chosen: dict[str, str]) -> Iterator[Sample]:
        state = status.get("wsrep_local_state", "")
        if state != self._state:
            self._state, self._state_since = state, at
        yield rates.IN_STATE(at - self._state_since)
        now = rates.numbers(status)
        yield from rates.between(now, self._readings.take(at, now))
        yield from rates.pressure(now, status, chosen)


def _no_member(settings: dict[str, str], status: dict[str, str]) -> str:
    """Say why a server is no member of a cluster, "" if it is one."""
    if settings.get("wsrep_provider", "none") in ("", "none"):
        return "it has no wsrep_provider"
    if switched_off(settings) and status.get("wsrep_cluster_status", "").lower() == "disconnected":
        return "it is not connected to one, and wsrep_on = OFF"
    return ""


def _options(settings: dict[str, str]) -> dict[str, str]:
    return provider.options(settings.get("wsrep_provider_options", ""))
