"""The common half of sinks with a spool: one sender on a spool, an end in the time that is given, true sentences."""

import fcntl
import os
import socket
import threading
import time
from base64 import b64decode

import pytest
from harness import until
from receiver import Receiver
from test_http import for_ever, sends, server

from rscollector.api import Context, Duration, Kind, Metric, Misconfigured, Rate, Secret, Taken
from rscollector.sinks.bosun import Bosun
from rscollector.sinks.spooled import Drain

NUMBER = Metric("number", Kind.GAUGE, "A number.", labels=("of",))
FAST = Drain(points=Rate("1000000/s"), bytes=Rate("1G/s"))


def context(tmp_path, timeout=10.0):
    """Return what a sink is told with a call."""
    told = Context("main", timeout=timeout, interval=15, agent=os.getpid())
    told.host, told.state = "db1", tmp_path / "bosun" / "main"
    return told


def opened(tmp_path, url, **settings):
    """Return an open sink."""
    sink = Bosun(Bosun.Settings(url=url, spool_free=0, drain=FAST, **settings))
    sink.open(context(tmp_path))
    return sink


def run(*values):
    """Return a run with so many numbers."""
    return Taken(1_795_208_406, "main", [(NUMBER, (str(each),), each) for each in values])


def is_locked(tmp_path):
    """Tell whether somebody has the spool."""
    with (tmp_path / "bosun" / "main" / "lock").open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def told(sink, tmp_path):
    """Return what a sink tells of itself, and what it has to say."""
    with_notes = context(tmp_path)
    samples = {
        (each.metric.name.removeprefix("sink_"), *each.values[1:]): each.value
        for each in sink.collect(with_notes)
    }
    return samples, with_notes


@pytest.mark.parametrize("given", [5.0, 1.0])
@pytest.mark.parametrize(
    "answer",
    [
        for_ever(b"HTTP/1.1 100 Continue\r\n\r\n"),
        sends(last=60),
        for_ever(b"x", b"HTTP/1.1 500 Oops\r\n\r\n"),
    ],
    ids=["100 for ever", "silence", "a body for ever"],
)
def test_a_sink_ends_in_its_time_and_leaves_no_second_sender(tmp_path, answer, given):
    """Whatever the receiver does with the request that is under way; and the next one can begin."""
    asked = threading.Event()

    def answered(connection):
        asked.set()
        answer(connection)

    with server(answered) as url:
        sink = opened(tmp_path, url, request_timeout=Duration("60s"))
        sink.take(context(tmp_path, given), [run(1, 2)])
        assert asked.wait(20)
        began = time.monotonic()
        sink.close()
        assert time.monotonic() - began < given + 3
        assert not sink._thread.is_alive()
        assert not is_locked(tmp_path)
        again = opened(tmp_path, url)
        assert told(again, tmp_path)[0][("queued_points",)] == 2
        again.take(context(tmp_path, 0.1), [])
        again.close()


def test_while_a_sender_lives_the_spool_is_its_own(tmp_path, monkeypatch):
    """A name that is being resolved cannot be cut off; the sentence says so, and when it ends the next may begin."""
    hanging, resolved = threading.Event(), threading.Event()

    def getaddrinfo(*_arguments, **_named):
        hanging.set()
        resolved.wait(60)
        raise OSError("nobody knows")

    with monkeypatch.context() as resolver:
        resolver.setattr(socket, "getaddrinfo", getaddrinfo)
        sink = opened(tmp_path, "http://receiver.example")
        sink.take(context(tmp_path, 0.1), [run(1)])
        assert hanging.wait(20)
        sink.close()
        assert is_locked(tmp_path)
        second = Bosun(Bosun.Settings(url="http://receiver.example", spool_free=0))
        with pytest.raises(Misconfigured, match="this spool is in use, by another process or by a request"):
            second.open(context(tmp_path, 1.5))
        resolved.set()
        sink._thread.join(20)
        assert not is_locked(tmp_path)


def test_names_passwords_and_tokens_are_sent_as_utf_8(tmp_path):
    """Whatever letters they have."""
    receiver = Receiver()
    try:
        sink = opened(
            tmp_path, receiver.url, user="käthe", password=Secret("pässwörd€"), token=Secret("tökén")
        )
        sink.take(context(tmp_path), [run(1)])
        sink.close()
        sent = receiver.headers[0]
        assert b64decode(sent["Authorization"].removeprefix("Basic ")).decode() == "käthe:pässwörd€"
        assert sent["X-Access-Token"].encode("latin-1").decode() == "tökén"
        assert sum(receiver.points.values()) == 1
    finally:
        receiver.close()


