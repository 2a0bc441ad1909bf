"""The HTTP face on real sockets, for honest clients and for hostile ones."""

import asyncio
import contextlib
import gzip
import json
import re
import socket
import stat
import struct
import time
from pathlib import Path

import pytest
from faces import DOWN, Face, serving, told
from harness import until

from rscollector.web import server
from rscollector.web.listeners import CannotListen, listen, listen_unix

BIG = b"x_size 1.0\n" * 800_000


@pytest.fixture
def control(tmp_path):
    """Where the control socket is."""
    return tmp_path / "run" / "control.sock"


@pytest.fixture
def served(control):
    """A server on loopback and on a control socket."""
    with serving(Face(), beside=[listen_unix(control)]) as made:
        yield made


def connect(served, data=b"", control=None):
    """Return a raw connection on which this was sent, to a control socket if one is given."""
    client = socket.socket(socket.AF_UNIX if control else socket.AF_INET)
    client.settimeout(60)
    client.connect(str(control) if control else ("127.0.0.1", served.port))
    client.sendall(data)
    return client


def test_the_page_comes_in_the_format_that_was_asked_for(served):
    """Text for whoever asks for nothing, OpenMetrics for Prometheus, each with its content type."""
    status, headers, body = served.get()
    assert (status, headers["content-type"], body) == (
        200,
        "text/plain; version=0.0.4; charset=utf-8",
        b"x_size 1.0\n",
    )
    _, headers, body = served.get(accept="application/openmetrics-text;version=1.0.0")
    assert headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert body == b"x_size 1.0\n# EOF\n"


def test_a_compressed_page_is_the_page(served):
    """gzip for whoever accepts it, and another page is compressed anew."""
    for body in (b"x_size 1.0\n" * 100, b"x_size 2.0\n"):
        served.face.body = body
        until(lambda body=body: gzip.decompress(served.get(accept_encoding="gzip")[2]) == body)
        _, headers, got = served.get(accept_encoding="gzip")
        assert (headers["content-encoding"], gzip.decompress(got)) == ("gzip", body)
        assert (headers["vary"], headers["content-length"]) == ("Accept, Accept-Encoding", str(len(got)))


def test_a_large_page_arrives_whole(served):
    """Its parts are a whole, with and without compression."""
    served.face.body = BIG
    assert served.get()[2] == BIG
    assert gzip.decompress(served.get(accept_encoding="gzip")[2]) == BIG


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("HEAD", "/metrics", 200), ("GET", "/none", 404), ("POST", "/metrics", 405)],
)
def test_other_requests_get_what_http_says(served, method, path, status):
    """HEAD has no body, unknown paths are 404, and nothing takes a POST."""
    got, _, body = served.get(path, method)
    assert (got, method == "HEAD" and body) == (status, method == "HEAD" and b"")


def test_health_and_readiness_say_why_not(served):
    """200 while all is well, 503 with the reason otherwise."""
    assert [served.get(path)[::2] for path in ("/-/healthy", "/-/ready")] == [
        (200, b"healthy\n"),
        (200, b"ready\n"),
    ]
    served.face.unwell = served.face.unfinished = "the timers are late"
    assert [served.get(path)[::2] for path in ("/-/healthy", "/-/ready")] == [
        (503, b"the timers are late\n")
    ] * 2


def test_the_page_for_people_escapes_what_it_shows(served):
    """A reason is text from other programs, and stays text."""
    served.face.host, served.face.mistakes = "<b>host</b>", "a & b"
    odd = DOWN | {"reason": "<script>alert(1)</script>", "last_stack": "<i>", "duration_seconds": 0.25}
    served.face.collectors = [told("vip/main", **odd)]
    page = served.get("/")[2].decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>" not in page
    assert "<i>" not in page
    assert re.search(r"never.*250 ms", page, re.DOTALL)
    assert "a &amp; b" in page
    assert "&lt;b&gt;host" in page


def test_the_page_shows_only_what_is_wrong_to_whom_asks_so(served):
    """By a query, which can be sent to a colleague; what is well is not there then."""
    well = told("a/well", minutes=[None] * 58 + [0.1, 0.2])
    served.face.collectors = [well, told("b/bad", **DOWN)]
    page = served.get("/")[2].decode()
    assert page.index("b/bad") < page.index("a/well")
    assert "1 of 2 wrong." in page
    assert 'aria-label="runs of the last hour: up to 200 ms, none in 58 of its minutes"' in page
    page = served.get("/?show=wrong")[2].decode()
    assert "b/bad" in page
    assert 'id="a/well"' not in page, "its worker may be told of"
    time.sleep(1.1)  # a page is a second old before there is another one
    served.face.collectors = [well]
    assert "Nothing is wrong with the collectors." in served.get("/?show=wrong")[2].decode()


