"""From the configuration of rs-collector, of its successor, or of scollector, to one of ours. Pure.

What cannot be carried over is named, with what to do about it. What is not encrypted here and was there is
always named. Passwords leave the file: each becomes a file of its own, which the configuration names.

The Ansible collection has this file as well, by a link: there nothing else of ours is installed, and Python
may be 3.9. So it imports nothing of ours, and has no syntax that is newer.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

SECRETS = "/etc/rscollector/secrets"

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]")
_NOT_IN_PREFIX = re.compile(r"[^A-Za-z0-9_./-]")
_HOST = re.compile(r"[^\s/:@%?#\[\]]+")
_LONGEST_NAME = 100
_LONGEST_HOST = 255
_LONGEST_SECRET = 64 * 1024
_MOST_LINES = 200


class Hidden(str):
    """A password or token."""

    __slots__ = ()


class LeftOut(NamedTuple):
    """Something that is not carried over, or not as it was: where it stood, and what to do."""

    where: str
    why: str

    def __str__(self) -> str:
        return f"{self.where}: {self.why}"


@dataclass
class Migrated:
    """Our configuration: settings of the agent, settings of instances by (section, type) and name."""

    agent: dict[str, Any] = field(default_factory=dict)
    instances: dict[tuple[str, str], dict[str, dict[str, Any]]] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    not_understood: int = 0

    def leave_out(self, where: str, why: str, *, understood: bool = True) -> None:
        """Say what is not carried over; what was not understood is counted."""
        self.left_out.append(LeftOut(where, why))
        self.not_understood += not understood

    def free_name(self, section: str, type_: str, wanted: str = "") -> str:
        """Return a name that no instance of this type has."""
        wanted = _NOT_IN_NAMES.sub("-", wanted).lstrip("_.-")[:_LONGEST_NAME] or "main"
        taken, name, number = self.instances.get((section, type_), {}), wanted, 1
        while name in taken:
            number += 1
            name = f"{wanted}-{number}"
        return name

    def add(self, section: str, type_: str, name: str, settings: Mapping[str, Any]) -> None:
        """Add an instance; what is None is not set."""
        known = {key: value for key, value in settings.items() if value is not None}
        self.instances.setdefault((section, type_), {})[name] = known

    def tables(self) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
        """Yield each table with its path, in the order in which they are written."""
        if self.agent:
            yield ("agent",), self.agent
        for (section, type_), named in self.instances.items():
            for name, settings in named.items():
                yield (section, type_, name), settings

    def placed(self, directory: str) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
        """Yield each table with its secrets' places in a directory instead of their texts."""
        for path, settings in self.tables():
            yield (
                path,
                {
                    key: {"file": f"{directory}/{_secret_file(path, key)}"} if type(each) is Hidden else each
                    for key, each in settings.items()
                },
            )

    @property
    def is_foreign(self) -> bool:
        """Tell whether nothing in it was understood: it is no configuration of those that are known."""
        nothing = not self.agent and not self.instances.keys() - {("collector", "agent")}
        return nothing and 0 < self.not_understood == len(self.left_out)

    @property
    def secrets(self) -> dict[str, str]:
        """The texts of the secrets by the names of their files."""
        return {
            _secret_file(path, key): str(each)
            for path, settings in self.tables()
            for key, each in settings.items()
            if type(each) is Hidden
        }

    @property
    def text(self) -> str:
        """The configuration, with its secrets where the package's example has them."""
        return written(self.placed(SECRETS), self.left_out)


def _secret_file(path: tuple[str, ...], key: str) -> str:
    name = f"{path[1]}-{path[2]}"
    return name if key == "password" else f"{name}-{key}"


def migrate(table: Mapping[str, Any], file: str = "") -> Migrated:
    """Translate a configuration, of whichever of the three formats it is; `file` is the name that it had."""
    made = Migrated()
    given = Given(made, "", table)
    if given.has("emitter", "collector"):
        _successor(made, given)
    elif not given.has(*_RS_COLLECTOR) and (given.has(*_SCOLLECTOR) or file.startswith("scollector")):
        _scollector(made, given)
    else:
        _rs_collector(made, given)
    return made


