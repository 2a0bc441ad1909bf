"""Which worker holds whom, with real workers: who is told what when one of them ends."""

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path

import accelerated
import pytest

from rscollector.runtime import worker_process
from rscollector.runtime.bodies import Bodies

PLUGINS = str(Path(__file__).parent.parent / "plugins")
A, B = "tame/a", "tame/b"


class Keeper:
    """Takes note of what becomes of bodies."""

    def __init__(self):
        self.told = []

    def __getattr__(self, what):
        """Take note of whatever is told."""
        return lambda *arguments: self.told.append((what, *arguments))

    def of(self, key):
        """Return what was told of one."""
        return [each[0] for each in self.told if each[1:2] == (key,)]

    async def hears(self, key, what, times=1):
        """Wait until that was told of it so many times."""
        async with asyncio.timeout(20):
            while self.of(key).count(what) < times:
                await asyncio.sleep(0)


def spec(key, timeout=10.0, **settings):
    """Return a collector that shares its worker."""
    return accelerated.spec(key, timeout=timeout, max_memory=1 << 40, settings=settings, plugin="rogue:Tame")


@pytest.fixture
def lived(monkeypatch):
    """Run a function with bodies of a and b, both open in one worker, and their keeper."""
    monkeypatch.setenv("PYTHONPATH", PLUGINS)

    def live(act, each=None, **settings):
        async def main():
            keeper = Keeper()
            bodies = Bodies(keeper)
            for key in (A, B):
                bodies.add(spec(key, **{**settings, **(each or {}).get(key, {})}))
                bodies.open(key, 1)
            for key in (A, B):
                await keeper.hears(key, "opened")
            try:
                return await act(bodies, keeper)
            finally:
                bodies.kill_all()
                async with asyncio.timeout(20):
                    while len(bodies):
                        await asyncio.sleep(0.01)

        return asyncio.run(main())

    return live


def test_one_that_asks_for_another_worker_while_its_own_is_dying_is_opened_once(lived):
    """It was closed in the one before; the end of that is no loss of its own, and is not told as one."""

    async def act(bodies, keeper):
        bodies.collect(B, 2)
        while not bodies._bodies[A].worker.dying:
            await asyncio.sleep(0)
        bodies.open(A, 2)
        await keeper.hears(B, "lost")
        await keeper.hears(A, "opened", times=2)
        return keeper.of(A)

    assert lived(act, do="wire", text="nonsense\n") == ["opened", "opened"]


def test_what_was_printed_too_fast_is_still_counted_when_the_worker_is_gone(lived):
    """The counter never goes back."""

    async def act(bodies, keeper):
        bodies.collect(A, 2)
        await keeper.hears(A, "collected")
        bodies.kill(A)
        await keeper.hears(A, "lost")
        return bodies.lines_dropped()

    assert lived(act, do="print", count=1000) >= 900


def test_a_line_is_told_of_whom_it_names_and_else_of_the_worker(lived, caplog):
    """A name that is none in there is a part of the text, and so is one without a text; also when all are gone."""

    async def act(bodies, keeper):
        worker = bodies._bodies[A].worker
        for line in (f"<3>{A}: driver: cannot", "driver: cannot", A, f"{A}:x", "<4>tame/c: what"):
            bodies.said(worker, line)
        own, printed = ([(each.level, each.text) for each in lines] for lines in bodies.lines(A))
        bodies.kill(A)
        while len(bodies):
            await asyncio.sleep(0.01)
        bodies.said(worker, "<4>late")
        return own, printed, [[each.text for each in lines][-1] for lines in bodies.lines(A)]

    own, printed, late = lived(act)
    assert own == [(40, "driver: cannot")]
    assert [text for _, text in printed] == ["driver: cannot", A, f"{A}:x", "tame/c: what"]
    assert late == ["driver: cannot", "late"]
    assert f"{A}: driver: cannot" in caplog.messages
    assert "local: tame/c: what" in caplog.messages


