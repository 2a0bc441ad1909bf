"""A run of thousands of series is committed in many turns of the loop, and as a whole."""

import asyncio

import accelerated
import pytest

from rscollector.model.lifecycle import State
from rscollector.model.namespace import Namespace
from rscollector.runtime import supervisor as module
from rscollector.runtime.bodies import Run
from rscollector.wire.layouts import Columns

METRIC = Namespace("it").gauge("level", "A level.", "of")
MANY = 2000


@pytest.fixture
def large(monkeypatch):
    """Run a function with a supervisor, its collector, and what gives it a large run; a turn for each step."""
    monkeypatch.setattr(module, "_STEP", 0.0)
    columns = Columns([METRIC.name] * MANY, [(str(each),) for each in range(MANY)])

    def run(act):
        async def main():
            supervisor, _, instance = accelerated.watched()
            while instance.machine.state is not State.IDLE:
                await asyncio.sleep(0.001)
            instance.declared = {METRIC.name: METRIC}

            def give(value):
                seq = instance.machine.seq
                supervisor.collected("it/main", Run(seq, columns.with_values([value] * MANY), (), 0.1))

            await act(supervisor, instance, give)

        asyncio.run(main())

    return run


async def turns(condition):
    """Wait for a condition; return how many turns of the loop that took."""
    async with asyncio.timeout(20):
        number = 0
        while not condition():
            await asyncio.sleep(0)
            number += 1
    return number


def begun(supervisor, instance):
    """Begin a tick whose answer the test gives."""
    supervisor.bodies.collect = lambda *_, **__: None
    supervisor._dispatch(instance, module.Tick(asyncio.get_running_loop().time()))
    assert instance.machine.state is State.COLLECTING


def test_others_have_their_turns_meanwhile_and_the_page_has_all_or_nothing(large):
    """While it is prepared it is still collecting."""

    async def act(supervisor, instance, give):
        begun(supervisor, instance)
        supervisor.store.commit = None  # nothing is done at once
        give(1.0)
        assert instance.machine.state is State.COLLECTING
        series = []
        assert await turns(lambda: series.append(supervisor.store.series()) or series[-1]) > 5
        assert set(series) == {0, MANY}
        assert instance.machine.state is State.IDLE
        assert instance.prepared is None

    large(act)


def test_an_answer_to_another_question_changes_nothing(large):
    """However large it is: neither what is shown nor what is noted."""

    async def act(supervisor, instance, give):
        begun(supervisor, instance)
        before = instance.duration
        for rows in ((), Columns(["x"] * MANY, [()] * MANY).with_values([1.0] * MANY)):
            supervisor.collected("it/main", Run(instance.machine.seq - 1, rows, ("odd",), 77.0))
            await asyncio.sleep(0)
        assert (instance.machine.state, instance.notes) == (State.COLLECTING, ())
        assert (instance.duration, instance.prepared, supervisor.store.series()) == (before, None, 0)

    large(act)


def test_one_that_is_ended_meanwhile_shows_nothing_of_it(large):
    """It is closed and forgotten, and the steps that were left are not done."""

    async def act(supervisor, instance, give):
        begun(supervisor, instance)
        give(1.0)
        supervisor.end("it/main")
        await turns(lambda: not supervisor.instances)
        await turns(lambda: instance.prepared is None)
        assert supervisor.store.series() == 0

    large(act)


def test_one_for_which_there_is_no_room_any_more_is_committed_anew(large):
    """Others have been shown more meanwhile: what is over the total is dropped and counted."""

    async def act(supervisor, instance, give):
        begun(supervisor, instance)
        give(1.0)
        supervisor.store.max_series = MANY // 2
        await turns(lambda: instance.machine.state is State.IDLE)
        assert supervisor.store.series() == MANY // 2
        assert sum(instance.dropped.values()) == MANY - MANY // 2

    large(act)


def test_a_fault_of_ours_leaves_nobody_collecting_for_ever(large, caplog):
    """Its worker is killed, and it is opened again."""

    async def act(supervisor, instance, give):
        begun(supervisor, instance)

        def broken(*_, **__):
            yield None
            raise ZeroDivisionError

        supervisor.store.preparing = broken
        give(1.0)
        await turns(lambda: instance.machine.state is not State.COLLECTING)
        assert "a fault of ours" in caplog.text
        assert "ZeroDivisionError" in caplog.text
        assert supervisor.instances["it/main"].machine.trouble

    large(act)
