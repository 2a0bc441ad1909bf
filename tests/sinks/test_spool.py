"""The spool under what happens to directories: nothing that was kept is lost but what the bounds say."""

import errno
import json
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import zlib
from functools import partial
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rscollector.sinks.batches import Batch, ages, batches, because
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


def oldest(spool):
    """Return the age of the oldest batch."""
    return spool.age(next(iter(spool)))


def newest(spool):
    """Return the batch that was kept last."""
    return list(spool)[-1]


def kept(spool, count, start=0):
    """Keep so many points, and return the batch."""
    spool.put(points(count, start))
    return newest(spool)


def sent(spool, batch):
    """Have a batch acknowledged."""
    assert spool.acknowledge(batch, batch.points) is None


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
    assert oldest(again) >= 0
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


OLD = {
    "1795208406123-000007-2.batch": b'rscollector 1 %08x\n{"metric":"m0","value":1}\n{"metric":"m1","value":1}\n',
    "1795208406999-000008+3-1.batch": b'rscollector 1 %08x\n{"metric":"m2","value":1}\n',
    "1795208406999-000009-1.batch": b'rscollector 1 %08x\n{"metric":"m2","value":1}\n',
}


def test_a_spool_of_0_1_0_is_read_as_it_is(tmp_path):
    """Its files say nothing of a boot: their age begins when they are met, and goes on over restarts."""
    for name, data in OLD.items():
        head, _, rest = data.partition(b"\n")
        (tmp_path / name).write_bytes(head % zlib.crc32(rest) + b"\n" + rest)
    clock = Clock(1000.0)
    spool = Spool(tmp_path, ROOMY._replace(age=1000), boottime=clock, boot="one")
    assert content(spool) == points(3)
    assert oldest(spool) == 0
    spool.put(points(1, 3))
    clock.now += 300
    spool.keep_bounds()
    clock.now = 5.0
    again = Spool(tmp_path, ROOMY._replace(age=1000), boottime=clock, boot="two")
    assert content(again) == points(4)
    assert oldest(again) == 300
    assert newest(again).number == 12
    clock.now += 701
    again.keep_bounds()
    assert (content(again), again.lost) == ([], {Loss.AGE: 4})


def test_a_wall_clock_that_jumps_makes_nothing_old(tmp_path):
    """A year ahead for a tick, and back: nothing goes, nothing stays for ever, and ages are true."""
    wall, boot = Clock(), Clock(1000.0)
    spool = Spool(tmp_path, ROOMY._replace(age=3600), wall, boot)
    spool.put(points(1))
    wall.now += 365 * 86400
    spool.put(points(1, 1))
    wall.now -= 365 * 86400
    spool.put(points(1, 2))
    boot.now += 3599
    spool.keep_bounds()
    assert (content(spool), oldest(spool)) == (points(3), 3599)
    assert content(Spool(tmp_path, ROOMY, wall, boot)) == points(3)
    boot.now += 2
    spool.keep_bounds()
    assert spool.lost == {Loss.AGE: 3}


def test_age_counts_from_the_collection(tmp_path):
    """The time in the agent's memory included."""
    boot = Clock(1000.0)
    spool = Spool(tmp_path, ROOMY, boottime=boot)
    spool.put(points(1), 940.0)
    assert oldest(spool) == 60
    assert [age for _, age in ages(tmp_path)] != []
    assert oldest(Spool(tmp_path, ROOMY, boottime=boot)) == 60


@pytest.mark.parametrize(
    "number", [errno.EIO, errno.ESTALE, errno.EMFILE, errno.EACCES, errno.ENOMEM, errno.EINTR]
)
def test_what_cannot_be_read_now_is_kept(tmp_path, monkeypatch, number):
    """Only a wrong checksum is damage."""
    Spool(tmp_path, ROOMY).put(points(5))
    spool = Spool(tmp_path, ROOMY)
    (batch,) = spool
    with monkeypatch.context() as hurt:
        real = os.open

        def fail(path, *arguments, **named):
            if str(path).endswith(".batch"):
                raise OSError(number, os.strerror(number), str(path))
            return real(path, *arguments, **named)

        hurt.setattr(os, "open", fail)
        with pytest.raises(OSError, match=os.strerror(number)):
            spool.read(batch)
        assert spool.age(batch) is None
        spool.bounds = spool.bounds._replace(age=0)
        spool.keep_bounds()
        spool.bounds = ROOMY
    assert content(spool) == points(5)
    assert spool.lost.total() == 0
    assert list((tmp_path / REJECTED).iterdir()) == []


