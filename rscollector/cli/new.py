"""`rscollector new`: a package with a collector in it, as the beginning of another one."""

import argparse
import keyword
import re
import sys
from importlib.util import find_spec
from pathlib import Path

from rscollector.cli.common import Commands, add_command, complain

_MORE = """\
What it writes is a whole package that works: the collector, its page, an alert with its test, and
tests, which pass. Change it into what you need. Nothing that is there already is overwritten.

  rscollector new backup backups-of-ours
"""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_FILES = {
    "pyproject.toml": "pyproject.toml",
    "collector.py": "{}.py",
    "test_collector.py": "test_{}.py",
    "alerts.yml": "alerts.yml",
    "alerts_test.yml": "alerts_test.yml",
    "README.md": "README.md",
    "rscollector.toml": "rscollector.toml",
}
"""What each template becomes, by the name of the collector's type."""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "new", new, "begin a collector of your own: a package that works", _MORE)
    parser.add_argument("type", metavar="TYPE", help="what the collector is to be called, such as backup")
    parser.add_argument("directory", type=Path, metavar="DIRECTORY", help="where the package is to be")


def new(given: argparse.Namespace) -> int:
    """Write the package."""
    if why := _not_a_type(given.type):
        complain(f"{given.type}: {why}")
        return 2
    wanted = {given.directory / name: text for name, text in package(given.type).items()}
    there = [str(path) for path in wanted if path.exists()]
    if there:
        complain(f"nothing was written, for this is there already: {', '.join(there)}")
        return 1
    try:
        given.directory.mkdir(parents=True, exist_ok=True)
        for path, text in wanted.items():
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
            print(path)
        print(f"Try it, in {given.directory}: pip install --editable . && pytest")
    except OSError as error:
        complain(f"{error.filename}: cannot be written: {error.strerror}")
        return 1
    return 0


def package(type_: str) -> dict[str, str]:
    """Return the files of a package for a type, by their names."""
    from importlib.resources import files

    templates = files("rscollector.cli") / "templates"
    words = {"@type@": type_, "@TYPE@": type_.upper(), "@Type@": type_.title().replace("_", "")}
    made = {}
    for template, name in _FILES.items():
        text = (templates / f"{template}.txt").read_text("utf-8")
        for word, meaning in words.items():
            text = text.replace(word, meaning)
        made[name.format(type_)] = text
    return made


def _not_a_type(name: str) -> str:
    """Return why a type may not be called so, "" if it may."""
    from rscollector.config import registry

    if not _NAME.fullmatch(name):
        return "a type is a word in small letters, such as backup or print_queue"
    if any(name in types for types in registry.places().values()):
        return "there is one already: `rscollector collectors` names them"
    if keyword.iskeyword(name) or name in sys.stdlib_module_names or name == "pytest" or _is_installed(name):
        return "a keyword or a module of Python is called so: choose another word"
    return ""


def _is_installed(name: str) -> bool:
    """Tell whether a module would be hidden by one of this name; a mere directory is none."""
    spec = find_spec(name)
    return spec is not None and spec.origin is not None
