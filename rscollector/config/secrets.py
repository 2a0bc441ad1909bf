"""Where a secret is kept: a file, the environment, or systemd; never the configuration itself.

The configuration holds the place and no text. The worker that needs the text reads it at each open, so that a
secret that was corrected is found by the next attempt.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from rscollector.config import bounded
from rscollector.config.build import Unresolved
from rscollector.model.settings import Secret

_PLACE = 'a secret\'s place: { file = "…" }, { env = "…" } or { credential = "…" }'
_LONGEST = 64 * 1024
_MOST_LINES = 200
_MARK = b"\xef\xbb\xbf"


class Place(NamedTuple):
    """Where a secret is kept: `source` is file, env or credential."""

    source: str
    name: str

    @property
    def is_variable(self) -> bool:
        """Whether it is a variable of the environment that is set."""
        return self.source == "env" and self.name in os.environ

    def file(self) -> Path:
        """Return the file that it is in, if it is in one. Raises Unresolved where systemd has passed none."""
        if self.source == "file":
            return Path(self.name)
        directory = os.environ.get("CREDENTIALS_DIRECTORY")
        if directory is None:
            raise Unresolved(f"the credential {self.name!r} is not there: systemd has passed none")
        return Path(directory or "/", self.name)


def place(value: object) -> Place:
    """Return the place that a table names; raises ValueError with what was expected where it names none."""
    if isinstance(value, Mapping) and len(value) == 1:
        ((source, name),) = value.items()
        if source in ("file", "env", "credential") and isinstance(name, str) and "\0" not in name:
            if source == "file" and not name.startswith("/"):
                raise ValueError("a file's absolute path")  # workers run in /
            return Place(source, name)
    raise ValueError(_PLACE)


def unread(value: object) -> Secret:
    """Return a secret that only knows its place; raises ValueError as `place` does."""
    place(value)
    return Secret("", value)


def read(value: object, variables: Mapping[str, str] = os.environ) -> Secret:
    """Read a secret from its place; `variables` are those of the agent's environment.

    Raises ValueError as `place` does, and Unresolved where it cannot be read now, or is none.
    """
    return Secret(text(*content(place(value), variables)), value)


def content(where: Place, variables: Mapping[str, str]) -> tuple[bytes, str]:
    """Return what is in a secret's place, and what to call that. Raises Unresolved."""
    if where.source == "env":
        if where.name not in variables:
            raise Unresolved(f"the environment variable {where.name} is not set")
        return os.fsencode(variables[where.name]), f"the environment variable {where.name}"
    file = where.file()
    return _bounded(file), f"the secret in {file}"


def _bounded(file: Path) -> bytes:
    try:
        return bounded.content(file, _LONGEST)
    except ValueError as error:
        raise Unresolved(f"the secret in {error}") from None


def text(raw: bytes, what: str) -> str:
    """Return the text of a secret without the end of its line. Raises Unresolved where it is none."""
    if raw.startswith(_MARK):
        raise Unresolved(f"{what} begins with a byte order mark: save it as UTF-8 without one")
    try:
        found = raw.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise Unresolved(f"{what} is not UTF-8") from None
    if not found:
        raise Unresolved(f"{what} is empty")
    if found.count("\n") >= _MOST_LINES:
        raise Unresolved(f"{what} has more than {_MOST_LINES} lines: is it the right file?")
    return found
