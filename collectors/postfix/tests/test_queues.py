"""Queue files, showq's stream and the sums over them, without a mail server."""

import errno
import os
import socket
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from collectors.postfix import Postfix, directories, showq
from collectors.postfix.directories import Message, Part, Spool, envelope
from collectors.postfix.explain import explain
from collectors.postfix.logfile import LogFile
from collectors.postfix.queues import AGES, QUEUES, Tally
from collectors.postfix.showq import NoListing
from collectors.postfix.tests.nobody import as_nobody
from rscollector.api import Context, Distribution, Misconfigured, Unavailable
from rscollector.testing import FakeContext, collect, values


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


def test_a_corrupt_file_with_huge_numbers_is_kept():
    """It is one message more, and no number that has no room."""
    huge = b"9" * 40
    found = envelope(b"C" + bytes([122]) + b" ".join([huge] * 3)[:122] + b"T" + bytes([40]) + huge, 1, 2)
    assert found == Message(2**63 - 1, 2**63 - 1, 2**63 - 1)
    assert list(Part([(found, 1)]).arrivals) == [2**63 - 1]


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
    past = time.time() - 60
    os.utime(root / "incoming", (past, past))  # as it is when somebody writes for longer than a tick
    assert spool.tally("incoming", 200, never).messages == 0
    path.chmod(0o700)
    assert spool.tally("incoming", 200, never).messages == 1


@pytest.mark.parametrize("mode", [0o400, 0o700])
def test_what_postfix_has_put_away_as_corrupt_is_counted(root, mode):
    """A delivery agent marks it by taking the right to write and to execute; the queue manager moves it as it is."""
    put(root, "corrupt", "9FF8E278520", 100).chmod(mode)
    assert Spool(root).tally("corrupt", 200, never).messages == 1


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
    """Return showq's bytes for records of names and values; the end is an empty one."""
    return b"".join(
        b"".join(part.encode() + b"\0" for pair in each for part in pair) + b"\0" for each in (*records, ())
    )


MESSAGE = [
    ("queue_name", "deferred"), ("queue_id", "A1"), ("time", "100"), ("size", "796"), ("forced_expire", "0"),
    ("sender", ""), ("recipient", "a@b"), ("reason", ""), ("recipient", "c@d"), ("reason", "x"),
]  # fmt: skip
PROTOCOL = [("protocol", "mail_queue_list_protocol")]


def parsed(data, size):
    """Return the records in a stream that comes in pieces of a size."""
    pieces = iter([data[at : at + size] for at in range(0, len(data), size)])
    return list(showq.messages(lambda: next(pieces, b"")))


@pytest.mark.parametrize("size", [1, 2, 7, 64, 100000])
def test_showqs_answer_is_the_same_in_whatever_pieces_it_comes(size):
    """With and without the name of the protocol, which is sent since 3.6."""
    for records in ((PROTOCOL, MESSAGE, MESSAGE), (MESSAGE, MESSAGE)):
        found = parsed(stream(*records), size)
        assert found == [showq.Message("deferred", 100, 796, 2)] * 2


@given(st.binary(max_size=300), st.integers(1, 50))
@example(b"\0\0queue_name\0\0", 1)
def test_an_answer_of_any_bytes_is_read_or_refused(data, size):
    """Nothing but a sentence comes of it."""
    with suppress(NoListing):
        parsed(data, size)


def test_an_answer_that_breaks_off_anywhere_is_no_short_queue():
    """A number that is too small would look like good news; also between two messages, and before the first."""
    whole = stream(PROTOCOL, MESSAGE, MESSAGE)
    for at in range(len(whole)):
        with pytest.raises(NoListing):
            parsed(whole[:at], 64)
    assert parsed(b"\0", 64) == []  # no message at all, from 3.1 to 3.5


