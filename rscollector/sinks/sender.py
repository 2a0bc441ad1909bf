"""What is sent next, and what an answer means: fresh points first, then the backlog at its own pace.

All that has to be kept is in the spool. A request is a slice from the front of a batch, or several small
batches, and what the receiver has taken is forgotten there. So a kill at any time costs nothing, and at
most what was in flight is sent twice.

A batch that is refused is *suspect*: it is tried alone, in smaller and smaller slices, and in turn with
others; when these are refused as well, with one point from anywhere. Only what is taken meanwhile tells
whether the batch is to blame or the receiver. Who takes others and refuses a point that is alone has said
no to that point: it is put aside where the answer was that it is bad, and stepped over, for longer and
longer, where it was another. Who takes nothing has judged nothing: that is an alarm, and all is kept.
"""

import math
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from rscollector.sinks.batches import Batch, because
from rscollector.sinks.refused import RefusedSeries
from rscollector.sinks.spool import Spool
from rscollector.sinks.verdicts import OF_THE_POINTS, Answer, Verdict

_FIRST_WAIT = 1.0
_LONGEST_WAIT = 60.0
_LONGEST_STEP = 600.0
_STEP = 1.0  # between two points that are stepped over and tried again
_IDLE = 1.0
_LONGEST_RETRY_AFTER = 600.0
_PROOFS = 2  # how often a point has to be refused alone, with others taken before each time
_SEARCHED = 12  # refusals in a row without a wait, in health: more than halving a batch takes
_REFUSES_ALL = 8  # points that are refused alone, and nothing is taken meanwhile
_TAKEN_RECENTLY = 60.0
_COLLECTED_RECENTLY = 300.0
_PATIENCE = 10.0  # before what comes next is tried, where all that there was is refused
_GROWTH = 16  # a request may be larger by this part of it after each that was taken


class Failing(NamedTuple):
    """That nothing is taken: since when, by the sender's clock, and what the last answer was."""

    since: float
    verdict: Verdict
    sentence: str


class Pace(NamedTuple):
    """How fast the backlog is sent: points and bytes a second."""

    points: float
    bytes: float


class Slice(NamedTuple):
    """Points of a batch, from its front, or from the place `start` in it."""

    batch: Batch
    lines: list[bytes]
    start: int = 0


@dataclass(slots=True)
class _Suspect:
    """A batch that was refused, when so many points had been sent. Of it the next slice is of `size` points.

    It is not tried before `until`; `tries` counts how often its first point was refused alone, `alone` how
    often that was while others were taken, or how often it could not be read; `why` is what was said. It
    `is_proved` when others were taken meanwhile.
    """

    sent_then: int
    size: int
    why: str
    until: float = 0
    tries: int = 0
    alone: int = 0
    is_proved: bool = False

    @property
    def is_stepped_over(self) -> bool:
        """Whether it is its own fault that it waits."""
        return self.is_proved and self.alone > 0


