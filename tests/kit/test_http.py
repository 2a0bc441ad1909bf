"""Questions over HTTP: what is asked, what comes, and every way in which a server may misbehave."""

import re
import socket
import ssl
import struct
import threading
import time
import tracemalloc
from base64 import b64decode
from contextlib import contextmanager, suppress

import pytest
from harness import free_port
from hypothesis import given, settings
from hypothesis import strategies as st

from rscollector.api import CollectError, Context, Misconfigured, Secret, Unavailable, one_line
from rscollector.kit.connection import opened
from rscollector.kit.http import LIMIT, Http, basic
from rscollector.kit.optional import Disconnected, optional
from rscollector.kit.tls import Tls, client_context
from rscollector.testing.http import FakeHttp, Reply, Trouble

OK = b"HTTP/1.1 200 OK\r\n\r\n"
LONG = 60.0
SHORT = 0.3


def asked(connection):
    """Read a question with its body: a connection that is closed with something unread in it is reset."""
    head, rest = b"", b""
    while b"\r\n\r\n" not in head:
        more = connection.recv(65536)
        if not more:
            return head
        head += more
    head, _, rest = head.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    while length and len(rest) < int(length[1]):
        rest += connection.recv(65536)
    return head + b"\r\n\r\n" + rest


@contextmanager
def serving(answer, listening=None, *, reads=True):
    """Listen, read a question on each connection and have `answer(connection)` do the rest; yields the address."""
    listening = listening or socket.create_server(("127.0.0.1", 0))
    over = threading.Event()
    threads = []

    def one(connection):
        with connection, suppress(OSError):
            if reads:
                asked(connection)
            answer(connection, over)

    def accept():
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                threads.append(threading.Thread(target=one, args=(connection,), daemon=True))
                threads[-1].start()

    threads.append(threading.Thread(target=accept, daemon=True))
    threads[0].start()
    name = listening.getsockname()
    try:
        yield name if isinstance(name, str) else name[:2]
    finally:
        over.set()
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        for thread in threads:
            thread.join(5)


def says(*parts):
    """Return an answer that consists of these parts."""

    def answer(connection, _):
        for part in parts:
            connection.sendall(part)

    return answer


def waits(connection, over):
    """Answer nothing."""
    over.wait(10)


def stays(*parts):
    """Return an answer after which the connection is left open: what was not read resets none."""

    def answer(connection, over):
        says(*parts)(connection, over)
        waits(connection, over)

    return answer


def for_ever(part, first=b"", pause=0.02):
    """Return an answer that never ends."""

    def answer(connection, over):
        connection.sendall(first)
        while not over.wait(pause) if pause else not over.is_set():
            connection.sendall(part)

    return answer


def within(seconds):
    """Return the context of a collect that has so many seconds left."""
    return Context("main", timeout=seconds / 0.9, interval=15, agent=1)


def get(address, seconds=LONG, path="/status", **given):
    """Ask once."""
    answers = {"answers": given.pop("answers")} if "answers" in given else {}
    return Http(address, **given).get(within(seconds), path, **answers)


def failure(kind, answer, seconds=LONG, *, reads=True, **given):
    """Return the sentence of a failure, which is of this kind."""
    with serving(answer, reads=reads) as address, pytest.raises(CollectError) as raised:
        get(address, seconds, **given)
    assert isinstance(raised.value, kind)
    sentence = str(raised.value)
    assert sentence == one_line(sentence, 1000)
    return sentence.replace(f"{address[0]}:{address[1]}", "SERVER")


def server_context(files, name="server", *, wants_certificate=False):
    """Return the context of a server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files / f"{name}.pem")
    if wants_certificate:
        context.load_verify_locations(files / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@pytest.fixture
def fake():
    """Start a server that answers as the test says."""
    with FakeHttp() as started:
        yield started


@pytest.fixture
def trusting(authorities):
    """Return a client's context that trusts our authority."""
    return client_context(Tls(tls_ca=str(authorities / "ca.pem")))


