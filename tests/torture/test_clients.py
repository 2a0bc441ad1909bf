"""Disasters on the socket: too many clients, clients that never finish, clients that never read."""

import contextlib
import selectors
import socket
import time
from contextlib import ExitStack

import psutil
import pytest
from harness import until
from storm import section

REQUEST = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


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


@pytest.mark.parametrize(
    "sends", [b"", b"GET /metrics HTTP/1.1\r\nHost: x\r\n", b"\x16\x03\x01"], ids=["silent", "half", "tls"]
)
def test_half_open_clients_are_cut(storm, sends):
    """Two hundred clients that never finish their request are gone after some seconds; scrapes go on meanwhile.

    One connection that stayed open kept all others out: prometheus/client_python#139.
    """
    weather = storm(section("fine"))
    began = time.monotonic()
    read_all(connected(weather.port, 200, sends))
    assert time.monotonic() - began < 15
    weather.passes()


def test_clients_that_send_a_byte_a_second_are_cut(storm):
    """A request that dribbles in is not waited for, whatever it may become.

    prometheus/client_java#2284.
    """
    weather = storm(section("fine"))
    dribblers = connected(weather.port, 100)
    for byte in REQUEST[:12]:
        for each in dribblers:
            with contextlib.suppress(OSError):
                each.send(bytes([byte]))
        time.sleep(1)
        if all(map(is_cut, dribblers)):
            break
    assert all(map(is_cut, dribblers))
    for each in dribblers:
        each.close()
    weather.passes()


def is_cut(client):
    """Tell whether the connection was ended by the other side, which sends nothing else."""
    try:
        return client.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def test_clients_that_never_read_are_cut(storm):
    """Fifty clients ask for large pages and read nothing: they cost little memory and are gone after ten seconds."""
    weather = storm(section("many", count=900, max_series=1000))
    weather.strike()
    until(lambda: weather.agent.collector("rogue/bad")["series"] > 900)
    lazy = connected(weather.port, 50)
    for each in lazy:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        each.sendall(REQUEST)
    until(lambda: not established(weather))
    for each in lazy:
        each.close()
    weather.passes()


def established(weather):
    """Tell whether the agent has connections that are not the scraper's."""
    everyone = psutil.net_connections("tcp4")
    return sum(each.pid == weather.pid and each.status == psutil.CONN_ESTABLISHED for each in everyone) > 2
