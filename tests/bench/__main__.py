"""Measure what the agent costs, beside others in the same run: `python tests/bench [--write] [PART…]`."""

import argparse
import datetime as dt
import platform
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "plugins")]

PARTS = (
    "scrape",
    "tls",
    "steps",
    "commit",
    "ticks",
    "memory",
    "start",
    "growth",
    "idle",
    "host",
    "filesystem",
    "vip",
    "galera",
    "postfix",
    "network",
    "units",
    "zones",
    "push",
    "face",
)
HEADS = ("what", "measured", "beside", "ratio", "aim", "reached")
PAGE = HERE.parent.parent / "docs" / "benchmarks.md"
MARKS = "<!-- measured -->\n", "<!-- end -->"


def machine():
    """Say where this was measured."""
    model = next(
        line.split(": ")[1] for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    )
    cores = Path("/proc/cpuinfo").read_text().count("processor\t")
    libraries = ", ".join(f"{each} {version(each)}" for each in ("prometheus_client", "h11", "starlette"))
    today = dt.datetime.now(dt.UTC).date()
    return f"{today}, {cores} cores of {model}, Linux {platform.release()}, Python {platform.python_version()}, {libraries}."


def main():
    """Run the parts that were asked for and print their table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.name}")
    parser.add_argument("part", nargs="*", choices=[[], *PARTS], help="measure only these")
    given = parser.parse_args()
    lines = [machine(), "", _line(HEADS), _line(["---"] * len(HEADS))]
    print("\n".join(lines), flush=True)
    for part in given.part or PARTS:
        for row in import_module(part).rows():
            lines.append(_line(row.cells()))
            print(lines[-1], flush=True)
    if given.write:
        before, _, rest = PAGE.read_text().partition(MARKS[0])
        _, _, after = rest.partition(MARKS[1])
        PAGE.write_text(before + MARKS[0] + "\n".join(lines) + "\n" + MARKS[1] + after)


def _line(cells):
    return f"| {' | '.join(cells)} |"


main()
