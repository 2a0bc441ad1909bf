"""What tells the contents of secrets apart, so that a reload notices a new one: digests, and never a text.

A digest is made with the agent's key, so that it tells nothing to whoever has not that. Files are read in
children, since their file system may hang: what does not answer costs those secrets only that lie there.
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from rscollector.config.build import Unresolved
from rscollector.config.forked import Tell, forked
from rscollector.config.secrets import Place, content, text

KEY = "RSCOLLECTOR_DIGEST_KEY"
"""The variable in which the agent hands its key to the process that reads the configuration."""

_SECONDS = 5.0


class Look(NamedTuple):
    """What was seen of a secret: a digest of its content, and why it cannot be read now, "" if it can."""

    digest: str
    problem: str


def look(places: Iterable[Place]) -> dict[Place, Look]:
    """Look at secrets, those in the files of each directory in a child: its file system may hang."""
    looks: dict[Place, Look] = {}
    by_directory: dict[str, list[Place]] = {}
    for where in places:
        if where.source == "file":
            by_directory.setdefault(str(Path(where.name).parent), []).append(where)
        else:
            looks[where] = _look(where)
    tasks = {name: _Looking(inside) for name, inside in by_directory.items()}
    for name, (told, ended) in forked(tasks, _SECONDS).items():
        looks |= {Place(*where): Look(*seen) for where, seen in told}
        for where in by_directory[name]:
            why = f"the secret in {where.name} cannot be read: to look into {name} {ended}"
            looks.setdefault(where, Look("", why))
    return looks


class _Looking:
    """Looks at secrets in one directory, in a child."""

    def __init__(self, places: Iterable[Place]) -> None:
        self._places = places

    def __call__(self, tell: Tell) -> None:
        for where in self._places:
            tell((where, _look(where)))


def _look(where: Place) -> Look:
    try:
        raw, what = content(where, os.environ)
        digest = hashlib.blake2b(raw, key=os.environ.get(KEY, "").encode(), digest_size=16).hexdigest()
        text(raw, what)
    except Unresolved as error:
        return Look("", str(error))
    return Look(digest, "")
