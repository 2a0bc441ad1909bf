"""What goes between agent and worker: lines, messages, layouts."""

import json
import re
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rscollector.model.errors import FailureKind
from rscollector.model.feed import Feed
from rscollector.model.metrics import Distribution, Kind, Metric
from rscollector.wire import VERSION
from rscollector.wire.declarations import declaration, declared
from rscollector.wire.layouts import Columns, Layout, columns, plain, rows, values
from rscollector.wire.lines import MAX_LINE, Garbage, Lines, batches, parsed, slices, written
from rscollector.wire.messages import (
    Answer,
    Collect,
    Done,
    Failed,
    Hello,
    Open,
    Opened,
    Parcel,
    Question,
    Run,
    Values,
    decoded,
    encoded,
    part,
)

payloads = st.dictionaries(st.text(), st.text() | st.integers() | st.lists(st.integers()))


@given(st.lists(payloads), st.lists(st.integers(1, 40)))
def test_lines_arrive_whole_however_the_stream_is_cut(sent, cuts):
    """Chunks of any size give the same objects in the same order."""
    stream = b"".join(written(each).encode() + b"\n" for each in sent)
    lines, got = Lines(), []
    while stream:
        size = cuts.pop() if cuts else len(stream)
        got += map(parsed, lines.feed(stream[:size]))
        stream = stream[size:]
    assert got == sent


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"garbage\n", "a line that is not JSON: b'garbage'"),
        (b"[1]\n", "a line that is no object: b'[1]'"),
        (b"[" * 60000 + b"\n", "a line that is not JSON"),
        (b"\xff\xfe\n", "a line that is not JSON"),
        (b"x" * (MAX_LINE + 1), f"a line of more than {MAX_LINE} bytes"),
        (b"x" * (MAX_LINE + 1) + b"\n", f"a line of more than {MAX_LINE} bytes"),
        (b"{}\n", "None where a message was expected"),
        (b'{"op":["done"]}\n', "['done'] where a message was expected"),
        (b'{"op":"bye"}\n', "'bye' where a message was expected"),
        (b'{"op":"closed"}\n', "'closed' with the fields ''"),
        (b'{"op":"closed","seq":1,"more":2}\n', "'closed' with the fields 'seq, more'"),
        (b'{"op":"closed","seq":true,"taken":0}\n', "'closed' with True as its seq"),
        (b'{"op":"closed","seq":1.5,"taken":0}\n', "'closed' with 1.5 as its seq"),
        (b'{"op":"values","seq":1,"values":{}}\n', "'values' with {} as its values"),
        (
            b'{"op":"failed","seq":1,"taken":0,"kind":"hang","reason":"","traceback":""}\n',
            "'failed' with 'hang' as its kind",
        ),
    ],
)
def test_what_is_no_message_is_garbage(data, reason):
    """Whoever sends it is named with what was wrong, and no more than a line of it is kept."""
    with pytest.raises(Garbage) as refused:
        list(map(decoded, Lines().feed(data)))
    assert str(refused.value).startswith(reason)


