"""How long something has waited: by a clock that nobody sets, also over a restart of the host."""

import json

import pytest

from rscollector.sinks.ages import Ages, Stamp, boot_id, boottime


class Clock:
    """A clock that is set by hand."""

    def __init__(self, now=1000.0):
        self.now = now

    def __call__(self):
        return self.now


def test_within_a_boot_age_is_the_time_that_passed(tmp_path):
    """Whether a sink runs or not, and also of what was collected a while ago."""
    clock = Clock()
    stamp = Ages(tmp_path / "ages.json", clock, "one").stamp(990.0)
    clock.now += 50
    assert Ages(tmp_path / "ages.json", clock, "one").age(stamp) == 60
    assert Ages(tmp_path / "ages.json", clock, "one").age(Stamp("one", 5000.0)) == 0


def test_over_a_restart_only_the_time_counts_for_which_a_sink_was_running(tmp_path):
    """The host may have been off for a year: nobody knows by a clock that is not set."""
    clock = Clock()
    first = Ages(tmp_path / "ages.json", clock, "one")
    stamp = first.stamp()
    for _ in range(10):
        clock.now += 30
        first.go_on(waits=True)
    clock.now = 5.0
    second = Ages(tmp_path / "ages.json", clock, "two")
    assert second.age(stamp) == 300
    for _ in range(10):
        clock.now += 30
        second.go_on(waits=True)
    assert second.age(stamp) == 600
    clock.now = 7.0
    third = Ages(tmp_path / "ages.json", clock, "three")
    clock.now += 10
    assert third.age(stamp) == 610
    assert third.age(Stamp("two", 5.0)) == 310


def test_a_boot_of_which_nothing_is_known_begins_when_it_is_met(tmp_path):
    """Its clock's file is gone, or it was written by 0.1.0: what waits is never said to be older than it is."""
    clock = Clock()
    ages = Ages(tmp_path / "ages.json", clock, "one")
    stamp = Stamp("lost", 77777.0)
    assert ages.age(stamp) == 0
    clock.now += 100
    assert ages.age(stamp) == 100
    assert ages.age(Stamp("lost", 77770.0)) == 107
    assert Ages(tmp_path / "ages.json", clock, "one").age(stamp) == 100


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"boot": "one"}', '{"boot": "one", "at": "x", "earlier": {}}', "\xff", "null"]
)
def test_a_file_that_is_damaged_makes_nothing_old(tmp_path, text):
    """Nor does it keep a sink from its work."""
    (tmp_path / "ages.json").write_bytes(text.encode("latin-1"))
    assert Ages(tmp_path / "ages.json", Clock(), "two").age(Stamp("one", 10.0)) == 0


def test_the_file_is_written_while_something_waits_and_once_a_minute(tmp_path):
    """An idle host writes nothing."""
    clock, path = Clock(), tmp_path / "ages.json"
    ages = Ages(path, clock, "two")
    ages.age(Stamp("one", 0.0))
    clock.now += 59
    ages.go_on(waits=True)
    assert not path.exists()
    clock.now += 1
    ages.go_on(waits=True)
    assert json.loads(path.read_text()) == {"boot": "two", "at": 1060.0, "earlier": {"one": 60.0}}
    clock.now += 60
    ages.go_on(waits=False)
    assert json.loads(path.read_text())["at"] == 1060.0
    ages.go_on(waits=True)
    clock.now += 60
    ages.go_on(waits=True)
    assert json.loads(path.read_text())["earlier"] == {}


def test_this_boot_has_an_id_and_a_clock():
    """The same for all processes."""
    assert boot_id() == boot_id() != ""
    assert 0 < boottime() <= boottime()
