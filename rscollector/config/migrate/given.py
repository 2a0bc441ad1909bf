"""An old configuration, from which one value after the other is taken; what nobody takes is named."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .made import Hidden, Migrated
from .toml import found, toml_key

_LONGEST_SECRET = 64 * 1024
_MOST_LINES = 200


class Given:
    """A table of an old configuration, whose keys are taken one by one. What is left has no place here.

    Keys are found however they are written: ClientCert, client_cert. A value of another type than is asked
    for is left out, with a sentence.
    """

    def __init__(self, made: Migrated, where: str, table: object, *, names_instances: bool = False) -> None:
        self.where = where
        self.names_instances = names_instances
        self._made = made
        self._left: dict[str, tuple[str, Any]] = {}
        self._spelled: dict[str, str] = {}
        if not isinstance(table, Mapping):
            made.leave_out(where, f"expected a table, found {found(table)}", understood=False)
            table = {}
        for key, value in table.items():
            plain = _plain(str(key))
            self._spelled.setdefault(plain, str(key))
            if value not in ("", None) and value != []:
                self._left[str(key) if plain in self._left else plain] = (str(key), value)

    def has(self, *keys: str) -> bool:
        """Tell whether one of these keys is there."""
        return any(_plain(key) in self._spelled for key in keys)

    def spelled(self, key: str) -> str:
        """Return the path of a key, as it is written there."""
        name = toml_key(self._spelled.get(_plain(key), key))
        return f"{self.where}.{name}" if self.where else name

    def take(self, key: str) -> Any:
        """Return a value as it is, None if there is none."""
        return self._left.pop(_plain(key), ("", None))[1]

    def leave_out(self, key: str, why: str, *, understood: bool = True) -> None:
        """Say what is not carried over."""
        self._made.leave_out(self.spelled(key), why, understood=understood)

    def misses(self, key: str, what: str, value: object) -> None:
        """Say that a value is of another type than it should be."""
        self.leave_out(key, f"expected {what}, found {found(value)}", understood=False)

    def text(self, key: str) -> str | None:
        """Return a text."""
        value = self.take(key)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        self.misses(key, "text in quotes", value)
        return None

    def secret(self, key: str) -> Hidden | None:
        """Return a password or token, if a file can hold it."""
        text = self.text(key)
        return None if text is None else self.hidden(key, text)

    def hidden(self, key: str, text: str) -> Hidden | None:
        """Return a text as a secret, if a file can hold it."""
        lines = text.count("\n") >= _MOST_LINES or len(text.encode()) > _LONGEST_SECRET
        if not text or lines or text[-1] in "\r\n" or text[0] == "\ufeff":
            self.leave_out(
                key, "it cannot be kept in a file: choose another one, and write it there yourself"
            )
            return None
        return Hidden(text)

    def number(self, key: str, most: int) -> int | None:
        """Return a whole number from 1 to `most`."""
        value = self.take(key)
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):
            value = int(value)
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most):
            return value
        said = f"expected a whole number from 1 to {most}, found"
        self.leave_out(key, f"{said} {value if isinstance(value, int) else found(value)}")
        return None

    def zero_or_number(self, key: str) -> int | None:
        """Return a whole number; where 0 stands for the default, None."""
        if self._left.get(_plain(key), ("", None))[1] == 0:
            self.take(key)
        return self.number(key, 1_000_000)

    def flag(self, key: str) -> bool:
        """Return whether something is switched on."""
        value = self.take(key)
        word = str(value).strip().lower() if isinstance(value, (str, bool, int)) else ""
        if value is None or word in ("false", "no", "off", "0", "n", "f"):
            return False
        if word in ("true", "yes", "on", "1", "y", "t"):
            return True
        self.misses(key, "true or false", value)
        return False

    def texts(self, key: str) -> list[str]:
        """Return a list of texts."""
        value = self.take(key)
        if isinstance(value, (list, tuple)) and all(isinstance(each, str) for each in value):
            return list(value)
        if value is not None:
            self.misses(key, "a list of texts", value)
        return []

    def table(self, key: str) -> Given:
        """Return the table of a key."""
        value = self.take(key)
        return Given(self._made, self.spelled(key), {} if value is None else value)

    def tables(self, key: str) -> list[Given]:
        """Return the tables of a key: a list of them, or one."""
        value = self.take(key)
        listed = value if isinstance(value, (list, tuple)) else [] if value is None else [value]
        where, named = self.spelled(key), self.names_instances
        for each in (each for each in listed if not isinstance(each, Mapping)):
            self.misses(key, "a table", each)
        tables = (each for each in listed if isinstance(each, Mapping))
        return [Given(self._made, where, each, names_instances=named) for each in tables]

    def tags(self, key: str) -> dict[str, str]:
        """Return tags: whatever has a text, as text."""
        value = self.take(key)
        if not isinstance(value, Mapping):
            if value is not None:
                self.misses(key, "a table", value)
            return {}
        tags = {}
        for name, each in value.items():
            text = str(each).lower() if isinstance(each, bool) else str(each)
            if isinstance(each, (str, int, float)) and (str(name) + text).isprintable():
                tags[str(name)] = text
            elif each is not None:
                why = "tags have text, without control characters"
                self._made.leave_out(f"{self.spelled(key)}.{toml_key(str(name))}", why)
        return {name: text for name, text in tags.items() if name and text}

    def rest(self, why: str = "no such setting is known, and nothing does it here") -> None:
        """Name what nobody has taken."""
        for key, _ in self._left.values():
            where = f"{self.where}.{toml_key(key)}" if self.where else toml_key(key)
            self._made.leave_out(where, why, understood=False)
        self._left = {}


def _plain(key: str) -> str:
    return key.replace("_", "").lower()
