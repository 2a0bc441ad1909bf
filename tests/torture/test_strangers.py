"""Strangers at the doors: whoever may connect, whatever he sends, and whether he reads what he has asked for.

Each attack is made at each door, and does no harm: see `house.unharmed`. What serves behind the doors is not known
here. All tests but the last ones share one agent, which is exchanged when it has come to harm.
"""

import contextlib
import gzip
import http.client
import json
import random
import signal
import socket
import struct
import threading
import time
from collections import deque
from itertools import cycle

import pytest
from doors import (
    HOST,
    PREFACE,
    crowd,
    exchange,
    exchange_all,
    headers,
    is_cut,
    read_all,
    request,
    say,
    settings,
    statuses,
    streams,
)
from harness import free_port, until

pytest.register_assert_rewrite("house")

from house import FACE, TOML, House, all_up, doors, many_descriptors, scrape, unharmed  # noqa: E402

DOORS = ("tcp", "unix")
CUT = (
    20.0  # seconds after which nobody is waited for who does not finish: no connection has more than fifteen
)
LIFE = (
    30.0  # and nobody who does not read: five seconds for a request, ten for the answer, and a busy machine
)
SMALL = 2048  # what the kernel may keep for a client
UPGRADE = "Connection: Upgrade, HTTP2-Settings"
EVERY_FORM = pytest.mark.parametrize("coding", ["identity", "gzip"])


@pytest.fixture(scope="module")
def _house(tmp_path_factory):
    with many_descriptors():
        made = House(tmp_path_factory.mktemp("strangers"))
        yield made
        made.close()


@pytest.fixture
def house(_house):
    """An agent that is well."""
    _house.open()
    return _house


@pytest.fixture(params=DOORS)
def door(request, house):
    """Each door of it."""
    return house.doors[request.param]


def mistaken(answers, allowed=range(200, 500)):
    """Return which of these were not answered once, and with a status that is allowed: a 5xx never is."""
    told = {what: [each for each in statuses(data) if each != 100] for what, data in answers.items()}
    return {what: got for what, got in told.items() if len(got) != 1 or got[0] not in allowed}


def await_cut(clients, seconds):
    """All of them are cut within that time; returns those that are not."""
    deadline = time.monotonic() + seconds
    left = list(clients)
    while left and time.monotonic() < deadline:
        time.sleep(0.2)
        left = [client for client in left if not is_cut(client)]
    return left


# Clients that do not finish


HALVES = {
    "silent": b"",
    "half a line": b"GET /met",
    "half a request": b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n",
    "half a body": request("/metrics", "Content-Length: 10", method="POST") + b"12345",
    "half a chunk": request("/", "Transfer-Encoding: chunked", method="POST") + b"ff\r\n12",
    "half a preface": PREFACE[:10],
    "a preface": PREFACE + settings(65535),
}


def test_whoever_does_not_finish_is_cut(house, door):
    """Forty each of those who say nothing, or half of something, are gone after their fifteen seconds."""
    with unharmed(house), contextlib.ExitStack() as stack:
        crowds = {what: stack.enter_context(crowd(door, 40, sent)) for what, sent in HALVES.items()}
        deadline = time.monotonic() + CUT
        left = {what: await_cut(each, deadline - time.monotonic()) for what, each in crowds.items()}
        assert {what: len(each) for what, each in left.items() if each} == {}


def test_whoever_sends_a_byte_a_second_is_cut(house, door):
    """A hundred requests that dribble in are not waited for longer than those that do not come."""
    with unharmed(house), crowd(door, 100) as clients:
        left = clients
        for byte in request()[: int(CUT)]:
            for client in left:
                say(client, bytes([byte]))
            left = await_cut(left, 1.0)
            if not left:
                break
        assert len(left) == 0


def test_whoever_hangs_up_is_let_go(house, door):
    """Clients who vanish in the midst of the page, and those who have said that nothing more will come."""
    with unharmed(house):
        for _ in range(50):
            with door.connect(buffer=SMALL) as client:
                say(client, request())
                client.recv(10)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for sent in (b"", b"GET /metrics HT", request(), request("/-/healthy")):
            with crowd(door, 10, sent) as clients:
                for client in clients:
                    with contextlib.suppress(OSError):
                        client.shutdown(socket.SHUT_WR)
                answers = read_all(clients, CUT)
            assert all(each.closed for each in answers), sent
            assert all(each.status < 500 for each in answers), sent


