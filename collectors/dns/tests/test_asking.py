"""Servers that forge, dribble, flood or are silent: each costs its own answer, and all of them one timeout."""

import socket
import struct
import threading
import time

import dns.message
import pytest
from dns.rdatatype import RdataType
from harness import until

from collectors.dns import asking, talk
from collectors.dns.asking import WAIT, ask
from collectors.dns.heard import Answer, Failure, Heard, Query
from collectors.dns.tests.answering import SOA, Answering, asked, of, reply, serving, silent, state
from collectors.dns.wire import Question, parsed

A, B, C = "127.53.0.1", "127.53.0.2", "127.53.0.3"
RIGHT = serving("example.test", 7)
QUESTION = Question(parsed("example.test"), RdataType.SOA)


def wire(question, change=lambda made: None):
    """Return the right answer as bytes, changed while it is still a message."""
    made = RIGHT(question, "udp")
    change(made)
    return made.to_wire()


def other_id(question):
    """Return the right answer to another question's id."""
    return wire(question, lambda made: setattr(made, "id", made.id ^ 1))


def other_question(question):
    """Return an answer to a question that was not asked."""
    asked_for = dns.message.make_query("other.test", "SOA", id=question.id)
    return reply(asked_for, f"other.test. SOA {SOA.format('other.test', 9)}").to_wire()


def truncated(question, protocol):
    """Answer with nothing but that there is more over TCP."""
    made = dns.message.make_response(question)
    made.flags |= dns.flags.TC | dns.flags.AA
    return made if protocol == "udp" else RIGHT(question, protocol)


def without_edns(question, protocol):
    """Answer as one that does not know EDNS: with a bare header."""
    if question.edns < 0:
        return RIGHT(question, protocol)
    return struct.pack("!6H", question.id, 0x8001, 0, 0, 0, 0)


def says(answer):
    """Return what a server says over UDP, and nothing over TCP."""
    return lambda question, protocol: answer(question) if protocol == "udp" else None


@pytest.mark.parametrize(
    ("answer", "expected", "serial"),
    [
        (RIGHT, "authoritative", 7),
        (silent, "silent", None),
        (says(lambda question: [other_id(question), other_question(question), wire(question)]), "authoritative", 7),
        (says(other_id), "malformed", None),
        (says(other_question), "malformed", None),
        (says(lambda question: wire(question)[:40]), "malformed", None),
        (says(lambda question: wire(question) + b"junk"), "malformed", None),
        (says(lambda question: question.to_wire()), "malformed", None),  # an echo
        (says(lambda question: [b"", b"\0", wire(question)]), "authoritative", 7),
        (truncated, "authoritative", 7),
        (lambda question, protocol: truncated(question, "udp"), "truncated", None),
        (without_edns, "authoritative", 7),
        (lambda question, _: struct.pack("!6H", question.id, 0x8001, 0, 0, 0, 0), "error", None),
        (lambda question, _: None if question.edns >= 0 else RIGHT(question, "udp"), "authoritative", 7),
        (lambda question, _: reply(question, f"other.test. SOA {SOA.format('other.test', 9)}"), "no_soa", None),
        (lambda question, _: reply(question, rcode="REFUSED", aa=False), "refused", None),
    ],
)  # fmt: skip
def test_what_a_server_says_is_its_state(answer, expected, serial):
    """Forged answers are waited out; the right one that comes after them is heard, over whichever protocol."""
    with Answering({A: answer, B: RIGHT}) as server:
        found, context = asked(server)
    assert state(found, A) == expected
    assert of(found, "dns_server_serial", A) == serial
    assert of(found, "dns_server_serial", B) == 7
    assert found['dns_zone_up{zone="example.test"}'] == 1
    assert context.degradation is None


def test_an_answer_from_another_port_is_not_heard():
    """The kernel gives a connected socket only what its peer has sent."""
    with socket.socket(type=socket.SOCK_DGRAM) as udp, socket.socket(type=socket.SOCK_DGRAM) as stranger:
        udp.bind((A, 0))
        stranger.bind((A, 0))

        def answer():
            asked_for, client = udp.recvfrom(512)
            stranger.sendto(wire(dns.message.from_wire(asked_for)), client)

        thread = threading.Thread(target=answer)
        thread.start()
        (heard,) = ask([Query(QUESTION, A, udp.getsockname()[1])], 0.5)
        thread.join(10)
    assert heard.udp.failure is Failure.SILENT


