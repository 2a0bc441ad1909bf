"""What the agent and a worker say to each other: JSON objects, one per line, over a socketpair.

    agent → worker   open    seq instance name type plugin settings timeout interval
                     collect seq instance timeout interval rows; for a sink: metrics runs, or page
                     close   seq instance
    worker → agent   metrics seq metrics        the declarations, in as many lines as it takes
                     opened  seq
                     rows    seq rows           the samples so far, in as many lines as it takes
                     done    seq memory notes   memory of the worker, resident, in bytes
                     failed  seq kind reason traceback
                     closed  seq

A worker is serial: it answers each question before it reads the next. No line is longer than `MAX_LINE`;
whoever sends one is not trusted any more. (A line of 1 GB would cost 2 GB and stall the loop for 3 s.)
Pure: bytes in, values out.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rscollector.model.metrics import Distribution, Kind, Metric, Sample

MAX_LINE = 64 * 1024
MAX_ANSWER = 16 * 1024 * 1024
_ROOM = MAX_LINE - 256  # for the envelope around the rows of a line

Message = dict[str, Any]


class Garbage(Exception):
    """What came over the wire is not what the protocol says."""


def encode(message: Message) -> bytes:
    """Return a message as a line."""
    return json.dumps(message, separators=(",", ":")).encode("ascii") + b"\n"


class Lines:
    """Cuts a stream into messages, keeping no more than one line of it."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Message]:
        """Yield the messages that are complete with this data; raises Garbage."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            yield _decode(line)
        if len(self._rest) > MAX_LINE:
            raise Garbage(f"a line of more than {MAX_LINE} bytes")


def _decode(line: bytes) -> Message:
    if len(line) > MAX_LINE:
        raise Garbage(f"a line of more than {MAX_LINE} bytes")
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        raise Garbage(f"a line that is not JSON: {line[:80]!r}") from None
    if not isinstance(message, dict):
        raise Garbage(f"a line that is no object: {line[:80]!r}")
    return message


def batches(kind: str, seq: int, field: str, items: Iterable[Any]) -> Iterator[bytes]:
    """Pack items (of less than a line each) into as few lines as the limit allows."""
    batch: list[str] = []
    size = 0
    for item in items:
        text = json.dumps(item, separators=(",", ":"))
        if len(text) > _ROOM:
            raise ValueError(f"too long for the wire: {text[:80]}…")
        if batch and size + len(text) + 1 > _ROOM:
            yield _batch(kind, seq, field, batch)
            batch, size = [], 0
        batch.append(text)
        size += len(text) + 1
    if batch:
        yield _batch(kind, seq, field, batch)


def _batch(kind: str, seq: int, field: str, items: Sequence[str]) -> bytes:
    return f'{{"op":"{kind}","seq":{seq},"{field}":[{",".join(items)}]}}\n'.encode("ascii")


def row(sample: Sample) -> list[Any]:
    """Return a sample as the wire has it; a distribution is an object."""
    value = sample.value
    if isinstance(value, Distribution):
        return [sample.metric.name, sample.values, {"counts": value.counts, "sum": value.sum}]
    return [sample.metric.name, sample.values, value]


def samples(rows: Iterable[Any]) -> Iterator[Any]:
    """Turn the rows of a line back into (name, label values, value); what is odd is left for validation."""
    for each in rows:
        if isinstance(each, list) and len(each) == 3 and isinstance(each[2], dict):
            yield each[0], each[1], _distribution(each[2])
        else:
            yield each


def _distribution(value: dict[str, Any]) -> Distribution | None:
    counts: Any = value.get("counts")
    total: Any = value.get("sum")  # validation checks what is in them
    return Distribution(tuple(counts), total) if isinstance(counts, list) else None


def run(second: int, name: str, rows: Iterable[Sample]) -> str:
    """Return the samples of a collector's run as a sink is given them, in JSON."""
    return json.dumps([second, name, list(map(row, rows))], separators=(",", ":"))


def declaration(metric: Metric) -> Message:
    """Return a metric's declaration as the wire has it."""
    return {name: getattr(metric, name) for name in Metric.__slots__}


def declared(message: Message) -> Metric:
    """Turn a declaration back into a metric; raises Garbage when it is none."""
    try:
        values: dict[str, Any] = {
            key: tuple(each) if isinstance(each, list) else each for key, each in message.items()
        }
        return Metric(**{**values, "kind": Kind(values["kind"])})
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise Garbage(f"a declaration that is none: {error}") from None
