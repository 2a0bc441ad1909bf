"""The stream of events: what changed, once a second, and from where it was left."""

import asyncio
import http.client
import json
import socket
from unittest.mock import Mock, patch

import pytest
from faces import KEYS, Face, serving, told
from harness import Unix, until
from locked import locked

from rscollector.web import events, server
from rscollector.web.app import application
from rscollector.web.events import Events
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
    served.face.news += ["gone/main"]
    assert stream.next()["gone"] == ["gone/main"]
    served.face.news += [""]
    assert stream.next()["config"]["last_reload_error"] == "line 3: no"
    stream.close()


def test_of_hundreds_each_is_told_once(served, lasting):
    """And no other."""
    served.face.collectors = [told(f"many/{number:03}") for number in range(250)]
    stream = reader(served)
    found = [each["name"] for each in stream.next()["collectors"]]
    stream.close()
    assert found == [f"{number:03}" for number in range(250)]


def test_where_there_is_none_at_all_that_is_told(served, lasting):
    """Everything is nothing then."""
    served.face.collectors = []
    stream = reader(served)
    assert stream.next() | {"config": None} == {
        "everything": True, "collectors": [], "gone": [], "config": None,
    }  # fmt: skip
    stream.close()


def test_while_hundreds_are_told_others_have_their_turns(monkeypatch):
    """It is made in steps, and nothing is made twice for two who ask, though one of them goes away meanwhile."""
    monkeypatch.setattr(events, "_AT_ONCE", 1)
    face, turns = Face(), []

    async def aside(function, *given):
        return function(*given)

    async def main():
        stream = Events(face, aside)
        face.objects = Mock(side_effect=lambda keys: turns.append(keys) or Face.objects(face, keys))
        first, second = (asyncio.create_task(stream.event(None)) for _ in range(2))
        while not turns:
            await asyncio.sleep(0)
        assert len(turns) == 1
        first.cancel()
        number, event = await second
        assert first.cancelled()
        assert (number, len(turns)) == (0, len(KEYS))
        assert event.startswith(b"id: 1790000000-0\ndata: {")

    asyncio.run(main())


