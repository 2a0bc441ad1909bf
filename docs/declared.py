"""What this checkout has: its collectors and sinks by pyproject.toml, and what their classes declare."""

import tomllib
from pathlib import Path
from typing import Any

from rscollector.api.old import Old
from rscollector.config import registry
from rscollector.sinks.bosun.dialect import olds
from rscollector.sinks.bosun.sink import Dialect

ROOT = Path(__file__).resolve().parent.parent


def plugins(section: str) -> dict[str, type[Any]]:
    """Return the classes of a section, `collector` or `sink`, by their types; in the order of their names."""
    places = _places(section)
    return {type_: registry.load(type_, places[type_]) for type_ in sorted(places)}


def _places(section: str) -> dict[str, str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return dict(project["entry-points"][registry.GROUPS[section]])


def everything() -> dict[tuple[str, str], type[Any]]:
    """Return all of them by section and type, collectors first."""
    return {(section, type_): each for section in registry.GROUPS for type_, each in plugins(section).items()}


def plugin(type_: str) -> type[Any]:
    """Return the class of a type, of either section."""
    return next(each for (_, name), each in everything().items() if name == type_)


def old_names(type_: str) -> dict[str, tuple[Old, ...]]:
    """Return what others called a collector's metrics, by dialect."""
    place = _places("collector")[type_]
    return {each.value: olds(place, each) for each in Dialect if each is not Dialect.OURS}


def folder(type_: str) -> Path:
    """Return the folder of a type, of either section."""
    places = {name: place for section in registry.GROUPS for name, place in _places(section).items()}
    return ROOT.joinpath(*places[type_].partition(":")[0].split("."))


def folders(file: str) -> list[str]:
    """Return the types whose folder has a file, those of collectors first."""
    return [type_ for _, type_ in everything() if (folder(type_) / file).exists()]
