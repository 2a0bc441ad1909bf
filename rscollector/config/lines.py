"""Where a key stands in a TOML file: path → line. tomllib reads values and forgets the places.

The file is cut into the smallest pieces that tomllib itself can parse (a header, a key with its value), so
that there is no second reading of TOML's grammar here.
"""

import tomllib
from collections.abc import Iterator, Mapping

from rscollector.config.build import KeyPath


def lines_of(text: str) -> dict[KeyPath, int]:
    """Return the first line of every table and key, for a text that tomllib accepts as a whole."""
    found: dict[KeyPath, int] = {}
    table: KeyPath = ()
    for number, piece in _pieces(text):
        values = tomllib.loads(piece)
        if piece.lstrip().startswith("["):
            table = next(_leaves(values), ())
            _note(found, table, number)
        for path in _leaves(values) if not piece.lstrip().startswith("[") else ():
            _note(found, (*table, *path), number)
    return found


def _note(found: dict[KeyPath, int], path: KeyPath, number: int) -> None:
    for length in range(1, len(path) + 1):
        found.setdefault(path[:length], number)


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    start, piece = 1, ""
    for number, line in enumerate(text.split("\n"), 1):  # U+2028 and the like end no line of TOML
        piece += line + "\n"
        try:
            tomllib.loads(piece)
        except tomllib.TOMLDecodeError:
            continue  # a value that goes on in the next line
        yield start, piece
        start, piece = number + 1, ""


def _leaves(value: object, path: KeyPath = ()) -> Iterator[KeyPath]:
    if isinstance(value, Mapping) and value:
        for key, each in value.items():
            yield from _leaves(each, (*path, key))
    elif isinstance(value, list) and value:
        for index, each in enumerate(value):
            yield from _leaves(each, (*path, str(index)))
    else:
        yield path