def test_one_that_goes_while_all_wait_takes_nobody_along(quick):
    """The others go on in the next second."""

    async def main():
        stream = Events(Face(), None)
        first, second = (asyncio.create_task(stream.pause()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await second
        assert first.cancelled()

    asyncio.run(main())


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
    assert stream.id == served.face.event_id()
    for here, header in ((served.face.event_id(), "12-1"), ("12-1", None)):
        stream = reader(served, since=here, **({HEADER: header} if header else {}))
        assert stream.next()["everything"], "the header is newer than the address"
        stream.close()


def test_a_place_that_is_none_is_refused(served):
    """In a sentence, before anything is streamed."""
    for wrong in ("", "x", "1", "1-", "1-2-3", "%D9%A1-1", "1" * 30 + "-1"):
        status, _, body = served.get(f"/api/v1/events?since={wrong}")
        assert status == 400
        assert "id of an event" in json.loads(body)["detail"]


def test_one_without_end_has_a_head_only(served, lasting):
    """HEAD is answered and ends."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as client:
        client.sendall(b"HEAD /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
        head, _, body = b"".join(iter(lambda: client.recv(65536), b"")).partition(b"\r\n\r\n")
    assert b"content-type: text/event-stream" in head
    assert body == b""


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
    served.face.news += ["agent/main"]
    for each in streams:
        assert keys(each.next()) == {"agent/main"}
    ninth = reader(served)
    assert ninth.next()["everything"]
    assert streams[0].next() is None
    served.face.news += ["galera/main"]
    for each in (*streams[1:], ninth):
        assert keys(each.next()) == {"galera/main"}
        each.close()


def test_of_many_that_come_in_the_same_second_eight_stay(served, lasting, monkeypatch):
    """Each takes the place of another one, however soon the next one comes, also where the oldest does not read."""
    monkeypatch.setattr(events, "_PACE", 1.0)
    streams = [reader(served) for _ in range(20)]
    first = [each.next() for each in streams]  # nothing, of one who had to go before it was made
    served.face.news += ["galera/main"]
    second = [stream.next() if told else None for stream, told in zip(streams, first, strict=True)]
    assert [bool(told) for told in second] == [False] * 12 + [True] * 8
    for each in streams:
        each.close()


def test_of_two_that_come_in_the_same_turn_each_takes_another_ones_place():
    """Whoever has to go is gone at once, and not when it has noticed."""
    stream, told = Events(Face(), None), []
    streams = [Mock(end=lambda number=number: told.append(number)) for number in range(10)]
    for each in streams:
        stream.begin(each)
    assert told == [0, 1]


def test_one_that_does_not_read_gives_up_its_place(tmp_path, lasting):
    """On the control socket too, where nothing else ends it: else nobody after it would ever have to go."""
    path = tmp_path / "control.sock"
    face = Face()
    face.collectors[0]["reason"] = "x" * (1 << 20)
    with serving(face, beside=[listen_unix(path)]):
        deaf = Unix(path)
        deaf.request("GET", "/api/v1/events")
        streams = [Reader(Unix(path)) for _ in range(8)]
        for each in streams:
            assert each.next()["everything"]
            each.close()
        assert len(deaf.getresponse().read()) < 1 << 20
        deaf.close()


def test_what_was_told_to_somebody_who_has_gone_is_not_told_again(quick):
    """Who comes later is told how things are now; nothing is kept until then, though nobody waits for the next second."""

    async def aside(function, *given):
        return function(*given)

    async def main():
        face = Face()
        stream = Events(face, aside)
        await stream.event(None)
        face.news += ["galera/main"]
        assert (await stream.event(None))[0] == 0, "it is the same second"
        async with asyncio.timeout(20):
            await stream._second
        return await stream.event(None)

    number, event = asyncio.run(main())
    assert number == 1
    assert event.startswith(b"id: 1790000000-1\n")


def test_of_many_who_were_elsewhere_most_are_told_everything(served, lasting):
    """What each of them has missed is not worked out: strangers may send any number, and each costs the loop."""
    served.face.news += ["galera/main"] * 50
    served.face.changed = Mock(side_effect=served.face.changed)
    with patch.object(events, "_PACE", 30):
        streams, told = [], []
        for number in range(30):
            streams.append(reader(served, since=f"{served.face.epoch}-{number}"))
            told.append(streams[-1].next())  # before its place is another one's
    assert [each["everything"] for each in told] == [False] * 8 + [True] * 22
    assert served.face.changed.call_count == 9
    for each in streams:
        each.close()


def test_whoever_goes_leaves_his_place(served, lasting):
    """However many have come and gone: the first one keeps his."""
    first = reader(served)
    first.next()
    for _ in range(12):
        reader(served).close()
        until(lambda: len(served.connections) == 1)
    served.face.news += ["galera/main"]
    assert keys(first.next()) == {"galera/main"}
    first.close()


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
    assert stream.response.readline() == b"retry: 1000\n"
    for _ in range(4):  # no comment takes the place of an event
        assert stream.next()
        served.face.news += ["galera/main"]
    stream.next()
    lines = [stream.response.readline() for _ in range(5)]
    assert lines == [b"\n", b":\n", b"\n", b":\n", b"\n"]
    stream.close()


def test_comments_come_seldom(served, quick, monkeypatch):
    """One each time that it was quiet for as long, and none in between."""
    monkeypatch.setattr(events, "_QUIET", 3)
    stream = reader(served)
    stream.next()
    assert stream.response.read().count(b":\n\n") == (events._LIFE - 1) // 3


def test_half_of_a_character_costs_itself(served):
    """And not the stream."""
    served.face.collectors[0]["reason"] = "bad \udcff name"
    stream = reader(served)
    assert stream.next()["collectors"][0]["reason"] == "bad ? name"
    stream.close()


def test_on_the_control_socket_a_stream_goes_on(tmp_path, quick, monkeypatch):
    """For as long as somebody reads it; whatever else is asked there is cut as everywhere."""
    monkeypatch.setattr(server, "LIFETIME", 2.0)
    path = tmp_path / "control.sock"
    face = Face()
    with serving(face, beside=[listen_unix(path)]) as served, socket.socket(socket.AF_UNIX) as silent:
        stream = Reader(Unix(path))
        stream.next()
        silent.settimeout(30)
        silent.connect(str(path))
        assert silent.recv(1) == b""  # it came later and is cut, so the stream has lived for longer
        face.news += ["galera/main"]
        assert keys(stream.next()) == {"galera/main"}
        stream.close()
        assert served.get("/-/healthy")[0] == 200


@pytest.mark.parametrize(("life", "lifetime"), [(3, 15.0), (100_000, 2.0)])
def test_where_there_is_a_lock_a_stream_ends_on_a_unix_socket_too(
    life, lifetime, tmp_path, quick, monkeypatch
):
    """Who is taken out of the users is soon told nothing any more: it ends, and else it is cut."""
    monkeypatch.setattr(events, "_LIFE", life)
    monkeypatch.setattr(server, "LIFETIME", lifetime)
    with locked(tmp_path, application=application(Face()), access_log=True) as made:
        client = made.connect(b"GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        assert b"" in (client.recv(1 << 16) for _ in range(1000))
        client.close()
