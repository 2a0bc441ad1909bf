"""Points counted at the receiver against points that were kept: whatever happens between, none is missing.

`kept` is what the sink's worker has promised; a run that only the agent had in memory may be lost with it.
"""

import gzip
import json
import os
import random
import signal
import subprocess
import time
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest
from arrivals import TOML, all_until_now, doubled, runs_of, sent
from harness import until
from receiver import Receiver

from rscollector.api import Context, Kind, Metric, Rate, Taken
from rscollector.sinks.bosun import Bosun
from rscollector.sinks.spool import Bounds, Spool
from rscollector.sinks.spooled import Drain

pytestmark = pytest.mark.timeout(900)
IN_MEMORY = 13  # runs of 0.1 s in the second for which samples are gathered, and those under way meanwhile
FAST = 'drain = { points = "100000/s", bytes = "100M/s" }\n'
OFTEN = f"max_failures = 1000\nmax_hangs = 1000\n{FAST}"
NUMBER = Metric("number", Kind.GAUGE, "A number that is never told twice.", labels=("of", "slot"))


@pytest.mark.parametrize("lives", [20, pytest.param(100, marks=pytest.mark.long)])
def test_an_agent_that_is_killed_again_and_again_loses_a_second_each_time(agent, receiver, tmp_path, lives):
    """Of each of its lives all runs arrive, without a hole, but for what the agent had not given away yet."""
    random.seed(0)
    seen = {}
    state = {"STATE_DIRECTORY": str(tmp_path / "state")}
    for life in range(lives):
        toml = TOML.format(url=receiver.url, more=f'{FAST}[agent.tags]\nlife = "{life}"')
        toml = toml.replace('"300ms"', '"100ms"').replace('tags = { domain = "example" }', "")
        started = agent(toml, **state)
        time.sleep(random.random() * 1.6)
        seen[life] = int(started.value("tame_runs_total", name="good") or 0)
        started.process.kill()
        started.process.wait()
    agent(TOML.format(url=receiver.url, more=FAST).replace("tame.good", "tame.last"), **state)
    until(lambda: any(dict(tags).get("name") == "last" for _, tags, *_ in receiver.points.copy()))
    until(lambda: all(len(runs_of(receiver, life)) >= seen[life] - IN_MEMORY for life in seen))
    for life in seen:
        arrived = runs_of(receiver, life)
        assert arrived == list(range(1, len(arrived) + 1)), "a hole"
    lost = sum(max(0, seen[life] - len(runs_of(receiver, life))) for life in seen)
    assert sum(seen.values()) > 3 * lives
    assert lost < sum(seen.values())
    assert len(doubled(receiver)) <= IN_MEMORY * lives


@pytest.mark.parametrize("kills", [25, pytest.param(100, marks=pytest.mark.long)])
def test_a_sink_whose_worker_is_killed_again_and_again_loses_nothing(agent, receiver, kills):
    """Nothing is missing; what was in flight may come twice, and nothing more than that."""
    random.seed(0)
    started = agent(TOML.format(url=receiver.url, more=OFTEN).replace("300ms", "100ms"))
    until(lambda: len(sent(receiver)) >= 3)
    for _ in range(kills):
        until(lambda: started.collector("bosun/main")["up"])
        time.sleep(random.random() * 0.3)
        if pid := started.collector("bosun/main")["worker_pid"]:
            with suppress(ProcessLookupError):  # what the status says may be a moment old
                os.kill(pid, signal.SIGKILL)
    until(all_until_now(receiver, started))
    assert started.value("rscollector_sink_dropped_points_total", type="bosun", reason="room") == 0
    assert len(sent(receiver)) > 2 * kills
    assert len(doubled(receiver)) < len(sent(receiver)) / 2


class Counter(Receiver):
    """A receiver that only counts how often each number has come, and when the last of each sort did."""

    def __init__(self, port=0):
        self.times = {"old": bytearray(1_000_000), "new": bytearray(10_000)}
        self.arrived = {"old": 0, "new": 0}
        super().__init__(port)

    def _store(self, handler, data):
        if not handler.path.endswith("/api/put"):
            return 404
        for point in json.loads(gzip.decompress(data)):
            sort = point["tags"]["of"]
            self.times[sort][point["value"]] += 1
            self.arrived[sort] += 1
        return 204


