"""The part of Bosun's expression language that our alarms use: read, checked as Bosun does at its start, evaluated.

The facts are from Bosun's source (cmd/bosun/expr) and its documentation. A result is a set of groups, each with tags
and a value: a series, a number, or a scalar (which has no group). Two sets are joined where groups are equal, or the
tags of one are among the tags of the other; a set without any group makes the result empty. A group that finds no other
is joined with NaN, or with what `nv` says instead, unless the alarm has `unjoinedOk`: then it is left out. What nv says
holds for the operator that joins its result, and for no other. NaN makes NaN of every operator, but for `0 && NaN`,
which is 0, and `1 || NaN`, which is 1. `!NaN` is 0.
"""

import math
import operator
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Any, NamedTuple

from opentsdb import OpenTsdb, Query, seconds

SCALAR, NUMBER, SERIES, TEXT, ANY = "scalar", "number", "series", "text", "any"
NOWHERE = frozenset()
_TOKEN = re.compile(
    r'\s*(?:(?P<text>"[^"]*")|(?P<number>[\d.]+(?:[eE][+-]?\d+)?)|(?P<word>[a-zA-Z]+)|(?P<mark>[(),]|[!<>=&|+\-*/%]+))'
)
_LEVELS = (("||",), ("&&",), ("==", "!=", ">", ">=", "<", "<="), ("+", "-"), ("*", "/"))
_COMPARED = {
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_COMPUTED = {"+": operator.add, "-": operator.sub, "*": operator.mul}


class Wrong(ValueError):
    """An expression that Bosun does not load, or cannot evaluate."""


@dataclass(frozen=True)
class Node:
    """A number, a text, a call or an operator; `gives` is the type, `tags` are those of its groups, None where none."""

    name: str
    arguments: tuple[Any, ...] = ()
    gives: str = SCALAR
    tags: frozenset[str] | None = None


class Result(NamedTuple):
    """A group and its value: a series as a dict, or a number."""

    group: frozenset[tuple[str, str]]
    value: Any


@dataclass
class Results:
    """A set of groups; `nan` stands for what finds no other."""

    each: list[Result]
    nan: float = math.nan


@dataclass(frozen=True)
class Moment:
    """Where and when an expression is evaluated."""

    tsdb: OpenTsdb
    unjoined_ok: bool = False


@dataclass(frozen=True)
class Function:
    """A function: the types of its arguments, what it gives, its tags, and how it is evaluated."""

    takes: tuple[str, ...]
    gives: str
    tags: Callable[[tuple[Node, ...]], frozenset[str]]
    run: Callable[..., Results]


# --- reading ---


class _Reader:
    def __init__(self, text):
        self.tokens, at = [], 0
        while at < len(text):
            if not (found := _TOKEN.match(text, at)):
                raise Wrong(f"invalid character: {text[at:]:.10}")
            self.tokens.append((found.lastgroup, found[found.lastgroup]))
            at = found.end()

    def next(self):
        return self.tokens.pop(0) if self.tokens else ("", "the end")

    def is_next(self, *marks):
        return bool(self.tokens) and self.tokens[0][0] == "mark" and self.tokens[0][1] in marks

    def expect(self, mark):
        if not self.is_next(mark):
            raise Wrong(f"unexpected {self.next()[1]}, expected {mark}")
        self.next()

    def level(self, height=0):
        if height == len(_LEVELS):
            return self.factor()
        left = self.level(height + 1)
        while self.is_next(*_LEVELS[height]):
            left = _operator(self.next()[1], left, self.level(height + 1))
        return left

    def factor(self):
        kind, token = self.next()
        if kind == "number":
            return Node("number", (float(token),))
        if kind == "word":
            return self.call(token)
        if token == "(":
            inner = self.level()
            self.expect(")")
            return inner
        if kind == "mark" and token in ("!", "-"):
            inner = self.factor()
            return Node(f"{token}x", (inner,), inner.gives, inner.tags)
        raise Wrong(f"unexpected {token}")

    def call(self, name):
        if name not in FUNCTIONS:
            raise Wrong(f"non existent function {name}")
        self.expect("(")
        arguments = []
        while not self.is_next(")"):
            if arguments:
                self.expect(",")
            is_text = self.tokens and self.tokens[0][0] == "text"
            arguments.append(Node("text", (self.next()[1][1:-1],), TEXT) if is_text else self.level())
        self.expect(")")
        return _called(name, FUNCTIONS[name], tuple(arguments))


def read(text):
    """Read an expression and check it as Bosun does when it loads it. Raises Wrong."""
    reader = _Reader(text.rstrip())
    node = reader.level()
    if reader.tokens:
        raise Wrong(f"unexpected {reader.next()[1]}")
    return node


def _operator(name, left, right):
    if name not in {each for level in _LEVELS for each in level}:
        raise Wrong(f"unknown operator {name}")
    if TEXT in (left.gives, right.gives):
        raise Wrong(f"a text is no operand of {name}")
    if (
        left.tags is not None
        and right.tags is not None
        and not (left.tags <= right.tags or right.tags <= left.tags)
    ):
        raise Wrong(f"incompatible tags ({_listed(left.tags)} and {_listed(right.tags)}) in {name}")
    gives = max(left.gives, right.gives, key=(SCALAR, NUMBER, SERIES).index)
    return Node(name, (left, right), gives, right.tags if left.tags is None else left.tags)


def _called(name, function, arguments):
    if len(arguments) != len(function.takes):
        raise Wrong(f"{name}: {len(arguments)} arguments for {len(function.takes)}")
    for given, wanted in zip(arguments, function.takes, strict=True):
        fits = given.gives == wanted or (wanted == NUMBER and given.gives == SCALAR)
        if not fits and not (wanted == ANY and given.gives in (NUMBER, SERIES)):
            raise Wrong(f"{name}: expected {wanted}, got {given.gives}")
    gives = arguments[0].gives if function.gives == ANY else function.gives
    return Node(name, arguments, gives, function.tags(arguments))


def _listed(tags):
    return ",".join(sorted(tags))


def walk(node):
    """Yield a node and all below it."""
    yield node
    for each in node.arguments:
        if isinstance(each, Node):
            yield from walk(each)


# --- evaluating ---


def evaluate(node, moment):
    """Return the results of an expression. Raises Wrong, and what OpenTSDB refuses."""
    if node.name == "number":
        return Results([Result(NOWHERE, node.arguments[0])])
    if node.name in ("!x", "-x"):
        inner = evaluate(node.arguments[0], moment)
        turn = (lambda value: float(value == 0)) if node.name == "!x" else operator.neg
        return Results([Result(each.group, _each(turn, each.value)) for each in inner.each], inner.nan)
    if node.name in FUNCTIONS:
        given = [
            each.arguments[0] if each.gives == TEXT or each.name == "number" else evaluate(each, moment)
            for each in node.arguments
        ]
        return FUNCTIONS[node.name].run(moment, *given)
    left, right = (evaluate(each, moment) for each in node.arguments)
    return Results(
        [
            Result(group, _operated(node.name, one, other))
            for group, one, other in join(left, right, moment.unjoined_ok)
        ]
    )


def join(left, right, unjoined_ok):
    """Yield each pair of values that an operator has, with the group that it gives."""
    if not left.each or not right.each:
        return
    alone = [*map(id, left.each), *map(id, right.each)]
    for one in left.each:
        for other in right.each:
            if one.group <= other.group or other.group <= one.group:
                alone = [each for each in alone if each not in (id(one), id(other))]
                yield max(one.group, other.group, key=len), one.value, other.value
    if not unjoined_ok:
        yield from ((one.group, one.value, right.nan) for one in left.each if id(one) in alone)
        yield from ((other.group, left.nan, other.value) for other in right.each if id(other) in alone)


def _operated(name, one, other):
    if isinstance(one, dict) and isinstance(other, dict):
        return {at: operate(name, one[at], other[at]) for at in one if at in other}
    if isinstance(one, dict):
        return {at: operate(name, value, other) for at, value in one.items()}
    if isinstance(other, dict):
        return {at: operate(name, one, value) for at, value in other.items()}
    return operate(name, one, other)


def operate(name, one, other):
    """Return what an operator makes of two numbers."""
    if name == "||" and one != 0:  # as NaN is
        return 1.0
    if name == "&&" and one == 0:
        return 0.0
    if math.isnan(one) or math.isnan(other):
        return math.nan
    if name in ("&&", "||"):
        return float(other != 0)
    if name == "/":
        return _divided(one, other)
    return float(_COMPARED[name](one, other)) if name in _COMPARED else _COMPUTED[name](one, other)


def _divided(one, other):
    if other:
        return one / other
    return math.nan if one == 0 else math.copysign(math.inf, one) * math.copysign(1, other)


def _each(turn, value):
    return {at: turn(number) for at, number in value.items()} if isinstance(value, dict) else turn(value)


def _q(moment, text, start, end):
    found = moment.tsdb.query(Query.of(text), seconds(start), seconds(end) if end else 0)
    return Results([Result(group, dict(points)) for group, points in found.items()])


def _change(moment, text, start, end):
    length = seconds(start) - (seconds(end) if end else 0)
    return _reduced(lambda points, _: fmean(points.values()) * length)(moment, _q(moment, text, start, end))


def _reduced(reduce):
    """Return a function that makes a number of each series, and nothing of one without points."""

    def run(moment, series):
        each = [
            Result(group, float(reduce(points, moment.tsdb.now))) for group, points in series.each if points
        ]
        return Results(each, series.nan)

    return run


def _t(_moment, numbers, keys):
    wanted, groups = set(keys.split(",")), defaultdict(dict)
    for group, value in numbers.each:
        points = groups[frozenset(pair for pair in group if pair[0] in wanted)]
        points[len(points)] = value
    return Results([Result(group, points) for group, points in groups.items()])


def _nv(_moment, numbers, instead):
    return Results(numbers.each or [Result(NOWHERE, instead)], instead if numbers.each else math.nan)


def _epoch(moment):
    return Results([Result(NOWHERE, float(moment.tsdb.now))])


def _timedelta(_moment, series):
    each = []
    for group, points in series.each:
        times = sorted(points)
        steps = {at: float(at - before) for before, at in pairwise(times)}
        each.append(Result(group, steps or dict.fromkeys(times, 0.0)))
    return Results(each, series.nan)


def _filter(_moment, results, numbers):
    each = [
        one
        for one in results.each
        for other in numbers.each
        if (one.group <= other.group or other.group <= one.group) and other.value != 0
    ]
    return Results(each, results.nan)


def _tags_of_first(arguments):
    return arguments[0].tags


def _tags_of_query(arguments):
    return Query.of(arguments[0].arguments[0]).keys


def _tags_of_t(arguments):
    wanted = frozenset(filter(None, arguments[1].arguments[0].split(",")))
    if not wanted <= (arguments[0].tags or NOWHERE):
        raise Wrong(f"t: the tags {_listed(wanted)} are not among {_listed(arguments[0].tags or ())}")
    return wanted


def _reduction(reduce):
    return Function((SERIES,), NUMBER, _tags_of_first, _reduced(reduce))


FUNCTIONS = {
    "q": Function((TEXT, TEXT, TEXT), SERIES, _tags_of_query, _q),
    "change": Function((TEXT, TEXT, TEXT), NUMBER, _tags_of_query, _change),
    "avg": _reduction(lambda points, _: fmean(points.values())),
    "sum": _reduction(lambda points, _: sum(points.values())),
    "min": _reduction(lambda points, _: min(points.values())),
    "max": _reduction(lambda points, _: max(points.values())),
    "len": _reduction(lambda points, _: len(points)),
    "last": _reduction(lambda points, _: points[max(points)]),
    "since": _reduction(lambda points, now: now - max(points)),
    "epoch": Function((), SCALAR, lambda _: NOWHERE, _epoch),
    "nv": Function((NUMBER, SCALAR), NUMBER, _tags_of_first, _nv),
    "t": Function((NUMBER, TEXT), SERIES, _tags_of_t, _t),
    "timedelta": Function((SERIES,), SERIES, _tags_of_first, _timedelta),
    "filter": Function((ANY, NUMBER), ANY, _tags_of_first, _filter),
}
