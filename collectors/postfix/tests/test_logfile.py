"""A log file under everything that is done to log files: no line is lost, none is counted twice."""

import gzip
import json
import math
import os
import random
import shutil
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from harness import until
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from collectors.postfix import flow
from collectors.postfix.progress import Progress
from rscollector.api import Context, Misconfigured, Unavailable
from rscollector.testing import FakeContext

LINE = "Nov 20 21:55:58 mx postfix/smtpd[2101]: connect from unknown[192.0.2.{}]\n"


class Log:
    """A log, who writes it and who rotates it. `written` counts the lines."""

    def __init__(self, directory):
        self.path = directory / "mail.log"
        self.state = directory / "state" / "main.json"
        self.path.touch()
        self.writer = self.path.open("ab", buffering=0)
        self.written = 0

    def write(self, count=1):
        """Write lines."""
        lines = [LINE.format(number) for number in range(self.written, self.written + count)]
        self.writer.write("".join(lines).encode())
        self.written += count

    def shift(self):
        """Make room for mail.log.1."""
        for number in range(99, 0, -1):
            old = self.path.with_suffix(f".log.{number}")
            if old.exists():
                old.rename(self.path.with_suffix(f".log.{number + 1}"))

    def rename(self):
        """Rotate as logrotate does with `create`; the writer goes on in the old one until `reopen`."""
        self.shift()
        self.path.rename(self.path.with_suffix(".log.1"))
        self.path.touch()

    def reopen(self):
        """Have the writer begin the new one."""
        self.writer.close()
        self.writer = self.path.open("ab", buffering=0)

    def copytruncate(self):
        """Rotate as logrotate does with `copytruncate`."""
        self.shift()
        shutil.copy(self.path, self.path.with_suffix(".log.1"))
        os.truncate(self.path, 0)

    def reader(self):
        """Return a reader, as a new process would have it."""
        return Progress(str(self.path), "postfix", self.state)


@pytest.fixture
def log(tmp_path):
    """Return a log of which nothing was written yet."""
    made = Log(tmp_path)
    yield made
    made.writer.close()


def read(reader, timeout=10.0):
    """Read on, and return what was counted so far: connections, gaps."""
    context = Context("main", timeout=timeout, interval=15, agent=os.getpid())
    reader.read(context)
    return reader.flow.value(flow.CONNECTIONS), reader.flow.value(flow.GAPS)


class AnyRotation(RuleBasedStateMachine):
    """Writing, rotating and reading in any order, and readers that are killed."""

    def __init__(self):
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.log = Log(self.directory)
        self.reader = self.log.reader()
        read(self.reader)

    @rule(count=st.integers(1, 30))
    def write(self, count):
        """Write some lines."""
        self.log.write(count)

    @rule()
    def rename_and_reopen(self):
        """Rotate by renaming; the writer follows."""
        self.log.rename()
        self.log.reopen()

    @rule(count=st.integers(0, 5))
    def rename_with_a_late_writer(self, count):
        """Rotate by renaming, and read before the writer has reopened the file."""
        self.log.rename()
        if count:
            self.log.write(count)
        self.read()
        self.log.write(1)
        self.log.reopen()

    @rule()
    def copytruncate(self):
        """Rotate by copying a file that was read before; one that was not has no place to be known by."""
        if self.reader._source.place.offset == 0:
            self.log.write(1)
            self.read()
        self.log.copytruncate()

    @rule()
    def read(self):
        """Read on: then everything is counted, once."""
        assert read(self.reader) == (self.log.written, 0)
        assert self.reader.flow.unread == 0

    @rule()
    def die(self):
        """Go on in another process, from what was kept."""
        self.reader.close()
        self.reader = self.log.reader()

    @invariant()
    def never_too_much(self):
        """What is counted was written."""
        assert self.reader.flow.value(flow.CONNECTIONS) <= self.log.written

    def teardown(self):
        """Everything is counted in the end."""
        try:
            self.read()
        finally:
            self.reader.close()
            self.log.writer.close()
            shutil.rmtree(self.directory)


TestAnyRotation = AnyRotation.TestCase
TestAnyRotation.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