SECRETS = ("boss@secret.example", "patient@clinic.example", "HIV test results")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"time": "x"}, "a message whose time is no number"),
        ({"size": "1" + "0" * 400}, "a message whose size is no number"),
        ({"size": "1" + "0" * 5000}, "a message whose size is no number"),
        ({"time": "-1"}, "a message whose time is no number"),
        ({"time": "\u0661\u0662"}, "a message whose time is no number"),
        ({"time": SECRETS[2]}, "a message whose time is no number"),
    ],
)
def test_a_message_that_cannot_be_is_refused_without_a_word_of_it(changed, said):
    """Addresses and reasons are nobody's business: the sentence names the field."""
    strange = dict(zip(("sender", "recipient", "reason"), SECRETS, strict=True))
    message = {"queue_name": "active", "queue_id": "A", "time": "1", "size": "1", **strange, **changed}
    with pytest.raises(NoListing, match=said) as raised:
        parsed(stream(PROTOCOL, list(message.items())), 64)
    assert not any(secret in str(raised.value) for secret in SECRETS)


@pytest.mark.parametrize("text", ["Mail queue is empty\n", "-Queue ID- --Size--\n4A 1 Sat a@b\n", ""])
def test_a_showq_of_postfix_2_is_told_as_such(text):
    """It answers with a text for people."""
    said = "a text, as Postfix before 3.1" if text else "hung up before the end"
    with pytest.raises(NoListing, match=said):
        parsed(text.encode(), 64)


@contextmanager
def answering(path, answer, wait=0.0):
    """Have a showq that answers each who comes with the same, and then hangs up, or keeps silent."""
    path.parent.mkdir(exist_ok=True)
    stop = threading.Event()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def serve():
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection, suppress(BrokenPipeError):
                        for piece in answer:
                            connection.sendall(piece)
                            stop.wait(wait)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


class CannotLook(Postfix):
    """Somebody who may not look into the directories."""

    def open(self, context):
        """Forget the directories."""
        super().open(context)
        self._spool = None


def ask(root, log):
    """Collect twice while three connections are logged: what was told at last, and the last context."""
    collector = CannotLook(Postfix.Settings(queue_directory=str(root), log=str(log)))
    log.write_bytes(b"")
    collector.open(FakeContext())
    for _ in range(2):
        context = Context("main", timeout=1.0, interval=15, agent=os.getpid())
        found = {(each.metric.name, *each.values): each.value for each in collector.collect(context)}
        log.write_bytes(b"Nov 25 10:00:00 mx postfix/smtpd[9]: connect from unknown[192.0.2.9]\n" * 3)
    collector.close()
    return found, context


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ([b"protocol\0", *[b"x"] * 99], "has not come to their end within 0."),
        ([b"", *[b""] * 99], "it has said nothing for 0."),
        ([b"Mail queue is empty\n"], "as Postfix before 3.1 gives it"),
        ([stream(PROTOCOL, MESSAGE)[:-1]], "it hung up before the end"),
        ([stream(PROTOCOL, [*MESSAGE, ("time", "1" + "0" * 400)])], "a message whose time is no number"),
        ([b"\xff\xfe" * 600_000], "what came is none"),
    ],
    ids=["drips", "silent", "2.x", "cut", "huge", "no text"],
)
def test_a_showq_of_any_kind_costs_the_queues_and_not_the_flow(root, tmp_path, answer, said):
    """The queues are missing with a note, the collector is not up, and the log is counted in the same tick."""
    log = tmp_path / "mail.log"
    log.touch()
    with answering(root / "public" / "showq", answer, 0.02 if len(answer) > 1 else 0.0):
        found, context = ask(root, log)
    assert not any(name.startswith("postfix_queue") for name, *_ in found)
    assert found["postfix_connections_total", "smtpd"] == 3
    assert any(note.startswith("missing: the queues: ") and said in note for note in context.notes)
    assert said in str(context.degradation)
    assert "ps -C master,showq" in str(context.degradation) or "said nothing" not in said


