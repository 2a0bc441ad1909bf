"""The kernel's files, read bounded: what is no number is named, and whatever else is there is published.

What comes from them is text of strangers: /proc may be another program's (lxcfs), cut off, or from a kernel
that nobody knows yet.
"""

import os
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import NamedTuple

from rscollector.api import Context, Namespace, Sample, Unavailable
from rscollector.kit.table import Table

HOST = Namespace("host")
LIMIT = 4 << 20
"""Bytes of a file, at most: /proc/diskstats with 30,000 disks."""
_CHUNK = 1 << 16
_BOUND = 1 << 63
_SHOWN = 5
Told = Mapping[str, str]


def read(context: Context, path: str) -> str:
    """Return what a file of the host says. Raises Unavailable where it cannot be read.

    What is no UTF-8 is written as Python writes it. Of a file that is too long, what comes first is returned.
    """
    found = bytearray()
    try:
        # A pipe in the place of a file would be waited for. A tick reads twenty: context.path costs as much.
        file = os.open(f"{context.root}{path}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            while (chunk := os.read(file, _CHUNK)) and len(found) <= LIMIT:
                found += chunk
        finally:
            os.close(file)
    except OSError as error:
        raise Unavailable(f"{path}: {error.strerror}") from error
    if len(found) > LIMIT:
        context.note(f"{path} has more than {LIMIT} bytes: what comes behind them is not read")
        del found[found.rfind(b"\n", 0, LIMIT) + 1 :]
    return found.decode("utf-8", "backslashreplace")


def listed(context: Context, path: str) -> list[str]:
    """Return the names in a directory of the host. Raises Unavailable where it cannot be read."""
    try:
        names = [os.fsencode(each.name) for each in context.path(path).iterdir()]
    except OSError as error:
        raise Unavailable(f"{path}: {error.strerror}") from error
    return sorted(name.decode("utf-8", "backslashreplace") for name in names)


def count(text: str) -> int:
    """Read a number as kernels write them: digits, and no negative number in disguise (2⁶³ and more)."""
    if not (text.isascii() and text.isdecimal()) or (number := int(text)) >= _BOUND:
        raise ValueError(f"no number: {text!r:.40}")
    return number


def leading(text: str) -> int:
    """Read the number that a text begins with. Raises ValueError."""
    return count(text.partition(" ")[0])


def pairs(text: str) -> dict[str, str]:
    """Read a file with a name and a value in each line."""
    found = {}
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        found[name.rstrip(":")] = value.strip()
    return found


def words(text: str) -> dict[str, str]:
    """Read a text in which names and values take turns."""
    found = text.split()
    return dict(zip(found[::2], found[1::2], strict=False))


def columns(*names: str) -> Callable[[str], Told]:
    """Return what reads a file that has only values, with these names in its mind."""
    return lambda text: dict(zip(names, text.split(), strict=False))


def complain(context: Context, path: str, odd: Iterable[str]) -> None:
    """Leave a note about what could not be read in a file, if anything."""
    if found := list(odd):
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        context.note(f"{path}: cannot be read: {'; '.join(found[:_SHOWN])}{more}")


class Facts(NamedTuple):
    """A file of named numbers, and the metrics that they are."""

    path: str
    table: Table
    parse: Callable[[str], Told] = pairs

    def samples(self, context: Context) -> Generator[Sample, None, None]:
        """Yield what the file tells. Raises Unavailable where it cannot be read."""
        yield from self.of(context, self.parse(read(context, self.path)))

    def of(self, context: Context, told: Told) -> Generator[Sample, None, None]:
        """Yield what was told; a note says what was not."""
        wanted = {name: told[name] for name in self.table.names if name in told}
        odd = yield from self.table.samples(wanted)
        complain(context, self.path, odd)
        if missing := [each for each in self.table.names if each not in told]:
            context.note(f"{self.path}: this kernel does not tell {', '.join(missing)}")
