"""Tables as TOML, and values in words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any


def found(value: object) -> str:
    """Return in words what a value is."""
    if value is None:
        return "nothing"
    for kind, words in (
        (bool, "true or false"),
        ((int, float), "a number"),
        (str, "text"),
        ((list, tuple), "a list"),
        (Mapping, "a table"),
    ):
        if isinstance(value, kind):
            return words
    return "a date or a time" if hasattr(value, "isoformat") else "something else"


def written(
    tables: Iterable[tuple[tuple[str, ...], Mapping[str, Any]]], left_out: Iterable[object] = ()
) -> str:
    """Return tables as TOML, each with its path; first what is not carried over, as comments."""
    lines = [f"# not carried over: {sentence}" for sentence in left_out]
    for path, settings in tables:
        lines += ["", f"[{'.'.join(map(toml_key, path))}]"]
        lines += [f"{toml_key(key)} = {toml_value(value)}" for key, value in settings.items()]
    return "\n".join(lines).strip() + "\n"


def toml_key(text: str) -> str:
    """Return a key as TOML has it."""
    return text if re.fullmatch(r"[A-Za-z0-9_-]+", text) else _quoted(text)


def toml_value(value: Any) -> str:
    """Return a value as TOML has it. Raises ValueError for what TOML cannot have."""
    if isinstance(value, Mapping):
        inner = ", ".join(f"{toml_key(str(key))} = {toml_value(each)}" for key, each in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(toml_value, value))}]"
    if isinstance(value, (bool, int)):
        return json.dumps(value)
    if isinstance(value, float):
        return repr(float(value))
    if isinstance(value, str):
        return _quoted(value)
    raise ValueError(f"expected text, found {found(value)}")


def _quoted(text: str) -> str:
    """Return a text in quotes, in one line that does nothing to a terminal."""
    return '"' + "".join(map(_character, text)) + '"'


def _character(each: str) -> str:
    if each in '"\\':
        return f"\\{each}"
    if each.isprintable():
        return each
    return f"\\u{ord(each):04x}" if ord(each) < 0x10000 else f"\\U{ord(each):08x}"
