"""What rs-collector called the queues: how many messages are of each age, which was qshape's way."""

from collections.abc import Iterator

from rscollector.api import Distribution
from rscollector.api.old import Old, Point, Points, Run

_AGES = ("5", "10", "20", "40", "80", "160", "320", "640", "1280", "1280p")


def _by_age(queue: str) -> Points:
    def points(run: Run, ours: str) -> Iterator[Point]:
        for labels, value in run.of(ours):
            if isinstance(value, Distribution) and labels["queue"] == queue:
                yield from (({"bucket": age}, n) for age, n in zip(_AGES, value.counts, strict=True))

    return points


RS_COLLECTOR = tuple(
    Old(
        f"postfix.queues.{queue}",
        "postfix_queue_age_seconds",
        _by_age(queue),
        "messages",
        f"Messages in {queue}, by `bucket`: up to so many minutes.",
    )
    for queue in ("maildrop", "incoming", "hold", "active", "deferred")
)