class Sender:
    """Sends what is in the spool. `step` does one request; `lock` is held whenever the spool is touched.

    `rejected` counts points by the receiver's verdict; `trouble` is the sentence about the last request, ""
    when it was taken; `failing` tells since when nothing is taken, None while something is. `series_of` takes
    from a point what it has in common with all others of its series.
    """

    def __init__(  # noqa: PLR0913
        self,
        spool: Spool,
        post: Callable[[list[bytes]], Answer],
        *,
        batch: int,
        pace: Pace,
        series_of: Callable[[bytes], bytes],
        clock: Callable[[], float],
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.lock = threading.Lock()
        self._pace = pace
        self.sent = 0
        self.rejected: Counter[str] = Counter()
        self.trouble = ""
        self.failing: Failing | None = None
        self._spool = spool
        self._post = post
        self._most = self._ceiling = batch  # points of a request: for good, and since one was too large
        self._clock = clock
        self._draw = draw
        self._fresh_after = spool.last  # the number of the last batch that is backlog
        self._is_freshs_turn = True
        self._suspects: dict[tuple[int, int], _Suspect] = {}
        self._step_from = 0.0
        self._is_suspects_turn = False
        self._are_others_refused = False
        self._doubted = 0  # what had been sent when nothing was taken
        self._taken_at = -_TAKEN_RECENTLY
        self._in_vain = 0  # requests, since something was taken
        self._refused_in_vain = 0  # single points of them that were called bad
        self._refused = RefusedSeries(series_of, clock)
        self._failures = 0
        self._awaits_others = False  # all that it has was refused, and what comes next may be taken
        self._failed_at = clock()
        self._not_before = self._backlog_from = clock()

    def put(self, lines: list[bytes], at: float | None = None) -> None:
        """Keep points, and send them next; `at` as with `Spool.put`."""
        with self.lock:
            hopeful = self._hopeful(lines)
            self._spool.put(hopeful, at)
            if hopeful and self._awaits_others:
                self._is_suspects_turn = False
                self._not_before = min(self._not_before, self._failed_at + _PATIENCE)

    def _hopeful(self, lines: list[bytes]) -> list[bytes]:
        """Put aside what is of series that are refused; return the others."""
        hopeful, hopeless = self._refused.sorted_out(lines)
        return hopeful if self._put_aside(hopeless) else lines

    def _put_aside(self, points: list[tuple[bytes, Answer]]) -> bool:
        """Put points aside, each with what was answered; return whether that could be done."""
        if not self._spool.put_aside([(line, answer.sentence) for line, answer in points]):
            return False
        self.rejected.update(answer.verdict.value for _, answer in points)
        return True

    @property
    def draining(self) -> bool:
        """Whether there is a backlog beside what is fresh."""
        first = self._first()
        return first is not None and first.number <= self._fresh_after

    @property
    def stepped_over(self) -> tuple[int, str]:
        """How many points are stepped over, refused or unreadable, and what was said of the last."""
        batches = [
            (self._spool.at(key), each.why) for key, each in self._suspects.items() if each.is_stepped_over
        ]
        found = [(batch.points, why) for batch, why in batches if batch]
        return sum(points for points, _ in found), found[-1][1] if found else ""

    @property
    def oldest(self) -> float | None:
        """The age in seconds of the oldest that is not stepped over, None while there is none."""
        first = self._first()
        return None if first is None else self._spool.age(first) or 0.0

    def _first(self) -> Batch | None:
        over = {key for key, suspect in self._suspects.items() if suspect.is_stepped_over}
        return next((batch for batch in self._spool if batch[:2] not in over), None)

    def step(self) -> float:
        """Send a request, if one may be sent now; return for how many seconds nothing is to be done."""
        with self.lock:
            wait = self._not_before - self._clock()
            if wait > 0:
                self._spool.coalesce(self._most, besides=self._suspects)
                return wait
            slices, wait = self._choose()
        if not slices:
            return wait
        answer = self._post([line for each in slices for line in each.lines])
        with self.lock:
            self._take(answer, slices)
        return 0.0

    # --- what is sent next ---

    def _choose(self) -> tuple[list[Slice], float]:
        """Return what is to be sent now, or for how long nothing is."""
        turns = [self._of_others, self._of_suspects]
        waits = []
        for turn in reversed(turns) if self._is_suspects_turn else turns:
            slices, wait = turn()
            if slices or not wait:  # none: what was to be sent is gone, or cannot be read now
                return slices, wait
            waits.append(wait)
        return [], min(waits)

    def _of_suspects(self) -> tuple[list[Slice], float]:
        now = self._clock()
        while self._suspects:
            key, suspect = min(self._suspects.items(), key=lambda each: each[1].until)
            wait = max(suspect.until, self._step_from if suspect.alone >= _PROOFS else 0) - now
            if wait > 0:
                return [], wait
            if batch := self._spool.at(key):
                self._step_from = now + _STEP if suspect.alone >= _PROOFS else self._step_from
                return self._read([batch], min(suspect.size, self._ceiling)), 0.0
            del self._suspects[key]  # a bound, or somebody, has removed it
        return [], _IDLE

    def _of_others(self) -> tuple[list[Slice], float]:
        if self._are_others_refused and (probe := self._probe()):
            return probe, 0.0
        wait = max(0.0, self._backlog_from - self._clock())
        fresh = self._spool.since(self._fresh_after)
        backlog = (batch for batch in self._spool if batch.number <= self._fresh_after)
        turns = [fresh] if wait else [fresh, backlog] if self._is_freshs_turn else [backlog, fresh]
        for batches in turns:
            innocent = (batch for batch in batches if batch[:2] not in self._suspects)
            if chosen := _as_many_as(self._ceiling, innocent):
                self._is_freshs_turn = chosen[0].number <= self._fresh_after
                return self._read(chosen, self._ceiling), 0.0
        return [], wait if wait and self.draining else _IDLE

    def _probe(self) -> list[Slice]:
        """Return a point from anywhere, of which it is not known that it is refused; [] if there is none.

        Where all that there was is refused, it is one of those that have come since.
        """
        newer = list(self._spool.since(self._fresh_after)) if self._awaits_others else []
        batches = [
            batch for batch in newer or self._spool if batch.points > 1 or batch[:2] not in self._suspects
        ]
        if not batches:
            return []
        batch = batches[min(int(self._draw() * len(batches)), len(batches) - 1)]
        is_suspect = batch[:2] in self._suspects  # its first point is being tried
        lines = self._lines(batch) or []
        age = self._age(batch)
        starts = [at for at in range(is_suspect, len(lines)) if not self._refused.bad(lines[at], age)]
        if not starts:
            return []
        start = starts[min(int(self._draw() * len(starts)), len(starts) - 1)]
        return [Slice(batch, lines[start : start + 1], start)]

    def _read(self, batches: Iterable[Batch], most: int) -> list[Slice]:
        """Return what is to be sent of batches: all, but of one alone at most so many points."""
        slices = [each for batch in batches if (each := self._front(batch, most))]
        if slices and slices[0].batch.number <= self._fresh_after:
            self._pay(slices)
        return slices

    def _front(self, batch: Batch, most: int) -> Slice | None:
        """Return a batch's first points, as far as there is hope; those before them are put aside."""
        lines = self._lines(batch) or []
        hopeless, rest = self._refused.front(lines, self._age(batch))
        if not hopeless:
            return Slice(batch, rest[:most]) if rest else None
        if not self._put_aside(hopeless):
            return Slice(batch, lines[:most])
        left = self._go_on(batch, len(hopeless))
        return Slice(left, rest[:most]) if left else None

    def _age(self, batch: Batch) -> float:
        """Return how long a batch waits; what is not known, of an earlier boot, is longer than anything."""
        age = self._spool.age(batch)
        return math.inf if age is None else age

    def _lines(self, batch: Batch) -> list[bytes] | None:
        """Return a batch's points; one that cannot be read now is stepped over."""
        try:
            return self._spool.read(batch)
        except OSError as error:
            before = self._suspects.get(batch[:2])
            alone = before.alone + 1 if before else 1
            until = self._clock() + min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** min(alone, 16))
            unread = _Suspect(self.sent, self._ceiling, because(error), until, alone=alone, is_proved=True)
            self._suspects[batch[:2]] = unread
            return None

    def _pay(self, slices: list[Slice]) -> None:
        """Let the backlog wait for as long as its pace demands after these points."""
        points = sum(len(each.lines) for each in slices)
        size = sum(len(line) + 1 for each in slices for line in each.lines)
        cost = max(points / self._pace.points, size / self._pace.bytes)
        self._backlog_from = max(self._backlog_from, self._clock() - 1) + cost  # a second may be saved up

    # --- what an answer means ---

    def _take(self, answer: Answer, slices: list[Slice]) -> None:
        self.trouble = answer.sentence
        first = slices[0]
        suspect = None if first.start else self._suspects.get(first.batch[:2])
        if answer.verdict is Verdict.TAKEN:
            self._is_suspects_turn, self._are_others_refused = suspect is None, False
            self._taken(slices)
            return
        self._are_others_refused = self._are_others_refused or suspect is None
        points = sum(len(each.lines) for each in slices)
        of_the_points = answer.verdict in OF_THE_POINTS
        # While others are refused as well, a batch is halved to its end: before that nothing can be proved.
        self._is_suspects_turn = suspect is None or (points > 1 and self._are_others_refused)
        if answer.verdict is Verdict.LARGE:
            self._ceiling = max(1, points // 2)
        self._refused_in_vain += of_the_points and points == 1
        self._in_vain += 1
        is_its_own = False  # and not the receiver's
        if suspect:
            self._refused_alone(suspect, first, answer)
            is_its_own = suspect.is_proved
        elif not first.start:
            for batch, lines, _ in slices:
                suspect = _Suspect(self.sent, max(1, len(lines) // 2), answer.sentence)
                self._suspects[batch[:2]] = suspect
        if of_the_points and self._refused_in_vain >= _REFUSES_ALL:
            self._awaits_others = not answer.retry_after
            self._fail(answer._replace(verdict=Verdict.ALARM, sentence=f"{answer.sentence} (to everything)"))
        elif not of_the_points and not is_its_own and not self._may_search(answer):
            self._fail(answer)

    def _may_search(self, answer: Answer) -> bool:
        """Tell whether an error may be one point's: it is looked for at once, and in an outage all wait."""
        is_well = not self.failing and self._clock() - self._taken_at < _TAKEN_RECENTLY
        is_error = answer.verdict in (Verdict.LATER, Verdict.NOT_NOW) and not answer.retry_after
        return is_well and is_error and self._in_vain < _SEARCHED

    def _taken(self, slices: list[Slice]) -> None:
        for suspect in self._suspects.values():  # now it can be told whose fault it is
            if not suspect.is_proved or suspect.alone < _PROOFS:
                suspect.until = 0
        self.failing = None
        self._awaits_others = False
        self._failures = self._refused_in_vain = self._in_vain = 0
        self._taken_at = self._clock()
        self._ceiling = min(self._most, self._ceiling + -(-self._ceiling // _GROWTH))
        for batch, lines, start in slices:
            self.sent += len(lines)
            self._refused.taken(lines)
            if not start:
                self._go_on(batch, len(lines))
            elif self._spool.split(batch, start) and (
                rest := self._spool.at((batch.number, batch.offset + start))
            ):
                self._go_on(rest, len(lines))

    def _go_on(self, batch: Batch, points: int) -> Batch | None:
        """Forget the first points of a batch; what is left of a suspect one is tried in larger slices."""
        suspect = self._suspects.pop(batch[:2], None)
        left = self._spool.acknowledge(batch, points)
        if left and suspect and suspect.size < self._ceiling:
            self._suspects[left[:2]] = _Suspect(suspect.sent_then, suspect.size * 2, suspect.why)
        return left

    def _refused_alone(self, suspect: _Suspect, refused: Slice, answer: Answer) -> None:
        """Try less of a suspect batch; put a point aside, or step over it, when that is proved."""
        batch, lines, _ = refused
        suspect.why = answer.sentence
        suspect.size = max(1, len(lines) // 2)
        is_judged = self._is_judged(suspect)
        suspect.is_proved = suspect.is_proved or is_judged
        if len(lines) > 1:
            return
        if is_judged:
            suspect.alone += 1
            suspect.sent_then = self.sent  # before it is judged again, something else has to be taken
            if suspect.alone >= _PROOFS and answer.verdict in OF_THE_POINTS:
                self._condemn(batch, lines[0], answer)
                return
            if suspect.alone >= _PROOFS and answer.verdict in (Verdict.LATER, Verdict.ALARM):
                self._remember(batch, lines[0], answer)
        if suspect.is_proved:
            self._spool.split(batch, 1)  # those behind it need not wait for it
        if suspect.is_proved or answer.verdict in OF_THE_POINTS:  # else all wait
            suspect.tries += 1
            times = suspect.alone if suspect.is_proved else suspect.tries
            wait = min(_LONGEST_STEP, _FIRST_WAIT * 2.0 ** min(times, 16))
            suspect.until = self._clock() + wait + min(answer.retry_after, _LONGEST_RETRY_AFTER)

    def _is_judged(self, suspect: _Suspect) -> bool:
        """Tell whether others were taken since a batch was refused, in health: then this is its own fault."""
        is_well = self._clock() - self._taken_at < _TAKEN_RECENTLY
        return is_well and self.sent > max(suspect.sent_then, self._doubted)

    def _condemn(self, batch: Batch, line: bytes, answer: Answer) -> None:
        if not self._put_aside([(line, answer)]):
            self._suspects[batch[:2]].until = self._clock() + _LONGEST_WAIT  # it stays where it is
            return
        if answer.verdict is Verdict.BAD:
            self._remember(batch, line, answer)
        self._go_on(batch, 1)

    def _remember(self, batch: Batch, line: bytes, answer: Answer) -> None:
        """Remember that a point of its series was refused, if it was collected just now."""
        age = self._age(batch)
        if age <= _COLLECTED_RECENTLY:
            self._refused.add(line, answer, age)

    def _fail(self, answer: Answer) -> None:
        """Wait, since nothing is taken."""
        since = self.failing.since if self.failing else self._clock()
        self.failing = Failing(since, answer.verdict, answer.sentence)
        self._failed_at = self._clock()
        self._doubted = self.sent
        self._fresh_after = self._spool.last  # an outage ends at the backlog's pace, however long it was
        self._failures += 1
        ceiling = min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** min(self._failures - 1, 16))
        self._not_before = (
            self._clock() + self._draw() * ceiling + min(answer.retry_after, _LONGEST_RETRY_AFTER)
        )


def _as_many_as(points: int, batches: Iterable[Batch]) -> list[Batch]:
    """Return the first batches that have no more points together, but at least one."""
    found: list[Batch] = []
    for batch in batches:
        points -= batch.points
        if found and points < 0:
            break
        found.append(batch)
    return found