# Clients that do not read


def test_whoever_does_not_read_is_cut(house, door):
    """Two hundred who ask for the page cost little memory and are let go of, though they stay.

    Most read nothing, and some a hundred bytes each tenth of a second, which is no better.
    """
    with unharmed(house), crowd(door, 150, request(), SMALL), crowd(door, 50, request(), SMALL) as slow:
        until(lambda: have_read(slow) and house.has_let_go(), LIFE)


def have_read(clients):
    """Take a little of what is there: those who are cut still have what the kernel keeps for them."""
    for client in clients:
        with contextlib.suppress(OSError):
            client.recv(100, socket.MSG_DONTWAIT)
    time.sleep(0.1)
    return True


def test_whoever_keeps_an_old_page_keeps_nothing_else(house, door):
    """One more each second who asks for the page of that second, and reads nothing."""
    with unharmed(house), contextlib.ExitStack() as stack:
        for _ in range(12):
            stack.enter_context(crowd(door, 1, request(), SMALL))
            time.sleep(1)


def test_a_hundred_requests_in_one_write(house, door):
    """Twenty who ask a hundred times at once and read nothing are served no more than one who asks once."""
    with unharmed(house), crowd(door, 20, request() * 100, SMALL):
        time.sleep(3)


# Other protocols


def in_another_protocol(door, first, then):
    """Have four clients change to another protocol and ask for much in it; return what they are sent after all."""
    with crowd(door, 4, first) as clients:
        time.sleep(0.3)
        for client in clients:
            say(client, then)
        time.sleep(3)
        return read_all(clients, 0.5)


@pytest.mark.parametrize("window", [0, 65535])
def test_http_2_by_prior_knowledge(house, door, window):
    """Four connections with ninety requests each, who take nothing of the answers, or 64 KiB."""
    with unharmed(house):
        answers = in_another_protocol(door, PREFACE + settings(window), streams(90))
    assert all(each.status < 500 for each in answers)


def test_http_2_by_an_upgrade(house, door):
    """The same, after a request that asks for the other protocol first."""
    asked = request("/-/healthy", UPGRADE, "Upgrade: h2c", "HTTP2-Settings: AAQAAAAA")
    with unharmed(house):
        answers = in_another_protocol(door, asked, PREFACE + settings(0) + streams(90, first=3))
    assert all(each.status < 500 for each in answers)


def test_an_upgrade_that_is_no_upgrade(house, door):
    """What cannot be read as settings of HTTP/2, and protocols that nobody knows, are ignored or refused."""
    upgrades = (
        (UPGRADE, "Upgrade: h2c", "HTTP2-Settings: !!!"),
        (UPGRADE, "Upgrade: h2c"),
        ("Connection: Upgrade", "Upgrade: TLS/1.3"),
        ("Connection: Upgrade", "Upgrade: " + "h2c," * 500),
    )
    with unharmed(house):
        answers = exchange_all(door, {lines: request("/-/healthy", *lines) for lines in upgrades})
    assert mistaken(answers) == {}


def test_a_websocket_is_not_opened(house, door):
    """There is none, whatever the path and however right the handshake."""
    lines = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    asked = {path: request(path, *lines, key) for path in ("/metrics", *FACE, "/none")}
    asked["no key"] = request("/metrics", *lines)
    with unharmed(house):
        answers = exchange_all(door, asked)
    assert mistaken(answers) == {}


def test_tls_where_none_is_spoken_is_cut_at_once(house, door):
    """A hello is no request: whoever sends one is not kept until his time is over."""
    extensions = b"\0\0\0\x0e\0\x0c\0\0\x09localhost"
    body = b"\x03\x03" + bytes(range(32)) + b"\0\0\x02\x13\x01\x01\0" + struct.pack(">H", len(extensions))
    hello = b"\x01" + struct.pack(">I", len(body + extensions))[1:] + body + extensions
    record = b"\x16\x03\x01" + struct.pack(">H", len(hello)) + hello
    with unharmed(house):
        answers = exchange_all(door, {"a hello": record, "its beginning": record[:3]}, timeout=5.0)
    assert all(status < 500 for data in answers.values() for status in statuses(data))