def test_a_spool_on_a_disk_that_is_not_there_any_more_has_lost_nothing(tmp_path):
    """It was unmounted: that its files are gone is no removal of them."""
    place, away = tmp_path / "spool", tmp_path / "away"
    Spool(place, ROOMY).put(points(5))
    spool = Spool(place, ROOMY)
    place.rename(away)
    place.mkdir()
    with pytest.raises(OSError, match="another directory now"):
        content(spool)
    place.rmdir()
    with pytest.raises(OSError, match="No such file"):
        content(spool)
    away.rename(place)
    assert content(spool) == points(5)
    assert spool.lost.total() == 0


def test_whatever_is_named_like_a_batch_and_is_none_blocks_nothing(tmp_path):
    """A pipe, a link, a directory, a sparse giant, and temporary files of others: left alone, and not counted."""
    name = "1795208406123-{:06}-500.{}".format
    os.mkfifo(tmp_path / name(1, "batch"))
    (tmp_path / "elsewhere").write_text("mine")
    (tmp_path / name(2, "batch")).symlink_to(tmp_path / "elsewhere")
    (tmp_path / name(3, "batch")).mkdir()
    with (tmp_path / name(900, "batch")).open("wb") as file:
        file.truncate(2 << 30)
    for foreign in ("mine.tmp", "editor.tmp"):
        (tmp_path / foreign).write_text("mine")
    (tmp_path / name(4, "tmp")).mkdir()
    before = {path.name for path in tmp_path.iterdir()}
    spool = Spool(tmp_path, ROOMY._replace(size=1 << 20))
    spool.put(points(3))
    assert newest(spool).number == 901
    assert content(Spool(tmp_path, ROOMY._replace(size=1 << 20))) == points(3)
    assert before <= {path.name for path in tmp_path.iterdir()}
    assert spool.lost.total() == 0


@pytest.mark.parametrize("become", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), os.mkdir])
def test_what_becomes_something_else_hangs_nobody(tmp_path, become):
    """Between the listing and the reading."""
    Spool(tmp_path, ROOMY).put(points(1))
    spool = Spool(tmp_path, ROOMY)
    path = tmp_path / newest(spool).name
    path.unlink()
    become(path)
    with pytest.raises(OSError, match=r"plain file|symbolic links|directory"):
        content(spool)
    assert spool.lost.total() == 0


def test_how_long_a_spool_waited_is_known_after_a_restart_of_the_host(tmp_path):
    """What it was told once a minute."""
    clock = Clock(1000.0)
    spool = Spool(tmp_path, ROOMY, boottime=clock, boot="one")
    spool.put(points(1))
    clock.now += 90
    spool.keep_bounds()
    assert oldest(Spool(tmp_path, ROOMY, boottime=Clock(3.0), boot="two")) == 90


def test_the_bound_of_what_is_put_aside_holds_whatever_lies_there(tmp_path, monkeypatch):
    """Directories, files of others, damaged batches: ours go, theirs stay."""
    monkeypatch.setattr("rscollector.sinks.rejected._MOST", 2000)
    spool = Spool(tmp_path, ROOMY, Clock())
    theirs = tmp_path / REJECTED / "0000000000001.json"
    theirs.mkdir()
    (tmp_path / REJECTED / "notes").write_bytes(b"x" * 5000)
    for number in range(100):
        spool.put(points(20, number))
        path = tmp_path / newest(spool).name
        path.write_bytes(path.read_bytes() + b"more")
        spool.read(newest(spool))
        spool.put_aside([(b'{"point":%d}' % number, "no")])
    ours = [path for path in (tmp_path / REJECTED).iterdir() if path.name not in ("notes", theirs.name)]
    assert sum(path.stat().st_size for path in ours) <= 2000
    assert spool.lost == {Loss.DAMAGED: 2000}
    assert theirs.is_dir()
    assert (tmp_path / REJECTED / "notes").exists()


