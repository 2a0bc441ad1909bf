"""The spool under what happens to directories: nothing that was kept is lost but what the bounds say."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rscollector.sinks.batches import Batch, batches
from rscollector.sinks.rejected import REJECTED
from rscollector.sinks.spool import Bounds, Loss, Spool

ROOMY = Bounds(size=1 << 30, age=1e9, free=0, memory=1 << 20)


class Clock:
    """A wall clock that is set by hand."""

    def __init__(self, now=1_795_208_406.0):
        self.now = now

    def __call__(self):
        return self.now


def points(count, start=0):
    """Return so many points."""
    return [b'{"metric":"m%d","value":1}' % number for number in range(start, start + count)]


def newest(spool):
    """Return the batch that was kept last."""
    return list(spool)[-1]


def kept(spool, count, start=0):
    """Keep so many points, and return the batch."""
    spool.put(points(count, start))
    return newest(spool)


def sent(spool, batch):
    """Have a batch acknowledged."""
    assert spool.sent(batch, batch.points) is None


def content(spool):
    """Return all points that wait, in order."""
    return [line for batch in list(spool) for line in spool.read(batch) or ()]


def test_what_was_kept_is_there_for_the_next_process(tmp_path):
    """Order, number of points and size are those of before."""
    first = Spool(tmp_path, ROOMY)
    for number in range(5):
        first.put(points(10, number * 10))
    again = Spool(tmp_path, ROOMY)
    assert content(again) == points(50)
    assert (again.points, again.size, len(again)) == (first.points, first.size, 5)
    sent(again, next(iter(again)))
    assert content(Spool(tmp_path, ROOMY)) == points(40, 10)


def test_a_file_is_the_promise_and_a_tmp_is_none(tmp_path):
    """What was being written at a kill was never acknowledged, and goes."""
    Spool(tmp_path, ROOMY).put(points(1))
    (tmp_path / "1795208406123-000007-3.tmp").write_bytes(b"half a ba")
    assert content(Spool(tmp_path, ROOMY)) == points(1)
    assert list(tmp_path.glob("*.tmp")) == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-7],
        lambda data: data[:20],
        lambda data: data[:-3] + b"x" + data[-2:],
        lambda data: data.replace(b"rscollector 2", b"rscollector 9"),
        lambda data: data.replace(b" 0\n", b" 1\n", 1),
        lambda data: b"\xff" * 100,
        lambda data: data + b"more\n",
    ],
)
def test_a_damaged_file_costs_its_own_points_and_is_kept_to_be_looked_at(tmp_path, damage):
    """Empty, cut off, changed, of another version, foreign bytes, longer than it was."""
    spool = Spool(tmp_path, ROOMY)
    hurt = kept(spool, 3)
    spool.put(points(2, 3))
    path = tmp_path / hurt.name
    path.write_bytes(damage(path.read_bytes()))
    again = Spool(tmp_path, ROOMY)
    assert content(again) == points(2, 3)
    assert again.lost == {Loss.DAMAGED: 3}
    assert (tmp_path / REJECTED / f"{hurt.name}.damaged").exists()
    assert (again.points, len(again)) == (2, 1)


def test_foreign_files_are_left_alone(tmp_path):
    """Somebody's notes, a directory, a name that is nearly ours."""
    for name in ("notes.txt", "1795208406123-000007-3.batch~", "17952-1-1.batch"):
        (tmp_path / name).write_text("mine")
    (tmp_path / "1795208406123-000008-3.batches").mkdir()
    spool = Spool(tmp_path, ROOMY)
    spool.put(points(1))
    assert content(spool) == points(1)
    assert {path.name for path in tmp_path.iterdir()} >= {
        "notes.txt",
        "1795208406123-000007-3.batch~",
        "17952-1-1.batch",
    }


def test_a_file_that_an_operator_has_removed_is_counted(tmp_path):
    """It is no failure, and the others are sent."""
    spool = Spool(tmp_path, ROOMY)
    spool.put(points(3))
    spool.put(points(2, 3))
    spool = Spool(tmp_path, ROOMY)
    (tmp_path / next(iter(spool)).name).unlink()
    assert content(spool) == points(2, 3)
    assert spool.lost == {Loss.REMOVED: 3}