MESSAGES = [
    Open(
        *(1, "x/a", 10.0, "x", "a", "x:X", {"password": {"env": "S"}}, {"S": "s"}),
        *(15.0, 10.0, "db1", {"a": "b"}),
    ),
    Opened(1, Feed.RUNS),
    Collect(2, "x/a", 0.5, 4000, 7, explain=True),
    Run(1795208406, 4711.5, 7, [1, 2.5, "up"]),
    Done(2, 3, 7, 1 << 24, ["a note"], ["a sentence"], "unavailable", "down"),
    Failed(2, 0, FailureKind.BUG, "a reason", "a traceback"),
    Hello(VERSION),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_survives_the_wire(message):
    """Each field arrives as it was, whole numbers for seconds included."""
    assert decoded(encoded(message).rstrip(b"\n")) == message


def test_the_greeting_keeps_its_form_for_ever():
    """A worker of any version can be told apart by an agent of any other."""
    assert encoded(Hello(7)) == b'{"op":"hello","wire":7}\n'


def test_the_table_of_the_room_names_every_message():
    """The protocol as it is described is the protocol as it is typed."""
    import rscollector.wire

    table = rscollector.wire.__doc__.split("\n\n")[1]
    told = {found[1] for line in table.splitlines() if (found := re.match(r".{20} (\w+) ", line))}
    types = (*get_args(Question), *get_args(Parcel), *get_args(Answer))
    assert {kind.__name__.lower() for kind in types} == told


@given(st.lists(st.text(max_size=3000), max_size=100))
def test_batches_lose_nothing_and_no_line_is_too_long(items):
    """Items are packed into lines within the limit, in their order."""
    lines = [part(Values, 10**9, array) for array in batches(items)]
    assert all(len(line) <= MAX_LINE for line in lines)
    assert [item for line in lines for item in json.loads(line)["values"]] == items


@given(st.lists(st.floats(allow_nan=False) | st.integers() | st.text(max_size=3000), max_size=100))
def test_slices_lose_nothing_and_no_line_is_too_long(items):
    """Many values at a time, or few where they are long: they are all there, in their order."""
    items *= 50
    lines = [part(Values, 10**9, array) for array in slices(items, plain)]
    assert all(len(line) <= MAX_LINE for line in lines)
    assert [item for line in lines for item in json.loads(line)["values"]] == items


@pytest.mark.parametrize("cut", [batches, lambda items: slices(items, plain)])
def test_an_item_that_fits_into_no_line_is_refused(cut):
    """A single text of 64 KiB is its collector's fault, not the wire's."""
    with pytest.raises(ValueError, match="too long for the wire"):
        list(cut(["a", "x" * MAX_LINE]))


METRICS = [
    Metric("x_n", Kind.GAUGE, "N.", labels=("a", "b"), bosun="x.other"),
    Metric("x_state", Kind.STATESET, "S.", states=("up", "down")),
    Metric("x_age_seconds", Kind.HISTOGRAM, "A.", unit="seconds", buckets=(1.0, 2.5)),
]


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.kind)
def test_a_declaration_survives_the_wire(metric):
    """The agent knows a metric as the plugin declared it."""
    assert declared(json.loads(json.dumps(declaration(metric)))) == metric


@pytest.mark.parametrize(
    "wrong", [{}, {"name": "x"}, {"kind": "gauge", "name": "X", "help": ""}, {"kind": 5}, 5]
)
def test_a_declaration_that_is_none_is_garbage(wrong):
    """A worker that declares nonsense is not trusted."""
    with pytest.raises(Garbage, match="a declaration that is none"):
        declared(wrong)


@pytest.mark.parametrize("value", [1, 2.5, 2**63 + 1, -(10**30), "up", Distribution((1, 2, 3), 4.5)])
def test_a_value_survives_the_wire(value):
    """Whole numbers stay whole, however large, and distributions stay distributions."""
    sent = json.loads(written([value], plain))
    (got,) = values(sent)
    assert (got, type(got)) == (value, type(value))


def test_of_what_is_no_value_the_wire_tells_the_type():
    """The agent drops the one sample with a reason that names it; the others of the run are shown."""
    assert json.loads(written([1, object(), Distribution((1, object()), 2)], plain)) == [
        1,
        "object",
        [2, 1, "object"],
    ]


def test_values_are_put_into_the_layout_that_was_told():
    """A run is its layout and its values, in order; what is odd in either is left for validation."""
    told = rows([["x_n", ["1", "\udce9"]], 5, ["x_n"]]).with_values([1, [], 3])
    assert len(told) == 3
    assert list(told) == [("x_n", ["1", "\udce9"], 1), (5, None, None), (["x_n"], None, 3)]
    assert list(told) == list(told)


@pytest.mark.parametrize("told", [[], [1], [1, 2, 3]])
def test_values_that_do_not_fit_the_layout_are_garbage(told):
    """A number is never shown under another one's name."""
    with pytest.raises(Garbage, match=f"{len(told)} values for a layout of 2 rows"):
        Columns(["x_n", "x_n"], [[], []]).with_values(told)


def test_a_layout_survives_the_way_to_a_sink():
    """The sink knows series and metrics as the agent does; a metric is declared once."""
    groups = [(METRICS[0], [("1", "2"), ("3", "\udce9")]), (METRICS[1], [()])]
    told = decoded(encoded(Layout(9, "main", groups).told()).rstrip())
    assert (told.number, told.name) == (9, "main")
    assert list(columns(told).with_values([1, 2, 3])) == [
        (METRICS[0], ("1", "2"), 1),
        (METRICS[0], ("3", "\udce9"), 2),
        (METRICS[1], (), 3),
    ]