def test_much_that_is_put_aside_at_once_is_bounded_too(tmp_path, monkeypatch):
    """A minute of it may be more than all that is allowed."""
    monkeypatch.setattr("rscollector.sinks.rejected._MOST", 20_000)
    monkeypatch.setattr("rscollector.sinks.rejected._MOST_IN_A_FILE", 5000)
    clock = Clock()
    spool = Spool(tmp_path, ROOMY, clock)
    for number in range(2000):
        spool.put_aside([(b'{"point":%d}' % number, "no")])
        clock.now += 0.001
    files = sorted((tmp_path / REJECTED).iterdir())
    assert sum(file.stat().st_size for file in files) <= 20_000
    assert b'"point":1999' in files[-1].read_bytes()


def test_a_file_that_another_user_owns_is_a_sentence():
    """Somebody has run something as root: whose it is, and who cannot read it."""
    error = PermissionError(errno.EACCES, "Permission denied", "/proc/1/mem")
    assert because(error) == "/proc/1/mem: Permission denied"
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody").pw_name
        script = "from rscollector.sinks.batches import because; import errno;"
        script += f"print(because(PermissionError({errno.EACCES}, 'Permission denied', '/root/x/y')))"
        done = subprocess.run(
            ["/usr/bin/python3", "-c", script], user=nobody, cwd="/", capture_output=True, text=True,
            env={"PYTHONPATH": str(Path(__file__).parents[2])}, check=False,
        )  # fmt: skip
        assert (
            done.stdout == ("/root/x/y: Permission denied; /root belongs to root, we are nobody\n")
            or "Permission denied" in done.stderr
        )


def test_a_batch_that_was_torn_is_no_part_of_a_large_one(tmp_path):
    """What is left of it would be taken for a copy of that by the next process."""
    spool = Spool(tmp_path, ROOMY)
    spool.put(points(100))
    spool.put(points(10, 100))
    assert spool.split(next(iter(spool)), 1)
    again = Spool(tmp_path, ROOMY)
    for number in range(10):
        again.put(points(2, 110 + number * 2))
        again.coalesce(28)
    assert content(again) == points(130)
    assert content(Spool(tmp_path, ROOMY)) == points(130)


@pytest.mark.parametrize(
    "act", [lambda spool: spool.coalesce(6), lambda spool: spool.split(next(iter(spool)), 1)]
)
def test_what_is_made_of_a_spool_of_0_1_0_is_read_by_the_next_process(tmp_path, act):
    """Nothing is known of its boot, and that is written down too."""
    for number in range(10):
        rest = b"\n".join(points(2, number * 2)) + b"\n"
        (tmp_path / f"1795208406123-{number:06}-2.batch").write_bytes(
            b"rscollector 1 %08x\n" % zlib.crc32(rest) + rest
        )
    act(Spool(tmp_path, ROOMY))
    again = Spool(tmp_path, ROOMY)
    assert content(again) == points(20)
    assert again.lost.total() == 0


def test_a_name_that_cannot_be_changed_loses_nothing(tmp_path, monkeypatch):
    """The disk is read-only now: what is sent is not sent again by this process, and what is left is."""
    Spool(tmp_path, ROOMY).put(points(10))
    spool = Spool(tmp_path, ROOMY)
    (batch,) = spool
    with monkeypatch.context() as read_only:
        read_only.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(OSError(errno.EROFS, "read-only")))
        left = spool.acknowledge(batch, 3)
        left = spool.acknowledge(left, 3)
        spool._lines.pop(left.number)
        assert content(spool) == points(4, 6)
    left = spool.acknowledge(left, 1)
    assert [path.name for path in tmp_path.glob("*.batch")] == [left.name]
    assert left.name.endswith(".7-3.batch")
    assert content(spool) == points(3, 7)
    assert spool.acknowledge(left, 3) is None
    assert list(tmp_path.glob("*.batch")) == []
    assert spool.lost.total() == 0


