"""Write what follows from declarations anew, wherever it stands; `--check` only compares.

A page has places `<!-- generated: WHAT -->` … `<!-- end -->`, another file `# generated: WHAT` … `# end`;
what is between them is replaced. WHAT is `metrics TYPE`, `settings TYPE`, `old names TYPE`, `metrics of the
agent`, `section NAME` of the configuration, or a key of `_LISTS`. Some files are written as a whole, and what
Ansible takes from a collector's folder is a link.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import packaging_lists
from declared import ROOT, folder, folders, old_names, plugin, plugins
from manual_page import manual_page
from role import defaults, role

from rscollector.api import Metric
from rscollector.cli.collectors import metric_rows, setting_rows, summary
from rscollector.config.types import AgentSection, Common
from rscollector.config.web_section import ListenerSection, TlsSection, WebSection
from rscollector.runtime.telemetry import METRICS

_PLACE = re.compile(
    r"^( *(?:<!--|#) generated: ([^\n]+?)(?: -->)?\n).*?^( *(?:<!--|#) end\b)", re.DOTALL | re.MULTILINE
)
_SECTIONS = {"agent": (AgentSection, Common), "web": (WebSection,), "collector": (Common,)}
_SECTIONS |= {"web.listener": (ListenerSection,), "web.listener.tls": (TlsSection,)}
_PROMETHEUS = ROOT / "ansible" / "roles" / "rscollector_prometheus"
_TAKEN = {"alerts.yml": "{}.alerts.yml", "dashboard.json": "{}.dashboard.json"}
"""What the role for Prometheus takes from each folder, and what it is called there."""


def files() -> list[Path]:
    """Return the files that have such places."""
    listed = [
        "README.md",
        "ansible/roles/rscollector/defaults/main.yml",
        "ansible/roles/rscollector_prometheus/vars/main.yml",
        "debian/control",
        "debian/rscollector.postinst",
        "debian/rscollector.triggers",
        "pyproject.toml",
    ]
    pages = [folder(type_) / "README.md" for type_ in folders("README.md")]
    return sorted([*map(ROOT.joinpath, listed), *ROOT.glob("docs/*.md"), *pages])


def renewed(text: str) -> str:
    """Return a file's text with its places written anew."""
    return _PLACE.sub(lambda found: f"{found[1]}{_text(found[2])}\n{found[3]}", text)


def _text(what: str) -> str:
    return _LISTS[what]() if what in _LISTS else _table(what)


def _overview() -> str:
    rows = [
        (f"[{name}](collectors/{name}/README.md)", summary(each))
        for name, each in plugins("collector").items()
    ]
    return _markdown(("Collector", "What it watches"), rows, code=False)


def _needs() -> str:
    return _markdown(("For", "it needs", "which is"), packaging_lists.needs())


def _in_prometheus() -> str:
    lists = {"with_alerts": folders("alerts.yml"), "with_dashboard": folders("dashboard.json")}
    return "\n".join(
        f"__rscollector_prometheus_{name}: [{', '.join(types)}]" for name, types in lists.items()
    )


_LISTS = {
    "collectors": _overview,
    "needs": _needs,
    "recommended packages": packaging_lists.recommended,
    "extras": packaging_lists.extras,
    "groups": packaging_lists.groups,
    "triggers": packaging_lists.triggers,
    "instances": defaults,
    "what Prometheus gets": _in_prometheus,
}


def _table(what: str) -> str:
    if what == "metrics of the agent":
        rows = [(each.name, each.kind.value, _labels(each), each.help) for each in METRICS]
        return _markdown(("Metric", "Kind", "Labels", "Meaning"), rows)
    *kinds, name = what.split()
    kind = " ".join(kinds)
    if kind == "old names":
        return _old_names(name)
    if kind == "metrics":
        return _markdown(("Metric", "Kind", "Labels", "Meaning"), metric_rows(plugin(name).metrics))
    types = _SECTIONS[name] if kind == "section" else (plugin(name).Settings,)
    rows = [row for each in types for row in setting_rows(each)]
    return _markdown(("Setting", "Type", "Default", "Meaning"), rows) if rows else "It has no settings."


def _old_names(type_: str) -> str:
    rows = [
        (old.name, f"`{old.ours}`", f"`{dialect}`")
        for dialect, olds in old_names(type_).items()
        for old in olds
    ]
    return _markdown(("Old name", "is made of", "with the `dialect`"), rows)


def _labels(metric: Metric) -> str:
    labels = (*metric.labels, "name") if "type" in metric.labels else metric.labels
    return ", ".join(labels) or "–"


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[str]], *, code: bool = True) -> str:
    lines = [heads, ["---"] * len(heads), *[[f"`{row[0]}`" if code else row[0], *row[1:]] for row in rows]]
    return "\n".join("| " + " | ".join(each.replace("|", "\\|") for each in line) + " |" for line in lines)


def _links() -> dict[Path, Path]:
    """Return where each link in the Ansible collection leads to: a build of it has the files themselves."""
    shared = ROOT / "rscollector" / "config" / "migrate"
    migrate = ROOT / "ansible" / "plugins" / "module_utils" / "migrate"
    links = {
        migrate / each.name: Path("../../../../rscollector/config/migrate", each.name)
        for each in shared.glob("*.py")
    }
    return links | {
        _PROMETHEUS / "files" / name.format(type_): Path("../../../..", folder(type_).relative_to(ROOT), file)
        for file, name in _TAKEN.items()
        for type_ in folders(file)
    }


def main(arguments: Sequence[str]) -> int:
    """Write or compare."""
    old, writes = [], "--check" not in arguments
    wanted = {file: renewed(file.read_text("utf-8")) for file in files()}
    wanted |= role() | packaging_lists.examples() | {ROOT / "debian" / "rscollector.toml.5": manual_page()}
    for file, text in wanted.items():
        if not file.exists() or file.read_text("utf-8") != text:
            old.append(file)
            if writes:
                file.write_text(text, "utf-8")
    links = _links()
    places = {link.parent for link in links}
    there = {each for place in places for each in place.iterdir() if each.is_symlink()}
    for left in there - links.keys():
        old.append(left)
        if writes:
            left.unlink()
    for link, target in links.items():
        if not link.is_symlink() or link.readlink() != target:
            old.append(link)
            if writes:
                link.unlink(missing_ok=True)
                link.symlink_to(target)
    what = "written" if writes else "is not what the code says; run `make docs`"
    for file in old:
        sys.stderr.write(f"{file.relative_to(ROOT)}: {what}\n")
    return int(bool(old) and not writes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
