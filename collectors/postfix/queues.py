"""What a queue holds: how many messages, how large, how old. Pure.

The buckets of the ages contain those of qshape (5, 10, 20 … 1280 minutes).
"""

from bisect import bisect_left
from collections.abc import Iterator

from rscollector.api import Distribution, Kind, Metric, Sample

QUEUES = ("maildrop", "incoming", "active", "deferred", "hold", "corrupt")
AGES = tuple(300.0 * 2**power for power in range(9))

MESSAGES = Metric("postfix_queue_messages", Kind.GAUGE, "Messages in a queue.", labels=("queue",))
BYTES = Metric(
    "postfix_queue_bytes", Kind.GAUGE, "Size of the messages in a queue.", unit="bytes", labels=("queue",)
)
RECIPIENTS = Metric(
    "postfix_queue_recipients", Kind.GAUGE, "Recipients of the messages in a queue.", labels=("queue",)
)
OLDEST = Metric(
    "postfix_queue_oldest_age_seconds",
    Kind.GAUGE,
    "Age of the oldest message in a queue; absent while the queue is empty.",
    unit="seconds",
    labels=("queue",),
)
AGE = Metric(
    "postfix_queue_age_seconds",
    Kind.GAUGE_HISTOGRAM,
    "Ages of the messages in a queue.",
    unit="seconds",
    labels=("queue",),
    buckets=AGES,
)
UNREAD = Metric(
    "postfix_queue_unread_messages",
    Kind.GAUGE,
    "Messages in a queue that were not read yet, so that their age and their recipients do not count.",
    labels=("queue",),
)

METRICS = (MESSAGES, BYTES, RECIPIENTS, OLDEST, AGE, UNREAD)


class Tally:
    """The sums over one queue; of a constant size, however much is in it."""

    def __init__(self) -> None:
        self.messages = self.bytes = self.recipients = self.unread = 0
        self._counts = [0] * (len(AGES) + 1)
        self._sum = 0.0
        self.oldest = 0.0

    def add(self, age: float, size: int, recipients: int) -> None:
        """Count a message."""
        age = max(0.0, age)
        self.messages += 1
        self.bytes += size
        self.recipients += recipients
        self._counts[bisect_left(AGES, age)] += 1
        self._sum += age
        self.oldest = max(self.oldest, age)

    def add_unread(self) -> None:
        """Count a message of which only the name is known."""
        self.messages += 1
        self.unread += 1

    def samples(self, queue: str) -> Iterator[Sample]:
        """Yield what the queue holds."""
        yield MESSAGES(self.messages, queue=queue)
        yield BYTES(self.bytes, queue=queue)
        yield RECIPIENTS(self.recipients, queue=queue)
        yield UNREAD(self.unread, queue=queue)
        yield AGE(Distribution(tuple(self._counts), self._sum), queue=queue)
        if self.messages > self.unread:
            yield OLDEST(self.oldest, queue=queue)
