"""A stream of bytes as messages: JSON objects, one per line, none too long."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

MAX_LINE = 64 * 1024
MAX_ANSWER = 16 * 1024 * 1024
_ROOM = MAX_LINE - 256  # for the envelope around the items of a line
_SLICE = 2000  # values that are written at once; as numbers they take at most 50 KB


class Garbage(Exception):
    """What came over the wire is not what the protocol says."""


class Lines:
    """Cuts a stream into lines, keeping no more than one line of it."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the lines that are complete with this data; raises Garbage."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in (*lines, self._rest):
            if len(line) > MAX_LINE:
                raise Garbage(f"a line of more than {MAX_LINE} bytes")
        yield from lines


def parsed(line: bytes) -> dict[str, Any]:
    """Return the object of a line; raises Garbage."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        raise Garbage(f"a line that is not JSON: {line[:80]!r}") from None
    if not isinstance(message, dict):
        raise Garbage(f"a line that is no object: {line[:80]!r}")
    return message


def written(value: object, default: Any = None) -> str:
    """Return a value as JSON, without spaces and in ASCII; `default` as json.dumps has it."""
    return json.dumps(value, separators=(",", ":"), default=default)


def batches(items: Iterable[Any]) -> Iterator[str]:
    """Yield arrays in JSON, as few as the limit of a line allows, that together have all items."""
    batch: list[str] = []
    size = 0
    for item in items:
        text = written(item)
        if len(text) > _ROOM:
            raise ValueError(f"too long for the wire: {text[:80]}…")
        if batch and size + len(text) + 1 > _ROOM:
            yield f"[{','.join(batch)}]"
            batch, size = [], 0
        batch.append(text)
        size += len(text) + 1
    if batch:
        yield f"[{','.join(batch)}]"


def slices(items: list[Any], default: Any) -> Iterator[str]:
    """Yield arrays in JSON as `batches` does, but written many items at a time: four times as fast."""
    for start in range(0, len(items), _SLICE):
        yield from _halved(items[start : start + _SLICE], default)


def _halved(items: list[Any], default: Any) -> Iterator[str]:
    text = written(items, default)
    if len(text) <= _ROOM:
        yield text
    elif len(items) == 1:
        raise ValueError(f"too long for the wire: {text[1:81]}…")
    else:
        middle = len(items) // 2
        yield from _halved(items[:middle], default)
        yield from _halved(items[middle:], default)