def test_an_answer_has_status_headers_and_body(fake):
    """What came is there as it came, and a header is found in upper and lower case."""
    fake.answers["/status"] = Reply(201, b"\x00\xff", {"X-Leader": "yes"})
    answer = get(fake.address)
    assert (answer.status, answer.headers["x-leader"], answer.body) == (201, "yes", b"\x00\xff")


def test_a_question_says_what_it_is(fake):
    """One connection for each, no compression, the host with its port, and the headers of the caller."""
    fake.answers["/a?b=%20"] = b"c"
    assert get(fake.address, path="/a?b=%20", headers={"X-Token": "t\xfc"}).body == b"c"
    (request,) = fake.requests
    assert (request.method, request.path, request.body) == ("GET", "/a?b=%20", b"")
    assert dict(request.headers) == {
        "Host": f"127.0.0.1:{fake.port}",
        "Accept-Encoding": "identity",
        "X-Token": "t\xfc",
        "Connection": "close",
    }


def test_a_body_is_posted_with_its_length_and_type(fake):
    """A POST has what it was given, also where it is nothing."""
    fake.answers["/put"] = Reply(204)
    http = Http(fake.address)
    for body in (b'{"a": 1}', b"", bytes(1 << 20)):
        answer = http.post(within(LONG), "/put", body, "application/json")
        assert (answer.status, answer.body) == (204, b"")
        request = fake.requests[-1]
        assert (request.method, request.body) == ("POST", body)
        assert (request.headers["content-type"], request.headers["content-length"]) == (
            "application/json",
            str(len(body)),
        )


def test_a_body_does_not_wait_until_its_head_has_arrived(fake):
    """Nagle's algorithm would cost each POST a round trip."""
    with opened(fake.address, LONG) as connection:
        assert connection._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_user_and_password_are_sent_in_utf_8(fake):
    """Basic authentication, whatever script a password is written in."""
    fake.answers["/status"] = b""
    get(fake.address, headers=basic("jürgen", Secret("pässwörd:✓")))
    kind, _, coded = fake.requests[0].headers["Authorization"].partition(" ")
    assert (kind, b64decode(coded).decode()) == ("Basic", "jürgen:pässwörd:✓")
    assert basic("") == {}
    assert basic("a") == {"Authorization": "Basic YTo="}
    with pytest.raises(Misconfigured, match=r"^user: .* no colon"):
        basic("a:b")


def test_a_unix_socket_is_asked_as_a_port_is(tmp_path):
    """The host is localhost then."""
    with FakeHttp(tmp_path / "s") as fake:
        fake.answers["/status"] = b"here"
        assert get(fake.address).body == b"here"
        fake.answers["/put"] = b"taken"
        assert Http(fake.address).post(within(LONG), "/put", b"b" * 300_000, "text/plain").body == b"taken"
        assert [request.headers["host"] for request in fake.requests] == ["localhost"] * 2
    assert fake.requests[1].body == b"b" * 300_000


