"""From the configuration of rs-collector's successor."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from .given import Given
from .made import Migrated
from .parts import NOT_WATCHED, account_of, add_addresses, add_agent, add_bosun, add_galera, instance_name


def translate(made: Migrated, given: Given) -> None:
    """Translate a configuration of rs-collector's successor."""
    emitters = given.table("emitter")
    sinks, where = emitters.tables("bosun"), ""
    tags: dict[str, str] = {}
    for sink in sinks:
        of_sink = sink.tags("tags")
        if len(sinks) > 1 and tags and of_sink != tags:
            sink.leave_out("tags", "all sinks send the same tags, those of [agent]: check them there")
        tags, where = {**tags, **of_sink}, sink.spelled("tags")
    add_agent(made, given.text("hostname"), tags, where or given.spelled("hostname"))
    for sink in sinks:
        add_bosun(made, sink, "host", sink.text("host"), {"dialect": "rs-collector"})
        sink.rest()
    emitters.rest("no such emitter is known: see the pages of the sinks bosun and pushgateway")
    collectors = given.table("collector")
    for type_, add in _OF_SUCCESSOR.items():
        for each in collectors.tables(type_):
            if each.take("tags"):
                each.leave_out("tags", "collectors have no tags of their own; `name` tells them apart")
            add(made, each)
    for name, why in NOT_WATCHED.items():
        if collectors.take(name) is not None:
            collectors.leave_out(name, why)
    collectors.rest("no such collector is known")
    given.rest()


def _plain_instance(type_: str) -> Any:
    def add(made: Migrated, given: Given) -> None:
        made.add("collector", type_, made.free_name("collector", type_), {})
        given.rest()

    return add


def _mongo(made: Migrated, given: Given) -> None:
    name = instance_name(made, given, "mongodb")
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
        **account_of(given, user, hidden, key),
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
    "galera": add_galera,
    "mongo": _mongo,
    "hasipaddr": add_addresses,
}