@pytest.fixture
def counter():
    """Return a receiver that counts."""
    started = Counter()
    yield started
    started.close()


@pytest.fixture
def sink(tmp_path):
    """Open a sink as a worker does: `sink(url=…)`; `settings` as in the configuration."""
    opened = []

    def start(**settings):
        made = Bosun(Bosun.Settings(spool_free=0, **settings))
        context = Context("main", timeout=10, interval=15, agent=os.getpid())
        context.host, context.state = "db1", tmp_path / "state" / "bosun" / "main"
        made.open(context)
        opened.append(made)
        made.context = context
        return made

    yield start
    for each in opened:
        each.close()


def told(sink, name):
    """Return what the sink says of itself."""
    return {each.metric.name: each.value for each in sink.collect(sink.context)}[name]


def batch(sort, start, size, second=1_795_208_406):
    """Return a run with so many numbers, as the agent gives it to a sink."""
    return Taken(second, "main", [(NUMBER, (sort, str(slot)), start + slot) for slot in range(size)])


@pytest.mark.parametrize("hours", [6, pytest.param(24, marks=pytest.mark.long)])
def test_hours_without_a_receiver_are_made_up_for(sink, tmp_path, hours):
    """Ten collectors with twelve points each, every quarter of a minute: all arrive, once, when it is back."""
    away = Counter()
    port = away.port
    away.close()
    ticks, size = hours * 3600 // 15, 120
    sending = sink(url=f"http://127.0.0.1:{port}", drain=_pace("1000000/s", "1G/s"))
    for tick in range(ticks):
        second = 1_795_208_406 + tick * 15
        sending.take(sending.context, [batch("old", tick * size, size, second)])
    assert told(sending, "sink_queued_points") == ticks * size
    back = Counter(port)
    try:
        until(lambda: told(sending, "sink_queued_points") == 0, 300)
        assert told(sending, "sink_sent_points_total") == ticks * size
        assert set(back.times["old"][: ticks * size]) == {1}
        assert back.arrived["old"] == ticks * size
    finally:
        back.close()
    assert list((tmp_path / "state" / "bosun" / "main").glob("*.batch")) == []


def _pace(points, size):
    return Drain(points=Rate(points), bytes=Rate(size))