def test_the_oldest_goes_when_it_is_too_much_or_too_old(tmp_path):
    """And each point of it is counted."""
    clock = Clock()
    spool = Spool(tmp_path, ROOMY._replace(size=1000, age=60), boottime=clock)
    for number in range(20):
        spool.put(points(2, number * 2))
        clock.now += 1
    assert spool.size <= 1000
    left = content(spool)
    assert left == points(40)[-len(left) :]
    assert spool.lost == {Loss.BYTES: 40 - len(left)}
    clock.now += 59
    spool.keep_bounds()
    assert spool.lost[Loss.AGE] > 0
    assert spool.lost.total() + spool.points == 40
    clock.now += 60
    spool.keep_bounds()
    assert (spool.points, spool.size, spool.lost.total(), list(tmp_path.glob("*.batch"))) == (0, 0, 40, [])


def test_the_clock_may_be_set(tmp_path):
    """Backwards or forwards, the order of the files is that of time, also for the next process."""
    clock = Clock()
    spool = Spool(tmp_path, ROOMY, clock)
    for number, step in enumerate((0, -3600, 7200, -86400, 1)):
        clock.now += step
        spool.put(points(1, number))
    assert content(spool) == points(5)
    again = Spool(tmp_path, ROOMY, clock)
    assert content(again) == points(5)
    assert again.oldest >= 0
    again.put(points(1, 5))
    assert content(Spool(tmp_path, ROOMY, clock)) == points(6)


def test_a_batch_is_split_where_it_stands(tmp_path):
    """Its halves come next, and are as durable as it was."""
    spool = Spool(tmp_path, ROOMY)
    first = kept(spool, 5)
    spool.put(points(2, 5))
    assert spool.split(first, 2)
    assert [batch.points for batch in spool] == [2, 3, 2]
    assert content(spool) == points(7)
    again = Spool(tmp_path, ROOMY)
    assert content(again) == points(7)
    assert again.split(list(again)[1], 1)
    sent(again, list(again)[1])
    assert content(Spool(tmp_path, ROOMY)) == points(2) + points(4, 3)


def test_a_point_that_is_put_aside_is_json_with_its_reason(tmp_path):
    """One line for each, in a file for each minute."""
    spool = Spool(tmp_path, ROOMY, Clock())
    for line in points(2):
        spool.put_aside([(line, 'said "no"\nand no')])
    (file,) = (tmp_path / REJECTED).iterdir()
    assert file.name == "1795208406000.json"
    aside = [json.loads(line) for line in file.read_text().splitlines()]
    assert aside == [{"reason": 'said "no"\nand no', "point": json.loads(line)} for line in points(2)]


def test_what_is_put_aside_is_bounded(tmp_path, monkeypatch):
    """The oldest of it goes."""
    monkeypatch.setattr("rscollector.sinks.rejected._MOST", 1000)
    clock = Clock()
    spool = Spool(tmp_path, ROOMY, clock)
    for number in range(50):
        spool.put_aside([(b'{"point":%d}' % number, "no")])
        clock.now += 60
    files = sorted((tmp_path / REJECTED).iterdir())
    assert sum(file.stat().st_size for file in files) <= 1000
    assert b"49" in files[-1].read_bytes()