def test_a_page_for_people_is_no_success(tmp_path):
    """A proxy wants somebody to log in: 200, and nothing was stored."""
    page = b"<html>Please log in</html>"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: Text/HTML; charset=utf-8\r\nContent-Length: %d\r\n\r\n" % len(
        page
    )
    with server(sends(head + page)) as url:
        sink = opened(tmp_path, url)
        sink.take(context(tmp_path), [run(1, 2)])
        until(lambda: told(sink, tmp_path)[1].degradation)
        samples, said = told(sink, tmp_path)
        assert samples[("queued_points",)] == 2
        assert samples[("sent_points_total",)] == 0
        assert "Please log in</html> (a page for people" in str(said.degradation)
        sink.close()


def test_what_no_point_can_be_made_of_is_no_lost_point(tmp_path):
    """Infinity is by design in some metrics; all the others are sent."""
    receiver = Receiver()
    try:
        sink = opened(tmp_path, receiver.url)
        samples = [
            (NUMBER, (str(value),), value) for value in (1.0, float("inf"), float("-inf"), float("nan"))
        ]
        sink.take(context(tmp_path), [Taken(1_795_208_406, "main", samples)])
        sink.close()
        samples = {each.metric.name: each for each in sink._told() if each.values[1:] == ("number",)}
        assert samples["sink_unsendable_points_total"].value == 3
        assert sum(receiver.points.values()) == 1
        assert not any(each.value for each in sink._told() if each.metric.name == "sink_dropped_points_total")
    finally:
        receiver.close()


def test_an_outage_and_a_loss_are_in_the_reason(tmp_path):
    """Since when, from whom, how much waits, how much is lost and why: what one wants to know at night."""
    absent = Receiver()
    absent.close()
    sink = opened(tmp_path, absent.url, spool_size=400)
    for number in range(5):
        sink.take(context(tmp_path), [run(*range(number * 5, number * 5 + 5))])
    until(lambda: told(sink, tmp_path)[1].degradation)
    samples, said = told(sink, tmp_path)
    lost = samples[("dropped_points_total", "bytes")]
    assert lost > 0
    reason = str(said.degradation)
    assert reason.startswith(
        f"{absent.url}/api/put: nobody answers: Connection refused; nothing has been taken since "
    )
    assert reason.endswith(f" UTC; {25 - lost} points wait; lost so far: {lost} (bytes)")
    sink.take(context(tmp_path, 0.1), [])
    sink.close()


def test_what_is_put_aside_is_counted_by_what_the_receiver_said_and_told(tmp_path):
    """Also while the sink is well: somebody may wonder where these points are."""
    receiver = Receiver()
    try:
        sink = opened(tmp_path, receiver.url)
        for verdict in ("bad", "large", "later", "alarm"):
            sink._sender.rejected[verdict] = 7
        samples, said = told(sink, tmp_path)
        assert [samples[("rejected_points_total", each)] for each in ("bad", "large", "later", "alarm")] == [
            7
        ] * 4
        assert said.notes == [
            "0 points wait; lost so far: none; put aside: 7 (bad), 7 (large), 7 (later), 7 (alarm)"
        ]
        sink.close()
    finally:
        receiver.close()


def test_a_sink_that_could_not_begin_leaves_the_spool_to_the_next(tmp_path, monkeypatch):
    """No thread can be started, or the spool is no directory of ours."""
    with monkeypatch.context() as hurt:
        hurt.setattr(threading.Thread, "start", lambda _: (_ for _ in ()).throw(RuntimeError("no thread")))
        with pytest.raises(RuntimeError):
            opened(tmp_path, "http://receiver.example")
    assert not is_locked(tmp_path)
    (tmp_path / "bosun" / "main" / "rejected").rmdir()
    (tmp_path / "bosun" / "main" / "rejected").write_text("in the way")
    with pytest.raises(Misconfigured, match=r"the spool cannot be used: .*rejected: File exists"):
        opened(tmp_path, "http://receiver.example")
    assert not is_locked(tmp_path)


def test_the_age_counts_from_the_collection(tmp_path):
    """What has waited in the agent is as old as it is."""
    absent = Receiver()
    absent.close()
    sink = opened(tmp_path, absent.url)
    collected = time.clock_gettime(time.CLOCK_BOOTTIME) - 100
    sink.take(context(tmp_path), [run(1)._replace(at=collected), run(2)._replace(at=collected + 50)])
    assert told(sink, tmp_path)[0][("oldest_unsent_age_seconds",)] == pytest.approx(100, abs=30)
    sink.take(context(tmp_path, 0.1), [])
    sink.close()