def test_ipv6_is_asked_with_brackets_in_the_host():
    """As the standard wants it."""
    heard = []

    def answer(connection, _):
        heard.append(asked(connection))
        connection.sendall(OK + b"six")

    with serving(answer, socket.create_server(("::1", 0), family=socket.AF_INET6), reads=False) as address:
        assert get(address).body == b"six"
    assert f"\r\nHost: [::1]:{address[1]}\r\n".encode() in heard[0]


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (says(OK, b"to the end"), b"to the end"),
        (says(b"HTTP/1.0 200 OK\r\n\r\nold"), b"old"),
        (says(b"HTTP/1.1 200\r\n\r\nno reason"), b"no reason"),
        (says(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nall and more"), b"all"),
        (says(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nmore"), b""),
        (says(b"HTTP/1.1 204 No Content\r\n\r\nmore"), b""),
        (says(b"HTTP/1.1 100 Continue\r\n\r\n" * 3, OK, b"at last"), b"at last"),
        (
            says(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;a=b\r\nwiki\r\n5\r\npedia\r\n0\r\nX: y\r\n\r\n"
            ),
            b"wikipedia",
        ),
    ],
)
def test_every_way_to_end_a_body_is_understood(answer, body):
    """By a length, in chunks, by hanging up, or none at all; more than that is not looked at."""
    with serving(answer) as address:
        assert get(address).body == body


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 204 No Content", b"HTTP/1.1 200 OK\r\nContent-Length: 0", b"HTTP/1.1 304 Same"]
)
def test_an_answer_without_a_body_is_not_waited_for(head):
    """Where the server leaves the connection open."""

    def answer(connection, over):
        connection.sendall(head + b"\r\n\r\n")
        waits(connection, over)

    began = time.monotonic()
    with serving(answer) as address:
        assert get(address, 5, answers=range(200, 400)).body == b""
    assert time.monotonic() - began < 2


def test_json_is_read_or_refused(fake):
    """What is no JSON is the server's failure, and its beginning is shown."""
    fake.answers["/status"] = b'{"a": [1]}'
    assert get(fake.address).json() == {"a": [1]}
    bodies = {
        b"<html>\n<b>": "<html> <b>",
        b"": "blanks, or nothing",
        b'"\xff"': '"\ufffd"',
        b"[" * 100_000: "[" * 199 + "…",
        b"9" * 5000: "9" * 199 + "…",
    }
    for body, shown in bodies.items():
        fake.answers["/status"] = body
        with pytest.raises(Unavailable) as raised:
            get(fake.address).json()
        assert (
            str(raised.value) == f"127.0.0.1:{fake.port}: GET /status: answered with what is no JSON: {shown}"
        )


def test_nobody_who_listens_is_unavailable(tmp_path):
    """With the sentences of kit.place."""
    with pytest.raises(Unavailable, match="nobody listens there"):
        get(("127.0.0.1", free_port()))
    with pytest.raises(Unavailable, match="no such socket"):
        get(str(tmp_path / "none"))


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example", "ä" * 64])
def test_a_name_that_no_host_can_have_is_for_the_operator(host):
    """A part of it is empty, or too long."""
    with pytest.raises(Misconfigured, match="no host can have this name"):
        get((host, 80))


@pytest.mark.parametrize(
    ("status", "kind", "sentence"),
    [
        (500, Unavailable, "500 Internal Server Error: why"),
        (503, Unavailable, "503 Service Unavailable: why"),
        (408, Unavailable, "408 Request Timeout: why"),
        (429, Unavailable, "429 Too Many Requests: why"),
        (400, Misconfigured, "400 Bad Request: why"),
        (401, Misconfigured, "401 Unauthorized; look at the user and the password: why"),
        (403, Misconfigured, "403 Forbidden; look at what this user may ask: why"),
        (404, Misconfigured, "404 Not Found; look at the path, and at who listens there: why"),
        (405, Misconfigured, "405 Method Not Allowed: why"),
        (499, Misconfigured, "499: why"),
        (600, Unavailable, "600: why"),
    ],
)
def test_a_status_says_who_can_mend_it(fake, status, kind, sentence):
    """The server's, or the operator's: each with its reason and the beginning of the body."""
    fake.answers["/status"] = Reply(status, b"\nwhy\n")
    with pytest.raises(CollectError) as raised:
        get(fake.address)
    assert isinstance(raised.value, kind)
    assert str(raised.value) == f"127.0.0.1:{fake.port}: GET /status: {sentence}"


@pytest.mark.parametrize("status", [102, 103])
def test_what_is_no_final_answer_is_unavailable(status):
    """It was not asked for."""
    said = f"HTTP/1.1 {status} Early\r\n\r\n".encode()
    assert failure(Unavailable, says(said, OK)) == f"SERVER: GET /status: {status} Early"


def test_a_redirect_is_told_and_not_followed(fake):
    """Where it points to is for the operator to see."""
    fake.answers["/status"] = Reply(302, b"", {"Location": "/elsewhere"})
    fake.answers["/elsewhere"] = b"no"
    with pytest.raises(Misconfigured, match=r"302 Found; redirects .*, this one points to /elsewhere$"):
        get(fake.address)
    fake.answers["/status"] = Reply(301)
    with pytest.raises(Misconfigured, match=r"points to nowhere$"):
        get(fake.address)
    assert [request.path for request in fake.requests] == ["/status"] * 2


def test_the_caller_says_which_status_is_an_answer(fake):
    """Such as 503 from a server that tells its health so; what is not among them is a failure."""
    fake.answers["/status"] = Reply(503, b"ill")
    assert get(fake.address, answers=(200, 503)).body == b"ill"
    assert Http(fake.address).post(within(LONG), "/status", b"", "a/b", answers=(503,)).body == b"ill"
    fake.answers["/status"] = Reply(204)
    with pytest.raises(Unavailable, match=r"204 No Content$"):
        get(fake.address, answers=(200, 503))


def test_the_text_of_a_server_is_one_bounded_line():
    """Nothing of it is a line of a log, or a command for a terminal."""
    nasty = b"a\x1b[2Jb\r c\x00\x9b" * 1000
    head = b"HTTP/1.1 500 " + nasty[:500].replace(b"\r", b"") + b"\r\n\r\n"
    failure(Unavailable, says(head, nasty, b"\xff\xfe\n"))
    location = b"HTTP/1.1 302 Found\r\nLocation: " + nasty[:500].replace(b"\r", b"") + b"\r\n\r\n"
    failure(Misconfigured, says(location))
    failure(Unavailable, says(nasty))


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (says(b"220 mail ESMTP\r\n"), "what came is no HTTP: 220 mail ESMTP"),
        (says(b"HTTP/1.1 abc OK\r\n\r\n"), "what came is no HTTP: HTTP/1.1 abc OK"),
        (says(b"HTTP/2 200 OK\r\n\r\n"), "what came is no HTTP: HTTP/2"),
        (says(b"HTTP/1.1 200 " + b"x" * 70000), "what came is no HTTP: got more than 65536 bytes"),
        (says(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70000), "what came is no HTTP: got more than 65536 bytes"),
        (says(b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 200), "what came is no HTTP: got more than 100 headers"),
        (says(), "the server hung up without a whole answer"),
        (says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"), "the answer broke off, or is garbled"),
        (
            says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nx"),
            "the answer broke off, or is garbled",
        ),
        (
            says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nwhat"),
            "the answer broke off, or is garbled",
        ),
        (
            says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nabcde\r\n0\r\n\r\n"),
            "the answer broke off, or is garbled",
        ),
    ],
)
def test_what_is_no_http_or_breaks_off_is_unavailable(answer, sentence):
    """Trying again may help; the sentence shows what came."""
    assert failure(Unavailable, answer).startswith(f"SERVER: GET /status: {sentence}")


