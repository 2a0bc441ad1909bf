"""What a worker prints and where it was: output, stacks."""

import asyncio
import socket

from rscollector.runtime.output import Output
from rscollector.runtime.worker_process import place, readable


def test_a_stack_is_read_for_its_place_and_without_our_own_frames():
    """The innermost frame of the last thread is the place; the frames around the plugin say nothing."""
    dump = (
        "Timeout (0:00:09)!\nThread 0x1 (most recent call first):\n"
        '  File "/usr/lib/python3/threading.py", line 9 in wait\n\n'
        "Thread 0x2 (most recent call first):\n"
        '  File "/usr/lib/python3/dist-packages/pymongo/network.py", line 332 in receive\n'
        '  File "/usr/share/rscollector/rscollector/worker/server.py", line 5 in serve\n'
        '  File "<frozen runpy>", line 88 in _run_code\n'
    )
    assert place(dump) == "in pymongo/network.py:332"
    assert "server.py" not in readable(dump)
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
    assert [(len(line), line[-1]) for line in lines] == [(16 * 1024 + 1, "…")]


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
        while len(lines) + output.dropped < 1600 * 10922:
            await asyncio.sleep(0.01)
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
