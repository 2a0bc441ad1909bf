"""A crowd of scrapers beside collectors that have workers of their own; other strangers are in test_strangers."""

import selectors
import socket
import time
from contextlib import ExitStack

from harness import until
from storm import descriptors, resident, section

REQUEST = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
STREAM = REQUEST.replace(b"/metrics", b"/api/v1/events")


def connected(port, count, sends=b""):
    """Return sockets that are connected and have sent something."""
    made = []
    for _ in range(count):
        each = socket.create_connection(("127.0.0.1", port), timeout=10)
        each.sendall(sends)
        made.append(each)
    return made


def read_all(sockets, timeout=60):
    """Return what each socket was sent until its end."""
    got = dict.fromkeys(sockets, b"")
    deadline = time.monotonic() + timeout
    with ExitStack() as stack, selectors.DefaultSelector() as reading:  # select() knows no more than 1024
        for each in sockets:
            stack.enter_context(each)
            reading.register(each, selectors.EVENT_READ)
        while reading.get_map() and time.monotonic() < deadline:
            for key, _ in reading.select(1):
                try:
                    data = key.fileobj.recv(1 << 16)
                except ConnectionResetError:
                    data = b""
                got[key.fileobj] += data
                if not data:
                    reading.unregister(key.fileobj)
    return list(got.values())


def test_five_hundred_scrapers_at_once_are_all_answered(storm):
    """Nobody is turned away who reads what he has asked for, and no tick is late.

    After a thousand scrapes that hung there was no descriptor left: prometheus/node_exporter#244.
    """
    weather = storm(section("fine"))
    answers = read_all(connected(weather.port, 500, REQUEST))
    assert [answer[:15] for answer in answers if not answer.startswith(b"HTTP/1.1 200")] == []
    weather.passes()


def test_a_hundred_streams_that_come_and_go_cost_no_tick_and_leave_nothing(storm):
    """Some read, some do not; each goes without a word, or is cut, and the next hundred come.

    cluesmith/codev#580: five of six streams were never given up, and after weeks no page came any more.
    """
    weather = storm(section("fine"))
    pid = weather.pid

    def come_and_go():
        streams = connected(weather.port, 100, STREAM)
        for each in streams[::2]:
            each.recv(1 << 16)
        for each in streams:
            each.close()

    come_and_go()
    until(lambda: descriptors(pid) < 100)
    before = resident(pid)
    for _ in range(10):
        come_and_go()
    until(lambda: descriptors(pid) < 100)
    assert resident(pid) < before + (4 << 20)
    weather.passes()
