"""What qshape counted, and so rs-collector: how many messages are of each age, not older."""

import pytest

from collectors.postfix.queues import Tally
from rscollector.sinks.bosun.tests.old_names import translated


def qshape(ages):
    """Return what qshape counts: messages by age in minutes, each in the first bucket that it fits."""
    bounds = (5, 10, 20, 40, 80, 160, 320, 640, 1280)
    counts = dict.fromkeys([*map(str, bounds), "1280p"], 0)
    for age in ages:
        counts[next((str(bound) for bound in bounds if age <= bound), "1280p")] += 1
    return counts


@pytest.mark.parametrize("queue", ["maildrop", "incoming", "hold", "active", "deferred"])
def test_each_queue_says_the_same(queue):
    """By age, in qshape's buckets."""
    ages = [1, 4, 6, 19, 30, 79, 81, 500, 1279, 1281, 9000]
    tally = Tally(10_000_000)
    tally.add(sorted(10_000_000 - 60 * age for age in ages), 100, len(ages))
    found = translated(tally.samples(queue))
    assert found.pop(f"postfix.queues.{queue}") == {
        (bucket,): count for bucket, count in qshape(ages).items()
    }
    assert not [name for name in found if name.startswith(("postfix.queues", "postfix.queue.age"))]