def test_a_reset_is_unavailable():
    """A server that dies resets what is open."""

    def reset(connection, _):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    assert failure(Unavailable, reset) == "SERVER: GET /status: the server hung up without a whole answer"


def never_reads(connection, over):
    """Take nothing from the wire."""
    waits(connection, over)


HOSTILE = {
    "silent": waits,
    "dribbles its status": for_ever(b"x"),
    "dribbles a header": for_ever(b"x", b"HTTP/1.1 200 OK\r\nX: "),
    "dribbles its body": for_ever(b"x", OK),
    "dribbles a body with a length": for_ever(b"x", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
    "dribbles chunks": for_ever(b"1\r\nx\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    "says wait": for_ever(b"HTTP/1.1 100 Continue\r\n\r\n"),
}
FLOODS = {
    "interim responses": for_ever(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, pause=0),
    "trailers": for_ever(
        b"X: x\r\n" * 1000, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", pause=0
    ),
}


@pytest.mark.parametrize("answer", HOSTILE.values(), ids=HOSTILE.keys())
def test_whatever_a_server_does_the_budget_ends_it(answer):
    """One budget for all: no byte that comes begins it anew."""
    began = time.monotonic()
    sentence = failure(Unavailable, answer, SHORT)
    assert SHORT <= time.monotonic() - began < SHORT + 1
    assert sentence == "SERVER: GET /status: no whole answer within 0.3 s"


@pytest.mark.parametrize(("what", "answer"), FLOODS.items(), ids=FLOODS.keys())
def test_a_flood_is_ended(what, answer):
    """By the budget, or by Python, which counts since 3.14.7."""
    began = time.monotonic()
    sentence = failure(Unavailable, answer, SHORT)
    assert time.monotonic() - began < SHORT + 1
    assert sentence.removeprefix("SERVER: GET /status: ") in (
        "no whole answer within 0.3 s",
        f"what came is no HTTP: got more than 100 {what}",
    )


@pytest.mark.parametrize(
    "answer", [for_ever(b"x", b"HTTP/1.1 503 Busy\r\n\r\nhello"), HOSTILE["dribbles its body"]]
)
def test_a_status_counts_whatever_becomes_of_the_rest(answer):
    """A refusal whose body does not end is a refusal."""
    began = time.monotonic()
    sentence = failure(Unavailable, answer, SHORT, answers=(201,))
    assert time.monotonic() - began < SHORT + 1
    assert re.match("SERVER: GET /status: (503 Busy: hello|200 OK: )x+$", sentence)


def test_a_refusal_that_breaks_off_is_a_refusal():
    """The status came."""
    said = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 1000\r\n\r\nyou may not"
    assert failure(Misconfigured, says(said)).endswith("may ask: you may not")


@pytest.mark.parametrize("secured", [False, True])
def test_a_server_that_does_not_read_does_not_hold_a_post(authorities, trusting, secured):
    """Nor one that reads a little now and then."""

    def reads_slowly(connection, over):
        wrapped = (
            server_context(authorities).wrap_socket(connection, server_side=True) if secured else connection
        )
        with wrapped:
            while not over.wait(0.01):
                wrapped.recv(1 << 16)

    for answer in [reads_slowly] if secured else [reads_slowly, never_reads]:
        with serving(answer, reads=False) as (_, port):
            http = Http(("localhost", port), tls=trusting if secured else None)
            began = time.monotonic()
            with pytest.raises(Unavailable, match=r"POST /put: no whole answer within 0\.3 s$"):
                http.post(within(SHORT), "/put", bytes(60_000_000), "application/octet-stream")
            assert time.monotonic() - began < SHORT + 1


def test_each_exchange_has_what_is_left_of_its_own_collect(fake):
    """A server that was made when the collector was opened is asked in the time of each collect."""
    http = Http(fake.address)
    fake.answers["/status"] = b"fine"
    http.get(first := within(2.0), "/status")
    time.sleep(first.remaining())
    assert http.get(within(LONG), "/status").body == b"fine"
    fake.answers["/status"] = Trouble.SILENT
    for seconds in (0.2, 0.1):
        with pytest.raises(Disconnected, match=f"within {seconds} s"):
            http.get(within(seconds), "/status")


def test_who_does_not_answer_at_all_is_no_refusal(fake):
    """Of three questions that may be refused none is answered: that is a service that is down."""
    fake.answers["/status"] = Reply(503, b"busy")
    context = within(LONG)
    with optional(context, "the status") as asked:
        Http(fake.address).get(context, "/status")
    assert "503" in asked.refused
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = taken.getsockname()
    with pytest.raises(Disconnected), optional(context, "the status"):
        Http(address).get(context, "/status")


def test_a_coding_that_nobody_asked_for_is_no_answer():
    """The framing would be taken for the body."""
    said = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    assert "Transfer-Encoding: gzip, chunked" in failure(Unavailable, says(said))


def test_what_a_server_said_before_it_hung_up_is_its_answer():
    """Such as 413: it does not read the body to its end."""

    def refuses(connection, _):
        connection.recv(100)
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        connection.shutdown(socket.SHUT_RDWR)
        time.sleep(0.1)

    with serving(refuses, reads=False) as address, pytest.raises(Misconfigured, match=r"413 Too Large: no$"):
        Http(address).post(within(5.0), "/put", bytes(10_000_000), "a/b")


TOO_MUCH = {
    "a body without an end": for_ever(b"x" * 65536, OK, 0),
    "a length": for_ever(
        b"x" * 65536, b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n", 0
    ),
    "a chunk": for_ever(
        b"x" * 65536, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffffffff\r\n", 0
    ),
    "chunks": for_ever(b"1\r\nx\r\n" * 10_000, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0),
    "a negative chunk": for_ever(
        b"x" * 65536, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", 0
    ),
}


@pytest.mark.parametrize("answer", TOO_MUCH.values(), ids=TOO_MUCH.keys())
def test_no_answer_takes_more_memory_than_its_limit(answer):
    """Neither what comes nor what is announced."""
    tracemalloc.start()
    try:
        sentence = failure(Unavailable, answer, limit=1 << 17)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sentence == f"SERVER: GET /status: the answer has more than {1 << 17} bytes"
    assert most < 1 << 20


def test_a_head_takes_bounded_memory():
    """A hundred of the longest headers, which is what http.client takes."""
    tracemalloc.start()
    try:
        failure(Unavailable, for_ever(b"X: " + b"x" * 60_000 + b"\r\n", b"HTTP/1.1 200 OK\r\n", 0))
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 40 << 20


def test_a_body_of_exactly_the_limit_is_taken(fake):
    """One byte more is not."""
    fake.answers["/status"] = b"12345"
    assert get(fake.address, limit=5).body == b"12345"
    with pytest.raises(Unavailable, match="the answer has more than 4 bytes"):
        get(fake.address, limit=4)


@pytest.mark.parametrize(
    "path", ["", "status", "http://elsewhere/", "/a b", "/a\r\nX: y", "/\n", "/ä", "/a\x7f", "/#a", "/a\0"]
)
def test_a_path_that_http_cannot_have_is_refused(fake, path):
    """Nothing of it is sent."""
    with pytest.raises(Misconfigured, match=r": GET .*: a path begins with /"):
        get(fake.address, path=path)
    assert fake.requests == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("", "a"),
        ("a b", "a"),
        ("a:", "a"),
        ("a\r\nX", "a"),
        ("a\n", "a"),
        ("ä", "a"),
        ("X", "secret\r\nY: z"),
        ("X", "secret\n"),
        ("X", "secret\r\n folded"),
        ("X", "secret\0"),
        ("X", "secret€"),
    ],
)
def test_a_header_that_http_cannot_have_is_refused(fake, name, text):
    """Nothing of it is sent, and its text is not shown: it may be a token."""
    for ask in (
        lambda: get(fake.address, headers={name: text}),
        lambda: Http(fake.address).post(within(LONG), "/status", b"", "a\r\nX: y"),
    ):
        with pytest.raises(Misconfigured, match="HTTP cannot have such a header") as raised:
            ask()
        assert "secret" not in str(raised.value)
    assert fake.requests == []