def from_variables(variables: Mapping[str, Any]) -> Migrated:
    """Translate the variables of the Ansible role for rs-collector."""
    made = Migrated()
    given = Given(made, "", variables, names_instances=True)
    common = given.table("common")
    tags = common.tags("tags")
    tags |= {key: text for key in ("domain", "hostgroup") if (text := given.text(key)) is not None}
    _agent(made, given.text("hostname"), tags, common.spelled("tags"))
    common.rest()
    _variables_of_bosun(made, given)
    _sections(made, given)
    given.rest()
    return made


# --- what is given ---


class Given:
    """A table of an old configuration, whose keys are taken one by one. What is left has no place here.

    Keys are found however they are written: ClientCert, client_cert. A value of another type than is asked
    for is left out, with a sentence.
    """

    def __init__(self, made: Migrated, where: str, table: object, *, names_instances: bool = False) -> None:
        self.where = where
        self.names_instances = names_instances
        self._made = made
        self._left: dict[str, tuple[str, Any]] = {}
        self._spelled: dict[str, str] = {}
        if not isinstance(table, Mapping):
            made.leave_out(where, f"expected a table, found {found(table)}", understood=False)
            table = {}
        for key, value in table.items():
            plain = _plain(str(key))
            self._spelled.setdefault(plain, str(key))
            if value not in ("", None) and value != []:
                self._left[str(key) if plain in self._left else plain] = (str(key), value)

    def has(self, *keys: str) -> bool:
        """Tell whether one of these keys is there."""
        return any(_plain(key) in self._spelled for key in keys)

    def spelled(self, key: str) -> str:
        """Return the path of a key, as it is written there."""
        name = toml_key(self._spelled.get(_plain(key), key))
        return f"{self.where}.{name}" if self.where else name

    def take(self, key: str) -> Any:
        """Return a value as it is, None if there is none."""
        return self._left.pop(_plain(key), ("", None))[1]

    def leave_out(self, key: str, why: str, *, understood: bool = True) -> None:
        """Say what is not carried over."""
        self._made.leave_out(self.spelled(key), why, understood=understood)

    def misses(self, key: str, what: str, value: object) -> None:
        """Say that a value is of another type than it should be."""
        self.leave_out(key, f"expected {what}, found {found(value)}", understood=False)

    def text(self, key: str) -> str | None:
        """Return a text."""
        value = self.take(key)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        self.misses(key, "text in quotes", value)
        return None

    def secret(self, key: str) -> Hidden | None:
        """Return a password or token, if a file can hold it."""
        text = self.text(key)
        return None if text is None else self.hidden(key, text)

    def hidden(self, key: str, text: str) -> Hidden | None:
        """Return a text as a secret, if a file can hold it."""
        lines = text.count("\n") >= _MOST_LINES or len(text.encode()) > _LONGEST_SECRET
        if not text or lines or text[-1] in "\r\n" or text[0] == "\ufeff":
            self.leave_out(
                key, "it cannot be kept in a file: choose another one, and write it there yourself"
            )
            return None
        return Hidden(text)

    def number(self, key: str, most: int) -> int | None:
        """Return a whole number from 1 to `most`."""
        value = self.take(key)
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):
            value = int(value)
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most):
            return value
        said = f"expected a whole number from 1 to {most}, found"
        self.leave_out(key, f"{said} {value if isinstance(value, int) else found(value)}")
        return None

    def zero_or_number(self, key: str) -> int | None:
        """Return a whole number; where 0 stands for the default, None."""
        if self._left.get(_plain(key), ("", None))[1] == 0:
            self.take(key)
        return self.number(key, 1_000_000)

    def flag(self, key: str) -> bool:
        """Return whether something is switched on."""
        value = self.take(key)
        word = str(value).strip().lower() if isinstance(value, (str, bool, int)) else ""
        if value is None or word in ("false", "no", "off", "0", "n", "f"):
            return False
        if word in ("true", "yes", "on", "1", "y", "t"):
            return True
        self.misses(key, "true or false", value)
        return False

    def texts(self, key: str) -> list[str]:
        """Return a list of texts."""
        value = self.take(key)
        if isinstance(value, (list, tuple)) and all(isinstance(each, str) for each in value):
            return list(value)
        if value is not None:
            self.misses(key, "a list of texts", value)
        return []

    def table(self, key: str) -> Given:
        """Return the table of a key."""
        value = self.take(key)
        return Given(self._made, self.spelled(key), {} if value is None else value)

    def tables(self, key: str) -> list[Given]:
        """Return the tables of a key: a list of them, or one."""
        value = self.take(key)
        listed = value if isinstance(value, (list, tuple)) else [] if value is None else [value]
        where, named = self.spelled(key), self.names_instances
        for each in (each for each in listed if not isinstance(each, Mapping)):
            self.misses(key, "a table", each)
        tables = (each for each in listed if isinstance(each, Mapping))
        return [Given(self._made, where, each, names_instances=named) for each in tables]

    def tags(self, key: str) -> dict[str, str]:
        """Return tags: whatever has a text, as text."""
        value = self.take(key)
        if not isinstance(value, Mapping):
            if value is not None:
                self.misses(key, "a table", value)
            return {}
        tags = {}
        for name, each in value.items():
            text = str(each).lower() if isinstance(each, bool) else str(each)
            if isinstance(each, (str, int, float)) and (str(name) + text).isprintable():
                tags[str(name)] = text
            elif each is not None:
                why = "tags have text, without control characters"
                self._made.leave_out(f"{self.spelled(key)}.{toml_key(str(name))}", why)
        return {name: text for name, text in tags.items() if name and text}

    def rest(self, why: str = "no such setting is known, and nothing does it here") -> None:
        """Name what nobody has taken."""
        for key, _ in self._left.values():
            where = f"{self.where}.{toml_key(key)}" if self.where else toml_key(key)
            self._made.leave_out(where, why, understood=False)
        self._left = {}


