"""The stream of events: what changed, once a second, and from where it was left."""

import http.client
import json
import socket
import time
from unittest.mock import Mock

import pytest
from faces import KEYS, Face, serving
from harness import Unix, until

from rscollector.web import events, server
from rscollector.web.listeners import listen_unix

HEADER = "Last-Event-ID"


class Reader:
    """Reads a stream line by line."""

    def __init__(self, connection, path="/api/v1/events", headers=()):
        self._connection = connection
        connection.request("GET", path, headers=dict(headers))
        self.response = connection.getresponse()
        self.id = ""

    def next(self):
        """Return the next event; None where the stream has ended."""
        while line := self.response.readline():
            field, _, value = line.decode().rstrip("\n").partition(": ")
            if field == "id":
                self.id = value
            if field == "data":
                return json.loads(value)
        return None

    def close(self):
        """Hang up."""
        self.response.close()
        self._connection.close()


@pytest.fixture
def quick(monkeypatch):
    """Have a second last a hundredth of it."""
    monkeypatch.setattr(events, "_PACE", 0.01)


@pytest.fixture
def lasting(monkeypatch, quick):
    """Have streams over TCP last for long."""
    monkeypatch.setattr(events, "_LIFE", 100_000)


@pytest.fixture
def served():
    """Serve a face."""
    with serving(Face()) as each:
        yield each


def reader(served, since=None, **headers):
    """Return a reader of the stream."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
    query = "" if since is None else f"?since={since}"
    return Reader(connection, f"/api/v1/events{query}", headers)


def keys(event):
    """Return whose objects an event has."""
    return {f"{each['type']}/{each['name']}" for each in event["collectors"]}


def test_whoever_knows_nothing_is_told_everything_and_then_what_changes(served, lasting):
    """Each once, with the object that the status has, and what there is no more."""
    stream = reader(served)
    assert stream.response.headers["content-type"] == "text/event-stream"
    assert stream.response.headers["cache-control"] == "no-store"
    first = stream.next()
    assert (first["everything"], keys(first)) == (True, set(KEYS))
    assert first["collectors"][0] in served.face.status()["collectors"]
    served.face.news += ["galera/main", "gone/main", "galera/main"]
    second = stream.next()
    assert (second["everything"], keys(second), second["gone"]) == (False, {"galera/main"}, ["gone/main"])
    assert second["config"] is None
    served.face.news += [""]
    assert stream.next()["config"]["last_reload_error"] == "line 3: no"
    stream.close()


@pytest.mark.parametrize("how", ["header", "since"])
def test_whoever_comes_back_is_told_what_has_changed_since(served, lasting, how):
    """And not what it has been told already; a number of another agent means nothing here."""
    stream = reader(served)
    stream.next()
    stream.close()
    served.face.news += ["zone/v1.2..x"]
    again = {"header": {HEADER: stream.id}, "since": {"since": stream.id}}[how]
    stream = reader(served, **again)
    event = stream.next()
    assert (event["everything"], keys(event)) == (False, {"zone/v1.2..x"})
    stream.close()
    assert stream.id == served.face.place()
    stream = reader(served, **{HEADER: "12-1"})
    assert stream.next()["everything"]
    stream.close()


def test_a_place_that_is_none_is_refused(served):
    """In a sentence, before anything is streamed."""
    for wrong in ("x", "1", "1-", "1-2-3", "%D9%A1-1", "1" * 30 + "-1"):
        status, _, body = served.get(f"/api/v1/events?since={wrong}")
        assert status == 400
        assert "id of an event" in json.loads(body)["detail"]


def test_one_without_end_has_a_head_only(served):
    """HEAD is answered and ends."""
    status, headers, body = served.get("/api/v1/events", "HEAD")
    assert (status, headers["content-type"], body) == (200, "text/event-stream", b"")


def test_a_stream_ends_before_its_connection_would_be_cut(served, quick):
    """Cleanly, so that a browser comes back and complains of nothing."""
    assert events._LIFE * 1.0 < server.LIFETIME - 2
    stream = reader(served)
    assert stream.next()
    assert stream.next() is None


def test_the_ninth_stream_takes_the_place_of_the_first(served, lasting):
    """The others go on."""
    streams = [reader(served) for _ in range(8)]
    for each in streams:
        assert each.next()["everything"]
    ninth = reader(served)
    assert ninth.next()["everything"]
    assert streams[0].next() is None
    served.face.news += ["galera/main"]
    for each in (*streams[1:], ninth):
        assert keys(each.next()) == {"galera/main"}
        each.close()


def test_what_all_are_told_is_made_once(served, lasting):
    """However many read the stream."""
    streams = [reader(served) for _ in range(5)]
    for each in streams:
        each.next()
    served.face.objects = Mock(side_effect=served.face.objects)
    served.face.news += ["galera/main"]
    for each in streams:
        each.next()
        each.close()
    assert served.face.objects.call_count == 1


def test_one_that_is_quiet_shows_that_it_is_alive(served, lasting, monkeypatch):
    """By a comment, which no reader takes for an event."""
    monkeypatch.setattr(events, "_QUIET", 2)
    stream = reader(served)
    stream.next()
    lines = [stream.response.readline() for _ in range(5)]
    assert b":\n" in lines
    stream.close()


def test_on_the_control_socket_a_stream_goes_on(tmp_path, quick, monkeypatch):
    """For as long as somebody reads it; whatever else is asked there is cut as everywhere."""
    monkeypatch.setattr(server, "LIFETIME", 0.3)
    path = tmp_path / "control.sock"
    face = Face()
    with serving(face, beside=[listen_unix(path)]) as served:
        stream = Reader(Unix(path))
        stream.next()
        time.sleep(1)
        face.news += ["galera/main"]
        assert keys(stream.next()) == {"galera/main"}
        stream.close()
        silent = socket.socket(socket.AF_UNIX)
        silent.settimeout(10)
        silent.connect(str(path))
        assert silent.recv(1) == b""
        silent.close()
        assert until(lambda: served.get("/-/healthy")[0] == 200)