# Many clients


@EVERY_FORM
@pytest.mark.parametrize("count", [100, 500])
def test_all_who_scrape_at_once_are_answered(house, door, count, coding):
    """Nobody is turned away who reads what he has asked for."""
    with unharmed(house), crowd(door, count) as clients:
        for client in clients:
            say(client, request("/metrics", f"Accept-Encoding: {coding}"))
        answers = read_all(clients)
    bad = [(each.status, each.size) for each in answers if each.status != 200 or not each.is_whole]
    assert bad == []


def test_a_thousand_open_connections_keep_nobody_out(house, door):
    """However many are held, silent or with half of a request, scrapes are answered."""
    with unharmed(house), crowd(door, 500), crowd(door, 500, request()[:-2]):
        for _ in range(10):
            assert scrape(door)[0] == 200
            time.sleep(0.3)


def test_whoever_hammers_is_answered(house, door):
    """Two at a time who ask for each page for people, and for each answer of the API, without a pause."""
    hammer(house, door, [[path] for path in FACE * 2])


@pytest.mark.parametrize("page", ["/collectors/wide/i{:02}", "/api/v1/collectors/wide/i{:02}"])
def test_whoever_asks_for_one_collector_after_the_other_is_answered(house, door, page):
    """Eight at a time, without a pause: no answer is one that was made for somebody else."""
    paths = [page.format(number) for number in range(60)]
    hammer(house, door, [paths[number * 7 :] + paths[: number * 7] for number in range(8)])


def hammer(house, door, hands):
    """Have each hand ask for its paths, one after the other and again, for four seconds; all are answered."""
    end = time.monotonic() + 4
    got = set()

    def ask(paths):
        for path in cycle(paths):
            if time.monotonic() > end:
                return
            got.update(statuses(exchange(door, request(path))))

    with unharmed(house):
        hands = [threading.Thread(target=ask, args=[paths]) for paths in hands]
        for each in hands:
            each.start()
        for each in hands:
            each.join()
    assert got == {200}


# Requests that are too large


BOMBS = {
    "a header of 100 kB": request("/metrics", "X-Large: " + "a" * 100_000),
    "10,000 headers": request("/metrics", *(f"X-{number}: 1" for number in range(10_000))),
    "a URL of 100 kB": request("/" + "a" * 100_000),
    "a query of 100 kB": request("/metrics?" + "a=b&" * 25_000),
    "a method of 100 kB": request(method="A" * 100_000),
    "a collector of 15 kB": request("/api/v1/collectors/wide/" + "a" * 15_000),
    "a collector of 16 kB": request("/api/v1/collectors/wide/" + "a" * 16_384),
    "a parameter of 15 kB": request("/api/v1/collectors?show=" + "a" * 15_000),
    "thousands of parameters": request("/api/v1/collectors?" + "a=b&" * 3_750),
    "thousands of slashes": request("/api/v1" + "/a" * 7_500),
    "a hundred hosts": request("/metrics", *[HOST.rstrip()] * 100),
}


def test_headers_that_are_too_large(house, door):
    """Each has one answer, if any, and the connection is closed."""
    with unharmed(house):
        problems = [mistaken(exchange_all(door, BOMBS)) for _ in range(5)]
    assert problems == [{}] * 5


ENDLESS = {
    "a header line": (b"GET /metrics HTTP/1.1\r\nX-Endless: ", b"a" * 4096),
    "headers": (b"GET /metrics HTTP/1.1\r\n", b"X-Endless: 1\r\n" * 300),
    "a request line": (b"GET /", b"a" * 4096),
    "blank lines": (b"", b"\r\n" * 2048),
    "a body of a gigabyte": (
        request("/metrics", "Content-Length: 1000000000", method="POST"),
        b"a" * 16384,
    ),
    "a body that nobody wants": (request("/metrics", "Content-Length: 1000000000"), b"a" * 16384),
    "chunks": (
        request("/", "Transfer-Encoding: chunked", method="POST"),
        b"1000\r\n" + b"a" * 4096 + b"\r\n",
    ),
    "small chunks": (request("/", "Transfer-Encoding: chunked", method="POST"), b"1\r\na\r\n" * 1000),
    "a chunk's extension": (request("/", "Transfer-Encoding: chunked", method="POST") + b"1;", b"a" * 4096),
    "trailers": (
        request("/", "Transfer-Encoding: chunked", method="POST") + b"0\r\n",
        b"X-Endless: 1\r\n" * 300,
    ),
}


