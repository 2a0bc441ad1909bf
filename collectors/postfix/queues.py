"""What a queue holds: how many messages, how large, how old. Pure.

The buckets of the ages contain those of qshape (5, 10, 20 … 1280 minutes).
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from rscollector.api import Distribution, Namespace, Sample

QUEUE = Namespace("postfix_queue", "queue")
QUEUES = ("maildrop", "incoming", "active", "deferred", "hold", "corrupt")
AGES = tuple(300.0 * 2**power for power in range(9))

MESSAGES = QUEUE.gauge("messages", "Messages in a queue.")
BYTES = QUEUE.gauge("bytes", "Size of the messages in a queue.")
RECIPIENTS = QUEUE.gauge("recipients", "Recipients of the messages in a queue.")
OLDEST = QUEUE.gauge(
    "oldest_age_seconds", "Age of the oldest message in a queue; absent while the queue is empty."
)
AGE = QUEUE.gauge_histogram("age_seconds", "Ages of the messages in a queue.", AGES)
UNREAD = QUEUE.gauge(
    "unread_messages",
    "Messages in a queue that were not read yet, so that their age and their recipients do not count.",
)

METRICS = (MESSAGES, BYTES, RECIPIENTS, OLDEST, AGE, UNREAD)


class Tally:
    """The sums over one queue at one time (seconds since 1970); of a constant size, however much is in it."""

    def __init__(self, now: float) -> None:
        self._now = now
        self.messages = self.bytes = self.recipients = self.unread = 0
        self._counts = [0] * (len(AGES) + 1)
        self._sum = 0.0
        self._first: float | None = None

    @property
    def oldest(self) -> float:
        """The age of the oldest message that was read."""
        return 0.0 if self._first is None else max(0.0, self._now - self._first)

    def add(self, arrivals: Sequence[int], size: int, recipients: int) -> None:
        """Count messages with these arrivals, the oldest first, and with this size and recipients in all."""
        if not arrivals:
            return
        self.messages += len(arrivals)
        self.bytes += size
        self.recipients += recipients
        self._sum += max(0.0, len(arrivals) * self._now - sum(arrivals))
        self._first = min(arrivals[0], arrivals[0] if self._first is None else self._first)
        older = 0  # than a bound, from the largest on
        for bucket, age in zip(range(len(AGES), 0, -1), reversed(AGES), strict=True):
            before = bisect_left(arrivals, self._now - age)
            self._counts[bucket] += before - older
            older = before
        self._counts[0] += len(arrivals) - older

    def add_unread(self, count: int) -> None:
        """Count messages of which only the names are known."""
        self.messages += count
        self.unread += count

    def samples(self, queue: str) -> Iterator[Sample]:
        """Yield what the queue holds."""
        yield MESSAGES(self.messages, queue=queue)
        yield BYTES(self.bytes, queue=queue)
        yield RECIPIENTS(self.recipients, queue=queue)
        yield UNREAD(self.unread, queue=queue)
        yield AGE(Distribution(tuple(self._counts), self._sum), queue=queue)
        if self.messages > self.unread:
            yield OLDEST(self.oldest, queue=queue)