def test_what_is_printed_when_most_have_left_is_still_the_workers(lived):
    """The last one that lives in it need not have printed it, and of a worker whose collectors are gone nothing is kept."""

    async def act(bodies, _keeper):
        worker = bodies._bodies[A].worker
        bodies._move(A, None)
        bodies.said(worker, "of one of them")
        bodies.said(worker, f"{A}: of this one")
        told = [[line.text for line in lines] for lines in (*bodies.lines(A), *bodies.lines(B))]
        worker.name = "gone"
        bodies.said(worker, "of nobody")
        bodies._move(A, worker)
        return told, list(bodies._printed)

    shared = ["of one of them"]
    assert lived(act) == ([["of this one"], shared, [], shared], ["local"])


def test_a_deadline_ends_with_the_body(lived):
    """What comes too late is no hang of the one that is opened after it."""

    async def act(bodies, keeper):
        bodies.collect(A, 2)
        os.kill(bodies.pid(A), signal.SIGKILL)
        await keeper.hears(A, "lost")
        await asyncio.sleep(2.1)
        return keeper.of(A)

    assert lived(act, timeout=2.0, do="hang") == ["opened", "lost"]


def test_opening_takes_longer_than_collecting_may(lived):
    """An interpreter is started and a driver imported, however short the interval is."""

    async def act(_bodies, keeper):
        return keeper.of(A)

    assert lived(act, timeout=0.2, do="slow", on="open") == ["opened"]


def test_only_the_one_to_blame_is_given_the_stack(lived):
    """Its neighbours were nowhere."""

    async def act(bodies, keeper):
        bodies.collect(B, 2)
        for key in (A, B):
            await keeper.hears(key, "lost")
        return {each[1]: (each[2].charged, bool(each[2].stack)) for each in keeper.told if each[0] == "lost"}

    assert lived(act, do="segfault") == {A: (False, False), B: (True, True)}


def test_an_answer_is_bounded_in_bytes_and_many_answers_are_not(lived, monkeypatch):
    """The bound is there for one that never ends."""

    async def act(bodies, keeper):
        monkeypatch.setattr(worker_process, "MAX_ANSWER", 500)
        for seq in range(2, 22):
            bodies.collect(A, seq)
            await keeper.hears(A, "collected", times=seq - 1)
        bodies.collect(B, 2)
        await keeper.hears(B, "lost")
        return next(each[2].reason for each in keeper.told if each[:2] == ("lost", B))

    many = {B: {"do": "many", "count": 30}}
    assert lived(act, each=many) == "the worker sent an answer of more than 500 bytes"


def test_a_loss_is_told_once_and_not_of_one_that_is_forgotten(lived):
    """A collector that is to end before its worker is born has lost nothing twice."""

    async def act(bodies, keeper):
        for key in ("tame/c", "tame/d"):
            bodies.add(spec(key))
            bodies.release(key, 1, 2.0)
            bodies.release(key, 1, 2.0)
        bodies.forget("tame/d")
        await asyncio.sleep(0.05)
        return keeper.of("tame/c"), keeper.of("tame/d")

    assert lived(act) == (["lost"], [])


def test_a_close_cannot_fail(lived):
    """A worker that says so is killed: else the collector would be in `killing` for ever."""
    failed = '{"op":"failed","seq":7,"taken":0,"kind":"bug","reason":"","traceback":""}\n'

    async def act(bodies, keeper):
        bodies.release(A, 7, 2.0)
        await keeper.hears(A, "lost")
        return next(each[2].reason for each in keeper.told if each[:2] == ("lost", A))

    reason = lived(act, do="wire", on="close", text=failed)
    assert reason == "the worker sent 'failed' where an answer was expected"


def test_at_the_end_every_worker_is_killed_also_one_that_would_outlive_the_agent(lived):
    """And none is started any more."""

    async def act(bodies, keeper):
        bodies.add(replace(spec("tame/c"), worker="another"))
        bodies.open("tame/c", 1)
        bodies.collect(B, 2)
        bodies.kill_all()
        await keeper.hears(A, "lost")
        await asyncio.sleep(0.5)
        return len(bodies), keeper.of("tame/c")

    assert lived(act, do="hang") == (0, [])


def test_one_that_hangs_when_it_is_to_end_has_its_grace_and_no_more(lived):
    """What it was asked before that may take much longer; nobody waits for it any more."""

    async def act(bodies, keeper):
        bodies.collect(A, 2)
        bodies.release(A, 2, 0.2)
        await keeper.hears(A, "overdue")
        return next(each[2] for each in keeper.told if each[:2] == ("overdue", A))

    assert lived(act, do="hang") == 0.2


