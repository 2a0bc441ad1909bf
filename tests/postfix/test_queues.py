"""Queue files, showq's stream and the sums over them, without a mail server."""

import os
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.postfix import directories, showq
from collectors.postfix.directories import Message, Spool, envelope
from collectors.postfix.explain import explain
from collectors.postfix.queues import AGES, Tally
from rscollector.api import Distribution, Misconfigured, Unavailable
from rscollector.testing import FakeContext


def record(kind, text):
    """Return a record of a queue file."""
    data = text.encode()
    assert len(data) < 128
    return kind.encode() + bytes([len(data)]) + data


HEAD = record(
    "C", "            796             640               3               0             796               0"
)
TIME = record("T", "1795208406 123456")


def never():
    """Say that there is time enough."""
    return False


@pytest.fixture
def root(tmp_path):
    """Return a queue directory with all queues, and nothing in them."""
    for queue in ("maildrop", "incoming", "active", "deferred", "hold", "corrupt"):
        (tmp_path / queue).mkdir()
    return tmp_path


def put(root, where, name, arrival, size=796, recipients=1):
    """Put a message into a queue."""
    path = root / where / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(
        record("C", f"{size} 640 {recipients} 0 {size} 0") + record("T", f"{arrival} 0") + b"rest"
    )
    path.chmod(0o700)
    return path


def test_an_envelope_tells_size_recipients_and_arrival():
    """As Postfix writes it: the size first, then the time."""
    assert envelope(HEAD + TIME + b"more", 1, 2) == Message(1795208406, 796, 3)


def test_a_message_that_sendmail_has_dropped_has_a_time_only():
    """Its size and recipients are counted when it is picked up: until then the file's size must do."""
    assert envelope(TIME + b"more", 1, 512) == Message(1795208406, 512, 1)


@given(st.binary(max_size=600))
def test_a_file_of_any_bytes_is_a_message(data):
    """A corrupt file is counted with what the file system says of it."""
    found = envelope(data, 5, 7)
    assert min(found) >= 0


def test_ages_are_counted_in_the_buckets_of_qshape():
    """The bounds are qshape's minutes, and a message at a bound belongs below it."""
    assert [bound / 60 for bound in AGES] == [5, 10, 20, 40, 80, 160, 320, 640, 1280]
    tally = Tally(100_000)
    tally.add([23_199, 23_200, 99_699, 99_700, 100_000], 50, 5)
    (distribution,) = [
        each.value for each in tally.samples("hold") if each.metric.name == "postfix_queue_age_seconds"
    ]
    assert distribution.counts == (2, 1, 0, 0, 0, 0, 0, 0, 1, 1)
    assert distribution.sum == 154202


@given(st.lists(st.lists(st.integers(0, 200_000), max_size=20), max_size=5))
def test_messages_are_counted_alike_in_whatever_parts_they_come(parts):
    """Each in the bucket of its age, none twice; one from the future is new."""
    now = 100_000
    tally = Tally(now)
    for arrivals in parts:
        tally.add(sorted(arrivals), 0, 0)
    ages = [max(0, now - arrival) for arrivals in parts for arrival in arrivals]
    found = {each.metric.name: each.value for each in tally.samples("hold")}
    assert found["postfix_queue_age_seconds"].counts == Distribution.of(AGES, ages).counts
    assert found.get("postfix_queue_oldest_age_seconds", 0) == max(ages, default=0)


def test_hashed_and_flat_queues_are_read(root):
    """Directories of one letter are part of their queue, in any depth; others are not."""
    put(root, "deferred", "0A", 100)
    put(root, "deferred/A", "A1", 200, size=10, recipients=2)
    (root / "deferred/A/B").mkdir()
    put(root, "deferred/A/B", "AB1", 300, size=20)
    put(root, "deferred/lost+found", "x", 1)
    tally = Spool(root).tally("deferred", 400, never)
    assert (tally.messages, tally.bytes, tally.recipients) == (3, 826, 4)


def test_a_file_that_is_being_written_is_no_message_yet(root):
    """It has no execute permission; when it has, it counts."""
    path = put(root, "incoming", "A1", 100)
    path.chmod(0o600)
    spool = Spool(root)
    assert spool.tally("incoming", 200, never).messages == 0
    path.chmod(0o700)
    assert spool.tally("incoming", 200, never).messages == 1


def test_a_file_that_vanishes_between_listing_and_reading_is_no_error(root, monkeypatch):
    """Postfix has moved it."""
    put(root, "active", "A1", 100)
    put(root, "active", "A2", 100)
    read = directories._message

    def slow(path):
        if path.endswith("A1"):
            Path(path).unlink()
        return read(path)

    monkeypatch.setattr(directories, "_message", slow)
    assert Spool(root).tally("active", 200, never).messages == 1


