"""`rscollector.toml` and `conf.d/*.toml` beside it as one table, and where each key of it stands.

Reading goes on after a mistake, so that the mistakes of all files are told at once. What one file sets no
other one sets again, and an instance stands in one file as a whole: nobody would see which of two holds.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

from rscollector.config.build import Fault, KeyPath
from rscollector.config.lines import lines_of
from rscollector.config.registry import GROUPS
from rscollector.config.types import DEFAULT_FILE

_FILE = re.compile(r"[^.].*\.toml")
_Places = dict[KeyPath, tuple[str, int]]


@dataclass(slots=True)
class Files:
    """The files' `names`, what they say as one `table`, and the `mistakes` that kept one from being read."""

    table: dict[str, Any] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)
    places: _Places = field(default_factory=dict)

    def place(self, path: KeyPath) -> str:
        """Return file:line of a path, or of the nearest table above it that has one."""
        while path and path not in self.places:
            path = path[:-1]
        file, line = self.places.get(path, (self.names[0] if self.names else "configuration", 1))
        return f"{file}:{line}"

    def sentence(self, fault: Fault) -> str:
        """Tell a fault with its place."""
        return f"{self.place(fault.path)}: {'.'.join(fault.path)}: {fault.reason}"


def read(path: Path | None) -> Files:
    """Read the file at `path` and its `conf.d`; without a path the default file, else what is built in."""
    found = Files()
    if path is None and _is_absent(DEFAULT_FILE):
        text = package_files("rscollector.config").joinpath("default.toml").read_text("utf-8")
        _add(found, "built-in configuration", text)
        return found
    path = path or DEFAULT_FILE
    for file in (path, *_beside(found, path.parent / "conf.d")):
        try:
            text = _text(file)
        except OSError as error:
            found.mistakes.append(f"{file}: cannot be read: {error.strerror}")
        except UnicodeDecodeError as error:
            byte = error.object[error.start]
            found.mistakes.append(f"{file}: is not UTF-8: byte {error.start} is {byte:#x}")
        except _NoText as error:
            found.mistakes.append(f"{file}: {error}")
        else:
            found.names.append(str(file))
            _add(found, str(file), text)
    return found


class _NoText(Exception):
    """A file that cannot be a configuration; the text says why."""


def _text(file: Path) -> str:
    """Read a file, but no pipe that was left in conf.d: only the shell's own, below /dev, may be one."""
    if file.exists() and not file.is_file() and not file.is_dir() and not file.is_relative_to("/dev"):
        raise _NoText("is no regular file")
    text = file.read_text("utf-8")
    if text.startswith("\ufeff"):
        raise _NoText("begins with a byte order mark: save it as UTF-8 without one")
    return text


def _is_absent(path: Path) -> bool:
    try:
        return not path.exists()
    except OSError:
        return False  # it may be there: reading it will say why it cannot be read


def _beside(found: Files, directory: Path) -> list[Path]:
    """List conf.d without what an editor hides there; glob would pass over a closed directory."""
    try:
        return sorted(each for each in directory.iterdir() if _FILE.fullmatch(each.name))
    except FileNotFoundError:
        return []
    except OSError as error:
        found.mistakes.append(f"{directory}: cannot be read: {error.strerror}")
        return []


def _add(found: Files, name: str, text: str) -> None:
    try:
        table, lines = tomllib.loads(text), lines_of(text)
    except (ValueError, RecursionError) as error:  # a number or a nesting that is too long for Python
        found.mistakes.append(f"{name}: is not TOML: {error}")
        return
    places = {path: (name, line) for path, line in lines.items()}
    _merge(found, found.table, table, (), places)
    found.places = places | found.places


def _merge(
    found: Files, into: dict[str, Any], table: Mapping[str, Any], path: KeyPath, places: _Places
) -> None:
    for key, value in table.items():
        here = (*path, key)
        is_instance = len(here) == 3 and here[0] in GROUPS
        if key not in into:
            into[key] = dict(value) if isinstance(value, dict) else value
        elif isinstance(value, dict) and isinstance(into[key], dict) and not is_instance:
            _merge(found, into[key], value, here, places)
        else:
            file, line = places[here]
            found.mistakes.append(f"{file}:{line}: {'.'.join(here)}: is set already, at {found.place(here)}")
