"""The files of the Ansible roles that are made from declarations."""

import dataclasses
import tomllib
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import yaml
from declared import ROOT, everything, plugins

from rscollector.api import Secret
from rscollector.config import registry
from rscollector.config.types import AgentSection, Common
from rscollector.config.web_section import WebSection


class _Indented(yaml.SafeDumper):
    """Writes lists as ansible-lint wants them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        """Indent lists too."""
        super().increase_indent(flow, False)


def _yaml(value: object) -> str:
    text: str = yaml.dump(value, Dumper=_Indented, sort_keys=False, width=100, allow_unicode=True)
    return f"---\n{_MADE}\n{text}"


_MADE = "# Written by `make docs`, from the declarations in the code."


def role() -> dict[Path, str]:
    """Return the files of the Ansible role that are made from declarations."""
    place = ROOT / "ansible" / "roles" / "rscollector"
    listed = [(section, name, each.Settings) for (section, name), each in everything().items()]
    options: dict[str, Any] = dict(_OF_THE_ROLE)
    options["rscollector_agent"] = {
        "type": "dict",
        "description": "The section agent.",
        "options": {**_options(AgentSection), **_options(Common)},
    }
    for section, name, settings in listed:
        options[f"rscollector_{section}_{name}"] = {
            "type": "list",
            "elements": "dict",
            "description": f"Instances of the {section} {name}.",
            "options": {"name": _NAME, **_options(settings), **_options(Common)},
        }
    spec = {"main": {"short_description": "The agent, installed and configured", "options": options}}
    kinds = {name: {**_kinds(settings), **_kinds(Common)} for _, name, settings in listed}
    kinds |= {"agent": {**kinds["agent"], **_kinds(AgentSection)}, "web": _kinds(WebSection)}
    del kinds["web"]["listener"]  # the role has no variable for it
    return {
        place / "meta" / "argument_specs.yml": _yaml({"argument_specs": spec}),
        place / "vars" / "main" / "kinds.yml": _yaml(
            {
                "__rscollector_drivers": _drivers(),
                **{f"__rscollector_{section}s": _instances(section) for section in registry.GROUPS},
                "__rscollector_kinds": kinds,
            }
        ),
    }


def _drivers() -> dict[str, list[str]]:
    """Return what each type needs beside the package."""
    found = {
        name: [each.debian for each in plugin.needs.packages] for (_, name), plugin in everything().items()
    }
    return {name: packages for name, packages in found.items() if packages}


def _instances(section: str) -> dict[str, str]:
    """Return for each type of a section the variable that has its instances."""
    return {name: f"{{{{ rscollector_{section}_{name} }}}}" for name in plugins(section)}


def defaults() -> str:
    """Return the default of each of these variables: what the agent watches by itself, and else nothing."""
    watched = tomllib.loads((ROOT / "rscollector" / "config" / "default.toml").read_text("utf-8"))[
        "collector"
    ]
    lines = []
    for section, name in everything():
        names = list(watched.get(name, {})) if section == "collector" else []
        lines.append(f"rscollector_{section}_{name}:{'' if names else ' []'}")
        lines += [f"  - name: {each}" for each in names]
    return "\n".join(lines)


_NAME = {"type": "str", "required": True, "description": "The instance's name."}
_OF_THE_ROLE = {
    "rscollector_package_file": {"type": "str", "description": "A package on the controller."},
    "rscollector_package_state": {
        "type": "str",
        "choices": ["present", "latest"],
        "description": "What is wanted of a package from a repository.",
    },
    "rscollector_repository": {
        "type": "dict",
        "description": "A repository to add, as deb822_repository takes it; empty for none.",
        "options": {
            "name": {"type": "str", "description": "The name of its file, by default rscollector."},
            "uris": {"type": "list", "elements": "str", "description": "Where it is."},
            "suites": {"type": "list", "elements": "str", "description": "Its suites."},
            "components": {"type": "list", "elements": "str", "description": "Its components."},
            "signed_by": {"type": "str", "description": "Its key: a path there, a URL, or the key itself."},
            "trusted": {"type": "bool", "description": "Whether it needs no key."},
        },
    },
    "rscollector_listen": {
        "type": "list",
        "elements": "str",
        "description": "Where Prometheus and browsers find the agent, such as 0.0.0.0:10070.",
    },
    "rscollector_web_config": {
        "type": "dict",
        "description": "TLS and users, as in the web configuration file of Prometheus' exporters.",
    },
    "rscollector_extra_configuration": {"type": "str", "description": "TOML for collectors of others."},
}


def _options(settings: type[Any]) -> dict[str, Any]:
    hints = get_type_hints(settings)
    return {
        each.name: {**_option(hints[each.name]), **_required(each), "description": each.metadata["help"]}
        for each in dataclasses.fields(settings)
    }


def _required(field: dataclasses.Field[Any]) -> dict[str, Any]:
    unset = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    return {"required": True} if unset else {}


def _option(kind: Any) -> dict[str, Any]:
    kind = _without_none(kind)
    if get_origin(kind) is tuple:
        return {"type": "list", "elements": "str"}
    if get_origin(kind) is dict or dataclasses.is_dataclass(kind):
        return {"type": "dict"}
    if issubclass(kind, Enum):
        return {"type": "str", "choices": [each.value for each in kind]}
    if issubclass(kind, Secret):
        return {"type": "raw", "no_log": True}
    return {"type": {bool: "bool", int: "int", float: "float"}.get(kind, "str")}


def _without_none(kind: Any) -> Any:
    parts = get_args(kind)
    return next(each for each in parts if each is not NoneType) if NoneType in parts else kind


def _kinds(settings: type[Any]) -> dict[str, str]:
    """Return the kind of each setting, but for those that are written as they are given."""
    kinds = {name: _kind(_without_none(hint)) for name, hint in get_type_hints(settings).items()}
    return {name: kind for name, kind in kinds.items() if kind}


_KINDS = {bool: "boolean", int: "integer", str: "text", Secret: "secret", tuple: "list", dict: "map"}


def _kind(hint: Any) -> str | None:
    kind = get_origin(hint) or hint
    return "text" if issubclass(kind, Enum) else _KINDS.get(kind)
