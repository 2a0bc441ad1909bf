"""From the configuration of rs-collector, or of its successor, to one of ours with the same meaning. Pure.

What cannot be carried over is explained in a comment where it stood. Passwords leave the file: each becomes a
file of its own, which the configuration names.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

_NAME = re.compile(r"[^A-Za-z0-9_.-]")
_UNSUPPORTED = {
    "jvm": "garbage collection of Java processes is not collected yet",
    "megaraid": "MegaRAID controllers are not watched yet",
    "ssh_certificate": "SSH certificates are not watched yet",
}


@dataclass(slots=True)
class Migrated:
    """Our configuration, the secrets by the names of their files, and a sentence for what was left out."""

    lines: list[str] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The configuration."""
        return "\n".join(self.lines).strip() + "\n"

    def section(self, name: str, values: Mapping[str, Any]) -> None:
        """Add a section; what is None is left out."""
        self.lines += ["", f"[{name}]"]
        self.lines += [f"{key} = {_toml(value)}" for key, value in values.items() if value is not None]

    def leave_out(self, what: str, why: str) -> None:
        """Explain what is not carried over."""
        sentence = f"{what}: {why}"
        self.left_out.append(sentence)
        self.lines += ["", f"# not carried over: {sentence}"]

    def secret(self, name: str, text: object) -> dict[str, str] | None:
        """Put a secret into a file, and return how the configuration names it."""
        if not text:
            return None
        self.secrets[name] = str(text)
        return {"file": f"SECRETS/{name}"}


def migrate(table: Mapping[str, Any]) -> Migrated:
    """Translate a configuration, of whichever of the two formats it is."""
    made = Migrated()
    if "emitter" in table or "collector" in table:
        _successor(made, dict(table))
    else:
        _old(made, dict(table))
    return made


# --- rs-collector ---


def _old(made: Migrated, table: dict[str, Any]) -> None:
    made.section("agent", {"host": table.pop("Hostname", None), "tags": table.pop("Tags", None)})
    made.section("collector.agent.main", {})
    idle = table.pop("DontSend", False)
    host = table.pop("Host", "")
    if idle:
        made.leave_out("Host", "DontSend is true, so nothing is sent")
    elif host:
        _bosun(made, "main", str(host))
    for name, translate in _SECTIONS.items():
        given = table.pop(name, None)
        for number, each in enumerate(
            given if isinstance(given, list) else [given] if given is not None else []
        ):
            translate(made, number, dict(each))
    for name in ("Jvm", "Megaraid"):
        if name in table:
            del table[name]
            made.leave_out(name, _UNSUPPORTED[name.lower()])
    table.pop("FullHost", None)  # in the examples, and never read
    _rest(made, "", table)


def _old_galera(made: Migrated, number: int, table: dict[str, Any]) -> None:
    name = f"main{number or ''}"
    tls = bool(table.pop("UseSsl", False))
    socket = table.pop("Socket", None)
    host = table.pop("Host", None)
    values = {
        "socket": socket,
        "host": None if socket else host,
        "user": table.pop("User", None),
        "password": made.secret(f"galera-{name}", table.pop("Password", None)),
        "tls_ca": table.pop("CaCert", None) if tls and not socket else None,
        "tls_certificate": table.pop("ClientCert", None) if tls and not socket else None,
        "tls_key": table.pop("ClientCertKey", None) if tls and not socket else None,
    }
    made.section(f"collector.galera.{name}", values)
    if socket and host:
        made.leave_out("Galera.Host", "Socket is given too, and was preferred")
    _rest(made, "Galera.", table)


def _old_addresses(made: Migrated, _number: int, table: dict[str, Any]) -> None:
    made.section("collector.vip.main", {"addresses": table.pop("Ipv4", [])})
    _rest(made, "HasIpAddr.", table)


def _old_mongo(made: Migrated, number: int, table: dict[str, Any]) -> None:
    name = _name(table.pop("Name", f"main{number or ''}"))
    tls = bool(table.pop("UseSsl", False))
    key = table.pop("ClientCertKey", None)
    values = {
        "host": table.pop("Host", None),
        "port": table.pop("Port", None),
        "user": table.pop("User", None),
        "password": made.secret(f"mongodb-{name}", table.pop("Password", None)),
        "tls": True if tls else None,
        "tls_ca": table.pop("CaCert", None) if tls else None,
        "tls_certificate": table.pop("ClientCert", None) if tls else None,
    }
    made.section(f"collector.mongodb.{name}", values)
    if key and tls:
        made.leave_out(
            f"Mongo.ClientCertKey = {_toml(key)}", "the key belongs into the file of tls_certificate"
        )
    _rest(made, "Mongo.", table)