@pytest.mark.parametrize(
    ("deaf", "up"),
    [("udp", {"udp": 0, "tcp": 1}), ("tcp", {"udp": 1, "tcp": 0})],
)
def test_over_one_protocol_only_the_zone_is_told_all_the_same(deaf, up):
    """And which of them does not answer."""
    with Answering({A: RIGHT}, deaf={(A, deaf)}) as server:
        found, _ = asked(server)
    assert state(found, A) == "authoritative"
    assert {each: of(found, "dns_server_protocol_up", A, protocol=each) for each in up} == up


def test_who_answers_over_tcp_may_be_another_process():
    """Of two serials the older one counts; and who is lame there has the zone over UDP only."""

    def over_tcp(answer):
        return lambda question, protocol: (answer if protocol == "tcp" else RIGHT)(question, protocol)

    lame = over_tcp(lambda question, protocol: reply(question, rcode="REFUSED", aa=False))
    cached = over_tcp(serving("example.test", 7, aa=False))
    old, new = (over_tcp(serving("example.test", serial)) for serial in (5, 8))
    with Answering({A: lame, B: old, C: new, "127.53.0.4": cached}) as server:
        found, context = asked(server)
    assert [state(found, each) for each in server.says] == ["authoritative"] * 4
    assert [of(found, "dns_server_serial", each) for each in server.says] == [7, 5, 7, 7]
    tcp = [of(found, "dns_server_protocol_up", each, protocol="tcp") for each in server.says]
    assert tcp == [0, 1, 1, 0]
    assert found['dns_zone_up{zone="example.test"}'] == 1
    said = "\n".join(context.sentences)
    assert f"{A}, asked for example.test, does not answer for it over TCP (dns_server_protocol_up)" in said
    assert f"{B}, asked for example.test, has the serial 5 over TCP, which is 2 behind 7 (dns" in said


@pytest.mark.parametrize(
    ("over_udp", "expected"),
    [
        (serving("example.test", 5), ("authoritative", 5)),
        (serving("example.test", 7), ("authoritative", 7)),
        (serving("example.test", 8), ("authoritative", 7)),
        (serving("example.test", 7, aa=False), ("not_authoritative", None)),
        (lambda question, _: reply(question, rcode="REFUSED", aa=False), ("refused", None)),
    ],
)
def test_where_only_tcp_has_edns_what_is_wrong_over_udp_counts(over_udp, expected):
    """Two processes again, of which only the one at TCP knows EDNS: its signatures do not cover what the other is."""

    def says(question, protocol):
        if protocol == "tcp":
            return signing(question, protocol)
        if question.edns >= 0:
            return reply(question, rcode="FORMERR", aa=False)
        return over_udp(question, protocol)

    signing = serving("example.test", 7)
    with Answering({A: says, B: signing}) as server:
        found, context = asked(server)
    assert (state(found, A), of(found, "dns_server_serial", A)) == expected
    assert any("has the serial 5 over UDP" in each for each in context.sentences) is (expected[1] == 5)
    assert of(found, "dns_server_protocol_up", A, protocol="udp") == 1


def test_truncated_and_no_tcp_is_told_as_that():
    """Nobody can hear the rest of what it says."""
    with Answering({A: truncated}, deaf={(A, "tcp")}) as server:
        found, context = asked(server)
    assert state(found, A) == "truncated"
    assert of(found, "dns_server_protocol_up", A, protocol="udp") == 1
    assert any("truncated, and no whole one comes over TCP" in each for each in context.sentences)


def test_who_says_over_tcp_that_there_is_more_over_tcp_is_asked_once():
    """There is nowhere else to go."""
    with Answering({A: lambda question, _: truncated(question, "udp")}) as server:
        (answer,) = ask([Query(QUESTION, A, server.port)], 10)
    assert [each.failure for each in answer] == [Failure.TRUNCATED, Failure.TRUNCATED]
    assert [protocol for _, protocol, _ in server.asked] == ["udp", "tcp"]


def test_a_port_at_which_nobody_listens_is_known_at_once():
    """The kernel tells who is connected; dnspython's own way waits for the whole timeout."""
    with Answering({}) as server:
        began = time.monotonic()
        (answer,) = ask([Query(QUESTION, A, server.port, tcp=True)], 30)
    assert time.monotonic() - began < 10
    assert [each.failure for each in answer] == [Failure.CLOSED, Failure.CLOSED]


