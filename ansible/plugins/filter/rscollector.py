"""From variables to the agent's configuration, and from those of an older role to ours. Needs nothing but Python.

What is wrong is a ValueError with a sentence; Ansible shows it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

DOCUMENTATION = r"""
name: configuration
author: rscollector maintainers
short_description: The agent's configuration in TOML, and the secrets beside it
version_added: 0.1.0
description:
  - Makes the text of C(rscollector.toml) out of variables.
  - What is a secret is not in the text; it goes to a file of its own, to which the text points.
options:
  _input:
    description: "Tables by section: C(agent), C(web), and C(collector) and C(sink) with a list of instances by type."
    type: dict
    required: true
  kinds:
    description: "The kind of each setting by type: text, integer, boolean, list, map, secret."
    type: dict
    required: true
  directory:
    description: Where the files with the secrets are.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: The configuration
  ansible.builtin.set_fact:
    made: "{{ {'agent': {'interval': '15s'}} | rscollector.agent.configuration({}, '/etc/rscollector/secrets') }}"
"""

RETURN = r"""
_value:
  description: C(text) is the configuration, C(secrets) the content of each file by its name.
  type: dict
"""

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_PLACES = ("file", "env", "credential")
_HEAD = "# Written by Ansible: what is changed here is overwritten.\n"


def configuration(tables: dict[str, Any], kinds: dict[str, dict[str, str]], directory: str) -> dict[str, Any]:
    """Return the text of a configuration, and the secrets by the names of their files."""
    files: dict[str, str] = {}
    given = [((section,), tables.get(section) or {}) for section in ("agent", "web") if tables.get(section)]
    for section in ("collector", "sink"):
        for type_, instances in (tables.get(section) or {}).items():
            named = _named(f"{section}.{type_}", instances)
            given += [((section, type_, name), settings) for name, settings in named]
    parts = [
        _table(path, settings, kinds.get(path[:2][-1], {}), files, directory) for path, settings in given
    ]
    text = "\n".join(filter(None, [_HEAD, *parts, _extra(str(tables.get("extra") or ""))]))
    return {"text": text, "secrets": files}


def _named(where: str, instances: list[dict[str, Any]] | None) -> list[tuple[str, dict[str, Any]]]:
    found = [(_text(given["name"], where), given) for given in instances or ()]
    for name, count in Counter(name for name, _ in found).items():
        if not _NAME.fullmatch(name):
            raise ValueError(f"{where}: the name {name!r} may have letters, digits, and _ . - only")
        if count > 1:
            raise ValueError(f"{where}: the name {name!r} is given twice")
    return [(name, {key: value for key, value in given.items() if key != "name"}) for name, given in found]


def _table(
    path: tuple[str, ...],
    settings: dict[str, Any],
    kinds: dict[str, str],
    files: dict[str, str],
    directory: str,
) -> str:
    lines = [f"[{'.'.join(map(_key, path))}]"]
    for key, given in settings.items():
        where, kind = ".".join((*path, key)), kinds.get(key)
        if given is None or (kind == "secret" and given == ""):
            continue
        shown = _as(kind, given, where)
        if kind == "secret" and not _is_place(given):
            files[where] = _text(given, where)
            shown = {"file": f"{directory}/{where}"}
        lines.append(f"{_key(key)} = {_value(shown, where)}")
    return "\n".join(lines) + "\n"


def _is_place(value: Any) -> bool:
    return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in _PLACES


def _as(kind: str | None, value: Any, where: str) -> Any:
    # What templates of older Ansibles make is text, whatever it was; and Ansible takes "a,b" for a list.
    if kind == "integer":
        return int(value)
    if kind == "boolean":
        return _true(value)
    if kind == "text":
        return _text(value, where)
    if kind == "list":
        items = value if isinstance(value, (list, tuple)) else str(value).split(",")
        return [_text(each, where) for each in items]
    if kind == "map":
        return {key: _text(each, where) for key, each in value.items() if each is not None}
    return value


def _true(value: Any) -> bool:
    return str(value).strip().lower() in ("true", "yes", "on", "1", "y", "t")


def _text(value: Any, where: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, (str, int, float)):
        kind = "nothing" if value is None else type(value).__name__
        raise ValueError(f"{where}: expected text, found {kind}")  # noqa: TRY004  (what is wrong is a variable)
    return str(value)


def _extra(text: str) -> str:
    lines = [line.strip() for line in text.splitlines()]
    first = next((line for line in lines if line and not line.startswith("#")), "[")
    if not first.startswith("["):
        raise ValueError(f"rscollector_extra_configuration: expected a [section] before {first!r}")
    return text.strip() + "\n" if text.strip() else ""


def _key(key: object) -> str:
    text = str(key)
    return text if _BARE.fullmatch(text) else _quoted(text)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: Any, where: str) -> str:
    if isinstance(value, dict):
        inner = ", ".join(f"{_key(key)} = {_value(each, where)}" for key, each in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_value(each, where) for each in value)}]"
    if isinstance(value, (bool, int)):
        return json.dumps(value)
    if isinstance(value, float):
        return repr(float(value))
    return _quoted(_text(value, where))


def from_rs_collector(old: dict[str, Any]) -> dict[str, Any]:
    """Return our role's variables for those of `_rs_collector`; `not_carried_over` names what has no place here."""
    rest = {key: value for key, value in old.items() if value not in (None, "")}
    agent: dict[str, Any] = {}
    if "hostname" in rest:
        agent["host"] = str(rest.pop("hostname"))
    common = dict(rest.pop("common", {}))
    tags = {**(common.pop("tags", None) or {}), **{key: rest.pop(key) for key in _TAGS if key in rest}}
    if tags:
        agent["tags"] = {key: _text(value, f"tags.{key}") for key, value in tags.items() if value is not None}
    left = [f"common.{key}" for key in common]
    sink, unknown = _old_bosun(rest)
    left += unknown
    postfix = rest.pop("postfix", False) is not False
    made = {
        "rscollector_agent": agent,
        "rscollector_collector_galera": _old_instances("galera", rest.pop("galera", None), left),
        "rscollector_collector_mongodb": _old_instances("mongo", rest.pop("mongo", None), left),
        "rscollector_collector_postfix": [{"name": "main"}] if postfix else [],
        "rscollector_collector_vip": [{"name": "main", **_old_addresses(rest.pop("hasipaddr", None))}],
        "rscollector_sink_bosun": sink,
    }
    return {**made, "not_carried_over": sorted([*left, *rest])}