def test_a_showq_whom_too_many_have_asked_is_told_as_stopped(root, tmp_path):
    """The kernel lets nobody in whose turn would not come."""
    log = tmp_path / "mail.log"
    log.touch()
    (root / "public").mkdir()
    with socket.socket(socket.AF_UNIX) as server, ExitStack() as waiting:
        server.bind(str(root / "public" / "showq"))
        server.listen(0)
        for _ in range(3):
            client = waiting.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            with suppress(BlockingIOError):
                client.connect(str(root / "public" / "showq"))
        _, context = ask(root, log)
    assert "so many wait for its answer already" in str(context.degradation)


def test_queues_that_showq_should_not_have_are_other(root, tmp_path):
    """Nobody has as many names in the labels as he likes."""
    log = tmp_path / "mail.log"
    log.touch()
    made_up = [[("queue_name", f"q{number}"), ("time", "1"), ("size", "1")] for number in range(300)]
    with answering(root / "public" / "showq", [stream(PROTOCOL, *made_up)]):
        collected = collect(
            CannotLook,
            {"queue_directory": str(root), "log": ""},
            context=Context("main", timeout=5, interval=15, agent=1),
        )
    found = values(collected)
    assert found['postfix_queue_messages{queue="other"}'] == 300
    assert {each.values[0] for each in collected} == {"incoming", "active", "deferred", "hold", "other"}


def test_a_socket_that_nobody_listens_on_is_a_stopped_postfix(tmp_path):
    """The sentence says what it means."""
    path = str(tmp_path / "showq")
    with pytest.raises(
        Unavailable, match="no such socket: Postfix was never started with this queue directory"
    ):
        list(showq.listing(path, FakeContext(), 5.0))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
    with pytest.raises(Unavailable, match="nobody answers: Postfix is stopped"):
        list(showq.listing(path, FakeContext(), 5.0))


def test_a_path_that_no_socket_can_have_is_told_as_such():
    """Nobody knows whether Postfix is stopped: it could not be asked."""
    with pytest.raises(Misconfigured, match="a socket's path has at most 107 bytes"):
        list(showq.listing("/" + "q" * 107, FakeContext(), 5.0))
    with pytest.raises(Unavailable, match="no such socket"):
        list(showq.listing("/" + "q" * 106, FakeContext(), 5.0))


def test_a_directory_that_is_not_there_is_misconfigured(tmp_path):
    """The place is named."""
    with pytest.raises(Misconfigured, match="no such directory"):
        collect(Postfix, {"queue_directory": str(tmp_path / "nowhere")})


@pytest.mark.needs("root")
@pytest.mark.parametrize("answers", [True, False])
@pytest.mark.parametrize("shut", ["deferred/F", "hold", "corrupt"])
def test_a_closed_directory_costs_its_own_queue_at_most(shut, answers):
    """Of showq comes what it can tell; where it cannot be asked, the other queues and the flow are told."""
    with TemporaryDirectory(dir="/tmp") as directory, ExitStack() as stack:
        root = Path(directory)
        for path in (*(root / queue for queue in QUEUES), root / "deferred" / "F"):
            path.mkdir()
            path.chmod(0o755)
        (root / shut).chmod(0o700)
        root.chmod(0o755)
        if answers:
            stack.enter_context(answering(root / "public" / "showq", [stream(PROTOCOL, MESSAGE)]))
            (root / "public" / "showq").chmod(0o666)
        log = root / "mail.log"
        log.touch()

        def asked():
            context = Context("main", timeout=5.0, interval=15, agent=os.getpid())
            found = values(collect(Postfix, {"queue_directory": directory, "log": str(log)}, context=context))
            without_log = values(collect(Postfix, {"queue_directory": directory, "log": ""}, context=context))
            return found, without_log, context.notes, str(context.degradation or "")

        found, without_log, notes, trouble = as_nobody([], asked)
    queue = shut.partition("/")[0]
    told = {each for each in QUEUES if f'postfix_queue_messages{{queue="{each}"}}' in found}
    assert told == (set(QUEUES) if answers and queue != "corrupt" else set(QUEUES) - {queue})
    assert found["postfix_log_readable"] == 1
    assert without_log.keys() == {name for name in found if name.startswith("postfix_queue")}
    assert any(f"{root / shut}: this user may not read the queue, so that " in note for note in notes)
    assert bool(trouble) == (not answers and queue != "corrupt")
    assert found.get('postfix_queue_messages{queue="deferred"}', 0) == (answers and shut == "deferred/F")