def _plain(key: str) -> str:
    return key.replace("_", "").lower()


def found(value: object) -> str:
    """Return in words what a value is."""
    if value is None:
        return "nothing"
    for kind, words in (
        (bool, "true or false"),
        ((int, float), "a number"),
        (str, "text"),
        ((list, tuple), "a list"),
        (Mapping, "a table"),
    ):
        if isinstance(value, kind):
            return words
    return "a date or a time" if hasattr(value, "isoformat") else "something else"


# --- rs-collector ---


_RS_COLLECTOR = ("Galera", "HasIpAddr", "Mongo", "Jvm", "Megaraid", "Postfix", "DontSend")
_NOT_WATCHED = {
    "jvm": "garbage collection of Java processes is not collected yet: keep rs-collector for it",
    "megaraid": "MegaRAID controllers are not watched yet: keep rs-collector for them",
    "ssh_certificate": "SSH certificates are not watched yet: check their dates by other means",
}


def _rs_collector(made: Migrated, given: Given) -> None:
    _agent(made, given.text("Hostname"), given.tags("Tags"), given.spelled("Tags"))
    made.add("collector", "agent", "main", {})
    idle = given.flag("DontSend")
    if idle:
        given.take("Host")
        given.leave_out("Host", "DontSend is true, so nothing is sent: for that, add a [sink.bosun.main]")
    else:
        _bosun(made, given, "Host", given.text("Host"), {"dialect": "rs-collector"})
    _sections(made, given)
    given.take("FullHost")  # in the examples, and never read
    given.rest()


def _sections(made: Migrated, given: Given) -> None:
    """Translate the sections that rs-collector and its role have."""
    for each in given.tables("Galera"):
        _galera(made, each)
    for each in given.tables("HasIpAddr"):
        _addresses(made, each)
    for each in given.tables("Mongo"):
        _mongo(made, each)
    postfix = given.take("Postfix") if given.has("Postfix") else False
    if given.has("Postfix") and postfix is not False:  # an empty list is one, too
        made.add("collector", "postfix", "main", {})
        if isinstance(postfix, Mapping):
            Given(made, given.spelled("Postfix"), postfix).rest()
    for name, why in _NOT_WATCHED.items():
        if given.take(name) is not None:
            given.leave_out(name, why)


def _agent(made: Migrated, host: str | None, tags: dict[str, str], where: str) -> None:
    """Take host and tags; a tag `host` was stronger than the name of the host, and is that name here."""
    tags = dict(tags)
    host = tags.pop("host", None) or host
    if host and host.isprintable() and len(host) <= _LONGEST_HOST:
        made.agent["host"] = host
    elif host:
        made.leave_out(where, "the host's name is too long, or has control characters: set [agent] host")
    if tags:
        made.agent["tags"] = tags


