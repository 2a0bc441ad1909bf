"""A worker's side of the wire, by what it answers."""

import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

import rscollector
from rscollector.api import (
    Collector,
    Distribution,
    Kind,
    Metric,
    PageSink,
    Sample,
    Secret,
    Sink,
    Unavailable,
    setting,
)
from rscollector.model.metrics import LONGEST_LABELS
from rscollector.wire import MOST_NOTES, VERSION
from rscollector.wire.layouts import Layout
from rscollector.wire.lines import MAX_LINE
from rscollector.wire.messages import (
    Close,
    Closed,
    Collect,
    Done,
    Failed,
    Forget,
    Hello,
    Hide,
    Metrics,
    Open,
    Opened,
    Page,
    Rows,
    Run,
    Unknown,
    Values,
    decoded,
    encoded,
)
from rscollector.worker.server import Server

VALUE = Metric("fake_value", Kind.GAUGE, "A value.", labels=("of",))
AGES = Metric("fake_age", Kind.HISTOGRAM, "Ages.", labels=("of",), buckets=(1.0,))
OTHER = Metric("fake_value", Kind.GAUGE, "A value.", labels=("of", "and"))


@dataclass(frozen=True)
class FakeSettings:
    """What goes wrong."""

    wrong: str = setting("What raises.", default="")
    secrets: tuple[Secret, ...] = setting("What is not shown.", default=())

    def __post_init__(self):
        for secret in self.secrets:
            Fake.done.append(secret.reveal())


class Fake(Collector[FakeSettings]):
    """Gives the series that the test wants: `series` has label values and values."""

    metrics = (VALUE,)
    Settings = FakeSettings
    series: ClassVar[dict] = {"a": 1}
    done: ClassVar[list] = []
    long = ('"', "\x01", "é", "🙂", "\ud800", "x", "\n")

    def open(self, context):
        """Fail if that is what goes wrong."""
        if self.settings.wrong == "open":
            raise Unavailable("nobody is there")

    def collect(self, context):
        """Give them, late or not at all."""
        time.sleep(0.25 * (self.settings.wrong == "late"))
        if self.settings.wrong == "collect":
            raise OSError("nobody is there")
        if self.settings.wrong in Fake.long:
            for _ in range(12):
                context.note(self.settings.wrong * 5000)
            context.degraded(Unavailable(self.settings.wrong * 20_000))
        if self.settings.wrong.startswith("bug"):
            raise ValueError(self.settings.wrong[3:] * 30_000)
        return [VALUE(value, of=of) for of, value in Fake.series.items()]

    def close(self):
        """Take note."""
        self.done.append("closed")


class FakeSink(Fake, Sink[FakeSettings]):
    """Keeps what it is given, unless that is what goes wrong."""

    def take(self, _context, runs):
        """Keep it."""
        if self.settings.wrong == "take":
            raise OSError("the disk is gone")
        self.done.extend(runs)


class FakePageSink(Fake, PageSink[FakeSettings]):
    """Keeps the page."""

    def show(self, _context, page):
        """Keep it."""
        self.done.append(page)


class Agent:
    """The other end of the wire."""

    def __init__(self, wire, stack):
        self._wire = wire
        self.stack = stack
        self._lines = wire.makefile("rb")
        self.greeting = decoded(self._lines.readline())

    def ask(self, question, *parcels):
        """Send a question and what goes ahead of it; returns all answers to it."""
        self._wire.sendall(b"".join(map(encoded, (*parcels, question))))
        answers = []
        while not answers or isinstance(answers[-1], Metrics | Rows | Values):
            answers.append(decoded(self._lines.readline()))
        return answers

    def open(self, plugin, seq=1, **settings):
        """Open a collector of this file."""
        place = f"{__name__}:{plugin.__name__}"
        return self.ask(Open(seq, "fake/a", 10.0, "fake", "a", place, settings, {}, 15.0, 10.0, "db1", {}))

    def collect(self, seq, layout=0, *parcels, rows=100, timeout=10.0, explain=False):
        """Have it collect."""
        return self.ask(Collect(seq, "fake/a", timeout, rows, layout, explain), *parcels)


@contextmanager
def serving():
    """Run a server in a thread; yields the agent's end."""
    ours, theirs = socket.socketpair()
    ours.settimeout(30)
    stack = os.memfd_create("stack")
    server = Server(theirs, stack, os.getpid())
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        agent = Agent(ours, stack)
        agent.server = server
        yield agent
        agent._lines.close()
    finally:
        ours.close()
        thread.join(30)
        theirs.close()
        os.close(stack)


@pytest.fixture
def agent():
    """Return an agent whose worker has nothing open yet."""
    Fake.series, Fake.done = {"a": 1}, []
    for each in (FakeSink, FakePageSink):
        each.done = Fake.done
    with serving() as started:
        yield started