def test_what_never_ends_is_cut(house, door):
    """Four of each kind who send without an end, as fast as it is taken, are cut after fifteen seconds."""
    with unharmed(house), contextlib.ExitStack() as stack:
        kinds = {what: stack.enter_context(crowd(door, 4, first)) for what, (first, _) in ENDLESS.items()}
        left = pour({client: ENDLESS[what][1] for what, clients in kinds.items() for client in clients}, CUT)
        assert {what: len(left.intersection(clients)) for what, clients in kinds.items()} == dict.fromkeys(
            kinds, 0
        )
        told = {
            what: [statuses(each.start) for each in read_all(clients, 1)] for what, clients in kinds.items()
        }
    bad = {
        what: got
        for what, got in told.items()
        if any(len(each) > 1 or max(each, default=0) >= 500 for each in got)
    }
    assert bad == {}


def pour(endless, seconds):
    """Send to each what is his, again and again, and return who is not cut when the time is over."""
    sent = dict.fromkeys(endless, 0)
    deadline = time.monotonic() + seconds
    for client in endless:
        client.setblocking(False)
    while sent and time.monotonic() < deadline:
        before = sum(sent.values())
        for client in list(sent):
            try:
                sent[client] += client.send(endless[client][sent[client] % len(endless[client]) :])
            except BlockingIOError:
                continue
            except OSError:
                del sent[client]
        if before == sum(sent.values()):
            time.sleep(0.02)
    return set(sent)


def test_who_expects_to_be_told_to_go_on_is_told_something(house, door):
    """He who waits with his body has an answer at once, and one only."""
    asked = {
        (method, length): request(
            "/-/healthy", f"Content-Length: {length}", "Expect: 100-continue", method=method
        )
        for length in (10, 1_000_000_000)
        for method in ("POST", "GET")
    }
    asked["another expectation"] = request("/-/healthy", "Expect: 200-ok")
    with unharmed(house):
        answers = exchange_all(door, asked)
    assert mistaken(answers) == {}


# Requests that mean two things


NEXT = request("/-/healthy")
CHUNKED = "Transfer-Encoding: chunked"
SMUGGLED = {
    "both lengths": request("/", "Content-Length: 5", CHUNKED, method="POST") + b"0\r\n\r\n" + NEXT,
    "both lengths, turned": request("/", CHUNKED, "Content-Length: 500", method="POST") + b"0\r\n\r\n" + NEXT,
    "two lengths": request("/", "Content-Length: 5", "Content-Length: 6", method="POST") + b"12345" + NEXT,
    "two lengths in one": request("/", "Content-Length: 5, 6", method="POST") + b"12345" + NEXT,
    "the same twice": request("/", "Content-Length: 5", "Content-Length: 5", method="POST") + b"12345" + NEXT,
    "a negative length": request("/", "Content-Length: -5", method="POST") + NEXT,
    "a length with a sign": request("/", "Content-Length: +5", method="POST") + b"12345" + NEXT,
    "a length in hex": request("/", "Content-Length: 0x5", method="POST") + b"12345" + NEXT,
    "a length in other digits": request("/", b"Content-Length: \xd9\xa5", method="POST") + b"12345" + NEXT,
    "no length": request("/", "Content-Length:", method="POST") + NEXT,
    "a huge length": request("/", "Content-Length: " + "9" * 400, method="POST") + NEXT,
    "a folded line": request("/", "X-Folded: a\r\n b", method="POST") + NEXT,
    "a folded length": request("/", "Content-Length:\r\n 5", method="POST") + b"12345" + NEXT,
    "bare LF": request().replace(b"\r\n", b"\n") + NEXT,
    "a bare LF in a header": request("/", "X-A: a\nContent-Length: 5") + b"12345" + NEXT,
    "a bare CR in a header": request("/", "X-A: a\rContent-Length: 5") + b"12345" + NEXT,
    "a space before the colon": request("/", "Content-Length : 5", method="POST") + b"12345" + NEXT,
    "a space before a header": request("/", " X-A: a") + NEXT,
    "a header without a colon": request("/", "nothing") + NEXT,
    "a header without a name": request("/", ": nothing") + NEXT,
    "another coding": request("/", "Transfer-Encoding: gzip, chunked", method="POST") + b"0\r\n\r\n" + NEXT,
    "chunked twice": request("/", CHUNKED, CHUNKED, method="POST") + b"0\r\n\r\n" + NEXT,
    "a coding that nobody knows": request("/", "Transfer-Encoding: xchunked", method="POST")
    + b"0\r\n\r\n"
    + NEXT,
    "chunked, in HTTP/1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + NEXT,
    "garbage for a chunk": request("/", CHUNKED, method="POST") + b"zz\r\nabc\r\n" + NEXT,
    "a negative chunk": request("/", CHUNKED, method="POST") + b"-1\r\nabc\r\n" + NEXT,
    "a huge chunk": request("/", CHUNKED, method="POST") + b"f" * 40 + b"\r\nabc\r\n" + NEXT,
    "a chunk too long": request("/", CHUNKED, method="POST") + b"3\r\nabcdef\r\n0\r\n\r\n" + NEXT,
    "no host": b"GET / HTTP/1.1\r\n\r\n" + NEXT,
    "two hosts": request("/", "Host: other") + NEXT,
    "HTTP/0.9": b"GET /\r\n\r\n" + NEXT,
    "HTTP/1.2": request().replace(b"/1.1", b"/1.2") + NEXT,
    "HTTP/3.0": request().replace(b"/1.1", b"/3.0") + NEXT,
    "no version at all": request().replace(b"HTTP/1.1", b"HTTP/") + NEXT,
    "two requests": NEXT + NEXT,
}


