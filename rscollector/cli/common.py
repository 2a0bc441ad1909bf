"""What commands share: the option for the configuration file, tables, and colours on a terminal only."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from rscollector.model.texts import printable

CONFIG_HELP = "the configuration file (default: /etc/rscollector/rscollector.toml, else a built-in one)"
_CODES = {"good": "32", "warn": "33", "bad": "31", "bold": "1"}

Commands = Any  # argparse's type of the subparsers is private


def add_command(
    commands: Commands, name: str, function: Any, text: str, more: str = ""
) -> argparse.ArgumentParser:
    """Add a command with its help texts and the function that runs it."""
    added: argparse.ArgumentParser = commands.add_parser(
        name,
        help=text,
        description=text[0].upper() + text[1:] + ".",
        epilog=more,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    added.set_defaults(command=function)
    return added


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add the option `--config`."""
    parser.add_argument("-c", "--config", type=Path, metavar="FILE", help=CONFIG_HELP)


def paint(text: str, style: str, stream: TextIO | None = None) -> str:
    """Return a text in a style where a person reads it on a terminal, else as it is."""
    stream = stream or sys.stdout
    if not stream.isatty() or "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb":
        return text
    return f"\033[{_CODES[style]}m{text}\033[0m"


def complain(sentence: str) -> None:
    """Tell what is wrong, on standard error; it may be of several lines."""
    print(f"{paint('rscollector:', 'bad', sys.stderr)} {printable(sentence)}", file=sys.stderr)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], styles: Sequence[str] = ()) -> str:
    """Return rows in columns beneath their heads; `styles` has one for each row's first column or "" ."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = [paint(_line(heads, widths), "bold")]
    for number, row in enumerate(rows):
        line = _line(row, widths)
        style = styles[number] if styles else ""
        first = len(row[0].ljust(widths[0]))
        lines.append(paint(line[:first], style) + line[first:] if style else line)
    return "\n".join(lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