def test_it_greets_with_the_version_of_the_wire(agent):
    """Before anything else, so that an agent of another version believes nothing more."""
    assert agent.greeting == Hello(VERSION)


def test_only_what_was_opened_is_closed(agent):
    """An `open` that fails has given back what it took; one that succeeds is closed once."""
    assert isinstance(agent.open(Fake, wrong="open")[-1], Failed)
    agent.ask(Close(2, "fake/a", 10.0))
    assert Fake.done == []
    agent.open(Fake, seq=3)
    agent.ask(Close(4, "fake/a", 10.0))
    assert Fake.done == ["closed"]


def test_a_layout_is_told_once(agent):
    """From then on a run is a number and its values."""
    assert isinstance(agent.open(Fake)[-1], Opened)
    first = agent.collect(2)
    assert first[:2] == [Rows(2, [["fake_value", ["a"]]]), Values(2, [1])]
    assert (first[2].layout, len(first)) == (1, 3)
    Fake.series = {"a": 2.5}
    second = agent.collect(3, layout=1)
    assert (second[0], second[1].layout, len(second)) == (Values(3, [2.5]), 1, 2)


def test_other_series_make_another_layout(agent):
    """Even as many as before: no value is ever read under another series."""
    agent.open(Fake)
    agent.collect(2)
    Fake.series = {"b": 1}
    again = agent.collect(3, layout=1)
    assert (again[0], again[-1].layout) == (Rows(3, [["fake_value", ["b"]]]), 2)


def test_an_agent_that_has_another_layout_is_told(agent):
    """It says which one it has; what it had missed, it is told again."""
    agent.open(Fake)
    agent.collect(2)
    again = agent.collect(3, layout=0)
    assert (again[0], again[-1].layout) == (Rows(3, [["fake_value", ["a"]]]), 2)


class FakeReuse(Fake):
    """Writes the label values of all its samples into the same list."""

    metrics = (VALUE, AGES)

    def collect(self, _context):
        """Give samples that share what they are made of."""
        labels, counts = [""], [0, 0]
        for of, value in Fake.series.items():
            labels[0], counts[0] = of, value
            yield Sample(VALUE, labels, value)
            yield Sample(AGES, labels, Distribution(counts, 1.0))


def test_a_sample_stays_what_it_is_while_others_are_made(agent):
    """A collector that uses one list for all its samples has each value under its own series all the same."""
    agent.open(FakeReuse)
    Fake.series = {"a": 1, "b": 2}
    rows, values, _ = agent.collect(2)
    assert [labels for _, labels in rows.rows] == [["a"], ["a"], ["b"], ["b"]]
    assert values.values == [1, [1.0, 1, 0], 2, [1.0, 2, 0]]
    Fake.series = {"b": 2, "a": 1}
    assert isinstance(agent.collect(3, layout=1)[0], Rows)


def test_no_series_are_a_layout_too(agent):
    """A collector that has nothing to tell has collected all the same."""
    agent.open(Fake)
    Fake.series = {}
    (only,) = agent.collect(2)
    assert (type(only), only.layout) == (Done, 1)
    Fake.series = {"a": 1}
    assert isinstance(agent.collect(3, layout=1)[0], Rows)


def run(layout, value, metric=VALUE):
    """Return a layout as it is told, and a run that has it."""
    groups = [(metric, [tuple("x" for _ in metric.labels)])]
    return Layout(layout, "main", groups).told(), Run(1_795_208_406, 1.0, layout, [value])


def taken():
    """Return the samples that the sink has kept, of each run."""
    return [list(each.samples) for each in Fake.done if not isinstance(each, str)]


def test_a_sink_takes_what_goes_ahead_of_the_question(agent):
    """Runs are read in their layouts; two declarations of one name are two metrics."""
    agent.open(FakeSink)
    (one, first), (two, second) = run(1, 10), run(2, 20, OTHER)
    assert agent.collect(2, 0, one, two, first, second)[-1].taken == 2
    assert taken() == [[(VALUE, ("x",), 10)], [(OTHER, ("x", "x"), 20)]]
    assert agent.collect(3, 0)[-1].taken == 0
    assert len(taken()) == 2


def test_a_layout_that_is_not_known_is_asked_for_and_the_runs_are_kept_meanwhile(agent):
    """The agent tells it and asks again, and needs not give the runs again."""
    agent.open(FakeSink)
    (one, first), (_, second) = run(1, 10), run(1, 11)
    assert agent.collect(2, 0, first, second) == [Unknown(2, [1])]
    assert taken() == []
    assert isinstance(agent.collect(2, 0, one)[-1], Done)
    assert taken() == [[(VALUE, ("x",), 10)], [(VALUE, ("x",), 11)]]


