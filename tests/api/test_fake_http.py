"""The HTTP server that plugin authors are given: it answers as told, and it is always gone in time."""

import http.client
import socket
import ssl
import threading
from contextlib import contextmanager

import pytest
from harness import until

from rscollector.testing.http import FakeHttp, Reply, Trouble


def asked(address, path="/", method="GET", body=None, **headers):
    """Ask as another client would; return status, headers and body."""
    connection = http.client.HTTPConnection(*address, timeout=30)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


@contextmanager
def begun(fake, name):
    """Ask for a trouble on a raw connection."""
    with socket.create_connection(fake.address, timeout=30) as connection:
        connection.sendall(f"GET /{name} HTTP/1.1\r\n\r\n".encode())
        yield connection


def test_it_is_a_fixture(fake_http):
    """A plugin's test asks for it by its name."""
    fake_http.answers["/"] = b"here"
    assert asked(fake_http.address)[::2] == (200, b"here")


def test_the_table_says_what_is_answered():
    """The most exact entry counts, and what is not there is 404."""
    with FakeHttp() as fake:
        fake.answers["/a"] = b"plain"
        fake.answers["/a?b=1"] = Reply(503, b"with a query", {"X-A": "b"})
        fake.answers["PUT /a"] = Reply(201, b"put")
        assert asked(fake.address, "/a")[::2] == (200, b"plain")
        assert asked(fake.address, "/a?c")[::2] == (200, b"plain")
        status, headers, body = asked(fake.address, "/a?b=1")
        assert (status, headers["x-a"], headers["content-length"], body) == (503, "b", "12", b"with a query")
        assert asked(fake.address, "/a", "PUT")[::2] == (201, b"put")
        assert asked(fake.address, "/none")[0] == 404
        fake.answers["/none"] = Reply(204)
        status, headers, body = asked(fake.address, "/none")
        assert (status, headers["content-length"], body) == (204, None, b"")


def test_questions_are_remembered():
    """With all that was in them, in their order, over one connection too."""
    with FakeHttp() as fake:
        connection = http.client.HTTPConnection(fake.host, fake.port, timeout=30)
        for number in range(3):
            connection.request("POST", f"/{number}?q", b"body", {"X-Number": str(number)})
            connection.getresponse().read()
        connection.close()
    found = [(each.method, each.path, each.headers["x-number"], each.body) for each in fake.requests]
    assert found == [("POST", f"/{number}?q", str(number), b"body") for number in range(3)]


def test_a_head_has_no_body():
    """Another client may ask for it."""
    with FakeHttp() as fake:
        fake.answers["/"] = b"body"
        assert asked(fake.address, "/", "HEAD")[::2] == (200, b"")


def test_it_does_what_no_server_should():
    """Each trouble is what it is called."""
    with FakeHttp() as fake:
        fake.answers = {f"/{trouble.name}": trouble for trouble in Trouble}
        with pytest.raises(http.client.BadStatusLine, match="220 mail"):
            asked(fake.address, "/NOT_HTTP")
        with pytest.raises(http.client.IncompleteRead):
            asked(fake.address, "/BROKEN_OFF")
        with begun(fake, "SILENT") as silent, begun(fake, "DRIBBLING") as dribbling:
            with begun(fake, "TOO_LARGE") as flood:
                received = 0
                while received <= 100_000_000:
                    received += len(flood.recv(1 << 20))
            assert len(dribbling.recv(1 << 20)) > 0
            assert len(dribbling.recv(1 << 20)) < 1000
            silent.settimeout(0.3)
            with pytest.raises(TimeoutError):
                silent.recv(1)


@pytest.mark.parametrize("secured", [False, True])
def test_it_is_gone_while_clients_wait_for_ever(authorities, tmp_path, secured):
    """For they say nothing, half of something, or read nothing; no thread stays."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authorities / "server.pem")
    client = ssl.create_default_context(cafile=authorities / "ca.pem")
    threads = set(threading.enumerate())
    clients = []
    with FakeHttp(tmp_path / "s", context if secured else None) as fake:
        fake.answers = {f"/{trouble.name}": trouble for trouble in Trouble}
        questions = [f"GET {path} HTTP/1.1\r\n\r\n" for path in fake.answers]
        for said in ("", "GET / HT", "POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\nx", *questions):
            raw = socket.socket(socket.AF_UNIX)
            raw.connect(fake.address)
            if secured and said:
                raw = client.wrap_socket(raw, server_hostname="localhost")
            clients.append(raw)
            raw.sendall(said.encode())
        until(lambda: len(fake.requests) == len(questions))
    left = {each.name for each in set(threading.enumerate()) - threads}  # others' may come and go beside us
    assert not [name for name in left if "serve_forever" in name or "process_request" in name]
    assert not (tmp_path / "s").exists()
    for each in clients:
        each.close()


def test_it_can_be_opened_at_the_same_place_again(tmp_path):
    """A server that is restarted."""
    for _ in range(2):
        with FakeHttp(tmp_path / "s") as fake:
            assert fake.address == str(tmp_path / "s")
