"""What answers mean, and bytes that are none: whatever comes, a verdict is reached, and never a wrong one."""

import time
from contextlib import suppress

import dns.message
import dns.name
import dns.rrset
import pytest
from dns.rdatatype import RdataType
from hypothesis import given
from hypothesis import strategies as st

from collectors.dns.heard import Failure, Heard
from collectors.dns.judge import State, judge
from collectors.dns.tests.answering import SOA, reply
from collectors.dns.wire import Malformed, Question, is_truncated, message, parsed, refuses_edns, shown

ZONE = parsed("example.test")
QUESTION = Question(ZONE, RdataType.SOA)
NUMBER = 0x1234
OURS = f"example.test. SOA {SOA.format('example.test', 7)}"


def question():
    """Return our question as a server reads it."""
    return dns.message.from_wire(QUESTION.wire)


def judged(*records, **more):
    """Return the state that an answer means, and why."""
    verdict = judge(ZONE, Heard(dns.message.from_wire(reply(question(), *records, **more).to_wire())))
    return verdict.state, verdict.why


@pytest.mark.parametrize(
    ("records", "more", "expected"),
    [
        ((OURS,), {}, (State.AUTHORITATIVE, "")),
        ((OURS.replace("example.test. SOA", "EXAMPLE.tEST. SOA"),), {}, (State.AUTHORITATIVE, "")),
        ((OURS,), {"aa": False}, (State.NOT_AUTHORITATIVE, "")),
        ((), {"rcode": "REFUSED", "aa": False}, (State.REFUSED, "REFUSED")),
        ((), {"rcode": "SERVFAIL", "aa": False}, (State.SERVFAIL, "SERVFAIL")),
        ((), {"rcode": "NXDOMAIN"}, (State.NXDOMAIN, "NXDOMAIN")),
        ((), {"rcode": "NOTAUTH"}, (State.ERROR, "NOTAUTH")),
        ((), {}, (State.NO_SOA, "")),
        ((), {"authority": ["test. NS a.test."], "aa": False}, (State.REFERRAL, "to the servers of test")),
        ((), {"authority": [". NS a.root."], "aa": False}, (State.REFERRAL, "to the servers of .")),
        ((), {"authority": ["other.test. NS a.test."], "aa": False}, (State.NO_SOA, "")),
        ((), {"authority": ["test. NS a.test."]}, (State.NO_SOA, "")),
        ((OURS.replace("example.test. SOA", "other.test. SOA"),), {}, (State.NO_SOA, "but that of other.test")),
        ((), {"authority": ["test. SOA a. b. 1 1 1 1 1"]}, (State.NO_SOA, "but that of test")),
        (("example.test. CNAME other.test.", OURS.replace("example.test. S", "other.test. S")), {},
         (State.NO_SOA, "but that of other.test")),
    ],
)  # fmt: skip
def test_only_authority_and_the_zones_own_soa_are_right(records, more, expected):
    """Everything else is lame, with the reason."""
    assert judged(*records, **more) == expected


@pytest.mark.parametrize("failure", [each for each in Failure if each is not Failure.UNASKED])
def test_no_answer_is_a_state_by_its_reason(failure):
    """Each reason is told as what it is."""
    verdict = judge(ZONE, Heard(None, failure, "why"))
    assert (verdict.state.value, verdict.why, verdict.soa) == (failure.value, "why", None)


def test_what_this_host_cannot_ask_is_not_judged():
    """It is no fault of the server."""
    assert judge(ZONE, Heard(None, Failure.UNASKED, "Network is unreachable")) is None