def test_a_batch_in_memory_is_torn_and_sent_as_one_on_the_disk(tmp_path):
    """And when the disk takes it, it is what is left of it."""
    spool = Spool(tmp_path, ROOMY._replace(free=1 << 60))
    spool.put(points(10))
    (batch,) = spool
    left = spool.acknowledge(batch, 2)
    assert left.size < batch.size
    assert spool.split(left, 3)
    assert [each.points for each in spool] == [3, 5]
    assert spool.acknowledge(next(iter(spool)), 1).points == 2
    assert content(spool) == points(7, 3)
    assert list(tmp_path.glob("*.batch")) == []
    spool.bounds = ROOMY
    spool.keep_bounds()
    assert spool.persistent
    assert spool.size == sum(path.stat().st_size for path in tmp_path.glob("*.batch"))
    assert content(spool) == content(Spool(tmp_path, ROOMY)) == points(7, 3)


def test_batches_of_another_spool_with_the_same_numbers_are_taken_in(tmp_path):
    """Somebody has copied them here, or the disk was mounted after the agent's start."""
    for name, start in (("one", 0), ("two", 1000)):
        spool = Spool(tmp_path / name, ROOMY, Clock(1_795_208_406.0 + start))
        for number in range(30):
            spool.put(points(3, start + number * 3))
            spool.coalesce(20)
    for path in (tmp_path / "two").glob("*.batch"):
        shutil.copy(path, tmp_path / "one")
    both = Spool(tmp_path / "one", ROOMY)
    assert sorted(content(both)) == sorted(points(90) + points(90, 1000))
    assert content(Spool(tmp_path / "one", ROOMY)) == content(both)


def test_a_number_beyond_all_numbers_is_nobody_s(tmp_path):
    """Who makes a directory with such a name keeps nobody from being found again."""
    for number in ("9" * 15, "9" * 18, "9" * 13):
        (tmp_path / f"1795208406123-{number}-1.batch").mkdir()
    Spool(tmp_path, ROOMY).put(points(5))
    assert content(Spool(tmp_path, ROOMY)) == points(5)


@pytest.mark.parametrize(
    ("hurt", "why"),
    [(lambda path: path.unlink(), Loss.REMOVED), (lambda path: path.write_bytes(b"cut o"), Loss.DAMAGED)],
)
def test_what_is_remembered_is_what_is_on_the_disk(tmp_path, hurt, why):
    """An operator who removes a batch does not want it to be sent from memory."""
    spool = Spool(tmp_path, ROOMY)
    spool.put(points(5))
    hurt(tmp_path / newest(spool).name)
    assert content(spool) == []
    assert spool.lost == {why: 5}


def test_a_large_batch_that_is_damaged_is_no_copy_of_small_ones(tmp_path):
    """Then these are kept."""
    spool = Spool(tmp_path, ROOMY)
    for number in range(10):
        spool.put(points(3, number * 3))
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.batch")}
    spool.coalesce(20)
    large = next(path for path in tmp_path.glob("*.batch") if "+" in path.name)
    large.write_bytes(large.read_bytes()[:-2])
    for name, data in before.items():
        (tmp_path / name).write_bytes(data)
    assert sorted(content(Spool(tmp_path, ROOMY))) == sorted(points(30))


def test_the_bound_leaves_the_newest_batch_and_what_cannot_be_done_is_said(tmp_path, monkeypatch):
    """A batch that is larger than all that may wait is sent all the same."""
    spool = Spool(tmp_path, ROOMY._replace(size=10))
    spool.put(points(50))
    spool.put(points(50, 50))
    assert content(spool) == points(50, 50)
    (batch,) = Spool(tmp_path, ROOMY)
    again = Spool(tmp_path, ROOMY)
    with monkeypatch.context() as unreadable:
        failing = OSError(errno.EIO, "Input/output error")
        unreadable.setattr(os, "open", lambda *_, **__: (_ for _ in ()).throw(failing))
        assert not again.split(batch, 1)
    shutil.rmtree(tmp_path / REJECTED)
    assert not again.put_aside([(b"{}", "no")])