def test_the_page_loads_nothing_from_elsewhere(served):
    """Its style and its script come from here, and the browser is told to take no others."""
    served.face.collectors = []
    _, headers, body = served.get("/")
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store", "else a browser shows an old one when one goes back to it"
    assert re.findall(r'(?:src|href)="([^"#]*)"', body.decode()) == [
        "data:,",
        "page.css",
        "page.js",
        "metrics",
        "api/v1/status",
        "-/healthy",
        "-/ready",
    ]
    assert "style=" not in body.decode()
    for name, kind in (("page.css", "text/css"), ("page.js", "text/javascript")):
        status, headers, body = served.get(f"/{name}")
        assert (status, headers["content-type"]) == (200, f"{kind}; charset=utf-8")
        assert b"http" not in body.replace(b"https://", b"http")


def test_the_control_socket_serves_the_same_and_is_not_for_everyone(served, control):
    """The mode is 0660, and the status is there."""
    assert stat.S_IMODE(control.stat().st_mode) == 0o660
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(control))
        client.sendall(b"GET /api/v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["series"] == 24


@pytest.mark.parametrize("sent", [b"", b"GET /metrics HTTP/1.1\r\n"])
def test_a_client_that_says_nothing_or_half_is_cut(served, sent):
    """Headers have five seconds to come, whatever dribbles in."""
    began = time.monotonic()
    with connect(served, sent) as client:
        dribble = iter(b"X-Slow: 1" * 100)
        client.settimeout(0.5)
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - began < 15:
                if sent:
                    client.sendall(bytes([next(dribble)]))
                try:
                    if client.recv(1000) == b"":
                        break
                except TimeoutError:
                    continue
    assert 3 < time.monotonic() - began < 14
    assert served.get()[0] == 200


@pytest.mark.parametrize("is_by_socket", [False, True])
def test_a_client_that_never_reads_is_cut_and_holds_nobody_up(served, control, monkeypatch, is_by_socket):
    """Each connection has an end, on the control socket too; meanwhile others are served."""
    monkeypatch.setattr(server, "LIFETIME", 3.0)
    served.face.body, ask = BIG, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
    with contextlib.ExitStack() as silent:
        by = control if is_by_socket else None
        crowd = [silent.enter_context(connect(served, control=by)) for _ in range(20)]
        until(lambda: len(served.connections) >= 20)
        for each in crowd:
            each.sendall(ask)
        monkeypatch.setattr(server, "LIFETIME", 60.0)  # for an honest client, however slow this machine is
        began = time.monotonic()
        assert served.get()[2] == BIG
        assert time.monotonic() - began < 15
        until(lambda: len(served.connections) == 0)


def test_a_crowd_of_idle_clients_keeps_nobody_out(served, monkeypatch):
    """Whoever has to go is gone at once."""
    monkeypatch.setattr(server, "LIFETIME", 600.0)
    served.connections.most = 25
    with contextlib.ExitStack() as crowd:
        for _ in range(200):
            crowd.enter_context(connect(served))
        assert served.get()[0] == 200
        until(lambda: served.connections.evicted >= 176)
        assert len(served.connections) <= 25


def test_the_oldest_of_too_many_connections_makes_room(served):
    """However many sit idle, an honest scrape gets through, and the evicted are counted."""
    served.connections.most = 50
    idle = [connect(served) for _ in range(50)]
    until(lambda: len(served.connections) == 50)
    assert served.get()[0] == 200
    assert served.connections.evicted == 1
    assert idle[0].recv(1) == b""
    for client in idle:
        client.close()


def test_stopping_does_not_wait_for_a_client_that_never_reads(served):
    """The end comes in time, whoever is still connected."""
    served.face.body = BIG
    with connect(served, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n") as client:
        assert client.recv(1, socket.MSG_PEEK)
        began = time.monotonic()
        served.stop()
        assert time.monotonic() - began < server.LIFETIME - 5


def test_requests_leak_no_descriptor(served):
    """After two hundred requests there are as many as before."""

    def descriptors():
        return len(list(Path("/proc/self/fd").iterdir()))

    served.get(accept_encoding="gzip")
    until(lambda: len(served.connections) == 0)
    before = descriptors()
    for _ in range(200):
        served.get()
    until(lambda: len(served.connections) == 0)
    assert descriptors() <= before + 1


def test_ports_that_cannot_be_had_are_named_and_nothing_stays_open():
    """A port in use, an address that is not here, and a port that needs a privilege."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        used = f"127.0.0.1:{taken.getsockname()[1]}"
        for address, reason in (
            (used, f"cannot listen on {used}: another process uses this port"),
            ("203.0.113.9:80", "cannot listen on 203.0.113.9:80: no interface of this host has this address"),
        ):
            with pytest.raises(CannotListen) as refused:
                listen(["127.0.0.1:0", address])
            assert str(refused.value).startswith(reason)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_dead_control_socket_is_replaced_and_a_living_one_is_not(tmp_path):
    """What a killed agent left behind is in nobody's way; two agents are one too many."""
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    living = listen_unix(path)
    with pytest.raises(CannotListen, match="another rscollector answers on"):
        listen_unix(path)
    living.close()


def test_a_control_socket_that_cannot_be_made_is_named(tmp_path):
    """A directory that is a file, and a path that is too long, are sentences."""
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "control.sock", tmp_path / ("x" * 120) / "control.sock"):
        with pytest.raises(CannotListen, match=re.escape(f"cannot make the control socket {path}: ")):
            listen_unix(path)


@pytest.mark.parametrize(
    ("sent", "status", "says"),
    [
        (b"GET /metrics/ HTTP/1.1\r\nHost: evil.example\r\n\r\n", 404, b"Not Found"),
        (b"GET /%6detrics HTTP/1.1\r\nHost: x\r\n\r\n", 200, b"x_size 1.0"),
        (b"GET http://a.example:1/metrics HTTP/1.1\r\nHost: x\r\n\r\n", 200, b"x_size 1.0"),
        (b"GET HTTPS://a.example HTTP/1.1\r\nHost: x\r\n\r\n", 200, b"<!doctype html>"),
        (b"GET http://a.example?/metrics HTTP/1.1\r\nHost: x\r\n\r\n", 200, b"<!doctype html>"),
        (b"\r\nGET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 200, b"x_size 1.0"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, b"this port speaks HTTP, not HTTPS"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, b"this server speaks HTTP/1.1"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 400, b"Only Transfer-Encoding: chunked"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 40_000 + b"\r\n\r\n", 431, b"Receive buffer too long"),
        (b"GET /\r\n\r\n", 400, b"illegal request line\n"),
        (b"GET / HTTP/1.1\r\n\x1b[2J: x\r\n\r\n", 400, b"illegal header line"),
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: image/png\r\nAccept: application/openmetrics-text\r\n\r\n",
         200, b"# EOF"),
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: " + b"a," * 600 + b"application/openmetrics-text\r\n\r\n",
         200, b"x_size 1.0\n"),
    ],
)  # fmt: skip
def test_odd_requests_get_what_http_says_and_in_words(served, sent, status, says):
    """One answer, without a byte of a stranger's in it that a terminal would follow; then the end."""
    with connect(served, sent) as client:
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"connection: close" in head
    assert b"\x1b" not in answer
    assert says in body
    assert f"content-length: {len(body)}".encode() in head


