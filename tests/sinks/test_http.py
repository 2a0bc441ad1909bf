"""One request and its answer, whatever the receiver does with it: the status counts, and every wait ends."""

import re
import socket
import threading
import time
import zlib
from contextlib import closing, contextmanager, suppress

import pytest

from rscollector.api import Misconfigured, Secret
from rscollector.sinks.http import Client, HttpSettings, NoReply, retry_after

OK = b"HTTP/1.1 204 No Content\r\n\r\n"


def read(connection):
    """Read a request: a connection that is closed with something unread in it is reset."""
    head, rest = b"", b""
    while b"\r\n\r\n" not in head:
        head += connection.recv(65536)
    head, _, rest = head.partition(b"\r\n\r\n")
    length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])
    while len(rest) < length:
        rest += connection.recv(65536)


@contextmanager
def server(answer):
    """Listen, read a request on each connection and have `answer(connection)` do the rest; yields the URL."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def one(connection):
            with connection, suppress(OSError):
                read(connection)
                answer(connection)

        def accept():
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                threading.Thread(target=one, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)


def sends(*parts, pause=0.0, last=0.0):
    """Return an answer that sends these parts, and waits after each and at the end."""

    def answer(connection):
        for part in parts:
            connection.sendall(part)
            time.sleep(pause)
        time.sleep(last)

    return answer


def for_ever(part, first=b""):
    """Return an answer that never ends."""

    def answer(connection):
        connection.sendall(first)
        while True:
            connection.sendall(part)
            time.sleep(0.05)

    return answer


def asked(answer, timeout=5.0):
    """Return the reply to a request."""
    with server(answer) as url, closing(Client(HttpSettings(url=url))) as client:
        return client.ask("POST", f"{url}/api/put", b"[]", timeout)


@pytest.mark.parametrize(
    ("answer", "status", "says"),
    [
        (sends(OK), 204, "204 No Content"),
        (sends(b"HTTP/1.1 400 Bad\r\nContent-Length: 300\r\n\r\nhalf of it"), 400, "400 Bad"),
        (
            sends(b"HTTP/1.1 400 Bad\r\nContent-Encoding: gzip\r\nContent-Length: 8\r\n\r\nnot gzip"),
            400,
            "400 Bad: not gzip",
        ),
        (
            sends(
                b"HTTP/1.1 400 Bad Request\r\nContent-Length: 300\r\n\r\n"
                + zlib.compress(b'{"error": "no such metric"}', wbits=31)
            ),
            400,
            '400 Bad Request: {"error": "no such metric"}',
        ),
        (sends(b"HTTP/1.1 413 Too Large\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"), 413, "413 Too Large"),
        (sends(b"HTTP/1.1 204 No Content\r\nContent-Length: -5\r\n\r\n"), 204, "204 No Content"),
        (
            sends(b"HTTP/1.1 302 Found\r\nLocation: http://[::bad/\r\nContent-Length: 4\r\n\r\nmove"),
            302,
            "302 Found: move",
        ),
        (sends(b"HTTP/1.1 500 \x1b[31mred\r\nContent-Length: 4\r\n\r\na\nb\x07"), 500, "500 red: a b\ufffd"),
        (sends(*[b"HTTP/1.1 100 Continue\r\n\r\n"] * 20, OK), 204, "204 No Content"),
    ],
)
def test_the_status_counts_whatever_the_rest_of_the_answer_is(answer, status, says):
    """Cut off, wrongly compressed, with a length that is none, with a place that is none: it is one line of text."""
    reply = asked(answer)
    assert reply.status == status
    assert reply.sentence.partition("/api/put: ")[2].startswith(says.rstrip())
    assert reply.sentence.isprintable()


@pytest.mark.parametrize(
    "answer",
    [
        for_ever(b"x", b"HTTP/1.1 400 Bad\r\n\r\n"),
        for_ever(b"1\r\nx\r\n", b"HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\n"),
        for_ever(b"X-More: x\r\n", b"HTTP/1.1 400 Bad\r\n"),
        sends(b"HTTP/1.1 400 Bad\r\nContent-Length: 300\r\n\r\nsaid", last=30),
    ],
)
def test_the_status_counts_also_when_the_answer_never_ends(answer):
    """And nobody waits for longer than was said."""
    began = time.monotonic()
    assert asked(answer, 2.0).status == 400
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("answer", "timeout", "says"),
    [
        (for_ever(b"HTTP/1.1 100 Continue\r\n\r\n"), 0.7, "no answer within 0.7 s"),
        (sends(b"HTTP/1.1 2", last=30), 0.7, "no answer within 0.7 s"),
        (sends(last=30), 0.7, "no answer within 0.7 s"),
        (sends(b"SSH-2.0-OpenSSH_9.2\r\n"), 60, "nobody answers: .*SSH-2.0"),
        (sends(), 60, "the receiver closes the connection|nobody answers: Remote end closed"),
    ],
)
def test_what_is_no_answer_ends_in_time(answer, timeout, says):
    """A stream of 100, half a status, silence, another protocol, nothing."""
    began = time.monotonic()
    with pytest.raises(NoReply, match=says):
        asked(answer, timeout)
    assert time.monotonic() - began < 20


def test_a_request_is_cut_off_from_another_thread():
    """Whoever closes a sink need not wait for its receiver."""
    under_way, told = threading.Event(), []

    def answer(connection):
        under_way.set()
        for_ever(b"HTTP/1.1 100 Continue\r\n\r\n")(connection)

    with server(answer) as url, closing(Client(HttpSettings(url=url))) as client:

        def ask():
            try:
                client.ask("POST", url, b"", 600)
            except NoReply as error:
                told.append(str(error))

        asking = threading.Thread(target=ask)
        asking.start()
        assert under_way.wait(20)
        client.cut()
        asking.join(20)
        assert not asking.is_alive()
        assert told
        assert client.requests["error"] == 1


def test_a_connection_serves_many_requests():
    """What an answer says is read, so that the next request needs no connection of its own."""
    connections = []

    def answer(connection):
        connections.append(connection)
        for _ in range(5):
            connection.sendall(b"HTTP/1.1 400 Bad\r\nContent-Length: 5\r\n\r\nwrong")
            read(connection)

    with server(answer) as url, closing(Client(HttpSettings(url=url))) as client:
        for _ in range(5):
            assert client.ask("POST", url, b"", 5).status == 400
    assert len(connections) == 1
    assert client.requests["4xx"] == 5
    assert sum(client.durations.values()) == 5


def test_a_receiver_that_says_what_it_was_sent_tells_no_secret():
    """What it says is in the reason, and in what is put aside."""
    answer = sends(b'HTTP/1.1 400 Bad\r\nContent-Length: 22\r\n\r\nno such user: hu"sh me')
    settings = HttpSettings(url="http://receiver", user="me", password=Secret('hu"sh'))
    with server(answer) as url, closing(Client(settings)) as client:
        assert client.ask("POST", url, b"", 5).sentence == f"{url}: 400 Bad: no such user: *** me"


def test_after_an_error_the_name_is_asked_again():
    """The host behind it may be another one: a connection that is kept would ask the old one for ever."""
    connections = []

    def answer(connection):
        connections.append(connection)
        connection.sendall(b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy")
        time.sleep(5)

    with server(answer) as url, closing(Client(HttpSettings(url=url))) as client:
        for _ in range(3):
            assert client.ask("POST", url, b"", 5).status == 503
    assert len(connections) == 3


def test_a_request_that_has_no_connection_in_time_is_cut_when_it_has_one(monkeypatch):
    """Its name was resolved too late; what answers then says nothing for ever."""
    real = socket.getaddrinfo

    def late(*arguments, **named):
        time.sleep(1.5)
        return real(*arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", late)
    began = time.monotonic()
    with pytest.raises(NoReply, match=r"no answer within 0\.3 s"):
        asked(for_ever(b"HTTP/1.1 100 Continue\r\n\r\n"), 0.3)
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 30), (" 7 ", 7), ("0", 0),
        *[(text, 0) for text in ("", "x", "inf", "nan", "-5", "1e400", "9" * 5000, "٣", "1.5")],
        *[
            (f"Mon, 01 Jan 2024 00:00:00 {zone}", 0)
            for zone in ("GMT", "+9999", "+99999999999999999999", "-99999999999", "-0000")
        ],
        ("Mon, 01 Jan 0001 00:00:00 -0000", 0), ("Mon, 99999999999999999999 Jan 2024 00:00:00 GMT", 0),
        ("Mon, 01 Jan 2024 99999999999999999:00:00 GMT", 0),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date_and_nothing_else_hurts(text, seconds):
    """A garbled one, a huge one, one that is over."""
    assert retry_after(text) == seconds


def test_a_date_that_is_to_come_is_waited_for():
    """As far as the sender lets it."""
    assert retry_after("Fri, 31 Dec 9999 23:59:59 -0000") > 1e9


def test_the_ca_of_the_settings_comes_before_the_environment_s(monkeypatch, authorities):
    """With the environment's proxy its CA would be used as well."""
    ca = authorities / "ca.pem"
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/elsewhere.pem")
    chosen = Client(HttpSettings(url="https://receiver", tls_ca=str(ca), proxy=True))
    assert chosen._verify == str(ca)
    assert Client(HttpSettings(url="https://receiver", proxy=True))._verify == "/elsewhere.pem"
    assert Client(HttpSettings(url="https://receiver"))._verify is True


def test_a_file_that_is_not_there_is_named():
    """Before anything is sent."""
    with pytest.raises(Misconfigured, match=r"tls_ca = /nowhere\.pem: No such file"):
        Client(HttpSettings(url="https://receiver", tls_ca="/nowhere.pem"))
