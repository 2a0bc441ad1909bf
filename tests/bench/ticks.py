"""Are ticks on time: beside a bare heap of asyncio timers with the same work, and while fifty collectors hang."""

import asyncio
import json
import logging
import subprocess
from statistics import median

import bench
from bench import Row, p99

from rscollector.config.types import Common, Spec
from rscollector.model.schedule import phase
from rscollector.runtime.supervisor import Supervisor

SECONDS = 20
SERIES = 10
PLACES = {"load": "load:Load", "rogue": "rogue:Rogue", "tame": "rogue:Tame"}


def rows():
    """Measure 500 collectors in one worker and 50 in their own, each after a bare heap of as many timers."""
    for count, shared in ((500, True), (50, False)):
        heap = p99(_measured("heap", count, shared))
        ours = p99(_measured("agent", count, shared))
        where = "one worker" if shared else "their own workers"
        beside = f"bare heap {heap:.3g} ms"
        yield Row(
            f"lateness of a tick, p99: {count} collectors of 1 s in {where}",
            ours,
            "ms",
            beside,
            ours / heap,
            2,
        )
    calm, storm, killed = _hanging()
    yield Row("lateness of the others, p99, while 50 hang", p99(storm), "ms", f"before {p99(calm):.3g} ms")
    yield Row("from a deadline to the reaped process, median of 50 at once", median(killed), "ms")
    yield Row("from a deadline to the reaped process, slowest of 50 at once", max(killed), "ms")


def _measured(what, count, shared):
    """Run it in a process of its own and return the latenesses in ms."""
    command = bench.python("ticks.py", what, count, int(shared))
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=bench.environment())
    return json.loads(done.stdout)


def _hanging():
    command = bench.python("ticks.py", "hang", 50, 0)
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=bench.environment())
    return json.loads(done.stdout)


class Watched(Supervisor):
    """A supervisor that keeps how late its ticks begin, and how long a kill takes, in ms."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.late, self.killed, self._deadlines = [], [], {}

    def _tick(self, due):
        if due.key.startswith("load/"):
            self.late.append((self._loop.time() - due.slot) * 1e3)
        super()._tick(due)

    def overdue(self, key, waited):
        self._deadlines[key] = self.bodies._bodies[key].asked_at + waited
        super().overdue(key, waited)

    def lost(self, key, loss):
        due = self._deadlines.pop(key, None)
        if due is not None:
            self.killed.append((self._loop.time() - due) * 1e3)
        super().lost(key, loss)


def spec(type_, name, worker, **settings):
    """Return a collector of 1 s."""
    common = Common()
    return Spec(
        type_, name, 1.0, 0.8, 1000, common.max_memory, common.policy, settings, worker, PLACES[type_]
    )


async def agent(count, shared):
    """Return the latenesses of the agent's ticks, when all collectors are up."""
    supervisor = Watched("host", 10**6)
    for number in range(count):
        worker = "shared" if shared else f"load/i{number}"
        supervisor.add(spec("load", f"i{number}", worker, series=SERIES))
    await _all_up(supervisor)
    supervisor.late.clear()
    await asyncio.sleep(SECONDS)
    late = list(supervisor.late)
    await supervisor.stop(5)
    return late


async def _all_up(supervisor):
    while not all(map(supervisor.up, supervisor.instances.values())):
        await asyncio.sleep(0.1)
    await asyncio.sleep(2)


async def hang(count, _shared):
    """Return latenesses before and while so many collectors hang, and the times from deadline to reaped."""
    supervisor = Watched("host", 10**6)
    for number in range(10):
        supervisor.add(spec("load", f"i{number}", f"load/i{number}", series=SERIES))
    await _all_up(supervisor)
    supervisor.late.clear()
    await asyncio.sleep(SECONDS)
    calm = list(supervisor.late)
    for number in range(count):
        supervisor.add(spec("rogue", f"i{number}", f"rogue/i{number}", do="hang", first=1))
    supervisor.late.clear()
    while len(supervisor.killed) < count:
        await asyncio.sleep(0.1)
    storm, killed = list(supervisor.late), list(supervisor.killed)
    await supervisor.stop(5)
    supervisor.bodies.kill_all()
    return calm, storm, killed


class Heap:
    """Timers of asyncio, each of which asks a worker for the same rows and commits what it answers."""

    def __init__(self, count, shared):
        self.loop = asyncio.get_running_loop()
        self.late = []
        self.helper = Watched("host", 10**6)
        self.count, self.shared = count, shared

    def tick(self, due, key):
        """Note how late it is, and have the same work done: ask, read, commit."""
        self.late.append((self.loop.time() - due) * 1e3)
        self.loop.call_at(due + 1, self.tick, due + 1, key)
        self.helper.bodies.collect(key, 0)


async def heap(count, shared):
    """Return the latenesses of bare timers in the same phases, with the same workers and the same commits."""
    made = Heap(count, shared)
    helper = made.helper
    for number in range(count):
        worker = "shared" if shared else f"load/i{number}"
        helper.add(spec("load", f"i{number}", worker, series=SERIES))
    await _all_up(helper)
    for key in list(helper.instances):
        helper.ticks.forget(key)  # the workers stay, the schedule and the lifecycle go

    def collected(key, run):
        declared, expires = helper.instances[key].declared, made.loop.time() + 3
        helper.store.commit(key, run.rows, declared, limit=1000, expires=expires)

    helper.collected = collected
    now = made.loop.time()
    for key in helper.instances:
        due = now + 1 + phase("host", key, 1.0)
        made.loop.call_at(due, made.tick, due, key)
    await asyncio.sleep(2)
    made.late.clear()
    await asyncio.sleep(SECONDS)
    late = list(made.late)
    helper.bodies.kill_all()
    return late


if __name__ == "__main__":
    import sys

    logging.disable()
    print(json.dumps(asyncio.run(globals()[sys.argv[1]](int(sys.argv[2]), sys.argv[3] == "1"))))