class Journal:
    """What a disk has after a loss of power: names as of the last fsync of the directory, synced contents."""

    def __init__(self, place, monkeypatch):
        self.place = place
        self.synced = {}  # by inode
        self.survives = [{}]
        for module, name in ((os, "fdatasync"), (os, "fsync")):
            monkeypatch.setattr(module, name, partial(self._sync, getattr(module, name)))

    def _sync(self, real, descriptor):
        real(descriptor)
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            files = [path for path in self.place.iterdir() if path.is_file()]
            names = {path.name: self.synced.get(path.stat().st_ino, b"") for path in files}
            self.survives.append(names)
        else:
            self.synced[found.st_ino] = Path(f"/proc/self/fd/{descriptor}").read_bytes()

    def after_a_loss_of_power(self, place):
        """Return the spool of the next boot."""
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        for name, data in self.survives[-1].items():
            (place / name).write_bytes(data)
        return Spool(place, ROOMY, boot="next")


@given(
    st.lists(st.tuples(st.sampled_from(["put", "sent", "split", "coalesce"]), st.integers(0, 9)), max_size=40)
)
def test_a_loss_of_power_loses_nothing_that_was_promised(tmp_path_factory, operations):
    """Whenever it comes: what was kept and not taken is there, perhaps with some of what was taken."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        place = tmp_path_factory.mktemp("spool")
        journal = Journal(place, monkeypatch)
        spool, expected, put, taken = Spool(place, ROOMY), [], 0, []
        for what, number in operations:
            batch = list(spool)[number % len(spool)] if len(spool) else None
            if what == "put":
                spool.put(points(number + 1, put))
                expected += points(number + 1, put)
                put += number + 1
            elif what == "coalesce":
                spool.coalesce(20)
            elif batch and what == "split":
                spool.split(batch, number)
            elif batch:
                count = min(number + 1, batch.points)
                for line in spool.read(batch)[:count]:
                    expected.remove(line)
                    taken.append(line)
                spool.acknowledge(batch, count)
            found = content(journal.after_a_loss_of_power(place.with_suffix(".next")))
            assert set(expected) <= set(found) <= set(expected) | set(taken)
            assert len(found) == len(set(found)), "twice"


def _killed_at(step, act, place):
    """Do something in a process that is killed before or after a system call; return whether it came so far."""
    pid = os.fork()
    if pid == 0:
        count = 0

        def hooked(real):
            def call(*arguments, **named):
                nonlocal count
                for there in (lambda: None, lambda: real(*arguments, **named)):
                    result = there()
                    count += 1
                    if count == step:
                        os.kill(os.getpid(), signal.SIGKILL)
                return result

            return call

        status = 9
        spool = Spool(place, ROOMY)
        for owner, name in (
            (os, "fdatasync"),
            (os, "fsync"),
            (Path, "rename"),
            (Path, "unlink"),
            (Path, "open"),
        ):
            setattr(owner, name, hooked(getattr(owner, name)))
        try:
            act(spool)
            status = 7
        finally:
            os._exit(status)
    ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert ended in (7, -signal.SIGKILL)
    return ended != 7


@pytest.mark.parametrize(
    ("act", "may_be_gone"),
    [
        (lambda spool: spool.put(points(3, 100)), []),
        (lambda spool: spool.coalesce(20), []),
        (lambda spool: spool.split(list(spool)[1], 1), []),
        (lambda spool: spool.split(next(iter(spool)), 2) and spool.split(list(spool)[1], 1), []),
        (lambda spool: spool.acknowledge(next(iter(spool)), 2), points(2)),
        (lambda spool: spool.acknowledge(next(iter(spool)), 3), points(3)),
    ],
    ids=["put", "coalesce", "split", "split twice", "slice", "remove"],
)
def test_a_kill_before_or_after_each_system_call_loses_and_doubles_nothing(tmp_path, act, may_be_gone):
    """The next process finds what was promised, once, and nothing half."""
    for step in count(1):
        place = tmp_path / str(step)
        spool = Spool(place, ROOMY)
        for number in range(12):
            spool.put(points(3, number * 3))
        came_so_far = _killed_at(step, act, place)
        again = Spool(place, ROOMY)
        found = content(again)
        assert len(found) == len(set(found))
        assert set(points(36)) - set(may_be_gone) <= set(found) <= set(points(36)) | set(points(3, 100))
        assert again.lost.total() == 0
        assert not list(place.glob("*.tmp"))
        if not came_so_far:
            break
    assert step > 2


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
        left = self.spool.acknowledge(batch, count)
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