def _instance(made: Migrated, given: Given, type_: str) -> str:
    """Return the name for an instance, and say so where it is another one than it was."""
    wanted = given.text("Name")
    name = made.free_name("collector", type_, wanted or "")
    if given.names_instances:
        given.where = f"{given.where}.{name}"
    if wanted and name != wanted:
        given.leave_out("Name", f"it is {name} now, also in the tag name of its points: change alarms on it")
    return name


def _galera(made: Migrated, given: Given) -> None:
    name = _instance(made, given, "galera")
    made_of: dict[str, Any] = {"user": given.text("User"), "password": given.secret("Password")}
    socket, host, port = given.text("Socket"), given.text("Host"), given.number("port", 65535)
    if socket and not socket.startswith("/"):
        given.leave_out("Socket", "expected an absolute path: set socket in its section")
        socket = None
    tls = _tls(given, "CaCert", "ClientCert", "ClientCertKey", asked=given.flag("UseSsl"))
    if socket:
        if host:
            given.leave_out("Host", "Socket is given too, and was preferred")
        if tls:
            why = "a socket is not encrypted, and nothing leaves this host: for TLS set host instead"
            given.leave_out("UseSsl", why)
        made_of["socket"] = socket
    else:
        made_of |= _place(given, "Host", host, port)
        if tls and "host" not in made_of:
            made_of["host"] = "127.0.0.1"
        made_of |= tls
    made.add("collector", "galera", name, made_of)
    given.rest()


def _mongo(made: Migrated, given: Given) -> None:
    name = _instance(made, given, "mongodb")
    made_of = _place(given, "Host", given.text("Host"), given.number("Port", 65535))
    made_of |= _account(given, given.text("User"), given.secret("Password"), "User")
    made_of |= _tls(given, "CaCert", "ClientCert", "ClientCertKey", asked=given.flag("UseSsl"))
    made.add("collector", "mongodb", name, made_of)
    given.rest()


def _account(given: Given, user: str | None, password: Hidden | None, key: str) -> dict[str, Any]:
    if bool(user) == bool(password):
        return {"user": user, "password": password} if user else {}
    given.leave_out(key, "user and password belong together, and one is missing: set both in its section")
    return {}


def _tls(given: Given, ca: str, certificate: str, key: str, *, asked: bool) -> dict[str, Any]:
    """Return settings for TLS, which without a CA trust those of the system; none if it was not asked for."""
    names = {"tls_ca": ca, "tls_certificate": certificate, "tls_key": key}
    files = {ours: text for ours, theirs in names.items() if (text := given.text(theirs))}
    if not asked:
        for ours in files:
            why = f"TLS was not used, so this was without effect: for TLS set {ours}, and tls = true"
            given.leave_out(names[ours], why)
        return {}
    if "tls_key" in files and "tls_certificate" not in files:
        del files["tls_key"]
        given.leave_out(key, "it belongs to a certificate, which is missing: set tls_certificate and tls_key")
    return {"tls": True, **files}


def _place(given: Given, key: str, host: str | None, port: int | None) -> dict[str, Any]:
    """Return host and port; the port may be within the host."""
    made_of: dict[str, Any] = {} if port is None else {"port": port}
    if not host:
        return made_of
    within = re.fullmatch(r"(\[[^]]*\]|[^:]*):([0-9]{1,5})", host)
    if within and port is None and 1 <= int(within[2]) <= 65535:
        host, made_of = within[1], {"port": int(within[2])}
    if not _is_host(host):
        given.leave_out(key, "expected a name or an IP address of a server: set host in its section")
        return made_of
    return {"host": host, **made_of}


def _is_host(text: str) -> bool:
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        return ipaddress.ip_address(bare).version == 6 or bare == text
    except ValueError:
        pass
    try:
        text.encode("idna")
    except UnicodeError:
        return False
    labels = text[:-1].split(".") if text.endswith(".") else text.split(".")
    return text.isprintable() and bool(_HOST.fullmatch(text)) and all(0 < len(each) < 64 for each in labels)


def _addresses(made: Migrated, given: Given) -> None:
    kept: dict[str, str] = {}
    for text in given.texts("Ipv4"):
        try:
            kept[str(ipaddress.ip_address(text.strip()))] = text.strip()
        except ValueError:
            given.leave_out(
                "Ipv4", f"{toml_value(text)} is no IP address: correct it in [collector.vip.main]"
            )
    name = made.free_name("collector", "vip")
    made.add("collector", "vip", name, {"addresses": list(kept.values()) or None})
    given.rest()


