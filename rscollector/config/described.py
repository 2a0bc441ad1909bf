"""What people are shown of an instance's settings: each with its value and where it is written. Pure.

A secret is a place here already, never its text. What may be one all the same is masked: the password in an
address, and, in the table of a plugin that could make nothing of it, whatever is called like one or stands in
a table that is.
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
from rscollector.model.texts import LONGEST_REASON, one_line

_IN_ADDRESS = re.compile(r"(?<=//)\S*@")
_SECRET = re.compile(r"pass|secret|token|credential|api_?key|private", re.IGNORECASE)
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
        yield Setting(name, _shown(name, value), _place(places, (*path, name)))
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
    return "{}:{}".format(*places[path]) if path in places else ""


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
        return [_masked(name, each) for each in value]
    if isinstance(value, str):
        return MASK if _SECRET.search(name) else _IN_ADDRESS.sub(f"{MASK}@", value)
    return value