def test_tls_is_spoken_with_the_name_of_the_host(authorities, trusting):
    """Both ways, and the port of HTTPS is left out of nothing but itself."""
    with FakeHttp(tls=server_context(authorities)) as fake:
        fake.answers["/status"] = bytes(300_000)
        fake.answers["/put"] = b"taken"
        address = ("localhost", fake.port)
        assert get(address, tls=trusting).body == bytes(300_000)
        assert Http(address, tls=trusting).post(within(LONG), "/put", bytes(300_000), "a/b").body == b"taken"
    assert fake.requests[0].headers["host"] == f"localhost:{fake.port}"
    assert fake.requests[1].body == bytes(300_000)


def test_tls_over_a_unix_socket_is_for_localhost(authorities, trusting, tmp_path):
    """A certificate has to be for some name."""
    with FakeHttp(tmp_path / "s", server_context(authorities)) as fake:
        fake.answers["/status"] = b"here"
        assert get(fake.address, tls=trusting).body == b"here"
    assert fake.requests[0].headers["host"] == "localhost"


def test_a_certificate_that_is_not_right_is_for_the_operator(authorities, trusting):
    """Of another authority, or for another name."""
    with FakeHttp(tls=server_context(authorities)) as fake:
        other = client_context(Tls(tls_ca=str(authorities / "other.pem")))
        with pytest.raises(Misconfigured, match=r"certificate is not trusted: .*issuer.*; look at tls_ca"):
            get(("localhost", fake.port), tls=other)
        with pytest.raises(
            Misconfigured, match=r"certificate is not trusted: .*not valid for '127\.0\.0\.1'"
        ):
            get(("127.0.0.1", fake.port), tls=trusting)
    assert fake.requests == []


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_that_wants_a_certificate_says_so(authorities, trusting, version):
    """With TLS 1.3 it does so only after the handshake; to who has one it answers."""
    context = server_context(authorities, wants_certificate=True)
    context.maximum_version = version

    def wants(connection, over):
        # What is wrapped is closed when the alert was sent.
        with suppress(ssl.SSLError), context.wrap_socket(connection.dup(), server_side=True) as secured:
            asked(secured)
            secured.sendall(OK + b"here")
            return
        waits(connection, over)

    files = Tls(tls_ca=str(authorities / "ca.pem"), tls_certificate=str(authorities / "client.pem"))
    with serving(wants, reads=False) as (_, port):
        assert get(("localhost", port), tls=client_context(files)).body == b"here"
        with pytest.raises(Misconfigured, match=r"does not take this client .*; it may want a certificate"):
            get(("localhost", port), tls=trusting)