_TAGS = ("domain", "hostgroup")
_TLS = {"ca_cert": "tls_ca", "client_cert": "tls_certificate", "client_cert_key": "tls_key"}


def _old_bosun(rest: dict[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    """Take what says where Bosun is out of `rest`."""
    server, auth = dict(rest.pop("server", {})), dict(rest.pop("auth", {}))
    rest.pop("use_ssl", None)  # what counts is the protocol
    files = {ours: rest.pop(theirs) for theirs, ours in _TLS.items() if theirs in rest}
    host, port = str(server.pop("ip", None) or ""), server.pop("port", None) or 8070
    protocol = server.pop("protocol", None) or "http"
    credentials = {key: auth.pop(key) for key in ("user", "password") if auth.get(key)}
    unknown = [f"server.{key}" for key in server] + [f"auth.{key}" for key in auth]
    if not host:
        return [], unknown
    url = f"{protocol}://{f'[{host}]' if ':' in host else host}:{port}"
    return [{"name": "main", "dialect": "rs-collector", "url": url, **credentials, **files}], unknown


def _old_addresses(given: dict[str, Any] | None) -> dict[str, Any]:
    addresses = (given or {}).get("ipv4") or []
    return {"addresses": addresses} if addresses else {}


def _old_instances(kind: str, given: Any, left: list[str]) -> list[dict[str, Any]]:
    """Return instances of Galera or MongoDB; what is not carried over is added to `left`."""
    instances = [given] if isinstance(given, dict) else given or []
    found: dict[str, dict[str, Any]] = {}
    for each in instances:
        old = {key: value for key, value in each.items() if value not in (None, "")}
        name = wanted = _NOT_IN_NAMES.sub("-", str(old.pop("name", "main"))).lstrip("._-") or "main"
        number = 1
        while name in found:
            number += 1
            name = f"{wanted}-{number}"
        found[name] = _old_instance(kind, name, old)
        left += [f"{kind}.{name}.{key}" for key in old]
    return list(found.values())


_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]")


def _old_instance(kind: str, name: str, old: dict[str, Any]) -> dict[str, Any]:
    """Take what has a place here out of `old`."""
    tls = _true(old.pop("use_ssl", False))
    made: dict[str, Any] = {"name": name}
    if kind == "galera" and "socket" in old:  # and it was preferred
        made["socket"] = old.pop("socket")
    else:
        made |= {key: old.pop(key) for key in ("host",) if key in old}
        made |= {key: int(old.pop(key)) for key in ("port",) if key in old}
        if tls:
            # The driver of MongoDB reads the key from the file of the certificate.
            wanted = [key for key in _TLS if not (kind == "mongo" and key == "client_cert_key")]
            made |= {_TLS[key]: old.pop(key) for key in wanted if key in old}
            if kind == "mongo":
                made["tls"] = True
            elif "tls_ca" not in made:  # without it, Galera is not asked for TLS
                old["use_ssl"] = True
    return made | {key: old.pop(key) for key in ("user", "password") if key in old}


class FilterModule:
    """What Ansible asks for."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {"configuration": configuration, "from_rs_collector": from_rs_collector}
