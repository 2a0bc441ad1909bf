"""What the pages promise in numbers, with the settings that an operator has who sets none."""

import asyncio

import pytest
from accelerated import accelerated, watched

from rscollector.model.lifecycle import State

INTERVAL = 15.0
MINUTE = 60.0


def outage(trouble, seconds):
    """Return for how many seconds a collector stays blind after an outage, and how long it waited each time."""

    async def main():
        supervisor, world, instance = watched()
        await asyncio.sleep(MINUTE)
        assert supervisor.up(instance)
        world.trouble = trouble
        await asyncio.sleep(seconds)
        assert not supervisor.up(instance)
        world.trouble, over = None, asyncio.get_running_loop().time()
        world.collected.clear()
        await asyncio.sleep(20 * MINUTE)
        assert supervisor.up(instance)
        return world.collected[0] - over, world.waits

    return accelerated(main)


@pytest.mark.parametrize("minutes", [12, 60, 600])
def test_after_an_outage_the_numbers_are_back_within_a_minute(minutes):
    """However long a server was down: `backoff_max`, which is a minute, and the time that opening takes."""
    blind, waits = outage("unavailable", minutes * MINUTE)
    assert blind <= MINUTE + 1
    assert max(waits) <= MINUTE + 1


@pytest.mark.parametrize("minutes", [12, 60])
def test_who_has_corrected_a_password_waits_for_ten_minutes_at_most(minutes):
    """No account is locked by our attempts: a minute first, then twice as long each time, up to ten."""
    blind, waits = outage("misconfigured", minutes * MINUTE)
    assert blind <= 10 * MINUTE + 1
    assert [round(each / MINUTE) for each in waits[:4]] == [1, 2, 4, 8]
    assert all(round(each / MINUTE) <= 10 for each in waits)


@pytest.mark.parametrize("trouble", ["hang", "crash", "bug"])
def test_what_hangs_crashes_or_has_a_bug_is_tried_again_within_ten_minutes(trouble):
    """Two minutes after it was removed, then twice as long each time, up to ten."""
    blind, waits = outage(trouble, 60 * MINUTE)
    assert blind <= 10 * MINUTE + 1
    removed = [each for each in waits if each > MINUTE]
    assert [round(each / MINUTE) for each in removed[:4]] == [2, 4, 8, 10]


def test_what_fails_at_each_second_run_is_never_removed():
    """A failure that alternates with success is not in a row: series are there in every second interval."""

    async def main():
        supervisor, world, instance = watched()
        for _ in range(200):
            world.trouble = None if world.trouble else "unavailable"
            await asyncio.sleep(INTERVAL)
            assert instance.machine.state is not State.REMOVED
        world.trouble = None
        await asyncio.sleep(2 * INTERVAL)
        return supervisor.up(instance)

    assert accelerated(main)