def test_a_layout_that_is_to_be_forgotten_is_forgotten(agent):
    """Else a collector whose series change all the time would fill the sink's memory."""
    agent.open(FakeSink)
    one, first = run(1, 10)
    agent.collect(2, 0, one, first)
    assert agent.collect(3, 0, Forget([1]), first) == [Unknown(3, [1])]


def test_a_sink_that_is_opened_anew_begins_with_nothing(agent):
    """What the one before it was given and did not take, the agent gives again: nothing comes twice."""
    agent.open(FakeSink, wrong="take")
    one, first = run(1, 10)
    assert isinstance(agent.collect(2, 0, one, first)[-1], Failed)
    agent.open(FakeSink, seq=3)
    assert agent.collect(4, 0, first) == [Unknown(4, [1])]
    agent.collect(4, 0, one)
    assert taken() == [[(VALUE, ("x",), 10)]]


@pytest.mark.parametrize(("wrong", "count"), [("take", 0), ("collect", 1)])
def test_a_failure_says_what_was_taken_before_it(agent, wrong, count):
    """A sink may keep what it is given and fail at its own samples: then that does not come again."""
    agent.open(FakeSink, wrong=wrong)
    failed = agent.collect(2, 0, *run(1, 10))[-1]
    assert (type(failed), failed.taken) == (Failed, count)


def test_what_was_taken_is_counted_for_each_question_anew(agent):
    """A failure says nothing of what the question before it gave."""
    agent.open(FakeSink)
    one, first = run(1, 10)
    assert agent.collect(2, 0, one, first)[-1].taken == 1
    agent.open(FakeSink, seq=3, wrong="take")
    failed = agent.collect(4, 0, one, first)[-1]
    assert (type(failed), failed.taken) == (Failed, 0)


def test_what_has_arrived_when_the_agent_is_killed_is_kept():
    """Between what goes ahead of a question and the question itself; what is not whole is not there."""
    Fake.done = FakeSink.done = []
    with serving() as started:
        started.open(FakeSink)
        one, first = run(1, 10)
        started._wire.sendall(encoded(one) + encoded(first) + encoded(first)[:-5])
    started.server.end()
    assert taken() == [[(VALUE, ("x",), 10)]]
    assert Fake.done[-1] == "closed"


def test_a_close_first_gives_what_is_left(agent):
    """A sink that ends keeps what it is given last, and is closed after that."""
    agent.open(FakeSink)
    one, first = run(1, 10)
    assert agent.ask(Close(2, "fake/a", 2.0), one, first) == [Closed(2, 1)]
    assert taken() == [[(VALUE, ("x",), 10)]]
    assert Fake.done[-1] == "closed"


def test_a_close_ends_the_sink_that_cannot_keep_what_is_left(agent):
    """Whatever its `take` raises, it is closed, once."""
    agent.open(FakeSink, wrong="take")
    one, first = run(1, 10)
    assert agent.ask(Close(2, "fake/a", 2.0), one, first) == [Closed(2, 0)]
    assert Fake.done == ["closed"]
    assert agent.ask(Close(3, "fake/a", 2.0)) == [Closed(3, 0)]
    assert Fake.done == ["closed"]


def test_a_sink_of_the_page_is_shown_the_page_of_its_question(agent):
    """With each question the newest, and none twice."""
    agent.open(FakePageSink)
    agent.collect(2, 0, Page("one\n"))
    agent.collect(3, 0)
    agent.ask(Close(4, "fake/a", 2.0), Page("two\n"))
    assert Fake.done == [b"one\n", b"two\n", "closed"]


def test_a_question_is_answered_with_as_many_rows_as_it_asks_for(agent):
    """A collector that floods costs no more than that."""
    agent.open(Fake)
    Fake.series = {str(number): number for number in range(50)}
    told = agent.collect(2, rows=7)
    assert [len(each.rows) for each in told if isinstance(each, Rows)] == [7]


def test_what_an_agent_of_before_starts_says_that_it_is_to_be_restarted():
    """Its package was upgraded under it: it learns so from the worker that it can still start by its path."""
    ours, theirs = socket.socketpair()
    root = str(Path(rscollector.__file__).parent.parent)
    command = [sys.executable, "-P", "-m", "rscollector.runtime.worker"]
    command += ["vip/main", str(theirs.fileno()), "7", str(os.getpid()), "dies"]
    with (
        ours,
        subprocess.Popen(command, pass_fds=[theirs.fileno()], env={**os.environ, "PYTHONPATH": root}) as old,
    ):
        theirs.close()
        ours.settimeout(30)
        with ours.makefile("rb") as lines:
            ours.sendall(b'{"type":"vip","op":"open","instance":"vip/main","seq":1,"timeout":10,"runs":[]}\n')
            said = lines.readline()
            ours.sendall(b'{"op":"close","instance":"vip/main","seq":1,"timeout":2,"runs":[]}\n')
            assert lines.readline() == b"", "that agent would forget what a sink was given last"
        assert old.wait(30) == 0
    assert said == (
        b'{"op": "failed", "kind": "misconfigured", "reason": "the package was upgraded; restart the agent '
        b'(systemctl restart rscollector)", "traceback": "", "seq": 1}\n'
    )