@pytest.mark.parametrize("after", [0, 100_000])
def test_of_a_client_that_is_gone_nothing_is_left(served, after):
    """Neither its task nor its page, though it has never read: whoever reads the page is known by it."""
    served.face.body = BIG
    for _ in range(5):
        with connect(served, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n") as client:
            until(lambda: len(served.connections) >= 1)
            while after > 0 and (got := client.recv(min(after, 65536))):
                after -= len(got)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        until(lambda: len(served.connections) == 0)

    async def tasks():
        return len(asyncio.all_tasks())

    until(lambda: asyncio.run_coroutine_threadsafe(tasks(), served.loop).result(10) == 2)


def test_clients_that_reset_are_gone_at_once_and_write_nothing_into_the_log(served, logged):
    """Whenever that is: while they are answered, and after the last byte."""
    served.face.body = b"x" * 200_000
    for read in (1, 100_000, 200_000, 201_000):
        for _ in range(50):
            with connect(served, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n") as client:
                got = 0
                while got < read and (data := client.recv(min(65536, read - got))):
                    got += len(data)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    began = time.monotonic()
    until(lambda: len(served.connections) == 0)
    assert time.monotonic() - began < 10
    assert logged == []


def test_a_fault_of_ours_is_logged_and_said(served, logged):
    """Not an empty reply: who asks is told where to look."""
    served.face.body = None
    status, _, body = served.get()
    assert (status, body) == (500, b"this is a fault of the server: its log says more\n")
    assert {record.getMessage() for record in logged} == {"a request failed by a fault of ours"}
    assert logged[0].exc_info


def test_who_may_ask_where_and_what_is_wrong_with_it_is_on_the_page(served):
    """With the end of the certificate; a new one that is wrong is no success that nobody sees."""
    served.face.mistakes = ""
    page = served.get("/")[2].decode()
    assert "http://127.0.0.1:10070: metrics, read</div>" in page
    assert (
        "https://[::]:10071: metrics; 1 user; certificates of clients required; its certificate until" in page
    )
    assert re.search(r"2096-10-02 \S+ \S+</time>, in \d+ d", page)
    assert 'datetime="2096-10-02' in page
    assert "Certificates and web configuration" not in page
    served.face.web_mistake = "server.crt:1: <expired>"
    time.sleep(1.1)  # a page is a second old before there is another one
    page = served.get("/")[2].decode()
    assert "server.crt:1: &lt;expired&gt;" in page
    assert "<title>Wrong" in page