def test_a_disk_that_fails_in_one_queue_costs_that_queue(root, monkeypatch):
    """The others are told, and the reason is the disk's, not that showq is not there either."""
    read = directories._read

    def failing(directory, *rest):
        if directory.endswith("hold"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read(directory, *rest)

    monkeypatch.setattr(directories, "_read", failing)
    context = Context("main", timeout=5.0, interval=15, agent=os.getpid())
    found = values(collect(Postfix, {"queue_directory": str(root), "log": ""}, context=context))
    told = {queue for queue in QUEUES if f'postfix_queue_messages{{queue="{queue}"}}' in found}
    assert told == set(QUEUES) - {"hold"}
    assert str(context.degradation) == f"{root / 'hold'}: the queue cannot be read (Input/output error)"
    assert any(note.startswith("missing: hold: ") for note in context.notes)


@pytest.mark.parametrize("name", ["postfix", "postfix-in", "mx2:mail", "A", "a/b"])
def test_a_name_that_postfix_may_log_is_taken(name):
    """Most have letters and a dash only."""
    assert Postfix.Settings(syslog_name=name).syslog_name == name


@pytest.mark.parametrize(
    "name",
    ["", "${multi_instance_name?{$multi_instance_name}:{postfix}}", "postfix/", "postfix ", "post fix", "pöstfix", "/"],
)  # fmt: skip
def test_a_name_that_no_line_could_have_says_what_to_type(name):
    """`postconf -h` prints the first; with it no line would ever be counted, and nobody would be told why."""
    with pytest.raises(ValueError, match=r"is no name .*type what `postconf -x -h syslog_name` prints"):
        Postfix.Settings(syslog_name=name)


@pytest.mark.needs("root")
@pytest.mark.parametrize("what", ["spool", "spool/public/showq", "mail.log"])
def test_a_directory_on_the_way_that_is_closed_is_named(what):
    """Instead of an errno, or of a group that would not help."""
    with TemporaryDirectory(dir="/tmp") as directory:
        closed = Path(directory, "closed")
        (closed / "spool" / "public").mkdir(parents=True)
        Path(directory).chmod(0o755)
        (closed if what == "mail.log" else closed / what).parent.chmod(0o755)
        shut = (closed / what).parent if what != "spool/public/showq" else closed / "spool"
        shut.chmod(0o700)

        def asked():
            if what == "mail.log":
                return LogFile(closed / what, None, None)
            return collect(Postfix, {"queue_directory": str(closed / "spool"), "log": ""})

        refused = as_nobody([], asked)
    assert isinstance(refused, Misconfigured)
    assert f"{closed / what}: this user may not look into {shut}" in str(refused)
    assert "Errno" not in str(refused)


def test_mail_that_was_requeued_is_not_told_as_new():
    """`postsuper -r` puts it into maildrop, with the time of its arrival."""
    tally = Tally(10_000)
    tally.add([2_700], 10, 1)
    (said,) = explain({"maildrop": tally})
    assert "submitted on this host or requeued (postsuper -r), not picked up yet" in said


def test_the_queues_are_explained_in_plain_language():
    """A sentence for each queue that holds something, and one when none does."""
    tally, empty = Tally(10_000), Tally(10_000)
    tally.add([2_700], 10, 1)
    tally.add_unread(1)
    assert list(explain({"deferred": tally, "hold": empty})) == [
        "deferred: 2 messages, the oldest 2 h 1 min old: not delivered yet, to be tried again while Postfix runs (postfix_queue_messages).",
        "deferred: 1 of them are not read yet (postfix_queue_unread_messages).",
    ]
    assert list(explain(dict.fromkeys(QUEUES, empty))) == ["Nothing waits (postfix_queue_messages)."]
    assert list(explain({"active": empty, "hold": empty})) == [
        "Nothing waits in active, hold (postfix_queue_messages)."
    ]
