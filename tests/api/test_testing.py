"""The fakes that plugin authors are given."""

import math
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from rscollector.api import Collector, Context, Kind, Metric, Namespace, NoSettings, Unavailable, setting
from rscollector.testing import (
    FakeContext,
    NoRecording,
    Recordings,
    Rejected,
    Root,
    assert_all_metrics_are_emitted,
    assert_values,
    collect,
    page,
    values,
)

LOAD = Metric("load_average", Kind.GAUGE, "Processes that want to run.", labels=("kind",))
STRAY = Metric("load_stray", Kind.GAUGE, "Declared, but not among the collector's metrics.")


class Load(Collector[NoSettings]):
    """The load, as a program prints it."""

    metrics = (LOAD,)

    def collect(self, context):
        """Run the program."""
        yield LOAD(float(context.run(["load"])), kind="short")


class Stray(Load):
    """Emits what it has not declared."""

    def collect(self, context):
        """Emit it."""
        yield STRAY(1)


def test_commands_are_answered_and_remembered():
    """A fake context answers a program and lists what was run."""
    context = FakeContext(commands={("load",): b"0.25"})
    assert values(collect(Load, context=context)) == {'load_average{kind="short"}': 0.25}
    assert context.ran == [("load",)]


def test_only_what_was_opened_is_closed():
    """As in the agent: an `open` that fails has given back what it took."""
    done = []

    class Failing(Load):
        def open(self, context):
            done.append("open")
            if len(done) == 1:
                raise Unavailable("nobody is there")

        def close(self):
            done.append("close")

    with pytest.raises(Unavailable):
        collect(Failing)
    assert done == ["open"]
    collect(Failing, context=FakeContext(commands={("load",): b"1"}))
    assert done == ["open", "open", "close"]


def test_settings_that_are_wrong_together_are_named():
    """In a sentence, which has the setting's path only where there is one."""

    @dataclass(frozen=True)
    class Two:
        low: int = setting("The least.", default=0)

        def __post_init__(self):
            if self.low < 0:
                raise ValueError("low: expected a number from 0")

    class Bounded(Load):
        Settings = Two

    with pytest.raises(ValueError, match=r"^low: expected a number from 0$"):
        collect(Bounded, {"low": -1})
    with pytest.raises(ValueError, match=r"^low: expected a whole number, not true$"):
        collect(Bounded, {"low": True})


def test_what_is_no_sample_is_refused_as_in_the_agent():
    """The collector's author reads what was given."""

    class Number(Load):
        def collect(self, context):
            yield 5

    with pytest.raises(TypeError, match="collect gave 5, which is no Sample"):
        collect(Number)


def test_notes_and_sentences_are_texts():
    """Also those that are exceptions or numbers: whoever prints them need not know."""
    context = FakeContext()
    context.note(OSError("gone"))
    context.say("fine", 7)
    assert (context.notes, context.sentences) == (["gone"], ["fine", "7"])


def test_a_file_of_the_host_is_found_beneath_the_root(root):
    """Its path is absolute on the host."""
    root.write("proc/loadavg", "0.1")
    context = FakeContext(root=root)
    assert context.path("/proc/loadavg").read_text() == "0.1"
    assert str(Context("main", timeout=1, interval=1, agent=1).path("/proc/loadavg")) == "/proc/loadavg"


def test_a_command_without_an_answer_is_a_missing_program():
    """What the test did not think of fails as on a machine without the program."""
    with pytest.raises(Exception, match="cannot run load: no such program"):
        collect(Load)


def test_an_answer_may_be_a_failure():
    """An exception as the answer is raised."""
    with pytest.raises(Unavailable, match="load failed"):
        collect(Load, context=FakeContext(commands={("load",): Unavailable("load failed")}))


def test_time_passes_when_the_test_says_so():
    """The remaining time follows the fake clock."""
    context = FakeContext(timeout=10)
    context.clock.advance(4)
    assert context.remaining() == 6


def test_what_the_agent_would_drop_is_refused():
    """A sample that nobody would ever see fails the plugin's own test, with the reason."""
    with pytest.raises(Rejected, match="undeclared: load_stray"):
        collect(Stray)


def test_a_page_is_what_prometheus_would_read():
    """The page has the header and the label of the instance."""
    context = FakeContext(commands={("load",): b"0.25"})
    assert page(Load, collect(Load, context=context)) == (
        "# HELP load_average Processes that want to run.\n# TYPE load_average gauge\n"
        'load_average{kind="short",name="main"} 0.25\n'
    )