def test_the_numbers_of_an_answer_are_those_of_the_zone():
    """Serial, times, primary; signatures of the zone's own name only; and what is told of the expiry."""
    signed = "{} RRSIG {} 13 2 300 {} 20261101000000 1 example.test. AAAA"
    records = [OURS, signed.format("example.test.", "SOA", "20261213181512")]
    authority = [
        signed.format("example.test.", "NS", "20261212000000"),
        signed.format("a.example.test.", "A", "20261130000000"),
    ]
    told = reply(question(), *records, authority=authority)
    told.use_edns(options=[dns.edns.GenericOption(9, (86_397).to_bytes(4, "big"))])
    verdict = judge(ZONE, Heard(dns.message.from_wire(told.to_wire())))
    assert (verdict.soa.serial, verdict.soa.refresh, verdict.soa.retry, verdict.soa.expire) == (
        7,
        3600,
        600,
        86_400,
    )
    assert verdict.soa.primary == "ns1.example.test"
    assert [time.gmtime(end)[:5] for _, end in verdict.signed] == [
        (2026, 12, 12, 0, 0),
        (2026, 12, 13, 18, 15),
    ]
    assert verdict.expiry == 86_397


def test_of_two_signatures_over_the_same_records_one_that_is_valid_is_enough():
    """While keys are changed that of the old key may have ended, and one may be made for later."""
    times = (
        "20261201000000 20261101000000",
        "20261213000000 20261120000000",
        "20270101000000 20261220000000",
    )
    records = [
        OURS,
        *(f"example.test. RRSIG SOA 13 2 300 {each} {len(each)} example.test. AAAA" for each in times),
    ]
    verdict = judge(ZONE, Heard(dns.message.from_wire(reply(question(), *records).to_wire())))
    ((begin, end),) = verdict.signed
    assert [time.gmtime(each)[:3] for each in (begin, end)] == [(2026, 11, 1), (2027, 1, 1)]


@pytest.mark.parametrize("data", [b"", b"\0\0\1", b"\0\0\0\0\1"])
def test_an_expiry_of_another_length_is_none(data):
    """Servers that only repeat the option tell nothing; nor does another option."""
    told = reply(question(), OURS)
    told.use_edns(options=[dns.edns.GenericOption(9, data), dns.edns.GenericOption(65_001, bytes(4))])
    assert judge(ZONE, Heard(dns.message.from_wire(told.to_wire()))).expiry is None


def answer(change=lambda wire: wire):
    """Return an answer to our question, as bytes, changed."""
    made = reply(question(), OURS)
    made.id = NUMBER
    return bytes(change(bytearray(made.to_wire())))


def put(place, value):
    """Return what changes one byte."""

    def change(wire):
        wire[place] = value
        return wire

    return change


@pytest.mark.parametrize(
    ("change", "is_one"),
    [
        (lambda wire: wire, True),
        (put(0, 0x13), False),  # the id
        (put(1, 0x35), False),
        (put(2, 0x04), False),  # a question, not an answer
        (put(2, 0xAC), False),  # another opcode (NOTIFY is 4)
        (put(5, 2), False),  # two questions
        (put(5, 0), False),  # none, in an answer that is no error
        (put(13, ord("E")), True),  # 0x20: another case of letters
        (put(13, ord("f")), False),  # another name
        (put(27, 2), False),  # another type
        (put(29, 3), False),  # another class
        (lambda wire: wire[:11], False),
        (lambda wire: wire[:20], False),
        (lambda wire: b"", False),
    ],
)  # fmt: skip
def test_an_answer_has_our_id_and_our_question(change, is_one):
    """And is one: whatever differs, but for the case of letters, is not for us."""
    assert QUESTION.is_answered_by(answer(change), NUMBER) is is_one


def test_an_error_may_come_without_the_question():
    """A server that could not read it has only a header to say so."""
    assert QUESTION.is_answered_by(b"\x12\x34\x80\x01" + bytes(8), NUMBER)
    assert not QUESTION.is_answered_by(b"\x12\x34\x80\x00" + bytes(8), NUMBER)


@pytest.mark.parametrize(
    "tail",
    [
        b"\xc0\x1e\x00\x06\x00\x01" + bytes(6),  # a name that is a pointer to itself
        b"\xc0\x20\x00\x06\x00\x01" + bytes(6),  # one that points forward
        b"\x01a\xc0\x1e\x00\x06\x00\x01" + bytes(6),  # in a circle, growing
        b"\xff" * 20,
        b"",  # announced and not there
    ],
)
def test_names_that_point_in_circles_are_malformed(tail):
    """dnspython follows pointers only back; whatever it raises is one word of ours."""
    head = answer()[: 12 + len(QUESTION.section)]
    with pytest.raises(Malformed):
        message(head[:6] + b"\0\1\0\0\0\0" + head[12:] + tail)


