"""What goes between agent and worker, and out of a worker's mouth."""

import asyncio
import json
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rscollector.model.metrics import Distribution, Kind, Metric, Sample
from rscollector.runtime.output import Output
from rscollector.runtime.wire import (
    MAX_LINE,
    Garbage,
    Lines,
    batches,
    declaration,
    declared,
    encode,
    row,
    samples,
)
from rscollector.runtime.workers import place, readable

messages = st.dictionaries(st.text(), st.text() | st.integers() | st.lists(st.integers()))


@given(st.lists(messages), st.lists(st.integers(1, 40)))
def test_messages_arrive_whole_however_the_stream_is_cut(sent, cuts):
    """Chunks of any size give the same messages in the same order."""
    stream = b"".join(map(encode, sent))
    lines, got = Lines(), []
    while stream:
        size = cuts.pop() if cuts else len(stream)
        got += lines.feed(stream[:size])
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
    ],
)
def test_what_is_no_message_is_garbage(data, reason):
    """Whoever sends it is named with what was wrong, and no more than a line of it is kept."""
    with pytest.raises(Garbage) as refused:
        list(Lines().feed(data))
    assert str(refused.value).startswith(reason)


@given(st.lists(st.text(max_size=3000), max_size=100))
def test_batches_lose_nothing_and_no_line_is_too_long(items):
    """Items are packed into lines within the limit, in their order."""
    lines = list(batches("rows", 7, "rows", items))
    assert all(len(line) <= MAX_LINE for line in lines)
    assert [item for line in lines for item in json.loads(line)["rows"]] == items


def test_an_item_that_fits_into_no_line_is_refused():
    """A single label value of 64 KiB is its collector's fault, not the wire's."""
    with pytest.raises(ValueError, match="too long for the wire"):
        list(batches("rows", 1, "rows", ["x" * MAX_LINE]))


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
    "wrong", [{}, {"name": "x"}, {"kind": "gauge", "name": "X", "help": ""}, {"kind": 5}]
)
def test_a_declaration_that_is_none_is_garbage(wrong):
    """A worker that declares nonsense is not trusted."""
    with pytest.raises(Garbage, match="a declaration that is none"):
        declared(wrong)


@pytest.mark.parametrize("value", [1, 2.5, 2**63 + 1, -(10**30), "up", Distribution((1, 2, 3), 4.5)])
def test_a_value_survives_the_wire(value):
    """Whole numbers stay whole, however large, and distributions stay distributions."""
    sent = json.loads(json.dumps(row(Sample(METRICS[0], ("1", "\udce9"), value))))
    ((name, labels, got),) = samples([sent])
    assert (name, labels, got, type(got)) == ("x_n", ["1", "\udce9"], value, type(value))


def test_rows_that_are_none_are_left_for_validation():
    """Odd rows arrive as they are, and are counted there."""
    assert list(samples([5, [1], ["x", [], {"counts": 5}]])) == [5, [1], ("x", [], None)]


def test_a_stack_is_read_for_its_place_and_without_our_own_frames():
    """The innermost frame of the last thread is the place; the frames around the plugin say nothing."""
    dump = (
        "Timeout (0:00:09)!\nThread 0x1 (most recent call first):\n"
        '  File "/usr/lib/python3/threading.py", line 9 in wait\n\n'
        "Thread 0x2 (most recent call first):\n"
        '  File "/usr/lib/python3/dist-packages/pymongo/network.py", line 332 in receive\n'
        '  File "/usr/share/rscollector/rscollector/runtime/worker.py", line 5 in serve\n'
        '  File "<frozen runpy>", line 88 in _run_code\n'
    )
    assert place(dump) == "in pymongo/network.py:332"
    assert "worker.py" not in readable(dump)
    assert "network.py" in readable(dump)
    assert (place(""), place("nonsense")) == ("", "")


def heard(*chunks, **options):
    """Return the lines that were passed on of what a child wrote, and how many were dropped."""

    async def listen():
        lines = []
        output = Output(lines.append, **options)
        for chunk in chunks:
            output.theirs.sendall(chunk)
            await asyncio.sleep(0.01)
        output.theirs.close()
        await asyncio.sleep(0.01)
        output.close()
        return lines, output.dropped

    return asyncio.run(listen())


def test_lines_are_passed_on_as_they_are():
    """Cut anywhere, without a last newline, and not UTF-8: each line is a line."""
    assert heard(b"one\ntw", b"o\n\xff\nlast") == (["one", "two", "\ufffd", "last"], 0)


def test_more_lines_than_allowed_are_counted():
    """The burst is passed on and the rest is a number."""
    assert heard(b"line\n" * 100, burst=10) == (["line"] * 10, 90)


def test_a_line_without_an_end_is_cut():
    """A child that never writes a newline costs no more than a line."""
    lines, _ = heard(b"x" * 50000, b"y" * 50000)
    assert [len(line) for line in lines] == [2000]


def test_a_flood_of_a_hundred_megabytes_neither_blocks_nor_grows():
    """What is too much is read and forgotten, while the loop goes on."""

    async def flood():
        lines, late = [], 0.0
        loop = asyncio.get_running_loop()
        output = Output(lines.append)
        chunk = b"flood\n" * 10922

        def write():
            for _ in range(1600):
                output.theirs.sendall(chunk)
            output.theirs.close()

        writing = loop.run_in_executor(None, write)
        while not writing.done():
            before = loop.time()
            await asyncio.sleep(0.01)
            late = max(late, loop.time() - before - 0.01)
        await asyncio.sleep(0.1)
        output.close()
        return len(lines), output.dropped, late, len(output._rest)

    passed, dropped, late, rest = asyncio.run(flood())
    assert passed + dropped == 1600 * 10922
    assert passed <= 500
    assert rest == 0
    assert late < 1


def test_a_socketpair_that_is_gone_is_the_end():
    """A reset by the other side ends the listening and nothing else."""
    ours, theirs = socket.socketpair()
    ours.close()
    theirs.close()
    assert heard() == ([], 0)