def test_wrong_settings_are_named():
    """Settings are checked as the agent checks them."""
    with pytest.raises(ValueError, match="colour: unknown key; known: none"):
        collect(Load, {"colour": "red"})


def test_the_context_shows_another_host(root, tmp_path):
    """A root is taken as it is or as a path, and without one the host is this one."""
    assert FakeContext(root=root).root == FakeContext(root=root.path).root == tmp_path / "root"
    assert FakeContext().root == Path("/")


def test_what_is_written_is_there(root):
    """Text and bytes are written as they are, with the directories above them."""
    assert root.write("proc/loadavg", "0.1 é\n").read_bytes() == "0.1 é\n".encode()
    root.write("proc/loadavg", b"\xff\r\n")
    assert (root.path / "proc/loadavg").read_bytes() == b"\xff\r\n"


def test_a_link_leads_to_what_it_names(root):
    """A target is relative to the link, as on a real host."""
    root.write("sys/devices/eth0/carrier", "1\n")
    link = root.symlink("sys/class/net/eth0", "../../devices/eth0")
    assert (link / "carrier").read_text() == "1\n"
    assert str(link.readlink()) == "../../devices/eth0"


def test_what_is_removed_is_gone(root):
    """A file, a directory with all that is in it, and a link without what it leads to."""
    root.write("proc/1/stat", "1")
    root.write("proc/2/stat", "2")
    root.symlink("proc/self", "2")
    for name in ("proc/1/stat", "proc/1", "proc/self"):
        root.remove(name)
    assert [str(path.relative_to(root.path)) for path in root.path.rglob("*")] == [
        "proc",
        "proc/2",
        "proc/2/stat",
    ]


def test_a_recorded_host_is_copied(root, tmp_path):
    """A tree is laid over what is there, as a whole host or as a part of one."""
    recorded = Root(tmp_path / "recorded")
    recorded.write("net/dev", "recorded")
    root.write("proc/stat", "written")
    assert root.copy(recorded, "proc") == root.path / "proc"
    root.copy(recorded)
    found = [root.path / name for name in ("proc/stat", "proc/net/dev", "net/dev")]
    assert [path.read_text() for path in found] == ["written", "recorded", "recorded"]


@pytest.mark.parametrize(
    ("name", "act"),
    [
        ("/etc/passwd", lambda root: root.write("/etc/passwd", "")),
        ("../x", lambda root: root.write("../x", "")),
        ("a/../../x", lambda root: root.symlink("a/../../x", "y")),
        ("../root-2/x", lambda root: root.write("../root-2/x", "")),
        ("a -> /etc", lambda root: root.symlink("a", "/etc")),
        ("a -> ../x", lambda root: root.symlink("a", "../x")),
        ("/etc/passwd", lambda root: root.remove("/etc/passwd")),
        (".", lambda root: root.remove(".")),
        ("../x", lambda root: root.copy(root, "../x")),
    ],
)
def test_nothing_leads_out_of_a_root(root, name, act):
    """A name or a target that is elsewhere is refused in words, and nothing is written."""
    with pytest.raises(
        ValueError, match=f"^{re.escape(name)} leads out of the root: a name is relative to it"
    ):
        act(root)
    assert list(root.path.parent.iterdir()) == [root.path]
    assert list(root.path.iterdir()) == []


def test_no_link_leads_out_of_a_root(root, tmp_path):
    """A link that was made behind the root's back is not followed to where it leads."""
    (root.path / "etc").symlink_to(tmp_path)
    (root.path / "passwd").symlink_to(tmp_path / "passwd")
    for name in ("etc/passwd", "passwd"):
        with pytest.raises(ValueError, match=f"{name} leads out of the root"):
            root.write(name, "")
    root.remove("passwd")
    assert not (tmp_path / "passwd").exists()


@pytest.fixture
def recorded(tmp_path):
    """A folder `recordings` with some, beside a test."""
    written = Root(tmp_path)
    written.write("test_node.py", "")
    written.write("recordings/11.8/healthy.n1.tsv", "size\t3\nstate\t\nlist\ta\tb\n\n")
    written.write("recordings/10.11/healthy.n1.tsv", "size\t3\n")
    written.write("recordings/10.11/broken.tsv", "size\t3\n\nstate\n")
    written.write("recordings/10.11/healthy.json", '{"size": 3}')
    written.write("recordings/10.11/twice.tab", "size\t3\nsize\t4\n")
    return written.path