def test_a_request_that_means_two_things_has_one_answer(house, door):
    """What one reads as a body another reads as a request: after the first answer nothing is read any more."""
    with unharmed(house):
        answers = exchange_all(door, SMUGGLED)
    unknown = {
        what: answers.pop(what) for what in ("another coding", "a coding that nobody knows", "chunked twice")
    }
    assert mistaken(answers) == {}
    assert mistaken(unknown, (*range(400, 500), 501)) == {}  # RFC 9112, 6.1: 501 is what should be said


ODD = {
    "NUL in the path": b"GET /\0 HTTP/1.1\r\n" + HOST + b"\r\n",
    "UTF-8 in the path": "GET /métriques HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(),
    "bytes in the path": b"GET /\xff\xfe HTTP/1.1\r\n" + HOST + b"\r\n",
    "escaped bytes in the path": request("/%ff%00%c3%28%zz%"),
    "escaped line ends in the path": request("/%0d%0aX-A:%20b"),
    "dots in the path": request("/../../../../etc/passwd"),
    "a space in the path": request("/a b"),
    "no path": b"GET  HTTP/1.1\r\n" + HOST + b"\r\n",
    "a path without a slash": request("metrics"),
    "two slashes": request("//metrics"),
    "only a fragment": request("#metrics"),
    "a bad absolute form": request("http://[::1/metrics"),
    "an absolute form with a bad port": request("http://localhost:99999999/metrics"),
    "an absolute form of another scheme": request("ftp://localhost/metrics"),
    "bytes in the query": b"GET /metrics?\xff=\0 HTTP/1.1\r\n" + HOST + b"\r\n",
    "NUL in a header": request("/-/healthy", "X-A: a\0b"),
    "bytes in a header": request("/-/healthy", b"X-A: \xff\xfe"),
    "bytes in a header's name": request("/-/healthy", b"X-\xff: a"),
    "bytes in Accept": request("/metrics", b"Accept: \xff\xfe;q=\xff"),
    "bytes in Accept-Encoding": request("/metrics", b"Accept-Encoding: gz\xffip;q=\xff"),
    "bytes in Connection": request("/-/healthy", b"Connection: \xff"),
    "bytes in Host": b"GET / HTTP/1.1\r\nHost: \xff\xfe:x\r\n\r\n",
    "bytes in the method": b"G\xffT / HTTP/1.1\r\n" + HOST + b"\r\n",
    "all bytes": bytes(range(256)) + b"\r\n\r\n",
    "CONNECT": b"CONNECT localhost:22 HTTP/1.1\r\n" + HOST + b"\r\n",
    "CONNECT with a path": request(method="CONNECT"),
    "OPTIONS *": request("*", method="OPTIONS"),
    "OPTIONS": request(method="OPTIONS"),
    "GET *": request("*"),
    "TRACE": request(method="TRACE"),
    "PRI": request("*", method="PRI"),
    "get": request(method="get"),
    "GeT": request(method="GeT"),
    "no method": request(method=""),
    "a method of one's own": request(method="SCRAPE"),
    "POST to the API": request("/api/v1/status", method="POST"),
    "TRACE of the API": request("/api/v1/config", method="TRACE"),
    "NUL in a name": request("/api/v1/collectors/wide/i%0000"),
    "a slash in a name": request("/api/v1/collectors/wide%2Fi00/history"),
    "dots for a name": request("/api/v1/collectors/../config"),
    "bytes in a name": request("/api/v1/collectors/%ff%fe/%c3%28"),
    "a terminal's sequence in a name": request("/api/v1/collectors/%1b[2J/%e2%80%ae"),
    "a terminal's sequence in a page's name": request("/collectors/%1b[2J/%3Cscript%3E"),
    "a parameter without a name": request("/api/v1/collectors?=&=;&%00=%ff"),
    "a range": request("/metrics", "Range: bytes=5-2"),
    "HTTP/1.0": b"GET /metrics HTTP/1.0\r\n\r\n",
    "HTTP/1.0, to be kept": b"GET /-/healthy HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "headers of a proxy": request("/", "X-Forwarded-Proto: \x7f", "Forwarded: for=;;,", "Via: x"),
}