def test_what_this_host_cannot_ask_is_said_and_is_nobodys_fault():
    """No route there: no series of that server, and a note."""
    with Answering({A: RIGHT}) as server:
        found, context = asked(server, servers=[A, "255.255.255.255"])
    assert not any("255.255.255.255" in each for each in found)
    assert context.notes[0].startswith("missing: what this host cannot ask: 255.255.255.255 (")
    assert found['dns_zone_servers{zone="example.test"}'] == 1


def test_where_this_host_can_ask_nobody_the_zone_is_not_said_to_be_down():
    """Its servers may answer everybody else; a note has the reason."""
    with Answering({A: RIGHT}) as server:
        found, context = asked(server, servers=["255.255.255.255"])
    assert not [each for each in found if each.startswith(("dns_zone_up", "dns_server_"))]
    assert found['dns_zone_servers{zone="example.test"}'] == 0
    assert context.notes[0].startswith("missing: what this host cannot ask: 255.255.255.255 (")


class Rude:
    """A TCP server that does one thing with each connection; over UDP nobody listens."""

    def __init__(self, act):
        self.act = act
        self._listening = socket.create_server((A, 0))
        self.port = self._listening.getsockname()[1]
        self._over = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        try:
            while True:
                connection, _ = self._listening.accept()
                with connection:
                    self.act(connection, self._over)
        except OSError:
            return

    def ask(self, seconds):
        """Return what is heard of it over TCP."""
        try:
            return ask([Query(QUESTION, A, self.port, tcp=True)], seconds)[0].tcp
        finally:
            self._over.set()
            self._listening.close()


def _pour(connection, over):
    """Announce as much as can be, and send zeros for ever."""
    connection.sendall(b"\xff\xff")
    while not over.is_set():
        connection.sendall(bytes(65_536))


def _dribble(connection, over):
    connection.sendall(b"\x00\x64")
    while not over.wait(0.01):
        connection.sendall(b"x")


@pytest.mark.parametrize(
    ("act", "failure"),
    [
        (lambda connection, _: None, Failure.CLOSED),
        (lambda connection, _: connection.sendall(b"\0"), Failure.CLOSED),
        (lambda connection, over: connection.sendall(b"\0\0") or over.wait(9), Failure.MALFORMED),
        (lambda connection, over: connection.sendall(b"\0\5hello") or over.wait(9), Failure.MALFORMED),
        (_pour, Failure.MALFORMED),
    ],
)
def test_over_tcp_whatever_is_no_answer_ends_at_once(act, failure):
    """Closed, nothing, no message, more than any answer has."""
    began = time.monotonic()
    assert Rude(act).ask(30).failure is failure
    assert time.monotonic() - began < 15


def test_over_tcp_who_dribbles_costs_the_timeout():
    """A hundred bytes are announced, and come one by one."""
    assert Rude(_dribble).ask(0.3).failure is Failure.SILENT


def test_a_flood_of_datagrams_is_not_read_for_ever():
    """After some that are no answers nobody listens to it any more."""
    with Answering({A: says(lambda question: [other_id(question)] * 100)}) as server:
        (answer,) = ask([Query(QUESTION, A, server.port)], 30)
    assert answer.udp.failure is Failure.MALFORMED


def test_49_silent_servers_cost_one_timeout():
    """All are asked at once, and the one that answers is told."""
    addresses = [f"127.53.1.{number}" for number in range(1, 50)]
    with Answering({A: RIGHT} | dict.fromkeys(addresses, silent)) as server:
        began = time.monotonic()
        found, _ = asked(server)
        took = time.monotonic() - began
    assert took < 3 * WAIT  # the look before it may take as long
    assert found['dns_zone_servers{zone="example.test"}'] == 50
    assert found['dns_zone_servers_in_sync{zone="example.test"}'] == 1
    assert sum(value for series, value in found.items() if 'state="silent"' in series) == 49


def test_the_time_is_that_of_the_network_and_not_of_our_reading(monkeypatch):
    """It is when the kernel has received the answer, however late it is taken; it begins to stamp a little later."""
    real = asking._Round._hear
    monkeypatch.setattr(asking._Round, "_hear", lambda self, seconds: time.sleep(0.5) or real(self, seconds))
    with Answering({A: RIGHT}) as server, socket.socket(type=socket.SOCK_DGRAM) as stamping:
        stamping.setsockopt(socket.SOL_SOCKET, talk._SO_TIMESTAMPNS, 1)
        until(lambda: 0 < ask([Query(QUESTION, A, server.port)], 10)[0].udp.seconds < 0.4)


