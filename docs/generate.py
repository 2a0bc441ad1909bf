"""Write the tables in the pages anew, from the declarations in the code; `--check` only compares.

A page has places `<!-- generated: WHAT -->` … `<!-- end -->`; what is between them is replaced. WHAT is
`metrics TYPE`, `settings TYPE`, `metrics of the agent`, or `section NAME` of the configuration. What the
Ansible role takes, and which of that is secret, is written as a whole, and so is rscollector.toml(5).
"""

import dataclasses
import re
import sys
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import yaml
from manual_page import manual_page

from rscollector.api import Secret
from rscollector.cli.collectors import metric_rows, setting_rows
from rscollector.config import registry
from rscollector.config.types import AgentSection, Common, WebSection
from rscollector.runtime.telemetry import METRICS

ROOT = Path(__file__).resolve().parent.parent
_PLACE = re.compile(r"(<!-- generated: (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)
_SECTIONS = {"agent": (AgentSection, Common), "web": (WebSection,), "collector": (Common,)}


def pages() -> list[Path]:
    """Return the pages that may have such places."""
    return sorted([ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("collectors/*/README.md")])


def renewed(text: str) -> str:
    """Return a page with its tables written anew."""
    return _PLACE.sub(lambda found: f"{found[1]}{_table(found[2])}\n{found[3]}", text)


def _table(what: str) -> str:
    if what == "metrics of the agent":
        rows = [(each.name, each.kind.value, _labels(each), each.help) for each in METRICS]
        return _markdown(("Metric", "Kind", "Labels", "Meaning"), rows)
    kind, name = what.split()
    if kind == "metrics":
        return _markdown(("Metric", "Kind", "Labels", "Meaning"), metric_rows(registry.load(name).metrics))
    types = _SECTIONS[name] if kind == "section" else (registry.load(name).Settings,)
    rows = [row for each in types for row in setting_rows(each)]
    return _markdown(("Setting", "Type", "Default", "Meaning"), rows) if rows else "It has no settings."


def _labels(metric: object) -> str:
    labels = list(getattr(metric, "labels", ()))
    return ", ".join((*labels, "name") if "type" in labels else labels) or "–"


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *[[f"`{row[0]}`", *row[1:]] for row in rows]]
    return "\n".join("| " + " | ".join(each.replace("|", "\\|") for each in line) + " |" for line in lines)


class _Indented(yaml.SafeDumper):
    """Writes lists as ansible-lint wants them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        """Indent lists too."""
        super().increase_indent(flow, False)


def _yaml(value: object) -> str:
    text: str = yaml.dump(value, Dumper=_Indented, sort_keys=False, width=100, allow_unicode=True)
    return f"---\n# Written by `make docs`, from the declarations in the code.\n{text}"


def _role() -> dict[Path, str]:
    """Return the files of the Ansible role that are made from declarations."""
    role = ROOT / "ansible" / "roles" / "rscollector"
    places = registry.places()
    listed = [
        (section, name, registry.load(name).Settings)
        for section, group in registry.GROUPS.items()
        for name in places[group]
    ]
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
    return {
        role / "meta" / "argument_specs.yml": _yaml({"argument_specs": spec}),
        role / "vars" / "main" / "kinds.yml": _yaml({"__rscollector_kinds": kinds}),
    }


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


def _kind(hint: Any) -> str | None:
    if hint is Secret or issubclass(get_origin(hint) or hint, Enum):
        return "secret" if hint is Secret else "text"
    return {bool: "boolean", int: "integer", str: "text", tuple: "list", dict: "map"}.get(
        get_origin(hint) or hint
    )


def main(arguments: Sequence[str]) -> int:
    """Write or compare the pages."""
    old = []
    wanted = {page: renewed(page.read_text("utf-8")) for page in pages()} | _role()
    wanted[ROOT / "debian" / "rscollector.toml.5"] = manual_page()
    for page, text in wanted.items():
        if not page.exists() or page.read_text("utf-8") != text:
            old.append(str(page.relative_to(ROOT)))
            if "--check" not in arguments:
                page.write_text(text, "utf-8")
    for name in old:
        sys.stderr.write(
            f"{name}: {'is not what the code says; run `make docs`' if arguments else 'written'}\n"
        )
    return int(bool(old and arguments))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