def test_recordings_are_known_by_what_the_wildcards_stand_for(recorded):
    """Folders before the first wildcard and what follows the last one are in no name; names are sorted."""
    test = str(recorded / "test_node.py")
    assert list(Recordings(test, "recordings/**/*.tsv")) == [
        "10.11/broken",
        "10.11/healthy.n1",
        "11.8/healthy.n1",
    ]
    assert list(Recordings(test, "recordings/*/healthy.n1.tsv")) == ["10.11", "11.8"]
    assert list(Recordings(test, "recordings/10.11/healthy.*")) == ["healthy.json", "healthy.n1.tsv"]
    assert list(Recordings(test, "recordings/11.8/healthy.n1.tsv")) == ["healthy.n1"]
    assert list(Recordings(recorded / "recordings", "*/h*.json")) == ["10.11/healthy"]


def test_recordings_can_be_left_out(recorded):
    """By one pattern of names, or by several."""
    for without in ("*broken", ["*broken", "10*"]):
        found = Recordings(recorded, "recordings/*/*.tsv", without=without)
        assert ("10.11/broken" in found, "11.8/healthy.n1" in found) == (False, True)


def test_a_recording_is_read_in_each_form(recorded):
    """As bytes, text, JSON, or a table: the second column is all that follows the first tab."""
    node = Recordings(recorded, "recordings/11.8/*.tsv")["healthy.n1"]
    assert node.table() == {"size": "3", "state": "", "list": "a\tb"}
    assert node.text().encode() == node.raw() == node.path.read_bytes()
    assert Recordings(recorded, "recordings/*/*.json")["10.11/healthy"].json() == {"size": 3}


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("broken.tsv", "broken.tsv:3: expected two columns"),
        ("twice.tab", "twice.tab:2: size has a line above"),
    ],
)
def test_what_is_no_table_is_told_by_its_line(recorded, name, complaint):
    """A line without a second column, and one whose key was there, are mistakes."""
    with pytest.raises(ValueError, match=complaint):
        Recordings(recorded, "recordings/10.11/*")[name].table()


@pytest.mark.parametrize(
    ("pattern", "without", "complaint"),
    [
        ("recordings/11.8/*.json", (), "matches nothing in {}: recordings/11.8 has healthy.n1.tsv"),
        ("recordngs/*.json", (), "matches nothing in {}: there is no recordngs; did you mean recordings?"),
        ("*.json", (), "*.json matches nothing in {}: it has recordings, test_node.py"),
        ("recordings/*", (), "recordings/* matches nothing in {}: recordings has 10.11, 11.8"),
        ("recordings/*/*.json", "*healty", "is called *healty; did you mean 10.11/healthy?"),
        ("recordings/*/*.json", "*", "without *, nothing is left of recordings/*/*.json"),
    ],
)
def test_a_pattern_that_finds_nothing_says_what_there_is(recorded, pattern, without, complaint):
    """Neither are recordings missed in silence, nor is an exception kept that is of no use."""
    with pytest.raises(NoRecording, match=re.escape(complaint.format(recorded))):
        Recordings(recorded, pattern, without=without)


def test_a_wrong_name_is_answered_with_the_nearest(recorded):
    """Or with the first of all, where none is near."""
    found = Recordings(recorded, "recordings/*/*.tsv")
    with pytest.raises(
        NoRecording, match=r"^no recording is called 11.8/helthy; did you mean 11.8/healthy.n1\?$"
    ):
        found["11.8/helthy"]
    for number in range(9):
        (recorded / f"recordings/11.8/{number}.tsv").write_text("")
    with pytest.raises(NoRecording, match=r"there is 0, 1, 2, 3, 4, 5, 6, 7 and 2 more$"):
        Recordings(recorded, "recordings/11.8/*.tsv")["x"]


NODE = Namespace("node")
SIZE = NODE.gauge("cluster_size", "Members.")
DELAYED = NODE.gauge("delayed_members", "Members that are late.", "member")
STATE = NODE.stateset("state", "The state.", ("joined", "synced"))
QUIET = NODE.counter("zzz", "It never happens.")


class Node(Load):
    """What it declares and the recordings do not show."""

    metrics = (SIZE, DELAYED, STATE, QUIET)