# --- its successor ---


def _successor(made: Migrated, given: Given) -> None:
    emitters = given.table("emitter")
    sinks, where = emitters.tables("bosun"), ""
    tags: dict[str, str] = {}
    for sink in sinks:
        of_sink = sink.tags("tags")
        if len(sinks) > 1 and tags and of_sink != tags:
            sink.leave_out("tags", "all sinks send the same tags, those of [agent]: check them there")
        tags, where = {**tags, **of_sink}, sink.spelled("tags")
    _agent(made, given.text("hostname"), tags, where or given.spelled("hostname"))
    for sink in sinks:
        _bosun(made, sink, "host", sink.text("host"), {"dialect": "rs-collector"})
        sink.rest()
    emitters.rest("no such emitter is known: see the sinks in docs/bosun.md and docs/pushgateway.md")
    collectors = given.table("collector")
    for type_, translate in _OF_SUCCESSOR.items():
        for each in collectors.tables(type_):
            if each.take("tags"):
                each.leave_out("tags", "collectors have no tags of their own; `name` tells them apart")
            translate(made, each)
    for name, why in _NOT_WATCHED.items():
        if collectors.take(name) is not None:
            collectors.leave_out(name, why)
    collectors.rest("no such collector is known")
    given.rest()


def _plain_instance(type_: str) -> Any:
    def translate(made: Migrated, given: Given) -> None:
        made.add("collector", type_, made.free_name("collector", type_), {})
        given.rest()

    return translate


def _connected(made: Migrated, given: Given) -> None:
    name = _instance(made, given, "mongodb")
    text = given.text("connection_string") or ""
    made_of = _of_connection_string(given, text)
    if made_of is None:
        why = "expected mongodb://USER:PASSWORD@HOST:PORT/?OPTION=VALUE: set uri in [collector.mongodb.main]"
        given.leave_out("connection_string", why)
    else:
        made.add("collector", "mongodb", name, made_of)
    given.rest()


def _of_connection_string(given: Given, text: str) -> dict[str, Any] | None:
    key = "connection_string"
    try:
        parts = urlsplit(text)
        account, _, places = parts.netloc.rpartition("@")
        place, *others = places.split(",")
        _ = urlsplit(f"mongodb://{place}").port
    except ValueError:
        return None
    if parts.scheme != "mongodb" or not place or not text.isprintable() or "@" in parts.path + parts.query:
        return None
    if others:
        why = f"one server for each collector: {place} is asked, and the others by their own agents"
        given.leave_out(key, why)
    options = {name.lower(): (name, value) for name, value in parse_qsl(parts.query)}
    taken = {each: options.pop(each.lower(), ("", ""))[1] for each in _TAKEN_OPTIONS}
    tls = (taken["tls"] or taken["ssl"]).lower() == "true"
    if taken["tlsCertificateKeyFilePassword"]:
        given.leave_out(key, "a key with a passphrase is not read here: let tls_certificate have one without")
    user, _, password = (unquote(each) for each in account.partition(":"))
    hidden = given.hidden(key, password) if password else None
    database = taken["authSource"] or unquote(parts.path.strip("/")) or "admin"
    made_of: dict[str, Any] = {
        "uri": f"mongodb://{quote(place, safe='[]:%.')}/"
        + (f"?{urlencode(list(options.values()))}" if options else ""),
        **_account(given, user, hidden, key),
    }
    if "user" in made_of and database != "admin":
        made_of["auth_database"] = database
    files = {"tls_ca": taken["tlsCAFile"], "tls_certificate": taken["tlsCertificateKeyFile"]}
    files = {ours: file for ours, file in files.items() if file}
    if files and not tls:
        given.leave_out(key, f"tls is not true, so {', '.join(files)} was without effect: for TLS set it")
    return {**made_of, "tls": True, **files} if tls else made_of


_TAKEN_OPTIONS = (
    "tls",
    "ssl",
    "tlsCAFile",
    "tlsCertificateKeyFile",
    "tlsCertificateKeyFilePassword",
    "authSource",
)
_OF_SUCCESSOR = {
    "rscollector": _plain_instance("agent"),
    "postfix": _plain_instance("postfix"),
    "galera": _galera,
    "mongo": _connected,
    "hasipaddr": _addresses,
}


