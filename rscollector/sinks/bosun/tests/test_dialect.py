"""Where old names are found: in the folders of collectors, anybody's; and what a broken one costs."""

import re
import subprocess
import sys

import pytest
from test_spooled import context, told

from rscollector.api import Kind, Metric, Taken
from rscollector.config.registry import COLLECTORS, load, places
from rscollector.sinks.bosun import Bosun, dialect
from rscollector.sinks.bosun.sink import Dialect
from rscollector.sinks.bosun.tests.old_names import RS_COLLECTOR, SCOLLECTOR, TABLE

ELSEWHERE = "not collected"
OURS = {name: place for name, place in places()[COLLECTORS].items() if place.startswith("collectors.")}
METRICS = {metric.name: metric for each in OURS.items() for metric in load(*each).metrics}
WORDS = Metric("mine_words", Kind.GAUGE, "Words.", labels=("of",))
OLD = """
from rscollector.api.old import Old, scaled

RS_COLLECTOR = (Old("their.words", "mine_words", scaled(1000, of="whose"), "mille", "{} In thousands."),)
"""


def test_all_names_of_rs_collector_are_there_or_named_as_not_collected():
    """51 of Galera, 13 of MongoDB, 5 of Postfix, an address, three of its own; Java and MegaRAID are not here."""
    assert len(TABLE) == 98
    names = [each.name for each in RS_COLLECTOR.olds]
    assert len(names) == len(set(names)) == 73
    assert {name for name, (_, _, tags) in TABLE.items() if tags != ELSEWHERE} == set(names)
    elsewhere = [name for name, (_, _, tags) in TABLE.items() if tags == ELSEWHERE]
    assert {name.partition(".")[0] for name in elsewhere} == {"jvm", "hw"}


def test_each_name_of_rs_collector_has_its_kind_and_unit_and_a_description():
    """As it had; where it told no unit, and the number has one of ours, that is told."""
    metrics = METRICS.values()
    found = {each.name: each for metric in metrics for each in RS_COLLECTOR.descriptions(metric)}
    for old in RS_COLLECTOR.olds:
        each = found[old.name]
        rate, unit, _ = TABLE[old.name]
        assert each.rate == rate, old.name
        assert each.unit == unit or (not unit and each.unit in ("bytes", "ratio", "nanoseconds")), old.name
        assert each.text.endswith("."), old.name
        assert each.entries(old.name)[-1] == {"metric": old.name, "name": "desc", "value": each.text}


@pytest.mark.parametrize("translate", [RS_COLLECTOR, SCOLLECTOR])
def test_each_old_name_is_of_a_metric_that_there_is(translate):
    """A metric that is renamed takes its old names along, and each is a name that Bosun can have."""
    assert {each.ours for each in translate.olds} <= METRICS.keys()
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", each.name) for each in translate.olds)
    assert {each.rate for each in translate.olds} <= {"gauge", "counter"}


def test_no_driver_is_imported_for_a_name():
    """A worker that sends needs no pymysql: it is 3 MB, and pymongo 7."""
    code = (
        "import sys; from rscollector.sinks.bosun import dialect; dialect.installed('rs-collector', print);"
        "print(*(name for name in sys.modules if name.startswith('collectors.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    modules = done.stdout.split()
    assert modules
    assert [each for each in modules if not each.endswith(".old")] == []


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Install somebody's collector: `package(old)` is the text of its module, None for none."""

    def install(old, place="theirs.mine:Mine"):
        folder = tmp_path / "theirs" / "mine"
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text("raise RuntimeError('the collector itself is imported')\n")
        if old is not None:
            (folder / "old.py").write_text(old)
        (tmp_path / "alone.py").write_text("")
        info = tmp_path / "mine-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[rscollector.collectors]\nmine = {place}\n")
        monkeypatch.syspath_prepend(tmp_path)
        notes = []
        return dialect.installed("rs-collector", notes.append), notes

    yield install
    for name in ("theirs", "theirs.mine.old"):
        sys.modules.pop(name, None)


def test_somebody_elses_collector_has_old_names_too(package):
    """Its folder is all that there is to it; points and description have its name, tags and unit."""
    translate, notes = package(OLD)
    assert notes == []
    points = list(translate([(WORDS, ("anne",), 1.5)]))
    assert [tuple(each) for each in points] == [("their.words", {"whose": "anne"}, 1500)]
    assert [tuple(each) for each in translate.descriptions(WORDS)] == [
        ("their.words", "gauge", "mille", "Words. In thousands.")
    ]
    assert len(translate.olds) == 1 + len(RS_COLLECTOR.olds)