def test_neighbours_of_one_that_is_killed_lose_their_bodies_at_once_and_once(lived):
    """They need not wait for the process to be gone, and are not told again when it is."""

    async def act(bodies, keeper):
        bodies.kill(B)
        at_once = keeper.of(A)
        await keeper.hears(B, "lost")
        return at_once, keeper.of(A)

    assert lived(act) == (["opened", "lost"], ["opened", "lost"])


def done(seq, layout=0, memory=1):
    """Return the end of an answer as a worker says it."""
    return f'{{"op":"done","seq":{seq},"taken":0,"layout":{layout},"memory":{memory},"notes":[],"sentences":[],"degraded":"","reason":""}}\n'


def test_an_answer_to_another_question_is_no_answer(lived):
    """Who is asked again has not answered yet."""

    async def act(bodies, keeper):
        bodies.collect(B, 2)
        await asyncio.sleep(0.5)
        return keeper.of(B)

    assert lived(act, do="wire", text=done(1)) == ["opened"]


def test_a_run_without_series_after_one_with_some_is_empty(lived):
    """A layout that has no rows is another layout too, and no reason to kill the worker."""

    async def act(bodies, keeper):
        bodies.collect(A, 2)
        await keeper.hears(A, "collected")
        bodies.collect(A, 3)
        await keeper.hears(A, "collected", times=2)
        return [len(each[2].rows) for each in keeper.told if each[0] == "collected"]

    assert lived(act, do="wire", first=1, text=done(3, layout=2)) == [1, 0]


def test_when_a_worker_that_does_nothing_is_killed_all_in_it_are_to_blame(lived):
    """By the kernel, when memory is short: nobody knows whose it was."""

    async def act(bodies, keeper):
        os.kill(bodies.pid(A), signal.SIGKILL)
        for key in (A, B):
            await keeper.hears(key, "lost")
        return {(each[2].charged, each[2].reason[:32]) for each in keeper.told if each[0] == "lost"}

    assert lived(act) == {(True, "the worker was killed by SIGKILL")}


def test_a_worker_that_all_have_left_ends(lived):
    """Nothing is left to do for it."""

    async def act(bodies, _keeper):
        bodies.leave(A)
        assert len(bodies) == 1
        bodies.leave(B)
        async with asyncio.timeout(20):
            while len(bodies):
                await asyncio.sleep(0.01)

    lived(act)


def test_a_retired_worker_is_left_however_little_memory_it_uses_by_now(lived):
    """One that was busy when it was retired leaves when it is done."""

    async def act(bodies, keeper):
        for worker in bodies._residents:
            worker.is_fresh = False
        bodies.collect(A, 2)
        bodies.collect(B, 3)
        await keeper.hears(B, "collected")
        return [each[1] for each in keeper.told if each[0] == "outgrown"]

    assert lived(act, do="wire", text=done(2, memory=1 << 50) + done(3)) == [A, B, A, B]


def test_a_layout_ends_with_the_body_that_has_told_it(lived, tmp_path):
    """The next one counts its own from 1 again: its first layout is not the first of the one before."""
    switch = tmp_path / "switch"

    async def act(bodies, keeper):
        bodies.collect(A, 2)
        await keeper.hears(A, "collected")
        bodies.open(A, 3)
        await keeper.hears(A, "opened", times=2)
        switch.touch()
        bodies.collect(A, 4)
        await keeper.hears(A, "collected", times=2)
        return [len(each[2].rows) for each in keeper.told if each[0] == "collected"]

    assert lived(act, do="wire", once=str(switch), text=done(4, layout=1)) == [1, 0]


@pytest.mark.parametrize(("worker", "fate"), [("sink/bosun/main", "outlives"), ("bosun/main", "dies")])
def test_only_the_worker_of_a_sink_outlives_the_agent(lived, worker, fate):
    """It has to keep what it has read."""

    async def act(bodies, keeper):
        bodies.add(replace(spec("tame/c"), worker=worker))
        bodies.open("tame/c", 1)
        await keeper.hears("tame/c", "opened")
        return Path(f"/proc/{bodies.pid('tame/c')}/cmdline").read_text().split("\0")[-2]

    assert lived(act) == fate
