"""Workers that are asked for: asked, born, failed, and withdrawn before."""

import asyncio
import errno
from itertools import pairwise

from rscollector.runtime.births import Births


class Parents:
    """Who is told. `start` makes a worker of what `ways` has for its name: a text, an error, or nothing for ever."""

    def __init__(self, **ways):
        self.ways = ways
        self.told = []
        self.started = []

    async def start(self, name):
        """Start one."""
        self.started.append(name)
        way = self.ways.get(name, f"worker {name}")
        if way is None:
            await asyncio.sleep(3600)
        if isinstance(way, OSError):
            raise way
        return way

    def born(self, name, worker):
        """Take note."""
        self.told.append((name, worker))

    def failed(self, name, why):
        """Take note."""
        self.told.append((name, why))


def lived(act, until, **ways):
    """Let births happen until the parents were told so many times; returns them."""

    async def main():
        parents = Parents(**ways)
        births = Births(parents.start, parents, longest=0.2)
        act(births)
        async with asyncio.timeout(20):
            while len(parents.told) < until:
                await asyncio.sleep(0.01)
        births.end()
        return parents

    return asyncio.run(main())


def test_a_worker_is_born_once_however_often_it_is_asked_for():
    """Those that ask while it is on its way wait for the same one, and births keep their order."""

    def ask(births):
        for name in ("a", "a", "b", "a", "b"):
            births.ask(name)

    assert lived(ask, 2).told == [("a", "worker a"), ("b", "worker b")]


def test_one_that_is_withdrawn_before_its_turn_is_never_started():
    """What nobody wants any more costs no process."""

    def change_ones_mind(births):
        for name in ("a", "b", "c"):
            births.ask(name)
        births.withdraw("b")

    assert lived(change_ones_mind, 2).started == ["a", "c"]


def test_one_that_fails_is_told_with_the_systems_word_and_the_next_is_born():
    """No process was to be had for one of them."""
    full = OSError(errno.EAGAIN, "Resource temporarily unavailable")

    def ask(births):
        births.ask("a")
        births.ask("b")

    told = lived(ask, 2, a=full).told
    assert told == [("a", "Resource temporarily unavailable"), ("b", "worker b")]


def test_one_that_takes_too_long_has_failed_and_the_next_is_born():
    """Whoever makes workers may hang; nobody waits for that for ever."""

    def ask(births):
        births.ask("a")
        births.ask("b")

    assert lived(ask, 2, a=None).told == [("a", "it was not there after 0.2 s"), ("b", "worker b")]


def test_one_that_failed_can_be_asked_for_again():
    """A failure is not the end of the name."""

    async def main():
        parents = Parents(a=OSError(errno.EMFILE, "Too many open files"))
        births = Births(parents.start, parents)
        births.ask("a")
        await asyncio.sleep(0.01)
        parents.ways.clear()
        births.ask("a")
        async with asyncio.timeout(20):
            while len(parents.told) < 2:
                await asyncio.sleep(0.01)
        return parents.told

    assert asyncio.run(main()) == [("a", "Too many open files"), ("a", "worker a")]


def test_after_the_end_nothing_is_born():
    """Neither what waits for its turn nor what is just being started."""

    async def main():
        parents = Parents(a=None)
        births = Births(parents.start, parents)
        births.ask("a")
        births.ask("b")
        await asyncio.sleep(0.01)
        births.end()
        await asyncio.sleep(0.2)
        return parents.started, parents.told

    assert asyncio.run(main()) == (["a"], [])


def test_between_two_births_there_is_a_pause_whenever_they_are_asked_for():
    """Interpreters that start side by side would keep the agent from its CPU."""

    async def main():
        loop, parents, began = asyncio.get_running_loop(), Parents(), []

        async def start(name):
            began.append(loop.time())
            return await parents.start(name)

        births = Births(start, parents)
        births.ask("a")
        births.ask("b")
        async with asyncio.timeout(20):
            while len(parents.told) < 2:
                await asyncio.sleep(0)
            births.ask("c")  # while nothing is being started: the pause after b is not over
            while len(parents.told) < 3:
                await asyncio.sleep(0.01)
        return [later - sooner for sooner, later in pairwise(began)]

    assert min(asyncio.run(main())) >= 0.045


def test_at_the_end_what_is_just_being_started_is_called_off():
    """Nobody would be told of it any more, nor end it."""

    async def main():
        called_off = []

        async def start(name):
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                called_off.append(name)
                raise

        births = Births(start, Parents())
        births.ask("a")
        await asyncio.sleep(0.01)
        births.end()
        await asyncio.sleep(0.01)
        return list(called_off)  # what the end of the loop calls off comes later

    assert asyncio.run(main()) == ["a"]


def test_a_worker_that_several_wait_for_is_the_next():
    """Guests of one that is shared do not wait for all those that are each for one."""

    def ask(births):
        for name in ("first", "a", "b", "shared", "c", "shared"):
            births.ask(name)

    assert [name for name, _ in lived(ask, 5).told] == ["first", "shared", "a", "b", "c"]
