"""Where a key stands in a TOML file: path → line. tomllib reads values and forgets the places.

The file is cut into its smallest pieces (a header, a key with its value), and tomllib reads each. All that is
known here of TOML is where a piece ends: with a line that ends in no string and in no bracket.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping

from rscollector.config.build import KeyPath

_MARK = re.compile(
    r'''
    """ (?: \\. | [^\\] )*? "{3,5}  |  \'{3} .*? \'{3,5}   # strings over several lines
    | " (?: \\. | [^"\\\n] )* "     |  \' [^\'\n]* \'        # strings
    | \# [^\n]*                                          # a comment
    | [][{}\n]
    ''',
    re.DOTALL | re.VERBOSE,
)


def lines_of(text: str) -> dict[KeyPath, int]:
    """Return the first line of every table and key, for a text that tomllib accepts as a whole."""
    found: dict[KeyPath, int] = {}
    elements: dict[KeyPath, int] = {}
    table: KeyPath = ()
    for number, piece in _pieces(text):
        values = tomllib.loads(piece)
        if piece.lstrip().startswith("["):
            table = _header(next(_leaves(values)), elements, is_element=piece.lstrip().startswith("[["))
            _note(found, table, number)
        for path in _leaves(values) if not piece.lstrip().startswith("[") else ():
            _note(found, (*table, *path), number)
    return found


def _header(path: KeyPath, elements: dict[KeyPath, int], *, is_element: bool) -> KeyPath:
    """Return the path of the table that a header begins; `elements` counts those of each array of tables."""
    *above, last = path[:-1] if is_element else path  # of [[a.b]] it is a, b, 0
    here: KeyPath = ()
    for key in above:
        here = (*here, key)
        if here in elements:
            here = (*here, str(elements[here] - 1))
    here = (*here, last)
    if not is_element:
        return here
    elements[here] = elements.get(here, 0) + 1
    return (*here, str(elements[here] - 1))


def _note(found: dict[KeyPath, int], path: KeyPath, number: int) -> None:
    for length in range(1, len(path) + 1):
        found.setdefault(path[:length], number)


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """Yield the pieces, each with its first line; a line ends one where no value goes on in the next."""
    start, number, first, depth = 1, 1, 0, 0
    for found in _MARK.finditer(text + "\n"):
        mark = found[0]
        if mark in "[{":
            depth += 1
        elif mark in "]}":
            depth -= 1
        number += mark.count("\n")
        if mark == "\n" and not depth:
            yield start, text[first : found.end()]
            start, first = number, found.end()


def _leaves(value: object, path: KeyPath = ()) -> Iterator[KeyPath]:
    if isinstance(value, Mapping) and value:
        for key, each in value.items():
            yield from _leaves(each, (*path, key))
    elif isinstance(value, list) and value:
        for index, each in enumerate(value):
            yield from _leaves(each, (*path, str(index)))
    else:
        yield path