@pytest.fixture
def small_disk(tmp_path):
    """Return a directory on a disk of a MiB."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=True)
    yield disk
    subprocess.run(["umount", disk], check=True)


@pytest.mark.needs("root")
def test_a_full_disk_costs_nothing_as_long_as_there_is_memory(small_disk):
    """What is on the disk stays and can be acknowledged; the rest is in memory; with room, the disk is used again."""
    spool = Spool(small_disk / "spool", ROOMY)
    spool.put(points(10))
    filler = small_disk / "filler"
    subprocess.run(["dd", "if=/dev/zero", f"of={filler}"], check=False, capture_output=True)
    spool.put(points(10, 10))
    assert not spool.persistent
    assert content(spool) == points(20)
    sent(spool, next(iter(spool)))
    assert content(spool) == points(10, 10)
    filler.unlink()
    spool.put(points(10, 20))
    assert spool.persistent
    assert content(spool) == points(20, 10)
    assert spool.lost.total() == 0
    assert content(Spool(small_disk / "spool", ROOMY)) == points(20, 10)


def test_small_batches_become_large_ones_where_they_stand(tmp_path):
    """A file for each request's worth, in the order of before; what is not as much is left as it is."""
    spool = Spool(tmp_path, ROOMY)
    for number in range(100):
        spool.put(points(7, number * 7))
        spool.coalesce(50)
    assert content(spool) == points(700)
    assert len(spool) == 700 // 49 + 2
    assert len(list(tmp_path.glob("*.batch"))) == len(spool)
    assert {batch.points for batch in list(spool)[:-2]} == {49}
    assert (spool.points, spool.size) == (700, sum(path.stat().st_size for path in tmp_path.glob("*.batch")))
    again = Spool(tmp_path, ROOMY)
    assert content(again) == points(700)
    assert kept(again, 1).number == 101


def test_what_was_made_into_one_is_not_there_twice_after_a_kill(tmp_path):
    """The large batch was written, and nothing of what it was made of was unlinked yet."""
    spool = Spool(tmp_path, ROOMY)
    for number in range(10):
        spool.put(points(5, number * 5))
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.batch")}
    spool.coalesce(40)
    for name, data in before.items():
        (tmp_path / name).write_bytes(data)
    again = Spool(tmp_path, ROOMY)
    assert content(again) == points(50)
    assert (again.points, len(again), len(list(tmp_path.glob("*.batch")))) == (50, 3, 3)


def test_what_was_sent_in_between_is_no_part_of_a_large_batch(tmp_path):
    """Nor is a damaged one, which costs its own points only."""
    spool = Spool(tmp_path, ROOMY)
    for number in range(30):
        spool.put(points(5, number * 5))
    spool = Spool(tmp_path, ROOMY)
    made = list(spool)
    sent(spool, made[7])
    (tmp_path / made[12].name).write_bytes(b"damaged")
    for _ in range(30):
        spool.coalesce(25)
    expected = sorted(set(points(150)) - set(points(5, 35)) - set(points(5, 60)))
    assert sorted(content(spool)) == expected
    assert spool.lost == {Loss.DAMAGED: 5}
    assert sorted(content(Spool(tmp_path, ROOMY))) == expected
    assert len(spool) < 15


@pytest.mark.needs("root")
def test_a_read_only_disk_is_read_and_not_written(small_disk):
    """What waits there is sent; what comes is in memory; what was sent is not sent again by this process."""
    spool = Spool(small_disk / "spool", ROOMY)
    spool.put(points(10))
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    try:
        spool = Spool(small_disk / "spool", ROOMY)
        spool.put(points(10, 10))
        assert not spool.persistent
        assert content(spool) == points(20)
        sent(spool, next(iter(spool)))
        assert content(spool) == points(10, 10)
    finally:
        subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)


def test_space_is_left_to_others(tmp_path):
    """Below the floor nothing is written, and the bound in memory holds."""
    spool = Spool(tmp_path, ROOMY._replace(free=1 << 60, memory=1000))
    for number in range(100):
        spool.put(points(2, number * 2))
    assert not spool.persistent
    assert list(tmp_path.glob("*.batch")) == []
    assert spool.size <= 1000
    assert spool.lost == {Loss.MEMORY: 200 - spool.points}
    assert content(spool) == points(200)[-spool.points :]


KILLED = """
import os, sys
from pathlib import Path
from rscollector.sinks.spool import Bounds, Spool
spool = Spool(Path(sys.argv[1]), Bounds(1 << 30, 1e9, 0, 0))
number = int(sys.argv[2])
while True:
    spool.put([b'{"value":%d}' % number])
    os.write(1, b"%d\\n" % number)
    number += 1
"""