RUNS = [[SIZE(3), STATE("synced")], [SIZE(2), DELAYED(1, member="a"), DELAYED(1, member="b")], [SIZE(1)]]


def failure(check, *arguments, **options):
    """Return what an assertion says."""
    with pytest.raises(AssertionError) as failed:
        check(*arguments, **options)
    return str(failed.value)


def test_each_metric_is_in_a_recording_or_has_an_excuse():
    """It is enough that one run has it; an excuse names a metric or is its name."""
    assert_all_metrics_are_emitted(Node, RUNS, {QUIET: "it is rare"})
    assert_all_metrics_are_emitted(
        Node, (iter(run) for run in RUNS), besides={"node_zzz_total": "it is rare"}
    )


def test_a_metric_that_no_recording_shows_is_named_with_what_is_nearest():
    """How many runs had that tells whether a name was mistaken; an excuse that is stale is no better."""
    renamed = Metric("node_delayed_member", Kind.GAUGE, "As it was called.")
    runs = [RUNS[0], [renamed(1), renamed(1)]]
    excuses = {"node_state": "it is rare", "node_cluster_sise": "Percona's"}
    assert failure(assert_all_metrics_are_emitted, Node, runs, excuses) == (
        "2 runs of Node have 2 of its 4 metrics:\n"
        "  node_delayed_members is in no run; the nearest is node_delayed_member, in 1 of 2 runs\n"
        "  node_zzz_total is in no run; nothing is like it\n"
        "  node_state is excused (it is rare) and in 1 of 2 runs\n"
        "  node_cluster_sise is excused (Percona's) and not declared; did you mean node_cluster_size?"
    )


FOUND = {
    'node_state{node_state="joined"}': 1.0,
    'node_state{node_state="synced"}': 0.0,
    'node_state{node_state="synching"}': 0.0,
    "node_states": 1.0,
    "node_cluster_size": 3,
    "node_ratio": math.nan,
}


def test_series_have_the_values_that_are_expected():
    """Whatever compares equal, a number that is none, and none where there is no series."""
    expected = {
        "node_cluster_size": pytest.approx(3.0000001),
        "node_ratio": math.nan,
        "node_cluster_sizes": None,
    }
    assert_values(FOUND, expected)
    assert_values(FOUND, {'node_state{node_state="joined"}': True})


def test_a_series_that_is_missing_is_shown_with_what_is_nearest():
    """Other labels come before other names, and what has the expected value before what is spelled alike."""
    expected = {'node_state{node_state="sync"}': 1, "node_cluster_siz": 3, "zzz": 0.5, "node_cluster_size": 3}
    assert failure(assert_values, FOUND, expected) == (
        'node_state{node_state="sync"} is missing, expected 1\n'
        '  near: node_state{node_state="joined"} is 1.0\n'
        '  near: node_state{node_state="synced"} is 0.0\n'
        '  near: node_state{node_state="synching"} is 0.0\n'
        "node_cluster_siz is missing, expected 3\n"
        "  near: node_cluster_size is 3\n"
        "zzz is missing, expected 0.5"
    )


def test_a_series_that_is_different_is_shown_with_what_is_nearest():
    """What it is, what it should be, and who has that value instead; none that is similar in its name alone."""
    expected = {
        'node_state{node_state="synced"}': 1,
        "node_ratio": None,
        "node_states": 0,
        "node_cluster_size": 2,
    }
    assert failure(assert_values, {"node_cluster_sizes": 1.0, **FOUND}, expected) == (
        'node_state{node_state="synced"} is 0.0, expected 1\n'
        '  near: node_state{node_state="joined"} is 1.0\n'
        '  near: node_state{node_state="synching"} is 0.0\n'
        "node_ratio is nan, expected none\n"
        "node_states is 1.0, expected 0\n"
        '  near: node_state{node_state="synced"} is 0.0\n'
        '  near: node_state{node_state="synching"} is 0.0\n'
        "node_cluster_size is 3, expected 2"
    )


def test_no_more_is_shown_than_helps():
    """Of many neighbours three are."""
    found = {f'node_state{{n="{number}"}}': float(number) for number in range(9)}
    assert failure(assert_values, found, {"node_state": 7}).count("near: ") == 3
    assert 'n="7"} is 7.0' in failure(assert_values, found, {"node_state": 7}).splitlines()[1]