def _postfix(made: Migrated, number: int, table: dict[str, Any]) -> None:
    made.section(f"collector.postfix.main{number or ''}", {})
    _rest(made, "Postfix.", table)


_SECTIONS = {
    "Galera": _old_galera,
    "HasIpAddr": _old_addresses,
    "Mongo": _old_mongo,
    "Postfix": _postfix,
}


# --- its successor ---


def _successor(made: Migrated, table: dict[str, Any]) -> None:
    emitters = dict(table.pop("emitter", {}))
    tags: dict[str, Any] = {}
    sinks = list(emitters.pop("bosun", []))
    for sink in sinks:
        tags |= sink.pop("tags", {})
    made.section("agent", {"host": table.pop("hostname", None), "tags": tags or None})
    for number, sink in enumerate(sinks):
        _bosun(made, f"main{number or ''}", str(sink.pop("host", "")))
        _rest(made, "emitter.bosun.", sink)
    if len(sinks) > 1:
        made.leave_out("emitter.bosun.tags", "all sinks send the same tags, those of [agent]")
    _rest(made, "emitter.", emitters)
    collectors = dict(table.pop("collector", {}))
    for type_, instances in collectors.items():
        for number, each in enumerate(instances):
            _instance(made, type_, number, dict(each))
    _rest(made, "", table)


def _instance(made: Migrated, type_: str, number: int, table: dict[str, Any]) -> None:
    where = f"collector.{type_}"
    name = f"main{number or ''}"
    if table.pop("tags", None):
        made.leave_out(f"{where}.tags", "collectors have no tags of their own; `name` tells them apart")
    match type_:
        case "rscollector":
            made.section(f"collector.agent.{name}", {})
        case "postfix":
            made.section(f"collector.postfix.{name}", {})
        case "galera":
            tls = table.pop("use_ssl", False)
            values = {key: table.pop(key, None) for key in ("socket", "host", "port", "user")}
            values["password"] = made.secret(f"galera-{name}", table.pop("password", None))
            values["tls_ca"] = table.pop("ca_cert", None) if tls else None
            made.section(f"collector.galera.{name}", values)
        case "mongo":
            _connection_string(made, name, str(table.pop("connection_string", "")))
        case _ if type_ in _UNSUPPORTED:
            made.leave_out(where, _UNSUPPORTED[type_])
            return
        case _:
            made.leave_out(where, "no such collector is known")
            return
    _rest(made, f"{where}.", table)


def _connection_string(made: Migrated, name: str, text: str) -> None:
    parts = urlsplit(text)
    options = dict(parse_qsl(parts.query))
    user = unquote(parts.username or "")
    ca, certificate = options.pop("tlsCAFile", None), options.pop("tlsCertificateKeyFile", None)
    tls = options.pop("tls", options.pop("ssl", "false")) == "true"
    database = options.pop("authSource", parts.path.strip("/") or "admin")
    place = parts.netloc.rpartition("@")[2]
    values = {
        "uri": f"mongodb://{place}/?{urlencode(options)}" if options else f"mongodb://{place}/",
        "user": user or None,
        "password": made.secret(f"mongodb-{name}", unquote(parts.password or "")),
        "auth_database": database if user and database != "admin" else None,
        "tls": True if tls else None,
        "tls_ca": ca,
        "tls_certificate": certificate,
    }
    made.section(f"collector.mongodb.{name}", values)


# --- both ---


def _bosun(made: Migrated, name: str, host: str) -> None:
    parts = urlsplit(host if "://" in host else f"http://{host}")
    url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
    values = {
        "url": url,
        "user": unquote(parts.username) if parts.username else None,
        "password": made.secret(f"bosun-{name}", unquote(parts.password or "")),
        "dialect": "rs-collector",
    }
    made.section(f"sink.bosun.{name}", values)


def _rest(made: Migrated, where: str, table: Mapping[str, Any]) -> None:
    for key in table:
        made.leave_out(f"{where}{key}", "no such setting is known")


def _name(text: object) -> str:
    return _NAME.sub("-", str(text)).lstrip("_.-") or "main"


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{_key(key)} = {_toml(each)}' for key, each in value.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value)


def _key(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z0-9_-]+", text) else json.dumps(text, ensure_ascii=False)