def test_the_first_reader_begins_at_the_end(log):
    """What was logged before anybody counted is not counted: nobody knows when it was."""
    log.write(100)
    reader = log.reader()
    assert read(reader) == (0, 0)
    log.write(3)
    assert read(reader) == (3, 0)


def test_a_line_that_is_being_written_is_read_when_it_is_whole(log):
    """Half a line is none yet."""
    reader = log.reader()
    line = LINE.format(1).encode()
    log.writer.write(line[:30])
    assert read(reader) == (0, 0)
    log.writer.write(line[30:])
    assert read(reader) == (1, 0)


def test_what_was_compressed_meanwhile_is_a_gap(log):
    """The place is not found again: that is counted and told, and the new file is read whole."""
    reader = log.reader()
    log.write(5)
    read(reader)
    reader.close()
    log.write(7)
    log.rename()
    old = log.path.with_suffix(".log.1")
    old.with_suffix(".1.gz").write_bytes(gzip.compress(old.read_bytes()))
    old.unlink()
    log.reopen()
    log.write(2)
    assert read(log.reader()) == (5 + 2, 1)


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("rotate", ["rename", "copytruncate"])
@pytest.mark.parametrize("behind", ["a link", "a directory that is one"])
def test_a_log_behind_a_link_is_read_as_one_that_is_not(tmp_path, behind, rotate, restart):
    """Its older files are beside what the link leads to."""
    (tmp_path / "data").mkdir()
    log = Log(tmp_path / "data")
    link = tmp_path / ("mail" if behind == "a link" else "log")
    link.symlink_to(log.path if behind == "a link" else log.path.parent)
    path, state = str(link if behind == "a link" else link / log.path.name), tmp_path / "state" / "main.json"
    reader = Progress(path, "postfix", state)
    log.write(3)
    assert read(reader) == (3, 0)
    log.write(4)
    if restart:
        reader.close()
    getattr(log, rotate)()
    if rotate == "rename":
        log.reopen()
    log.write(2)
    if restart:
        reader = Progress(path, "postfix", state)
    assert read(reader) == (9, 0)
    assert read(reader) == (9, 0)
    assert reader.flow.unread == 0
    reader.close()
    log.writer.close()


def test_a_name_may_have_what_is_a_pattern_elsewhere(tmp_path):
    """`[` stands for itself: the older files are found."""
    directory = tmp_path / "logs"
    directory.mkdir()
    log = Log(directory)
    log.path = directory / "mail[1].log"
    (directory / "mail.log").rename(log.path)
    reader = Progress(str(log.path), "postfix", None)
    log.write(3)
    log.rename()
    log.reopen()
    log.write(2)
    assert read(reader) == (5, 0)
    reader.close()
    log.writer.close()


def test_a_link_that_leads_elsewhere_is_followed(tmp_path):
    """One file a day, and a link to today's: yesterday's is read to its end while the agent runs."""
    logs = [tmp_path / f"{day}.log" for day in (1, 2)]
    for each in logs:
        each.touch()
    link = tmp_path / "mail.log"
    link.symlink_to(logs[0])
    reader = Progress(str(link), "postfix", tmp_path / "state" / "main.json")
    read(reader)
    with logs[0].open("ab") as first:
        first.write(LINE.format(1).encode() * 3)
    link.unlink()
    link.symlink_to(logs[1])
    logs[1].write_text(LINE.format(2) * 2)
    assert read(reader) == (5, 0)
    assert read(reader) == (5, 0)
    reader.close()


@pytest.mark.parametrize(
    ("way", "restart", "expected"),
    [
        ("copytruncate and compress", False, (5, 1)),
        ("copytruncate and compress", True, (5, 1)),
        ("rename and compress", False, (9, 0)),
        ("rename and compress", True, (5, 1)),
        ("olddir", False, (9, 0)),
        ("olddir", True, (5, 1)),
        ("extension", False, (9, 0)),
        ("extension", True, (5, 1)),
    ],
)
def test_a_rotation_that_takes_the_old_log_away_is_read_to_its_end_or_a_gap(log, way, restart, expected):
    """As README.md tells for each: what a running agent has open it reads, a copy that is gone it cannot."""
    reader = log.reader()
    read(reader)
    log.write(3)
    assert read(reader) == (3, 0)
    log.write(4)
    if restart:
        reader.close()
    if "compress" in way:
        log.path.with_suffix(".log.1.gz").write_bytes(gzip.compress(log.path.read_bytes()))
    if way.startswith("copytruncate"):
        os.truncate(log.path, 0)
    elif way.startswith("rename"):
        log.path.unlink()
    else:
        (log.path.parent / "old").mkdir()
        log.path.rename(log.path.parent / ("old/mail.log.1" if way == "olddir" else "mail.1.log"))
    log.reopen()
    log.write(2)
    if restart:
        reader = log.reader()
    assert read(reader) == expected
    assert read(reader) == expected
    reader.close()