def test_where_the_datagram_with_edns_is_lost_tcp_tells_what_it_would_have():
    """The second datagram has no EDNS, and so no signatures: those are in the answer over TCP."""
    with_edns, without = (dns.message.make_query("example.test", "SOA", use_edns=edns) for edns in (0, False))
    udp, tcp = (Heard(dns.message.make_response(each)) for each in (without, with_edns))
    assert Answer(udp, tcp).best is tcp
    assert Answer(tcp, udp).best is tcp
    assert Answer(udp, Heard(None, Failure.SILENT)).best is udp


@pytest.mark.parametrize(
    ("udp", "tcp", "expected"),
    [
        (Failure.SILENT, Failure.CLOSED, Failure.SILENT),
        (Failure.CLOSED, Failure.SILENT, Failure.CLOSED),
        (Failure.SILENT, Failure.MALFORMED, Failure.MALFORMED),
        (Failure.TRUNCATED, Failure.MALFORMED, Failure.TRUNCATED),
        (Failure.UNASKED, Failure.SILENT, Failure.UNASKED),
    ],
)
def test_of_two_failures_the_one_that_tells_most_is_told(udp, tcp, expected):
    """What was said in any way is more than silence; else UDP's counts."""
    assert Answer(Heard(None, udp), Heard(None, tcp)).best.failure is expected


class Channel:
    """A socket that has received this, one thing after the other: datagrams, or an error."""

    def __init__(self, *got):
        self._got = iter(got)

    def recvmsg(self, *_):
        got = next(self._got, BlockingIOError())
        if isinstance(got, Exception):
            raise got
        return got, [], 0, None


def test_an_answer_counts_though_an_error_has_come_behind_it():
    """A server may answer, and end: the port is closed for what was sent again."""
    for got in ((), (ConnectionRefusedError(),)):
        udp = talk.Udp(Query(QUESTION, A))
        right = wire(dns.message.from_wire(QUESTION.wire), lambda made, udp=udp: setattr(made, "id", udp._id))
        udp.channel = Channel(right, *got)
        udp.receive()
        udp.read()
        assert (udp.over, udp.heard.failure, udp.heard.message is not None) == (True, None, True)
    udp = talk.Udp(Query(QUESTION, A))
    udp.channel = Channel(ConnectionRefusedError())
    udp.receive()
    assert udp.heard.failure is Failure.CLOSED


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (ConnectionRefusedError(111, "Connection refused"), Failure.CLOSED),
        (ConnectionResetError(104, "Connection reset by peer"), Failure.CLOSED),
        (TimeoutError(110, "Connection timed out"), Failure.SILENT),
        (OSError(113, "No route to host"), Failure.UNREACHABLE),
    ],
)
def test_what_the_network_says_of_the_other_end_is_its_state(error, failure):
    """With its own words; a kernel that gives up is as silent as the server."""
    udp = talk.Udp(Query(QUESTION, A))
    udp.channel = Channel(error)
    udp.receive()
    assert (udp.heard.failure, udp.heard.why) == (failure, error.strerror)


def test_a_question_for_which_the_kernel_has_no_room_is_lost_and_no_failure():
    """As one that the network has lost: the answer to the first may still come."""

    class Full(Channel):
        def send(self, _):
            raise BlockingIOError

    udp = talk.Udp(Query(QUESTION, A))
    udp.channel = Full()
    udp.repeat()
    assert (udp.over, udp.heard.failure) == (False, Failure.SILENT)


def test_who_does_not_know_edns_is_asked_without_it_over_tcp_too():
    """Over the same connection."""
    with Answering({A: without_edns}, deaf={(A, "udp")}) as server:
        found, _ = asked(server)
    assert (state(found, A), of(found, "dns_server_serial", A)) == ("authoritative", 7)


def test_a_wall_clock_that_is_set_meanwhile_makes_no_time_below_nothing_or_above_our_own():
    """What the kernel has stamped counts between those."""
    udp = talk.Udp(Query(QUESTION, A))
    udp._sent = 1_000_000.0
    for stamp in (0, 2_000_000):
        data = talk._TIMESPEC.pack(stamp, 0)
        assert 0 <= udp._passed([(socket.SOL_SOCKET, talk._SO_TIMESTAMPNS, data)]) < 300