# --- scollector ---


_SCOLLECTOR = {
    "ColDir": "scripts are not run here: write a collector (docs/write-a-collector.md)",
    "Filter": "collectors are chosen by their sections, [collector.TYPE.NAME]",
    "MetricFilters": 'they name metrics of scollector; here set filter = { include = ["galera.*"] }',
    "MaxQueueLen": "what waits is bounded by size and age: see spool_size and spool_age",
    "MaxMem": "a process that is larger than [agent] max_memory is renewed",
    "PProf": "there is no profiler here; `rscollector status` and /metrics tell what the agent does",
    "IfaceExpr": "interfaces are not watched here; virtual IP addresses are, with [collector.vip.main]",
    "UseNtlm": "there is no NTLM here: give Bosun a user and a password, or a token",
    "UserAgentMessage": "the name in requests is rscollector: tell hosts apart by the tag host",
    "LocalListener": "nothing is forwarded for others: let them send to Bosun, or keep scollector for it",
    "TagOverride": "tags of single collectors cannot be changed; those of [agent] are added to all points",
    "KeepalivedCommunity": "there is no SNMP here: [collector.vip.main] tells whether the addresses are here",
    "Process": "processes are not watched here",
    "SystemdService": "services are not watched here",
    "HTTPUnit": "URLs are not checked here",
    "ICMP": "hosts are not pinged here",
    "RedisCounters": "counters in Redis are not read here",
    **dict.fromkeys(("SNMP", "MIBS", "SNMPTimeout"), "there is no SNMP here"),
    **dict.fromkeys(
        (
            *("HAProxy", "Vsphere", "AWS", "AzureEA", "ProcessDotNet", "Riak", "Github", "Elastic"),
            *("ElasticIndexFilters", "ElasticIndexFiltersInc", "RabbitMQ", "Nexpose", "GoogleAnalytics"),
            *("GoogleWebmaster", "Cadvisor", "ExtraHop", "HadoopHost", "HbaseRegions", "Oracles", "Fastly"),
            "UseSWbemServicesClient",
        ),
        "nothing does this here: keep scollector for it, with the same Host",
    ),
    # These have an equal here.
    **dict.fromkeys(("Freq", "BatchSize", "AuthToken", "MetricPrefix", "DisableSelf"), ""),
}
_OWN = ["rscollector.*", "agent.*", "sink.*"]


def _scollector(made: Migrated, given: Given) -> None:
    _agent(made, _name_of_scollector(given), given.tags("Tags"), given.spelled("Tags"))
    if (seconds := given.zero_or_number("Freq")) is not None:
        made.agent["interval"] = f"{seconds}s"
    of_sink: dict[str, Any] = {
        "batch": given.zero_or_number("BatchSize"),
        "token": given.secret("AuthToken"),
        "prefix": _prefix(given),
    }
    if given.flag("DisableSelf"):
        of_sink["filter"] = {"exclude": _OWN}
    _bosun(made, given, "Host", given.text("Host"), of_sink)
    made.add("collector", "agent", "main", {})
    for key, why in _SCOLLECTOR.items():
        if given.take(key):  # what is 0, false or empty means nothing
            given.leave_out(key, why)
    given.rest()


def _name_of_scollector(given: Given) -> str | None:
    """Return the host's name as scollector sent it: in small letters, without the domain if not FullHost."""
    name, full = given.text("Hostname"), given.flag("FullHost")
    if name is None:
        if not full:
            why = "without it the name ended at its first dot: set [agent] host if `hostname` prints one"
            given.leave_out("FullHost", why)
        return None
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return (name if full else name.partition(".")[0]).lower()
    return name


def _prefix(given: Given) -> str | None:
    text = given.text("MetricPrefix")
    if text and _NOT_IN_PREFIX.search(text):
        given.leave_out(
            "MetricPrefix", "names have letters, digits, and - _ . / only: set prefix in the sink"
        )
        return None
    return f"{text}." if text else None


# --- all of them ---