def test_a_file_that_only_has_the_same_name_is_no_continuation(log):
    """A log that was deleted and made anew, longer than the place in the old one."""
    reader = log.reader()
    log.write(5)
    read(reader)
    reader.close()
    log.path.unlink()
    log.reopen()
    log.writer.write(b"Nov 21 00:00:00 mx other[1]: something else entirely\n" * 50)
    log.write(2)
    assert read(log.reader()) == (5 + 2, 1)


def damaged(**changed):
    """Return a state file in which something is not what it was."""
    flow = {"names": [], "counts": [], "delays": []}
    return json.dumps({"log": "LOG", "place": [1, 2, 3], "flow": flow} | changed).encode()


@pytest.mark.parametrize(
    "damage",
    [
        b"", b"{", b"\xff\xfe", b"[]", b'{"log": "x"}', b"[" * 200_000,
        *(damaged(place=place) for place in (["x"], [1], [None, 1, 2], [math.inf, 1, 2], [-1, -1, -1], "place", None)),
        damaged(flow={"counts": [["postfix_log_lines_total", math.inf]], "delays": []}),
        damaged(flow={"counts": [["postfix_log_lines_total", -1]], "delays": []}),
        damaged(flow={"counts": [], "delays": [["smtp", "transmission", [0] * 13 + [math.nan]]]}),
        damaged(flow={"counts": [], "delays": [["smtp", "transmission", [-1] * 13 + [1]]]}),
        damaged(flow={"counts": [], "delays": [], "names": 7}),
    ],
    ids=lambda damage: str(damage)[:40],
)  # fmt: skip
def test_a_damaged_state_is_a_gap_and_no_failure(log, damage):
    """Counting begins anew, at the end of the log."""
    reader = log.reader()
    log.write(5)
    read(reader)
    reader.close()
    log.state.write_bytes(damage.replace(b"LOG", str(log.path).encode()))
    log.write(5)
    again = log.reader()
    assert read(again) == (0, 1)
    log.write(1)
    assert read(again) == (1, 1)


def test_a_state_that_cannot_be_kept_is_told(log, tmp_path):
    """Counting goes on in memory, and `status` says what a restart will cost."""
    (tmp_path / "state").write_text("a file where the directory should be")
    reader = log.reader()
    log.write(5)
    context = FakeContext()
    reader.read(context)
    assert reader.flow.value(flow.CONNECTIONS) == 5
    assert "a restart will begin at the end of the log" in context.notes[0]


def test_another_log_is_begun_at_its_end_and_the_counters_stay(log, tmp_path):
    """The setting was changed: what was counted was counted."""
    reader = log.reader()
    log.write(5)
    read(reader)
    reader.close()
    other = tmp_path / "other.log"
    other.write_text(LINE.format(1) * 9)
    assert read(Progress(str(other), "postfix", log.state)) == (5, 0)


def test_lines_that_nobody_has_written_are_counted_as_such(log):
    """No time, no host, no text: that is malformed; a line of another program is not."""
    reader = log.reader()
    log.writer.write(b"\xff\xfe\x00 garbage\n\n" + b"x" * 3_000_000 + b"\n")
    log.writer.write("2026-11-20T21:55:58.123456+01:00 mx dovecot: größer\n".encode("latin-1"))
    log.writer.write(
        b"2026-11-20T21:55:58.123456+01:00 mx postfix/smtpd[7]: connect from unknown[192.0.2.1]\n"
    )
    assert read(reader) == (1, 0)
    assert reader.flow.value(flow.MALFORMED) >= 2


