"""From variables to the agent's configuration, and from those of an older role to ours. Needs nothing but Python.

What is wrong is a ValueError with a sentence; Ansible shows it. What is known of old configurations and of TOML
is in module_utils/migrate, which are the agent's own files.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

_BESIDE = Path(__file__).parent.parent / "module_utils" / "migrate" / "__init__.py"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_PLACES = ("file", "env", "credential")
_WEB = "web.config_file"
_HEAD = "# Written by Ansible: what is changed here is overwritten.\n"


def _loaded(file: Path) -> Any:
    """Import a package by its place: as a part of the collection it has another name than anywhere else."""
    within = [str(file.parent)]
    specification = spec_from_file_location("rscollector_migrate", file, submodule_search_locations=within)
    if specification is None or specification.loader is None:
        raise ImportError(f"{file} cannot be imported")
    module = module_from_spec(specification)
    sys.modules[specification.name] = module  # dataclasses look for themselves there
    specification.loader.exec_module(module)
    return module


_migrate = _loaded(_BESIDE)


def configuration(tables: dict[str, Any], kinds: dict[str, dict[str, str]], directory: str) -> dict[str, Any]:
    """Return the text of a configuration, and the secrets by the names of their files."""
    files: dict[str, str] = {}
    given = [((section,), tables.get(section) or {}) for section in ("agent", "web") if tables.get(section)]
    for section in ("collector", "sink"):
        for type_, instances in (tables.get(section) or {}).items():
            named = _named(f"{section}.{type_}", instances)
            given += [((section, type_, name), settings) for name, settings in named]
    made = [
        (path, _settings(path, settings, kinds.get(path[:2][-1], {}), files, directory))
        for path, settings in given
    ]
    text = _migrate.written(made) if made else ""
    return {
        "text": "\n".join(filter(None, [_HEAD, text, _extra(str(tables.get("extra") or ""))])),
        "secrets": files,
    }


def _named(where: str, instances: Any) -> list[tuple[str, dict[str, Any]]]:
    if not isinstance(instances or [], (list, tuple)):
        raise _wrong(where, "a list of instances", instances)
    found = []
    for given in instances or ():
        if not isinstance(given, dict):
            raise _wrong(where, "a table for each instance", given)
        if given.get("name") is None:
            raise ValueError(f"{where}: an instance has no name: give each its `name`")
        found.append((_text(given["name"], f"{where}: name"), given))
    for name, count in Counter(name for name, _ in found).items():
        if not _NAME.fullmatch(name):
            raise ValueError(f"{where}: the name {name!r} may have letters, digits, and _ . - only")
        if count > 1:
            raise ValueError(f"{where}: the name {name!r} is given twice")
    return [(name, {key: value for key, value in given.items() if key != "name"}) for name, given in found]


def _settings(
    path: tuple[str, ...],
    settings: dict[str, Any],
    kinds: dict[str, str],
    files: dict[str, str],
    directory: str,
) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, given in settings.items():
        where, kind = ".".join((*path, key)), kinds.get(key)
        if given is None or (kind == "secret" and given == ""):
            continue
        if where == _WEB and isinstance(given, dict):
            files["web-config.yml"] = json.dumps(given, indent=2, ensure_ascii=False) + "\n"  # JSON is YAML
            made[str(key)] = f"{directory}/web-config.yml"
        elif kind != "secret":
            made[str(key)] = _as(kind, given, where)
        elif isinstance(given, dict) and len(given) == 1 and next(iter(given)) in _PLACES:
            made[str(key)] = given
        else:
            files[where] = _text(given, where)
            made[str(key)] = {"file": f"{directory}/{where}"}
    return made


def _as(kind: str | None, value: Any, where: str) -> Any:
    # What templates of older Ansibles make is text, whatever it was; and Ansible takes "a,b" for a list.
    if kind == "integer":
        return _integer(value, where)
    if kind == "boolean":
        return _boolean(value, where)
    if kind == "text":
        return _text(value, where)
    if kind == "list":
        if isinstance(value, dict):
            raise _wrong(where, "a list", value)
        items = value if isinstance(value, (list, tuple)) else str(value).split(",")
        return [_text(each, where) for each in items]
    if kind == "map":
        if not isinstance(value, dict):
            raise _wrong(where, "a table", value)
        return {str(key): _tag(each, f"{where}.{key}") for key, each in value.items() if each is not None}
    try:
        _migrate.toml_value(value)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    return value


def _integer(value: Any, where: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"\s*-?[0-9]{1,18}\s*", value):
        return int(value)
    raise _wrong(where, "a whole number", value)


def _boolean(value: Any, where: str) -> bool:
    word = str(value).strip().lower()
    if word in ("true", "yes", "on", "1", "y", "t"):
        return True
    if word in ("false", "no", "off", "0", "n", "f"):
        return False
    raise _wrong(where, "true or false", value)


def _text(value: Any, where: str) -> str:
    if isinstance(value, (bool, float)):  # YAML has made that of it: `yes` is true, 1.50 is 1.5
        raise _wrong(where, "text (in quotes)", value)
    if not isinstance(value, (str, int)):
        raise _wrong(where, "text", value)
    return str(value)


def _tag(value: Any, where: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, float) else _text(value, where)


def _wrong(where: str, expected: str, value: Any) -> ValueError:
    """Return what is wrong with a variable, which may be a secret."""
    return ValueError(f"{where}: expected {expected}, found {_migrate.found(value)}")


def _extra(text: str) -> str:
    lines = [line.strip() for line in text.splitlines()]
    first = next((line for line in lines if line and not line.startswith("#")), "[")
    if not first.startswith("["):
        raise ValueError(f"rscollector_extra_configuration: expected a [section] before {first!r}")
    return text.strip() + "\n" if text.strip() else ""


def from_rs_collector(old: dict[str, Any]) -> dict[str, Any]:
    """Return our role's variables for those of `_rs_collector`; `not_carried_over` names what has no place here.

    `explained` has a sentence for each of these, with what to do.
    """
    if not isinstance(old, dict):
        raise _wrong("_rs_collector", "a table", old)
    made = _migrate.from_variables(old)
    listed = {
        f"rscollector_{section}_{type_}": [
            {"name": name, **{key: _plain(value) for key, value in settings.items()}}
            for name, settings in made.instances.get((section, type_), {}).items()
        ]
        for section, type_ in (
            *(("collector", type_) for type_ in ("galera", "mongodb", "postfix", "vip")),
            ("sink", "bosun"),
        )
    }
    listed["rscollector_collector_vip"] = listed["rscollector_collector_vip"] or [{"name": "main"}]
    return {
        "rscollector_agent": made.agent,
        **listed,
        "not_carried_over": sorted({each.where for each in made.left_out}),
        "explained": sorted(map(str, made.left_out)),
    }


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, str) else value


class FilterModule:
    """What Ansible asks for."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {"configuration": configuration, "from_rs_collector": from_rs_collector}