def test_a_server_that_hangs_up_in_tls_may_want_a_certificate(authorities, trusting):
    """Its alert is lost when it resets the connection."""

    def resets(connection, _):
        with server_context(authorities).wrap_socket(connection, server_side=True) as secured:
            asked(secured)
            secured.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    said = r"without a whole answer; it may want a client's certificate$"
    with serving(resets, reads=False) as (_, port), pytest.raises(Unavailable, match=said):
        get(("localhost", port), tls=trusting)


def test_a_handshake_that_does_not_come_is_ended_by_the_budget(trusting):
    """A server that is silent, or dribbles."""
    for answer in (waits, for_ever(b"\x16\x03\x03\x3f\xff\x02", pause=0.02)):
        began = time.monotonic()
        sentence = failure(Unavailable, answer, SHORT, reads=False, tls=trusting)
        assert time.monotonic() - began < SHORT + 1
        assert sentence.endswith("GET /status: no whole answer within 0.3 s")


def test_an_answer_that_dribbles_through_tls_is_ended_by_the_budget(authorities, trusting):
    """Each byte is a record of its own."""
    with FakeHttp(tls=server_context(authorities)) as fake:
        for trouble in (Trouble.DRIBBLING, Trouble.SILENT):
            fake.answers["/status"] = trouble
            began = time.monotonic()
            with pytest.raises(Unavailable, match=r"no whole answer within 0\.3 s"):
                get(("localhost", fake.port), SHORT, tls=trusting)
            assert time.monotonic() - began < SHORT + 1