def test_odd_requests_have_an_answer_that_blames_the_client(house, door):
    """NUL and bytes that are no text, methods and forms of a target that nobody sends: never a 5xx."""
    with unharmed(house):
        answers = exchange_all(door, ODD)
    assert mistaken(answers) == {}


# What is right, though seldom


def test_the_absolute_form_is_the_path(house, door):
    """A client that takes the agent for a proxy is served: HTTP says so."""
    asked = {
        path: request(f"http://127.0.0.1:{house.port}{path}") for path in ("/metrics", "/-/healthy", "/none")
    }
    with unharmed(house):
        answers = exchange_all(door, asked)
    assert {path: statuses(data) for path, data in answers.items()} == {
        "/metrics": [200],
        "/-/healthy": [200],
        "/none": [404],
    }


def test_head_has_the_headers_of_get_and_no_body(house, door):
    """A page that changes meanwhile may have another length."""
    changing = {"content-length", "date"}
    problems = []
    with unharmed(house):
        for path in (
            "/metrics",
            "/-/healthy",
            "/-/ready",
            *FACE,
            "/none",
            "/api/none",
            "/api/v1/status?none",
        ):
            for coding in ("identity", "gzip"):
                told = [
                    headers(exchange(door, request(path, f"Accept-Encoding: {coding}", method=method)))
                    for method in ("GET", "HEAD")
                ]
                (got, _), (head, body) = told
                differing = {name for name in {*got, *head} if got.get(name) != head.get(name)} - changing
                if body or differing or got.keys() != head.keys():
                    problems.append((path, coding, body[:20], differing))
    assert problems == []


TOKENS = (
    "application/openmetrics-text", "text/plain", "version=1.0.0", "version=0.0.1", "version=2", "version=",
    "escaping=allow-utf-8", "escaping=values", "escaping=", "q=0.5", "q=x", "q=-1", "q=1e999", "q=nan", ";", ",", "=",
    "*/*", "*", "/", "text/*;q=0", "application/vnd.google.protobuf", "charset=utf-8", "\t", '"', '"a', "a=b=c",
)  # fmt: skip


def test_whatever_is_accepted_there_is_an_answer(house, door):
    """Three hundred values of Accept at each door: each is given a page, or told that there is none."""
    dice = random.Random(DOORS.index(door.name))
    problems = []
    with unharmed(house):
        for number in range(300):
            accept = dice.choice(["", ",", "; "]).join(dice.choices(TOKENS, k=dice.randint(1, 6)))
            method = "HEAD" if number % 5 else "GET"  # one is as good as the other, and has less to be read
            got = statuses(exchange(door, request("/metrics", f"Accept: {accept}", method=method)))
            if got not in ([200], [406]):
                problems.append((accept, got))
    assert problems == []