def test_a_message_is_opened_once_and_an_unchanged_directory_is_not_listed(root, monkeypatch):
    """The second tick opens nothing; when something comes, only that."""
    for number in range(50):
        put(root, "deferred/A", f"A{number}", 100)
    past = time.time() - 60
    for path in (root / "deferred", root / "deferred/A"):
        os.utime(path, (past, past))
    opened, read = [], directories._message
    listed, list_ = [], directories._read
    monkeypatch.setattr(directories, "_message", lambda path: opened.append(path) or read(path))
    monkeypatch.setattr(directories, "_read", lambda *each: listed.append(each[0]) or list_(*each))
    spool = Spool(root)
    assert spool.tally("deferred", 200, never).messages == 50
    assert (len(opened), len(listed)) == (50, 2)
    assert spool.tally("deferred", 200, never).messages == 50
    assert (len(opened), len(listed)) == (50, 2)
    put(root, "deferred/A", "Anew", 150)
    assert spool.tally("deferred", 200, never).messages == 51
    assert (len(opened), len(listed)) == (51, 3)


def test_what_there_was_no_time_for_is_counted_and_read_later(root):
    """No number is made up: the messages are there, their ages are not known yet."""
    for number in range(10):
        put(root, "deferred", f"A{number}", 100)
    spool, answers = Spool(root), iter([False] * 4 + [True] * 6)
    tally = spool.tally("deferred", 200, lambda: next(answers))
    assert (tally.messages, tally.unread) == (10, 6)
    tally = spool.tally("deferred", 200, never)
    assert (tally.messages, tally.unread) == (10, 0)


def test_a_message_that_is_gone_is_forgotten(root):
    """Also the directory into which it was hashed."""
    put(root, "deferred/A", "A1", 100)
    spool = Spool(root)
    assert spool.tally("deferred", 200, never).messages == 1
    (root / "deferred/A/A1").unlink()
    (root / "deferred/A").rmdir()
    assert spool.tally("deferred", 200, never).messages == 0
    assert len(spool._parts) == 1


def stream(*records):
    """Return showq's bytes for records of names and values."""
    return b"".join(
        b"".join(part.encode() + b"\0" for pair in each for part in pair) + b"\0" for each in records
    )


MESSAGE = [
    ("queue_name", "deferred"), ("queue_id", "A1"), ("time", "100"), ("size", "796"), ("forced_expire", "0"),
    ("sender", ""), ("recipient", "a@b"), ("reason", ""), ("recipient", "c@d"), ("reason", "x"),
]  # fmt: skip
PROTOCOL = [("protocol", "mail_queue_list_protocol")]


def parsed(data, size):
    """Return the records in a stream that comes in pieces of a size."""
    pieces = iter([data[at : at + size] for at in range(0, len(data), size)])
    return list(showq.records(lambda: next(pieces, b"")))


@pytest.mark.parametrize("size", [1, 2, 7, 64, 100000])
def test_showqs_answer_is_the_same_in_whatever_pieces_it_comes(size):
    """With and without the name of the protocol, which is sent since 3.6."""
    for records in ((PROTOCOL, MESSAGE, MESSAGE), (MESSAGE, MESSAGE)):
        found = parsed(stream(*records), size)
        assert [each["queue_id"] for each in found] == ["A1", "A1"]
        assert found[0]["recipients"] == "2"


@given(st.binary(max_size=300), st.integers(1, 50))
def test_an_answer_of_any_bytes_is_read_or_refused(data, size):
    """Nothing but a sentence comes of it."""
    with suppress(Unavailable):
        assert all("queue_name" in each for each in parsed(data, size))


def test_an_answer_that_breaks_off_is_no_short_queue():
    """A number that is too small would look like good news."""
    with pytest.raises(Unavailable, match="in the middle of a message"):
        parsed(stream(PROTOCOL, MESSAGE)[:-5], 64)


def test_a_socket_that_nobody_listens_on_is_a_stopped_postfix(tmp_path):
    """The sentence says what it means."""
    with pytest.raises(Unavailable, match="nobody answers: Postfix is stopped"):
        list(showq.listing(str(tmp_path / "showq"), FakeContext()))


def test_a_directory_that_is_not_there_is_misconfigured(tmp_path):
    """The place is named."""
    from collectors.postfix import Postfix
    from rscollector.testing import collect

    with pytest.raises(Misconfigured, match="no such directory"):
        collect(Postfix, {"queue_directory": str(tmp_path / "nowhere")})


def test_the_queues_are_explained_in_plain_language():
    """A sentence for each queue that holds something, and one when none does."""
    tally, empty = Tally(10_000), Tally(10_000)
    tally.add([2_700], 10, 1)
    tally.add_unread(1)
    assert list(explain({"deferred": tally, "hold": empty})) == [
        "deferred: 2 messages, the oldest for 2 hours: they could not be delivered yet and are tried again (postfix_queue_messages).",
        "deferred: 1 of them were not read yet (postfix_queue_unread_messages).",
    ]
    assert list(explain({"hold": empty})) == ["Nothing waits (postfix_queue_messages)."]