def test_plain_http_where_tls_is_expected_is_said(fake, trusting):
    """Whatever the server makes of the handshake."""
    plain = stays(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    assert "does not speak TLS there" in failure(Misconfigured, plain, reads=False, tls=trusting)
    with pytest.raises(Misconfigured, match="does not speak TLS there, perhaps it speaks plain HTTP"):
        get(("localhost", fake.port), tls=trusting)
    assert "TLS failed: " in failure(
        Unavailable, stays(b"\x16\x03\x03\0\x04\x99\0\0\0"), reads=False, tls=trusting
    )


def test_tls_where_plain_http_is_expected_is_said():
    """An alert is the answer of TLS to a question without; many servers just hang up."""
    alert = b"\x15\x03\x01\x00\x02\x02\x46"
    sentence = failure(Misconfigured, says(alert))
    assert sentence == "SERVER: GET /status: the server speaks TLS there, and was asked without"


@pytest.mark.parametrize(
    "said",
    [b"what", OK + b"x" * LIMIT * 2, OK + b"ok", b"HTTP/1.1 500 No\r\n\r\n", b"HTTP/1.1 204 No\r\n\r\n"],
)
def test_a_connection_is_closed_whatever_came_of_it(said):
    """Where an error is kept, what it holds is not: the server sees the end."""
    seen = threading.Event()

    def answer(connection, _):
        with suppress(OSError):  # it closed first
            connection.sendall(said)
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(1) == b""
        seen.set()

    with serving(answer) as address:
        try:
            kept = get(address)
        except CollectError as error:
            kept = error
        assert seen.wait(5), kept


@contextmanager
def telling(path):
    """Listen at a Unix socket; what is put into the list is said to whoever asks next."""
    words = []
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen(100)

        def answer(connection, _):
            connection.sendall(words[0])

        with serving(answer, listening):
            yield words


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Yield a path, and the list with what is said there."""
    path = str(tmp_path_factory.mktemp("told") / "s")
    with telling(path) as words:
        yield path, words


PIECES = st.sampled_from(
    [
        b"HTTP/1.1 ", b"HTTP/1.0 ", b"200", b"204", b"100", b"302", b"404", b"500", b" OK", b"\r\n", b"\r\n\r\n", b"\n",
        b"Content-Length: ", b"Transfer-Encoding: chunked\r\n", b"Location: ", b"Connection: keep-alive\r\n",
        b"0", b"-1", b"5", b"ff", b"\xff", b"\0", b":", b" ", b"\t", b"\x85", b"\x1c", b"=?utf-8?q?=FF?=", b"From ",
    ]
)  # fmt: skip
ANSWERS = st.one_of(
    st.binary(),
    st.builds(b"".join, st.lists(PIECES | st.binary(max_size=5))),
    st.builds(lambda rest: b"HTTP/1.1 200 OK\r\n" + b"".join(rest), st.lists(PIECES | st.binary(max_size=5))),
)


@given(said=ANSWERS, answers=st.sampled_from([range(200, 300), range(1000)]))
@settings(max_examples=500)
def test_whatever_bytes_come_there_is_an_answer_or_a_sentence(told, said, answers):
    """Nothing else is raised, and no sentence is more than a line."""
    path, words = told
    words[:] = [said]
    sentence = ""
    try:
        answer = get(path, 5, answers=answers)
        assert len(answer.body) <= len(said)
        answer.json()
    except (Unavailable, Misconfigured) as error:
        sentence = str(error)
    assert "no whole answer within" not in sentence
    assert sentence == one_line(sentence, 1000)


@given(
    name=st.text(max_size=5) | st.just("X"),
    text=st.text(max_size=8),
    path=st.text(max_size=8).map("/".__add__),
)
@settings(max_examples=200)
def test_no_text_makes_another_question(name, text, path):
    """What arrives is the question that was asked, header for header, or nothing was sent."""
    heard = []

    def answer(connection, _):
        heard.append(asked(connection))
        connection.sendall(OK)

    with serving(answer, reads=False) as address:
        try:
            get(address, path=path, headers={name: text})
        except Misconfigured:
            assert heard == []
            return
    lines = heard[0].decode("latin-1").split("\r\n")
    assert lines[0] == f"GET {path} HTTP/1.1"
    assert f"{name}: {text}" in lines
    assert len(lines) <= 7
    assert "\n" not in "".join(lines)
