"""From variables to the agent's configuration, and from those of an older role to ours. Needs nothing but Python."""

from __future__ import annotations

import json
import re
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
  secrets:
    description: The settings that are secrets, by type.
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
_HEAD = "# Written by Ansible: what is changed here is overwritten.\n"


def configuration(tables: dict[str, Any], secrets: dict[str, list[str]], directory: str) -> dict[str, Any]:
    """Return the text of a configuration, and the secrets by the names of their files."""
    files: dict[str, str] = {}
    parts = [_HEAD]
    parts += [_table(section, tables[section]) for section in ("agent", "web") if tables.get(section)]
    for section in ("collector", "sink"):
        instances = [
            (kind, each) for kind, found in (tables.get(section) or {}).items() for each in found or ()
        ]
        for kind, given in instances:
            name = str(given["name"])
            shown = {key: value for key, value in given.items() if key != "name" and value is not None}
            for key in filter(shown.get, secrets.get(kind, ())):
                file = f"{section}.{kind}.{name}.{key}"
                files[file] = str(shown[key])
                shown[key] = {"file": f"{directory}/{file}"}
            parts.append(_table(f"{section}.{kind}.{_key(name)}", shown))
    if tables.get("extra"):
        parts.append(str(tables["extra"]).strip() + "\n")
    return {"text": "\n".join(parts), "secrets": files}


def _table(path: str, table: dict[str, Any]) -> str:
    lines = [f"{_key(key)} = {_value(value)}" for key, value in table.items() if value is not None]
    return "\n".join([f"[{path}]", *lines]) + "\n"


def _key(key: object) -> str:
    text = str(key)
    return text if _BARE.fullmatch(text) else json.dumps(text)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        inner = ", ".join(f"{_key(key)} = {_value(each)}" for key, each in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, (bool, int, float)):
        return json.dumps(value)
    return json.dumps(str(value)).replace("\x7f", "\\u007f")


def from_rs_collector(old: dict[str, Any]) -> dict[str, Any]:
    """Return our role's variables for those of `_rs_collector`; `not_carried_over` names what has no place here."""
    server, auth = old.get("server") or {}, old.get("auth") or {}
    tags = dict((old.get("common") or {}).get("tags") or {})
    tags.update({key: old[key] for key in ("domain", "hostgroup") if old.get(key)})
    sink: dict[str, Any] = {"name": "main", "dialect": "rs-collector"}
    sink["url"] = f"{server.get('protocol') or 'http'}://{server.get('ip')}:{server.get('port', 8070)}"
    sink |= {key: auth[key] for key in ("user", "password") if auth.get(key)}
    sink |= {ours: old[theirs] for theirs, ours in _TLS.items() if old.get(theirs)}
    agent: dict[str, Any] = {"tags": tags} if tags else {}
    if old.get("hostname"):
        agent["host"] = str(old["hostname"])
    addresses = (old.get("hasipaddr") or {}).get("ipv4") or []
    return {
        "rscollector_agent": agent,
        "rscollector_collector_galera": _named(old.get("galera"), ("user", "password", "host", "socket")),
        "rscollector_collector_mongodb": _named(old.get("mongo"), ("host", "port", "user", "password")),
        "rscollector_collector_postfix": [{"name": "main"}] if old.get("postfix") is not None else [],
        "rscollector_collector_vip": [{"name": "main", "addresses": addresses}]
        if addresses
        else [{"name": "main"}],
        "rscollector_sink_bosun": [sink] if server.get("ip") else [],
        "not_carried_over": sorted(key for key in _ABSENT if old.get(key)),
    }


_TLS = {"ca_cert": "tls_ca", "client_cert": "tls_certificate", "client_cert_key": "tls_key"}
_ABSENT = ("jvm", "megaraid", "extra_lines", "apt_repos", "oom_score_adj")


def _named(instances: list[dict[str, Any]] | None, keys: tuple[str, ...]) -> list[dict[str, Any]]:
    found = []
    for number, each in enumerate(instances or (), 1):
        name = each.get("name") or ("main" if number == 1 else f"main-{number}")
        found.append({"name": name, **{key: each[key] for key in keys if each.get(key) not in (None, "")}})
    return found


class FilterModule:
    """What Ansible asks for."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {"configuration": configuration, "from_rs_collector": from_rs_collector}