def test_one_that_fails_is_closed(agent):
    """What it has opened is given back before it is opened anew."""
    agent.open(Fake, wrong="collect")
    assert isinstance(agent.collect(2)[-1], Failed)
    assert Fake.done == ["closed"]


def test_it_tells_how_much_memory_it_uses(agent):
    """In bytes: no interpreter is smaller than a MiB."""
    agent.open(Fake)
    assert agent.collect(2)[-1].memory > 1 << 20


def test_after_an_answer_in_time_no_stack_is_written(agent):
    """Else the next one that is killed would be blamed on a line that was left long ago."""
    agent.open(Fake)
    agent.collect(2, timeout=0.2)
    time.sleep(0.3)
    assert os.fstat(agent.stack).st_size == 0


def test_the_stack_of_an_answer_that_was_nearly_late_is_taken_back(agent):
    """It came after all; the next one is written to the beginning of the file."""
    agent.open(Fake, wrong="late")
    agent.collect(2, timeout=0.2)
    agent.ask(Close(3, "fake/a", 10.0))
    assert (os.fstat(agent.stack).st_size, os.lseek(agent.stack, 0, os.SEEK_CUR)) == (0, 0)


def kept(tmp_path, *secrets):
    """Return the places of secrets."""
    places = []
    for number, secret in enumerate(secrets):
        file = tmp_path / f"secret-{number}"
        file.write_text(secret)
        places.append({"file": str(file)})
    return places


def test_secrets_are_told_before_any_code_of_the_plugin_runs_with_them(agent, tmp_path):
    """Line by line, what is too short left out; the agent asks again, and is told none of them twice."""
    places = kept(tmp_path, "hunter2", "first line\n  second line\nabc", "hunter2")
    assert agent.open(Fake, secrets=places) == [
        Hide(1, ["hunter2", "first line\n  second line\nabc", "first line", "second line"])
    ]
    assert Fake.done == []
    assert isinstance(agent.open(Fake, secrets=places)[-1], Opened)
    assert Fake.done[0] == "hunter2"
    (tmp_path / "secret-0").write_text("another")
    assert agent.open(Fake, secrets=places) == [Hide(1, ["another"])]


def test_long_secrets_are_told_in_several_answers(agent, tmp_path):
    """Each fits into a line of the wire, whatever the characters, and together they are all there is."""
    secrets = ["".join(f"{character}{number}" for number in range(1500)) for character in "\x01🙂é"]
    places, told = kept(tmp_path, *secrets), []
    while isinstance((answer := agent.open(Fake, secrets=places)[-1]), Hide):
        assert len(encoded(answer)) < MAX_LINE
        told += answer.texts
    assert isinstance(answer, Opened)
    assert "".join(told) == "".join(secrets)


def test_a_secret_of_very_many_lines_is_no_secret(agent, tmp_path):
    """It would cost the agent time at each line that it shows."""
    (failed,) = agent.open(Fake, secrets=kept(tmp_path, "line\n" * 201))
    assert "has more than 200 lines: is it the right file?" in failed.reason
    assert isinstance(agent.open(Fake, secrets=kept(tmp_path, "line\n" * 200))[-1], Hide)


@pytest.mark.parametrize("character", Fake.long)
def test_sentences_fit_into_a_line_however_many_bytes_they_take(agent, character):
    """A server that says much is no reason to kill who asks it."""
    agent.open(Fake, wrong=character)
    done = agent.collect(2)[-1]
    assert len(done.notes) == MOST_NOTES
    assert len(encoded(done)) < MAX_LINE
    assert all(note.startswith(character) and note.endswith("…") for note in (*done.notes, done.reason))


@pytest.mark.parametrize("character", Fake.long)
def test_so_does_a_traceback(agent, character):
    """Whole lines of it, the last ones, or none."""
    agent.open(Fake, wrong=f"bug{character}")
    (failed,) = agent.collect(2)
    assert len(encoded(failed)) < MAX_LINE
    assert failed.reason.startswith("ValueError: ")


def test_labels_without_end_do_not_fit_and_are_not_told(agent):
    """The agent refuses a sample with more than it shows anyway, and is told no more of it."""
    Fake.series = {"🙂" * 100_000: 1, "a": 2}
    agent.open(Fake)
    rows = agent.collect(2)[0]
    assert rows == Rows(2, [["fake_value", ["x" * (LONGEST_LABELS + 1)]], ["fake_value", ["a"]]])
