"""When collectors are asked, and who hears of what has changed."""

import asyncio

from rscollector.runtime.changes import Changes, News
from rscollector.runtime.ticks import Ticks


def test_a_tick_that_fails_is_not_the_last_one():
    """A fault of ours costs one collector a tick, and nobody the schedule."""

    async def main():
        loop, ticked, reported = asyncio.get_running_loop(), [], []

        def tick(due):
            ticked.append(due.key)
            if due.key == "x/bad":
                raise ZeroDivisionError

        loop.set_exception_handler(lambda _, context: reported.append(context["exception"]))
        ticks = Ticks("host", tick)
        ticks.add("x/bad", 0.05)
        ticks.add("x/good", 0.05)
        async with asyncio.timeout(20):
            while ticked.count("x/good") < 3 or ticked.count("x/bad") < 3:
                await asyncio.sleep(0.01)
        ticks.forget("x/bad")
        ticks.forget("x/good")
        return reported, ticks.next_due()

    reported, due = asyncio.run(main())
    assert {type(each) for each in reported} == {ZeroDivisionError}
    assert due is None


def test_each_reader_of_changes_reads_all_of_them_at_its_own_pace():
    """One that comes often and one that comes late are told the same."""
    changes = Changes()
    assert changes.since(0) == News([], 0, 0)
    changes.note("a")
    often = changes.since(0)
    changes.note("b")
    changes.note("a")
    assert often == News(["a"], 1, 0)
    assert changes.since(often.number) == News(["b", "a"], 3, 0)
    assert changes.since(0) == News(["a", "b", "a"], 3, 0)


def test_a_reader_that_is_too_slow_is_told_how_much_it_has_missed():
    """The log is bounded; who misses something must not believe that nothing happened."""
    changes = Changes(kept=2)
    for key in "abcde":
        changes.note(key)
    assert changes.since(1) == News(["d", "e"], 5, 2)
    assert changes.since(3) == News(["d", "e"], 5, 0)
    assert changes.since(5) == News([], 5, 0)
    assert changes.since(9).missed, "a number that was never given"


def test_who_wants_news_is_told_of_no_mere_run():
    """In order; the number counts all."""
    changes = Changes()
    for key, news in (("a", True), ("b", False), ("c", True), ("c", False)):
        changes.note(key, news=news)
    assert changes.since(0, only_news=True) == News(["a", "c"], 4, 0)
    assert changes.since(3, only_news=True) == News([], 4, 0)