def test_a_huge_answer_is_not_read():
    """Neither many bytes nor many records: it would cost the tick."""
    with pytest.raises(Malformed, match="40000 bytes"):
        message(answer() + bytes(40_000 - len(answer())))
    with pytest.raises(Malformed, match="60001 records"):
        message(answer(lambda wire: wire[:6] + (60_000).to_bytes(2, "big") + wire[8:]))


@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_malformed(tail):
    """Nothing else is raised, whatever follows a right header; and any message has a verdict."""
    for wire in (tail, answer()[:12] + tail, answer()[:30] + tail):
        try:
            read = message(wire)
        except Malformed:
            continue
        assert judge(ZONE, Heard(read)).state in State


@given(st.integers(0, 400), st.integers(0, 255))
def test_a_byte_that_is_another_does_not_bring_down_anything(place, value):
    """A right answer of which any byte is another one is judged or malformed."""
    wire = answer(put(place % len(answer()), value))
    assert QUESTION.is_answered_by(wire, NUMBER) in (True, False)
    assert is_truncated(wire) in (True, False)
    with suppress(Malformed):
        assert judge(ZONE, Heard(message(wire))).state in State


@given(st.lists(st.binary(min_size=1, max_size=63), max_size=3))
def test_a_strangers_name_is_one_bounded_line(labels):
    """It is shown as master files have it, and read again it is the same name."""
    name = dns.name.Name([*labels, b""])
    text = shown(name)
    assert text.isprintable()
    assert " " not in text
    assert len(text) <= 1020
    assert parsed(text) == name.canonicalize()


def test_a_question_has_its_flags():
    """To a server without RD, with DO and with the wish for the expiry; to a resolver with RD alone."""
    read = dns.message.from_wire(QUESTION.wire)
    assert (read.flags, read.ednsflags & dns.flags.DO, [each.otype for each in read.options]) == (
        0,
        dns.flags.DO,
        [9],
    )
    assert read.payload == 1232
    plain = dns.message.from_wire(QUESTION.plain)
    assert (plain.flags, plain.edns) == (0, -1)
    resolver = dns.message.from_wire(Question(ZONE, RdataType.NS, recursive=True).wire)
    assert (resolver.flags, resolver.ednsflags, resolver.options) == (dns.flags.RD, 0, ())


@pytest.mark.parametrize("text", ["a..b", "a" * 64, ".".join(["a" * 60] * 5), "é" * 70])
def test_what_is_no_name_is_a_value_error(text):
    """With its text, as a mistake of the configuration is told."""
    with pytest.raises(ValueError, match="no domain name"):
        parsed(text)


def test_a_soa_of_another_class_or_of_the_root_is_not_ours():
    """Whoever has that has not the zone."""
    told = reply(question())
    told.answer.append(dns.rrset.from_text("example.test.", 60, "CH", "SOA", SOA.format("example.test", 7)))
    assert judge(ZONE, Heard(dns.message.from_wire(told.to_wire()))).state is State.NO_SOA
    assert judged(authority=[". SOA a. b. 1 1 1 1 1"]) == (State.NO_SOA, "but that of .")


def test_a_resolver_is_not_asked_for_an_expiry():
    """Nor for signatures: it is only to find servers."""
    read = dns.message.from_wire(Question(ZONE, RdataType.SOA, recursive=True).wire)
    assert (read.options, read.ednsflags) == ((), 0)


@pytest.mark.parametrize(
    "rcode", ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "BADVERS"]
)
def test_who_does_not_know_edns_says_so_in_three_ways(rcode):
    """Others are not asked without it: the answer would be the same."""
    told = message(reply(question(), rcode=rcode).to_wire())
    assert refuses_edns(told) is (rcode in ("FORMERR", "NOTIMP", "BADVERS"))
