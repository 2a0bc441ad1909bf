"""What real systems once answered: files in a folder beside the tests."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import takewhile
from os import PathLike
from pathlib import Path, PurePath
from typing import Any

from rscollector.testing.nearest import hint, listed

_WILD = re.compile(r"[*?\[\]]")


class NoRecording(KeyError):
    """There is no such recording; the text says what there is."""

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True, slots=True)
class Recording:
    """One answer of a real system, or one of its files: its short name, and the file that has it."""

    name: str
    path: Path

    def raw(self) -> bytes:
        """Return it byte for byte."""
        return self.path.read_bytes()

    def text(self) -> str:
        """Return it as text."""
        return self.path.read_text(encoding="utf-8")

    def json(self) -> Any:
        """Return what its JSON stands for."""
        return json.loads(self.text())

    def table(self) -> dict[str, str]:
        """Return a table of two columns: the first of each line, up to its first tab, and the rest of it."""
        rows: dict[str, str] = {}
        for number, line in enumerate(self.text().split("\n"), 1):
            if not line:
                continue
            key, tab, value = line.partition("\t")
            if not tab:
                raise ValueError(f"{self.path}:{number}: expected two columns with a tab between them")
            if key in rows:
                raise ValueError(f"{self.path}:{number}: {key} has a line above already")
            rows[key] = value
        return rows


class Recordings(Mapping[str, Recording]):
    """The recordings that match a pattern beside a test's file, by their names: what the wildcards stand for.

        NODES = Recordings(__file__, "recordings/**/*.status.tsv", without="*-broken")
        NODES["mariadb-11.8/01-healthy"].table()

    A name begins after the folders that have no wildcard, and ends before what follows the last wildcard.
    `without` is a pattern of names, or several. A pattern that matches nothing raises NoRecording.
    """

    def __init__(
        self, beside: str | PathLike[str], pattern: str, *, without: str | Sequence[str] = ()
    ) -> None:
        place = Path(beside)
        found = _matching(place.parent if place.is_file() else place, pattern)
        for each in [without] if isinstance(without, str) else without:
            found = _left(found, each, pattern)
        self._found = {name: Recording(name, found[name]) for name in sorted(found)}

    def __getitem__(self, name: str) -> Recording:
        """Return the recording of a name. Raises NoRecording, which says what there is."""
        if name not in self._found:
            raise NoRecording(f"no recording is called {name}; {hint(name, self)}")
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


def _matching(place: Path, pattern: str) -> dict[str, Path]:
    """Return the files that match a pattern, by their short names."""
    folder, suffix = _fixed(pattern)
    files = [path for path in place.glob(pattern) if path.is_file()]
    if not files:
        raise NoRecording(f"{pattern} matches nothing in {place}: {_what_is_there(place, folder)}")
    return {str(path.relative_to(place / folder)).removesuffix(suffix): path for path in files}


def _left(found: dict[str, Path], without: str, pattern: str) -> dict[str, Path]:
    """Return what is left without the names that match; all and nothing are mistakes."""
    left = {name: path for name, path in found.items() if not fnmatchcase(name, without)}
    if not left:
        raise NoRecording(f"without {without}, nothing is left of {pattern}")
    if len(left) == len(found):
        raise NoRecording(f"nothing of {pattern} is called {without}; {hint(without, found)}")
    return left


def _fixed(pattern: str) -> tuple[str, str]:
    """Return what is the same in all files: the folders before a wildcard, and what follows the last one."""
    parts = PurePath(pattern).parts
    folders = list(takewhile(lambda part: not _WILD.search(part), parts[:-1]))
    wild = _WILD.search(pattern)
    return "/".join(folders), _WILD.split(pattern)[-1] if wild else PurePath(pattern).suffix


def _what_is_there(place: Path, folder: str) -> str:
    """Return what there is instead of a file that was looked for."""
    if (place / folder).is_dir():
        return f"{folder or 'it'} has {listed(sorted(path.name for path in (place / folder).iterdir()))}"
    folders = (path.name for path in place.iterdir() if path.is_dir())
    return f"there is no {folder}; {hint(folder, folders)}"
