"""What a collector wants from its host: package, pages, unit and `check` follow from what is declared."""

from dataclasses import dataclass
from typing import NamedTuple


class Package(NamedTuple):
    """A driver: what Debian calls its package, and the requirement as PyPI has it."""

    debian: str
    pypi: str


class DropIn(NamedTuple):
    """More than the unit gives, for who wants it: a drop-in of this name, and `why` in a sentence.

    Every worker of the agent gets what it gives.
    """

    name: str
    why: str
    capabilities: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Needs:
    """What a collector wants from its host.

    The agent's user joins the `groups` where the file `program` is there, which says that the service is.
    Groups without a program are a ValueError.
    """

    packages: tuple[Package, ...] = ()
    groups: tuple[str, ...] = ()
    program: str = ""
    drop_ins: tuple[DropIn, ...] = ()

    def __post_init__(self) -> None:
        if self.groups and not self.program:
            raise ValueError("Needs(groups=…) wants the program= of the service whose groups these are")
