"""What people are shown of an instance's settings: each with its value and where it is written. Pure.

A secret is a place here already, never its text. What may be one all the same is masked: the user in an
address, what follows a word such as "password=" or "--token", and whatever is called like a secret. A plugin
that takes such a text without knowing that it is one, or that could make nothing of its table, is no reason
to show it.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any, NamedTuple

from rscollector.config.build import KeyPath
from rscollector.config.types import Common, Spec
from rscollector.model.masks import MASK
from rscollector.model.settings import humanized
from rscollector.model.texts import LONGEST_NOTE, LONGEST_REASON, cut, one_line

_IN_ADDRESS = re.compile(r"(?<=//)(?:[^/@\s:]*:(?!\d+/)\S*|[^/@\s]*)@")  # a password may have / and @ in it
_NAMES = r"pass|pwd|secret|token|credential|private|authoriz|cookie|(?:api|auth|access|encryption)[_-]?key"
_SECRET = re.compile(_NAMES, re.IGNORECASE)
_IN_TEXT = re.compile(
    rf"""((?:{_NAMES})[\w-]*["']?\s*[=:]\s*)("[^"]*"|'[^']*'|(?:bearer|basic)\s+\S+|[^\s&;,]+)""",
    re.IGNORECASE,
)
_LONGEST_NAME = 100
_LOOKED_AT = (
    4000  # characters, of which 500 are shown: whoever looks for a mask goes over them more than once
)
_PLACES = {"file", "env", "credential"}


class Setting(NamedTuple):
    """A setting as it holds; `place` is file:line of where it is written, "" where the default holds."""

    name: str
    value: str
    place: str


def described(
    path: KeyPath, common: Common, spec: Spec, places: Mapping[KeyPath, tuple[str, int]]
) -> Iterator[Setting]:
    """Yield the settings of the instance at a path: its plugin's, then those that all instances have."""
    for name, value in spec.settings.items():
        yield Setting(one_line(name, _LONGEST_NAME), _shown(name, value), _place(places, (*path, name)))
    holds = {
        "interval": humanized(spec.interval),
        "timeout": humanized(spec.timeout),
        "max_series": spec.max_series,
    }
    for field in fields(common):
        value = holds.get(field.name, getattr(common, field.name))
        place = _place(places, (*path, field.name)) or _place(places, ("agent", field.name))
        yield Setting(field.name, str(value), place)


def _place(places: Mapping[KeyPath, tuple[str, int]], path: KeyPath) -> str:
    return one_line("{}:{}".format(*places[path]), LONGEST_NOTE) if path in places else ""


def _shown(name: str, value: Any) -> str:
    masked = _masked(name, value)
    text = masked if isinstance(masked, str) else json.dumps(masked, ensure_ascii=False)
    return one_line(text, LONGEST_REASON)


def _masked(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            key: each if key in _PLACES else _masked(f"{name} {key}", each) for key, each in value.items()
        }
    if isinstance(value, list | tuple):
        return [
            _masked(_option(before) or name, each) for before, each in zip(("", *value), value, strict=False)
        ]
    if isinstance(value, str):
        if _SECRET.search(name):
            return MASK
        return _IN_TEXT.sub(rf"\1{MASK}", _IN_ADDRESS.sub(f"{MASK}@", cut(value, _LOOKED_AT)))
    return value


def _option(argument: Any) -> str:
    """Return the option of a command whose value comes next, "" for whatever else there is."""
    return argument if isinstance(argument, str) and argument.startswith("-") and "=" not in argument else ""