def test_a_million_lines_at_once_fit_into_a_few_ticks(log):
    """What does not fit into a tick is left for the next and told as unread; nothing is skipped."""
    reader = log.reader()
    text = "".join(LINE.format(number) for number in range(1000)).encode()
    for _ in range(1000):
        log.writer.write(text)
    ticks, seen = 0, []
    while not ticks or reader.flow.unread:
        seen.append(read(reader, timeout=0.5)[0])
        ticks += 1
    assert seen[-1] == 1_000_000
    assert seen == sorted(seen)
    assert ticks > 2


@pytest.mark.parametrize("readers", [150, pytest.param(400, marks=pytest.mark.long)])
def test_what_is_renamed_while_it_is_looked_for_is_found(log, readers):
    """Rotations in a row, and a new reader each time: what is listed is often not there any more."""
    reader = log.reader()
    log.write(1)
    read(reader)
    stop, since_read = threading.Event(), [0]

    def rotating():
        while not stop.wait(random.uniform(0, 0.004)):
            if since_read[0] >= 12:  # a reader that waits for the processor would find its file deleted
                continue
            since_read[0] += 1
            log.write(2)
            log.rename()
            log.reopen()
            for number in range(30, 100):
                log.path.with_suffix(f".log.{number}").unlink(missing_ok=True)

    rotator = threading.Thread(target=rotating)
    rotator.start()
    for _ in range(readers):
        with suppress(Unavailable):  # between two names it has none
            read(reader)
            since_read[0] = 0
            reader = log.reader()
    stop.set()
    rotator.join()
    until(lambda: read(reader)[0] == log.written)
    assert read(reader) == (log.written, 0)


def test_a_directory_with_such_a_name_is_none_of_its_files(log):
    """Beside the log, when its place is looked for after a rotation."""
    reader = log.reader()
    log.write(1)
    read(reader)
    log.write(1)
    log.rename()
    log.reopen()
    log.path.with_suffix(".log.old").mkdir()
    assert read(log.reader()) == (2, 0)


def test_where_the_log_cannot_be_read_the_sentence_says_who_may(tmp_path):
    """No file, and no file of that kind."""
    with pytest.raises(Unavailable, match="no such file: does Postfix log there"):
        Progress(str(tmp_path / "none"), "postfix", None)
    with pytest.raises(Misconfigured, match="this is no file"):
        Progress(str(tmp_path), "postfix", None)


@pytest.mark.parametrize("kills", [8, pytest.param(20, marks=pytest.mark.long)])
def test_workers_and_agents_that_are_killed_lose_and_double_nothing(agent, log, tmp_path, kills):
    """So many kills while a log is written and rotated, most of the worker, some of the agent."""
    (tmp_path / "active").mkdir()
    (tmp_path / "deferred").mkdir()
    toml = f"""
        [agent]
        interval = "100ms"
        timeout = "2s"
        backoff_max = "100ms"
        [web]
        listen = []
        [collector.postfix.main]
        queue_directory = "{tmp_path}"
        log = "{log.path}"
        max_failures = 1000
    """
    state = {"STATE_DIRECTORY": str(tmp_path / "kept")}
    agents = [agent(toml, **state)]

    def count():
        return agents[-1].value("postfix_connections_total", service="smtpd")

    def told():
        return count() is not None

    def runs():
        return agents[-1].value("rscollector_collector_runs_total", type="postfix", result="success")

    until(told)
    stop = threading.Event()

    def writing():
        while not stop.wait(0.002):
            log.write(20)
            if random.random() < 0.01:
                log.rename()
                log.reopen()

    writer = threading.Thread(target=writing)
    writer.start()
    for number in range(kills):
        time.sleep(random.uniform(0.1, 0.5))
        if number % 4 == 3:
            agents[-1].process.kill()
            agents[-1].process.wait()
            agents.append(agent(toml, **state))
        elif pid := agents[-1].collector("postfix/main")["worker_pid"]:
            os.kill(pid, 9)
        until(told)
    stop.set()
    writer.join()
    until(lambda: count() == log.written, 60)
    before = runs()
    until(lambda: runs() > before + 2)  # whoever counts a line twice would have done so
    assert count() == log.written
    assert agents[-1].value("postfix_log_gaps_total") == 0
    kept = json.loads((tmp_path / "kept" / "postfix" / "main.json").read_text())
    assert kept["log"] == str(log.path)