def _bosun(made: Migrated, given: Given, key: str, host: str | None, more: Mapping[str, Any]) -> None:
    """Add a sink for a receiver; `key` is where it stood."""
    if host is None:
        why = "it is not there, so nothing is sent: for that, add a [sink.bosun.main]"
        given.leave_out(key, why, understood=False)
        return
    receiver = _receiver(given, key, host)
    if receiver is None:
        why = "expected an address such as https://bosun.example:8070 (in passwords, / is %2F and @ is %40)"
        given.leave_out(key, f"{why}: set url in [sink.bosun.main]")
        return
    made.add("sink", "bosun", made.free_name("sink", "bosun"), {**receiver, **more})


def _receiver(given: Given, key: str, host: str) -> dict[str, Any] | None:
    text = host.strip()
    try:
        parts = urlsplit(text if "//" in text else f"http://{text}")
        place = parts.netloc.rpartition("@")[2]
        place = f"localhost{place}" if re.fullmatch(r":[0-9]+", place) else place
        named = urlsplit(f"http://{place}")
        is_right = bool(named.hostname) and named.port != 0 and parts.scheme in ("http", "https")
    except ValueError:
        return None
    path = parts.path.rstrip("/")
    path = path.removesuffix("/api/put")
    if not is_right or not text.isprintable() or re.search(r"[\s\\]", text) or "@" in path + parts.query:
        return None
    if parts.query or parts.fragment:
        given.leave_out(key, "what is behind ? or # is left out: set url in [sink.bosun.main] if it matters")
    user = unquote(parts.username or "") or None
    password = given.hidden(key, unquote(parts.password)) if parts.password else None
    if password and not user:
        given.leave_out(key, "a password without a user is not sent: set user in [sink.bosun.main]")
        password = None
    return {"url": f"{parts.scheme}://{place}{path}", "user": user, "password": password}


def _variables_of_bosun(made: Migrated, given: Given) -> None:
    server, auth = given.table("server"), given.table("auth")
    port, wanted = server.number("port", 65535) or 8070, given.flag("use_ssl")
    protocol = server.text("protocol") or ("https" if wanted else "http")
    if wanted and protocol == "http":
        given.leave_out("use_ssl", "the protocol is http, so nothing is encrypted: set url to https://…")
    files = _tls(given, "ca_cert", "client_cert", "client_cert_key", asked=True)
    del files["tls"]  # the URL says that
    account = {"user": auth.text("user"), "password": auth.secret("password")}
    if host := server.text("ip"):
        url = f"{protocol}://{f'[{host}]' if ':' in host else host}:{port}"
        _bosun(made, server, "ip", url, {"dialect": "rs-collector", **account, **files})
    server.rest()
    auth.rest()


# --- TOML ---


def written(
    tables: Iterable[tuple[tuple[str, ...], Mapping[str, Any]]], left_out: Iterable[LeftOut] = ()
) -> str:
    """Return tables as TOML, each with its path; first what is not carried over, as comments."""
    lines = [f"# not carried over: {sentence}" for sentence in left_out]
    for path, settings in tables:
        lines += ["", f"[{'.'.join(map(toml_key, path))}]"]
        lines += [f"{toml_key(key)} = {toml_value(value)}" for key, value in settings.items()]
    return "\n".join(lines).strip() + "\n"


def toml_key(text: str) -> str:
    """Return a key as TOML has it."""
    return text if re.fullmatch(r"[A-Za-z0-9_-]+", text) else _quoted(text)


def toml_value(value: Any) -> str:
    """Return a value as TOML has it. Raises ValueError for what TOML cannot have."""
    if isinstance(value, Mapping):
        inner = ", ".join(f"{toml_key(str(key))} = {toml_value(each)}" for key, each in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(toml_value, value))}]"
    if isinstance(value, (bool, int)):
        return json.dumps(value)
    if isinstance(value, float):
        return repr(float(value))
    if isinstance(value, str):
        return _quoted(value)
    raise ValueError(f"expected text, found {found(value)}")


def _quoted(text: str) -> str:
    """Return a text in quotes, in one line that does nothing to a terminal."""
    return '"' + "".join(map(_character, text)) + '"'


def _character(each: str) -> str:
    if each in '"\\':
        return f"\\{each}"
    if each.isprintable():
        return each
    return f"\\u{ord(each):04x}" if ord(each) < 0x10000 else f"\\U{ord(each):08x}"