@pytest.mark.parametrize("points", [250_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_a_backlog_is_sent_on_at_its_pace_beside_what_is_fresh(sink, counter, tmp_path, points):
    """No faster than was said; and of what comes meanwhile, nothing is older than two ticks when it arrives."""
    place = tmp_path / "state" / "bosun" / "main"
    before = Spool(place, Bounds(1 << 40, 1e9, 0, 0))
    line = b'{"metric":"number","tags":{"host":"db1","of":"old"},"value":%d,"timestamp":1795208406}'
    for start in range(0, points, 500):
        before.put([line % number for number in range(start, start + 500)])
    pace, tick = 40_000, 1.0
    began = time.monotonic()
    sending = sink(url=counter.url, drain=_pace(f"{pace}/s", "1G/s"))
    assert told(sending, "sink_draining") == 1
    late = 0
    for number in count():
        sending.take(sending.context, [batch("new", number, 1)])
        time.sleep(tick)
        late = max(late, number + 1 - counter.arrived["new"])
        if counter.arrived["old"] == points:
            break
    took = time.monotonic() - began
    assert took >= points / pace - 1.5, "a second's worth may be saved up"
    assert late <= 2
    assert set(counter.times["old"][:points]) == {1}
    until(lambda: told(sending, "sink_queued_points") == 0)
    assert set(counter.times["new"][: number + 1]) == {1}


def _interrupt(receiver, mood):
    requests = len(receiver.headers)
    receiver.mood = mood
    until(lambda: len(receiver.headers) > requests)
    receiver.mood = "ok"


@pytest.mark.parametrize("mood", ["cut", "half"])
def test_a_receiver_that_goes_in_the_middle_of_its_answers_loses_nothing(agent, receiver, mood):
    """It had stored what it did not acknowledge: that comes again, and nothing else does."""
    started = agent(TOML.format(url=receiver.url, more=""))
    while len(doubled(receiver)) < 3:  # a request that is broken off need not have had a run
        _interrupt(receiver, mood)
        until(all_until_now(receiver, started))
    assert started.value("rscollector_sink_dropped_points_total", type="bosun", reason="room") == 0


@pytest.fixture
def small_disk(tmp_path):
    """Return a directory on a disk of two MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], check=True)
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def _fill(disk):
    subprocess.run(["dd", "if=/dev/zero", f"of={disk}/filler", "bs=4k"], check=False, capture_output=True)


@pytest.mark.needs("root")
@pytest.mark.parametrize(
    ("hurt", "heal"),
    [
        (_fill, lambda disk: (disk / "filler").unlink()),
        (
            lambda disk: subprocess.run(["mount", "-o", "remount,ro", disk], check=True),
            lambda disk: subprocess.run(["mount", "-o", "remount,rw", disk], check=True),
        ),
    ],
    ids=["full", "read-only"],
)
def test_a_disk_that_takes_nothing_for_a_while_costs_nothing(agent, receiver, small_disk, hurt, heal):
    """Meanwhile what comes is in memory and the agent says so; then it is on the disk, and a kill costs nothing."""
    receiver.mood = 503
    started = agent(TOML.format(url=receiver.url, more=f'spool = "{small_disk}/spool"'))
    until(lambda: (started.value("sink_queued_points") or 0) >= 10)
    hurt(small_disk)
    until(lambda: started.value("sink_spool_persistent") == 0)
    until(lambda: "the disk takes nothing" in str(started.collector("bosun/main")["notes"]))
    runs = started.value("tame_runs_total")
    until(lambda: started.value("tame_runs_total") > runs + 5)
    heal(small_disk)
    until(lambda: started.value("sink_spool_persistent") == 1)
    os.kill(started.collector("bosun/main")["worker_pid"], signal.SIGKILL)
    waiting = list(Path(small_disk, "spool").glob("*.batch"))
    assert waiting
    receiver.mood = "ok"
    until(all_until_now(receiver, started))
    until(lambda: not any(file.exists() for file in waiting))


@pytest.mark.needs("faketime")
@pytest.mark.parametrize("step", ["+3600", "-3600"])
def test_a_clock_that_is_set_loses_nothing(agent, receiver, tmp_path, step):
    """Nothing is too old by it or out of order; the time of a point is what the clock said."""
    receiver.mood = 503
    clock = tmp_path / "clock"
    clock.write_text("+0")
    faked = {
        "LD_PRELOAD": str(next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    started = agent(TOML.format(url=receiver.url, more='spool_age = "1h"'), **faked)
    until(lambda: (started.value("sink_queued_points") or 0) >= 10)
    clock.write_text(step.replace("3600", "3000"))
    runs = started.value("tame_runs_total")
    until(lambda: started.value("tame_runs_total") > runs + 5)
    receiver.mood = "ok"
    until(all_until_now(receiver, started))
    assert doubled(receiver) == []
    seconds = sorted(
        {second for metric, _, second, _ in receiver.points.copy() if metric == "tame.runs.total"}
    )
    assert 2900 < seconds[-1] - seconds[0] < 3100


def test_what_is_damaged_is_counted_and_the_rest_is_sent(agent, receiver, tmp_path):
    """Cut off, emptied, somebody else's file: each costs its own points."""
    receiver.mood = 503
    started = agent(TOML.format(url=receiver.url, more=f'spool = "{tmp_path}/spool"'))
    until(lambda: len(list(Path(tmp_path, "spool").glob("*.batch"))) >= 5)
    files = sorted(Path(tmp_path, "spool").glob("*.batch"))
    hurt = files[2:4]
    lost = sum(int(file.stem.rpartition("-")[2]) for file in hurt)
    runs = {
        point["value"]
        for file in hurt
        for point in map(json.loads, file.read_bytes().splitlines()[1:])
        if (point["metric"], point["tags"].get("name")) == ("tame.runs.total", "good")
    }
    hurt[0].write_bytes(b"")
    hurt[1].write_bytes(hurt[1].read_bytes()[:-5])
    (tmp_path / "spool" / "notes.txt").write_text("mine")
    receiver.mood = "ok"
    until(lambda: started.value("sink_dropped_points_total", reason="damaged") == lost > 0)
    expected = set(range(1, int(started.value("tame_runs_total", name="good")) + 1)) - runs
    until(lambda: expected <= set(sent(receiver)))
    assert not runs & set(sent(receiver))
    assert (tmp_path / "spool" / "notes.txt").exists()
