"""Write the tables in the pages anew, from the declarations in the code; `--check` only compares.

A page has places `<!-- generated: WHAT -->` … `<!-- end -->`; what is between them is replaced. WHAT is
`metrics TYPE`, `settings TYPE`, `metrics of the agent`, or `section NAME` of the configuration.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

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


def main(arguments: Sequence[str]) -> int:
    """Write or compare the pages."""
    old = []
    for page in pages():
        text = page.read_text("utf-8")
        if renewed(text) != text:
            old.append(str(page.relative_to(ROOT)))
            if "--check" not in arguments:
                page.write_text(renewed(text), "utf-8")
    for name in old:
        sys.stderr.write(
            f"{name}: {'is not what the code says; run `make docs`' if arguments else 'written'}\n"
        )
    return int(bool(old and arguments))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