PLAIN, NONE = "", "406"
CODINGS = {
    "gzip": {"gzip"},
    "GZIP": {"gzip"},
    "gzip;q=0.5": {"gzip"},
    "gzip ; q=1": {"gzip"},
    "br, gzip": {"gzip"},
    "identity;q=0, gzip": {"gzip"},
    "x-gzip": {"gzip", "x-gzip", PLAIN},
    "gzip;q=0.001": {"gzip", PLAIN},
    "*": {"gzip", PLAIN},
    "gzip;q=0": {PLAIN},
    "gzip;q=0.0": {PLAIN},
    "gzip; Q=0.000": {PLAIN},
    "gzip;q=0, *": {PLAIN},
    "gzip;q=0, identity": {PLAIN},
    "identity": {PLAIN},
    "br": {PLAIN},
    "gzipped": {PLAIN},
    "identity;q=0": {PLAIN, NONE},
    "*;q=0": {PLAIN, NONE},
    "": {PLAIN},
    ",,;q=,=;": {PLAIN},
    "gzip;q=x": {"gzip", PLAIN},
}


def test_the_page_is_coded_as_the_client_can_read_it(house, door):
    """gzip for those who take it, and for nobody who says that he does not."""
    problems = []
    with unharmed(house):
        for accepted, wanted in CODINGS.items():
            data = exchange(door, request("/metrics", f"Accept-Encoding: {accepted}"))
            told, body = headers(data)
            coding = NONE if statuses(data[:20]) == [406] else told.get("content-encoding", PLAIN)
            text = gzip.decompress(body) if coding.endswith("gzip") else body
            if coding not in wanted or (coding != NONE and b"\n# HELP wide_" not in text):
                problems.append((accepted, data[:12], coding))
    assert problems == []


# The end of it all, and a small house


def test_it_ends_in_time_with_strangers_at_all_doors(agent):
    """SIGTERM ends the agent with 0 in ten seconds, whoever has not read, not finished, or not even begun."""
    port = free_port()
    running = agent(TOML.format(port=port))
    until(lambda: all_up(running))
    with contextlib.ExitStack() as stack:
        for door in doors(running, port).values():
            for sends in (b"", request()[:-2], request(), request() * 100):
                stack.enter_context(crowd(door, 25, sends, SMALL))
            two_of_them = stack.enter_context(crowd(door, 2, PREFACE + settings(0), SMALL))
            time.sleep(0.3)
            for client in two_of_them:
                say(client, streams(90))
        time.sleep(1)
        began = time.monotonic()
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(60) == 0
        assert time.monotonic() - began < 10


class Siege(threading.Thread):
    """Holds many connections; there is always somebody who comes anew, and the oldest goes."""

    def __init__(self, door, count):
        super().__init__(daemon=True)
        self.door = door
        self.count = count
        self._end = threading.Event()

    def run(self):
        held = deque()
        while not self._end.wait(0.02):
            for _ in range(5):
                with contextlib.suppress(OSError):
                    held.append(self.door.connect(timeout=1))
            while len(held) > self.count:
                held.popleft().close()
        for each in held:
            each.close()

    def __enter__(self):
        self.start()

    def __exit__(self, *_):
        self._end.set()
        self.join()


def ups(door):
    """Return of each collector whether it is up, nothing where nobody answers."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        return [each["up"] for each in json.loads(scrape(door, "/api/v1/status")[2])["collectors"]]
    return []


@pytest.mark.needs("prlimit")
@pytest.mark.parametrize("name", DOORS)
def test_strangers_take_no_descriptor_that_the_agent_needs(agent, name):
    """Where 512 are all it may have and 700 clients hold on to theirs, it still reads a new configuration."""
    port = free_port()
    toml = f'[agent]\ninterval = "1s"\n[web]\nlisten = ["127.0.0.1:{port}"]\n[collector.tame.first]\n'
    running = agent(toml, prefix=("prlimit", "--nofile=512:512"))
    door = doors(running, port)[name]
    with many_descriptors(), Siege(door, 700):
        time.sleep(4)
        running.reload(toml + "[collector.tame.second]\n[collector.rogue.third]\n")
        until(lambda: ups(door) == [True] * 3)
        time.sleep(2)
    assert "ERROR" not in running.log
    assert "Traceback" not in running.log
    assert running.stop() == 0
