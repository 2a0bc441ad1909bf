"""The messages of the table in this room's docstring, each a type."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, get_origin, get_type_hints

from rscollector.model.errors import FailureKind
from rscollector.model.feed import Feed
from rscollector.wire.lines import Garbage, parsed, written

# --- the agent asks -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Open:
    """Open a collector. `plugin` is its place, `module:class`; `host` and `tags` are the agent's.

    Of secrets the `settings` have the place, and `variables` the text where that is the agent's environment.
    """

    seq: int
    instance: str
    timeout: float
    type: str
    name: str
    plugin: str
    settings: dict[str, Any]
    variables: dict[str, str] = field(repr=False)
    interval: float
    collect_timeout: float
    host: str
    tags: dict[str, str]


@dataclass(frozen=True, slots=True)
class Collect:
    """Collect, at most so many `rows`; `layout` is the one that the agent has of it, 0 for none.

    Whoever is asked to `explain` tells in sentences what its numbers mean.
    """

    seq: int
    instance: str
    timeout: float
    rows: int
    layout: int
    explain: bool


@dataclass(frozen=True, slots=True)
class Close:
    """Close a collector; a sink first keeps what it is given."""

    seq: int
    instance: str
    timeout: float


# --- the agent gives to a sink ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Layout:
    """The series of runs: for each of the metrics rows of label values; `name` is the instance's."""

    number: int
    name: str
    metrics: list[dict[str, Any]]
    rows: list[Any]


@dataclass(frozen=True, slots=True)
class Run:
    """The values of a run of a collector, in its layout's order.

    `second` is its end as Unix time, `at` by CLOCK_BOOTTIME, which no one sets.
    """

    second: int
    at: float
    layout: int
    values: list[Any]


@dataclass(frozen=True, slots=True)
class Forget:
    """Of these layouts no run will come any more."""

    layouts: list[int]


@dataclass(frozen=True, slots=True)
class Page:
    """The page of all metrics, in Prometheus' text format."""

    text: str = field(repr=False)


# --- the worker answers -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hello:
    """The version of the wire that the worker speaks."""

    wire: int


@dataclass(frozen=True, slots=True)
class Metrics:
    """Some of the metrics that the collector may emit."""

    seq: int
    metrics: list[Any]


@dataclass(frozen=True, slots=True)
class Opened:
    """It is open, and tells what it wants to be fed with."""

    seq: int
    feed: Feed


@dataclass(frozen=True, slots=True)
class Rows:
    """Some of a new layout: `[name of the metric, label values]`."""

    seq: int
    rows: list[Any]


@dataclass(frozen=True, slots=True)
class Values:
    """Some of the values."""

    seq: int
    values: list[Any]


@dataclass(frozen=True, slots=True)
class Done:
    """It has collected, in this layout; `memory` of the worker is resident, in bytes.

    `taken` is how many of the runs that went ahead of the question are the sink's now: no others are.
    `degraded` is the kind of the failure that keeps it from what it is for, "" where none does.
    """

    seq: int
    taken: int
    layout: int
    memory: int
    notes: list[Any]
    sentences: list[Any]
    degraded: str
    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Of these layouts the sink's worker knows nothing: it keeps the runs, and wants the layouts."""

    seq: int
    layouts: list[Any]


@dataclass(frozen=True, slots=True)
class Hide:
    """These texts are secrets: mask them in all that this worker says, and ask again."""

    seq: int
    texts: list[Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Failed:
    """It could not be opened, or did not collect; `taken` as with Done."""

    seq: int
    taken: int
    kind: FailureKind
    reason: str
    traceback: str


@dataclass(frozen=True, slots=True)
class Closed:
    """It is closed; `taken` as with Done."""

    seq: int
    taken: int


Question = Open | Collect | Close
Parcel = Layout | Run | Forget | Page
Answer = Hello | Metrics | Opened | Rows | Values | Done | Unknown | Hide | Failed | Closed
_TYPES = (*Question.__args__, *Parcel.__args__, *Answer.__args__)
_BY_OP = {each.__name__.lower(): each for each in _TYPES}
_FIELDS = {each: get_type_hints(each) for each in _TYPES}


def encoded(message: Question | Parcel | Answer, default: Any = None) -> bytes:
    """Return a message as a line; `default` as json.dumps has it."""
    fields = {name: getattr(message, name) for name in _FIELDS[type(message)]}
    return written({"op": type(message).__name__.lower(), **fields}, default).encode("ascii") + b"\n"


def part(kind: type[Metrics | Rows | Values], seq: int, array: str) -> bytes:
    """Return a message that has nothing but an array, which is JSON already."""
    _, name = _FIELDS[kind]
    return f'{{"op":"{kind.__name__.lower()}","seq":{seq},"{name}":{array}}}\n'.encode("ascii")


def decoded(line: bytes) -> Any:
    """Return the message of a line; raises Garbage where it has other fields, or other types in them."""
    fields = parsed(line)
    op = fields.pop("op", None)
    kind = _BY_OP.get(op) if isinstance(op, str) else None
    if kind is None:
        raise Garbage(f"{op!r:.40} where a message was expected")
    wanted = _FIELDS[kind]
    if fields.keys() != wanted.keys():
        raise Garbage(f"{op!r} with the fields {', '.join(fields)!r:.80}")
    return kind(**{name: _checked(op, name, wanted[name], value) for name, value in fields.items()})


def _checked(op: object, name: str, kind: Any, value: object) -> object:
    plain = get_origin(kind) or kind
    if issubclass(plain, StrEnum) and isinstance(value, str) and value in set(plain):
        return plain(value)
    if type(value) is plain or (plain is float and type(value) is int):
        return value
    raise Garbage(f"{op!r} with {value!r:.40} as its {name}")
