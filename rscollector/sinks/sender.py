"""What is sent next, and what an answer means: fresh points first, then the backlog at its own pace.

All that has to be kept is in the spool. A batch that the receiver calls bad is replaced there by its
two halves, until the bad point is alone and is put aside. So a kill at any time costs nothing, and at most
what was in flight is sent twice.

A series that is refused again and again (a receiver that takes no metric that it does not know) would cost
ten requests for each of its points: after the second one its points are put aside without asking, and one is
tried again after some minutes. Only what was just collected counts: a receiver may refuse what is old.
"""

import random
import threading
from collections import Counter, deque
from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from rscollector.sinks.spool import Batch, Spool

_FIRST_WAIT = 1.0
_LONGEST_WAIT = 60.0
_LONGEST_RETRY_AFTER = 600.0
_REFUSALS = 2
_TRIED_AGAIN = 600.0
_RECENT = 300.0
_MOST_REFUSED = 10_000
_GROWTH = 16  # a request may be larger by this part of it after each that was taken


class Verdict(Enum):
    """What is to be done after an answer."""

    TAKEN = "taken"
    BAD = "bad"  # something in it: halve it, until it is alone
    LARGE = "large"  # halve it
    LATER = "later"  # try again, after a while
    ALARM = "alarm"  # somebody has to change something here; try again, after a while


def verdict(status: int) -> Verdict:
    """Say what a status code means for the points that were sent."""
    match status:
        case 200 | 201 | 202 | 204:
            return Verdict.TAKEN  # OpenTSDB says 204, others what they like
        case 400 | 422:
            return Verdict.BAD  # OpenTSDB has stored the good ones among them
        case 413:
            return Verdict.LARGE
        case 408 | 425 | 429:
            return Verdict.LATER
        case _ if 500 <= status <= 599:
            return Verdict.LATER
        case _:
            return Verdict.ALARM  # 401, 403: the password; 404, 405, 3xx: the address


class Answer(NamedTuple):
    """What came back; `sentence` says why nothing did, or why it is no use, `retry_after` is in seconds."""

    verdict: Verdict
    sentence: str = ""
    retry_after: float = 0


class Failing(NamedTuple):
    """That nothing is taken: since when, by the sender's clock, and what the last answer was."""

    since: float
    verdict: Verdict
    sentence: str


class Pace(NamedTuple):
    """How fast the backlog is sent: points and bytes a second."""

    points: float
    bytes: float


