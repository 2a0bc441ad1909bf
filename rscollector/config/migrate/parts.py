"""What old configurations have in common: the host, a receiver, an instance with its place and its TLS."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from .given import Given
from .made import Hidden, Migrated
from .toml import toml_value

_HOST = re.compile(r"[^\s/:@%?#\[\]]+")
_LONGEST_HOST = 255

NOT_WATCHED = {
    "jvm": "garbage collection of Java processes is not collected yet: keep rs-collector for it",
    "megaraid": "MegaRAID controllers are not watched yet: keep rs-collector for them",
    "ssh_certificate": "SSH certificates are not watched yet: check their dates by other means",
}


def add_agent(made: Migrated, host: str | None, tags: dict[str, str], where: str) -> None:
    """Take host and tags; a tag `host` was stronger than the name of the host, and is that name here."""
    tags = dict(tags)
    host = tags.pop("host", None) or host
    if host and host.isprintable() and len(host) <= _LONGEST_HOST:
        made.agent["host"] = host
    elif host:
        made.leave_out(where, "the host's name is too long, or has control characters: set [agent] host")
    if tags:
        made.agent["tags"] = tags


def instance_name(made: Migrated, given: Given, type_: str) -> str:
    """Return the name for an instance, and say so where it is another one than it was."""
    wanted = given.text("Name")
    name = made.free_name("collector", type_, wanted or "")
    if given.names_instances:
        given.where = f"{given.where}.{name}"
    if wanted and name != wanted:
        given.leave_out("Name", f"it is {name} now, also in the tag name of its points: change alarms on it")
    return name


def add_galera(made: Migrated, given: Given) -> None:
    """Add a node of a Galera cluster."""
    name = instance_name(made, given, "galera")
    made_of: dict[str, Any] = {"user": given.text("User"), "password": given.secret("Password")}
    socket, host, port = given.text("Socket"), given.text("Host"), given.number("port", 65535)
    if socket and not socket.startswith("/"):
        given.leave_out("Socket", "expected an absolute path: set socket in its section")
        socket = None
    tls = tls_of(given, "CaCert", "ClientCert", "ClientCertKey", asked=given.flag("UseSsl"))
    if socket:
        if host:
            given.leave_out("Host", "Socket is given too, and was preferred")
        if tls:
            why = "a socket is not encrypted, and nothing leaves this host: for TLS set host instead"
            given.leave_out("UseSsl", why)
        made_of["socket"] = socket
    else:
        made_of |= place_of(given, "Host", host, port)
        if tls and "host" not in made_of:
            made_of["host"] = "127.0.0.1"
        made_of |= tls
    made.add("collector", "galera", name, made_of)
    given.rest()


def account_of(given: Given, user: str | None, password: Hidden | None, key: str) -> dict[str, Any]:
    """Return the settings for an account, none where half of it is missing."""
    if bool(user) == bool(password):
        return {"user": user, "password": password} if user else {}
    given.leave_out(key, "user and password belong together, and one is missing: set both in its section")
    return {}


def tls_of(given: Given, ca: str, certificate: str, key: str, *, asked: bool) -> dict[str, Any]:
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


def place_of(given: Given, key: str, host: str | None, port: int | None) -> dict[str, Any]:
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


def add_addresses(made: Migrated, given: Given) -> None:
    """Add the addresses of a host."""
    kept: dict[str, str] = {}
    for text in given.texts("Ipv4"):
        try:
            address = ipaddress.ip_address(text.strip())
        except ValueError:
            address = None
        address = getattr(address, "ipv4_mapped", None) or address
        if address is None or getattr(address, "scope_id", None):
            why = f"{toml_value(text)} is no IP address without a zone: correct it in [collector.vip.main]"
            given.leave_out("Ipv4", why)
        else:
            kept[str(address)] = str(address)
    name = made.free_name("collector", "vip")
    made.add("collector", "vip", name, {"addresses": list(kept.values()) or None})
    given.rest()


def add_bosun(made: Migrated, given: Given, key: str, host: str | None, more: Mapping[str, Any]) -> None:
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
    path = parts.path.rstrip("/").removesuffix("/api/put")
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