@pytest.mark.parametrize(
    ("old", "why"),
    [
        ("RS_COLLECTOR = (", r"SyntaxError: .*line 1.*"),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise SystemExit(3)", r"ImportError: it ends the process \(3\)"),
        ("RS_COLLECTOR = ('their.words',)", "TypeError: 'their.words' is no Old"),
        ("RS_COLLECTOR = 7", "TypeError: .*"),
    ],
)
def test_a_broken_one_costs_its_own_names_and_is_told_in_a_sentence(package, old, why):
    """The others are translated, and its metrics are sent under our names."""
    translate, notes = package(old)
    (note,) = notes
    sentence = rf"mine is sent under our names: its old ones cannot be read \(theirs\.mine\.old: {why}\)"
    assert re.fullmatch(sentence, note)
    assert len(translate.olds) == len(RS_COLLECTOR.olds)
    assert [each.name for each in translate([(WORDS, ("anne",), 1.5)])] == ["mine.words"]


@pytest.mark.parametrize("place", ["theirs.mine:Mine", "alone:Mine", "nowhere.at.all:Mine"])
def test_who_has_none_is_sent_under_our_names(package, place):
    """A package without the module, a collector that is a single module, one that is gone."""
    translate, notes = package(None, place)
    assert notes == []
    assert len(translate.olds) == len(RS_COLLECTOR.olds)


@pytest.mark.parametrize(
    ("points", "why"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("[({}, True)]", "TypeError: {}, True: expected texts, and a number"),
        ("[({}, '1')]", "TypeError: {}, '1': expected texts, and a number"),
        ("[({'of': 1}, 2)]", "TypeError: {'of': 1}, 2: expected texts, and a number"),
    ],
)
def test_one_that_fails_at_a_sample_costs_its_own_name(package, points, why):
    """The run is sent without it, and why is kept for a note; JSON that is none would cost the whole request."""
    more = OLD.replace(
        "RS_COLLECTOR = (", f"RS_COLLECTOR = (Old('their.bad', 'mine_words', lambda run, ours: {points}),"
    )
    translate, _ = package(more)
    assert [each.name for each in translate([(WORDS, ("anne",), 1.5)])] == ["their.words"]
    assert translate.faults == {"their.bad": why}


def test_any_text_may_describe_a_name(package):
    """Braces are the metric's own sentence where nothing is in them, and else text."""
    translate, _ = package(OLD.replace("{} In thousands.", "{} By {whose}."))
    assert [each.text for each in translate.descriptions(WORDS)] == ["Words. By {whose}."]


def test_a_sink_says_which_old_names_are_missing(package, tmp_path):
    """In its notes, which `rscollector status` shows; it sends all the same."""
    package("import no_such_module")
    sink = Bosun(Bosun.Settings(url="http://127.0.0.1:1", dialect=Dialect.RS_COLLECTOR, spool_free=0))
    sink.open(context(tmp_path))
    try:
        lines = sink.encode([Taken(1, "main", [(WORDS, ("anne",), 2)])])
        _, told_with = told(sink, tmp_path)
    finally:
        sink.close()
    assert [b'"mine.words"' in each for each in lines] == [True]
    assert [each for each in told_with.notes if "theirs.mine.old: ModuleNotFoundError" in each]


def test_of_two_packages_with_the_same_type_the_first_is_meant(package, tmp_path, monkeypatch):
    """It is the one that the agent runs: whose collector it is has the old names."""
    monkeypatch.syspath_prepend(_other(tmp_path / "other"))
    translate, notes = package(OLD)
    assert (notes, places()["rscollector.collectors"]["mine"]) == ([], "theirs.mine:Mine")
    assert "their.words" in [each.name for each in translate.olds]
    monkeypatch.syspath_prepend(tmp_path / "other")
    translate = dialect.installed("rs-collector", notes.append)
    assert (notes, places()["rscollector.collectors"]["mine"]) == ([], "nowhere.at.all:Mine")
    assert "their.words" not in [each.name for each in translate.olds]


def _other(folder):
    info = folder / "other-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[rscollector.collectors]\nmine = nowhere.at.all:Mine\n")
    return folder