class Sender:
    """Sends what is in the spool. `step` does one request; `lock` is held whenever the spool is touched.

    `rejected` counts points by the receiver's verdict; `trouble` is the sentence about the last request, ""
    when it was taken; `failing` tells since when the answers are LATER or ALARM, None if the last was not.
    """

    def __init__(
        self,
        spool: Spool,
        post: Callable[[list[bytes]], Answer],
        *,
        batch: int,
        pace: Pace,
        clock: Callable[[], float],
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.lock = threading.Lock()
        self.pace = pace
        self.sent = 0
        self.rejected: Counter[str] = Counter()
        self.trouble = ""
        self.failing: Failing | None = None
        self._spool = spool
        self._post = post
        self._most = self._ceiling = self._batch = batch  # for good; since one was too large; now
        self._clock = clock
        self._draw = draw
        self._fresh: deque[Batch] = deque()
        self._refused: dict[bytes, _Refused] = {}
        self._failures = 0
        self._not_before = self._backlog_from = clock()

    def put(self, lines: list[bytes]) -> None:
        """Keep points, and send them next."""
        with self.lock:
            lines = self._hopeful(lines)
            for start in range(0, len(lines), self._ceiling):
                self._fresh.append(self._spool.put(lines[start : start + self._ceiling]))

    def _hopeful(self, lines: list[bytes]) -> list[bytes]:
        """Put aside what is of series that are refused; return the others."""
        if not self._refused:
            return lines
        now = self._clock()
        hopeless = []
        for line in lines:
            refused = self._refused.get(_series(line))
            if refused and refused.times >= _REFUSALS and refused.until > now:
                hopeless.append((line, refused.sentence))
        self._spool.put_aside(hopeless)
        self.rejected[Verdict.BAD.value] += len(hopeless)
        gone = {line for line, _ in hopeless}
        return [line for line in lines if line not in gone]

    @property
    def draining(self) -> bool:
        """Whether there is a backlog beside what is fresh."""
        return len(self._spool) > len(self._fresh)

    def step(self) -> float:
        """Send a request, if one may be sent now; return for how many seconds nothing is to be done."""
        with self.lock:
            wait = self._not_before - self._clock()
            if wait > 0:
                self._spool.coalesce(self._most)
                return wait
            chosen, wait = self._choose()
            contents = [(batch, lines) for batch in chosen if (lines := self._spool.read(batch))]
        if not contents:
            return 0.0 if chosen else wait
        answer = self._post([line for _, lines in contents for line in lines])
        with self.lock:
            self._take(answer, contents)
        return 0.0

    def _choose(self) -> tuple[list[Batch], float]:
        """Return what is to be sent now, or for how long nothing is."""
        chosen: list[Batch] = []
        points = 0
        while self._fresh and (not chosen or points + self._fresh[0].points <= self._batch):
            chosen.append(self._fresh.popleft())
            points += chosen[-1].points
        if chosen:
            return chosen, 0.0
        wait = self._backlog_from - self._clock()
        if wait > 0:
            return [], wait
        for batch in self._spool:
            if chosen and points + batch.points > self._batch:
                break
            chosen.append(batch)
            points += batch.points
        size = sum(batch.size for batch in chosen)
        cost = max(points / self.pace.points, size / self.pace.bytes)
        self._backlog_from = max(self._backlog_from, self._clock() - 1) + cost  # a second may be saved up
        return chosen, 1.0

    def _take(self, answer: Answer, contents: list[tuple[Batch, list[bytes]]]) -> None:
        self.trouble = answer.sentence
        self.failing = self._failing(answer)
        match answer.verdict:
            case Verdict.TAKEN:
                self._failures = 0
                self._ceiling = min(self._most, self._ceiling + -(-self._ceiling // _GROWTH))
                self._batch = min(self._ceiling, self._batch * 2)
                for batch, lines in contents:
                    self._spool.remove(batch)
                    self.sent += len(lines)
            case Verdict.BAD | Verdict.LARGE:
                self._halve(answer, contents)
            case Verdict.LATER | Verdict.ALARM:
                self._failures += 1
                self._fresh.clear()  # an outage ends at the backlog's pace, however long it was
                ceiling = min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** min(self._failures - 1, 16))
                wait = self._draw() * ceiling + min(answer.retry_after, _LONGEST_RETRY_AFTER)
                self._not_before = self._clock() + wait

    def _failing(self, answer: Answer) -> Failing | None:
        if answer.verdict not in (Verdict.LATER, Verdict.ALARM):
            return None
        since = self.failing.since if self.failing else self._clock()
        return Failing(since, answer.verdict, answer.sentence)

    def _halve(self, answer: Answer, contents: list[tuple[Batch, list[bytes]]]) -> None:
        self._batch = max(1, sum(len(lines) for _, lines in contents) // 2)
        if answer.verdict is Verdict.LARGE:
            self._ceiling = self._batch
        if len(contents) > 1:
            self._fresh.extendleft(batch for batch, _ in reversed(contents))
            return
        ((batch, lines),) = contents
        if len(lines) > 1:
            self._fresh.extendleft(reversed(self._spool.split(batch, lines)))
            return
        self.rejected[answer.verdict.value] += 1
        if answer.verdict is Verdict.BAD and self._spool.age(batch) < _RECENT:
            self._remember(_series(lines[0]), answer.sentence)
        self._spool.put_aside([(lines[0], answer.sentence)])
        self._spool.remove(batch)

    def _remember(self, series: bytes, sentence: str) -> None:
        if len(self._refused) >= _MOST_REFUSED:
            self._refused.clear()
        before = self._refused.get(series)
        times = before.times + 1 if before else 1
        self._refused[series] = _Refused(times, self._clock() + _TRIED_AGAIN, sentence)


class _Refused(NamedTuple):
    """How many points of a series were refused, until when none is tried again, and why."""

    times: int
    until: float
    sentence: str


def _series(line: bytes) -> bytes:
    return line.partition(b',"value":')[0]