@pytest.mark.parametrize("kills", [20, pytest.param(100, marks=pytest.mark.long)])
def test_kills_while_it_is_written_lose_nothing(tmp_path, kills):
    """Each batch for which `put` has returned is there afterwards, once, and whole."""
    promised = 0
    for number in range(kills):
        with subprocess.Popen(
            [sys.executable, "-c", KILLED, tmp_path, str(promised)], stdout=subprocess.PIPE
        ) as process:
            process.stdout.readline()
            os.set_blocking(process.stdout.fileno(), True)
            process.stdout.read1(1 + number * 700 // kills)
            process.kill()
            process.stdout.read()
        spool = Spool(tmp_path, ROOMY)
        found = [json.loads(line)["value"] for line in content(spool)]
        assert found == list(range(len(found)))
        promised = len(found)
    assert promised > kills
    assert spool.lost.total() == 0


def test_names_are_read_as_they_are_written():
    """A name says when, which and how many."""
    for batch, name in (
        (Batch(7, 0, 500, 1795208406123, size=12), "1795208406123-000007-500.batch"),
        (Batch(7, 250, 250, 1795208406123, size=12), "1795208406123-000007.250-250.batch"),
        (Batch(7, 1, 499, 1795208406123, 41, size=12), "1795208406123-000007+41.1-499.batch"),
        (Batch(1000007, 0, 1, 1795208406123, size=12), "1795208406123-1000007-1.batch"),
    ):
        assert batch.name == name
        assert Batch.of(name, 12) == batch
    assert Batch.of("1795208406123-000007-500.tmp") is None


class AnySpool(RuleBasedStateMachine):
    """Putting, sending, splitting and restarting in any order: what is there is what was put and not taken."""

    def __init__(self):
        super().__init__()
        import tempfile

        self.place = tempfile.TemporaryDirectory()
        self.directory = Path(self.place.name)
        self.spool = Spool(self.directory, ROOMY)
        self.expected = []
        self.put_so_far = 0

    @rule(count=st.integers(1, 20))
    def put(self, count):
        """Keep some points."""
        self.spool.put(points(count, self.put_so_far))
        self.expected += points(count, self.put_so_far)
        self.put_so_far += count

    @rule(index=st.integers(0, 20))
    def take(self, index):
        """Have one of the batches acknowledged."""
        if index < len(self.spool):
            batch = list(self.spool)[index]
            self._sent(batch, batch.points)

    @rule(index=st.integers(0, 20), count=st.integers(1, 20))
    def take_some(self, index, count):
        """Have the first points of a batch acknowledged."""
        if index < len(self.spool):
            batch = list(self.spool)[index]
            self._sent(batch, min(count, batch.points))

    def _sent(self, batch, count):
        for line in self.spool.read(batch)[:count]:
            self.expected.remove(line)
        left = self.spool.sent(batch, count)
        assert (left.points if left else 0) == batch.points - count

    @rule(index=st.integers(0, 20), count=st.integers(1, 20))
    def split(self, index, count):
        """Tear one of the batches in two."""
        if index < len(self.spool):
            batch = list(self.spool)[index]
            assert self.spool.split(batch, count) == (count < batch.points)

    @rule(most=st.integers(1, 60))
    def coalesce(self, most):
        """Make large batches of small ones."""
        self.spool.coalesce(most)

    @rule()
    def restart(self):
        """Go on in another process."""
        self.spool = Spool(self.directory, ROOMY)

    @invariant()
    def nothing_is_lost(self):
        """What waits is what was put and not taken, in that order; the sums are right."""
        assert content(self.spool) == self.expected
        assert self.spool.points == len(self.expected)
        assert self.spool.size == sum(batch.size for batch in batches(self.directory))
        assert self.spool.lost.total() == 0

    def teardown(self):
        """Take the directory away."""
        self.place.cleanup()


TestAnySpool = AnySpool.TestCase
TestAnySpool.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
