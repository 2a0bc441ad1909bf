"""What is sent when, and what each answer means: without a network, and with a clock that is set by hand."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_spool import ROOMY, points

from rscollector.sinks.ages import boottime
from rscollector.sinks.sender import Pace, Sender
from rscollector.sinks.spool import Spool
from rscollector.sinks.verdicts import Answer, Verdict, verdict

FAST = Pace(1e9, 1e9)


@pytest.mark.parametrize(
    ("status", "means"),
    [
        (200, Verdict.TAKEN), (204, Verdict.TAKEN),
        (400, Verdict.BAD), (422, Verdict.BAD),
        (413, Verdict.LARGE),
        (408, Verdict.NOT_NOW), (425, Verdict.NOT_NOW), (429, Verdict.NOT_NOW),
        (500, Verdict.LATER), (502, Verdict.LATER), (503, Verdict.LATER), (504, Verdict.LATER),
        (301, Verdict.ALARM), (401, Verdict.ALARM), (403, Verdict.ALARM), (404, Verdict.ALARM), (405, Verdict.ALARM),
        (100, Verdict.ALARM), (299, Verdict.ALARM),
    ],
)  # fmt: skip
def test_a_status_means_one_thing(status, means):
    """Only what says that the points are stored acknowledges them."""
    assert verdict(status) is means


class Line:
    """A receiver on whom everything is known. `answers` come first, then `usual`; `taken` is in order."""

    def __init__(self, tmp_path, *, pace=FAST, batch=10, draw=None):
        self.now = 1000.0
        self.answers = []
        self.usual = Answer(Verdict.TAKEN)
        self.bad = set()
        self.large = set()
        self.hurt = set()
        self.stumble = Answer(Verdict.LATER, "500 NullPointerException")
        self.most = 10**9
        self.requests = []
        self.taken = []
        self.place = tmp_path
        self.spool = Spool(tmp_path, ROOMY)
        self.sender = Sender(
            self.spool,
            self.post,
            batch=batch,
            pace=pace,
            clock=lambda: self.now,
            draw=draw or random.Random(0).random,
            series_of=lambda line: line.partition(b',"value":')[0],
        )

    def post(self, lines):
        """Answer a request."""
        self.requests.append(lines)
        answer = self.answers.pop(0) if self.answers else self.usual
        if answer.verdict is Verdict.TAKEN and self.bad & set(lines):
            return Answer(Verdict.BAD, "400 bad")
        if answer.verdict is Verdict.TAKEN and self.hurt & set(lines):
            return self.stumble
        if answer.verdict is Verdict.TAKEN and (len(lines) > self.most or self.large & set(lines)):
            return Answer(Verdict.LARGE, "413 large")
        if answer.verdict is Verdict.TAKEN:
            self.taken += lines
        return answer

    def run(self, seconds=0.0):
        """Let the sender do what it may in so many seconds."""
        until = self.now + seconds
        while True:
            wait = self.sender.step()
            if wait:
                if self.now + wait > until or not len(self.spool):
                    self.now = max(self.now, until)
                    return
                self.now += wait


@pytest.fixture
def line(tmp_path):
    """Return a receiver and a sender."""
    return Line(tmp_path)


def test_small_batches_travel_together(line):
    """A request has as many points as it may."""
    for number in range(8):
        line.sender.put(points(3, number * 3))
    line.run()
    assert line.taken == points(24)
    assert [len(request) for request in line.requests] == [9, 9, 6]
    assert (line.sender.sent, line.spool.points) == (24, 0)


def test_what_is_too_much_for_a_request_is_several(line):
    """A batch of more points than a request may have is kept as several."""
    line.sender.put(points(25))
    line.run()
    assert [len(request) for request in line.requests] == [10, 10, 5]


def test_waits_double_and_end_with_the_first_success(tmp_path):
    """1, 2, 4 … 60 seconds at most, each a random part of it; nothing is sent meanwhile."""
    line = Line(tmp_path, draw=lambda: 1.0)
    line.usual = Answer(Verdict.LATER, "503")
    line.sender.put(points(1))
    began, waits = line.now, []
    for _ in range(9):
        line.sender.step()
        waits.append(line.sender.step())
        line.now += waits[-1]
    assert waits == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60, 60])
    assert line.sender.trouble == "503"
    assert line.sender.failing == (began, Verdict.LATER, "503")
    line.usual = Answer(Verdict.TAKEN)
    line.run(100)
    assert (line.taken, line.sender.trouble, line.sender.failing) == (points(1), "", None)
    line.usual = Answer(Verdict.LATER, "503")
    line.sender.put(points(1, 1))
    line.sender.step()
    assert line.sender.step() == pytest.approx(1)


def test_what_the_receiver_asks_for_is_added_to_the_wait(tmp_path):
    """Retry-After, within reason."""
    line = Line(tmp_path, draw=lambda: 1.0)
    line.answers = [Answer(Verdict.LATER, "429", 30), Answer(Verdict.LATER, "429", 1e9)]
    line.sender.put(points(1))
    line.sender.step()
    assert line.sender.step() == pytest.approx(31)
    line.now += 31
    line.sender.step()
    assert line.sender.step() == pytest.approx(602)


def test_fresh_points_do_not_wait_for_the_backlog(tmp_path):
    """While a backlog is sent on at its pace, what comes is sent at once."""
    before = Spool(tmp_path, ROOMY)
    for number in range(100):
        before.put(points(10, number * 10))
    line = Line(tmp_path, pace=Pace(20, 1e9))
    line.run(1)
    old = len(line.taken)
    assert 0 < old <= 60
    for number in range(10):
        fresh = points(5, 100_000 + number * 5)
        line.sender.put(fresh)
        line.sender.step()
        assert line.taken[-5:] == fresh
    assert line.sender.draining
    line.run(1000)
    assert sorted(line.taken) == sorted(points(1000) + points(50, 100_000))
    assert not line.sender.draining


def test_an_outage_ends_at_the_pace_of_the_backlog(tmp_path):
    """What came while nobody answered is no longer fresh, though this process has taken it in."""
    line = Line(tmp_path, pace=Pace(20, 1e9), batch=40)
    line.usual = Answer(Verdict.LATER, "503")
    for number in range(1000):
        line.sender.put(points(5, number * 5))
        line.run(1)
    assert len(line.spool) < 200, "small batches have become larger ones"
    line.usual = Answer(Verdict.TAKEN)
    line.run(60)
    begun = len(line.taken)
    line.run(100)
    assert len(line.taken) - begun == pytest.approx(2000, rel=0.15)
    fresh = points(5, 100_000)
    line.sender.put(fresh)
    line.sender.step()
    assert line.taken[-5:] == fresh
    line.run(1000)
    assert sorted(line.taken) == sorted(points(5000) + fresh)


@pytest.mark.parametrize("pace", [Pace(50, 1e9), Pace(1e9, 3000)])
def test_the_backlog_is_sent_at_its_pace(tmp_path, pace):
    """By points or by bytes, whichever is slower; a pause is not made up for."""
    before = Spool(tmp_path, ROOMY)
    for number in range(200):
        before.put(points(10, number * 10))
    size = before.size / before.points
    line = Line(tmp_path, pace=pace)
    line.run(2)
    line.now += 1000
    begun = len(line.taken)
    line.run(20)
    rate = (len(line.taken) - begun) / 20
    allowed = min(pace.points, pace.bytes / size)
    assert rate == pytest.approx(allowed, rel=0.15)


def test_a_bad_point_is_found_and_put_aside(line):
    """Whoever travels with it is taken; the requests are few."""
    line.bad = {points(100)[37]}
    line.sender.put(points(100))
    line.run(15)
    assert sorted(line.taken) == sorted(set(points(100)) - line.bad)
    assert line.sender.rejected == {"bad": 1}
    assert line.spool.points == 0
    assert len(line.requests) < 10 + 16


def test_a_series_that_is_refused_again_and_again_is_not_asked_about_each_time(line):
    """From the third point on it is put aside at once, and after ten minutes it is tried again."""
    known = {b'{"metric":"known","value":%d}' % number for number in range(100)}
    unknown = [b'{"metric":"unknown","value":%d}' % number for number in range(100)]
    line.bad = set(unknown)
    for number, both in enumerate(zip(sorted(known), unknown, strict=True)):
        before = len(line.requests)
        line.sender.put(list(both))
        line.run(1)
        assert len(line.requests) - before <= (6 if number < 6 else 1)
    assert set(line.taken) == known
    assert line.sender.rejected == {"bad": 100}
    line.now += 601
    line.bad = set()
    line.sender.put([b'{"metric":"unknown","value":100}'])
    line.run()
    assert line.taken[-1] == b'{"metric":"unknown","value":100}'
    assert sum(len(file.read_bytes().splitlines()) for file in (line.place / "rejected").iterdir()) == 100


def test_what_waited_when_its_series_was_found_out_costs_no_question(tmp_path):
    """A backlog with fourteen refused series in each batch: they are put aside, and the others are sent between them."""
    line = Line(tmp_path, batch=50)
    known, unknown = set(), set()
    for number in range(40):
        good = [b'{"metric":"g%d","value":%d}' % (each, number) for each in range(20)]
        bad = [b'{"metric":"b%d","value":%d}' % (each, number) for each in range(14)]
        line.bad.update(bad)
        line.sender.put([*good[:10], *bad, *good[10:]], boottime() - 40 + number)
        known.update(good)
        unknown.update(bad)
    line.run(60)
    assert set(line.taken) == known
    assert (line.sender.rejected, line.spool.points) == ({"bad": len(unknown)}, 0)
    in_vain = [request for request in line.requests if not unknown.isdisjoint(request)]
    assert len(in_vain) < 560, "and not some six for each of the 560 points"


def test_what_cannot_be_put_aside_stays_in_the_backlog(line):
    """The disk takes no file of rejected points: they are asked about again, and nothing is lost."""
    bad = [b'{"metric":"bad","value":%d}' % number for number in range(8)]
    line.bad = set(bad)
    for number in range(3):
        line.sender.put([bad[number], *points(3, number * 3)])
        line.run(5)
    assert line.sender.rejected == {"bad": 3}
    for file in (line.place / "rejected").iterdir():
        file.unlink()
    (line.place / "rejected").rmdir()
    (line.place / "rejected").write_text("not a directory")
    line.sender.put([*bad[3:], *points(3, 100)])
    line.run(600)
    assert set(points(3, 100)) <= set(line.taken)
    assert (line.spool.points, line.sender.rejected) == (5, {"bad": 3})
    (line.place / "rejected").unlink()
    (line.place / "rejected").mkdir()
    line.sender.put(points(1, 200))
    line.run(600)
    assert (line.spool.points, line.sender.rejected) == (0, {"bad": 8})


def test_what_comes_next_is_tried_though_all_before_it_was_refused(line):
    """Only bad points are left, so that nothing is taken: a good one does not wait for the end of a long pause."""
    line.bad = {*points(40)}
    line.sender.put(points(40))
    line.run(600)
    assert line.sender.failing
    line.sender.put(points(1, 100))
    line.run(11)
    assert line.taken == points(1, 100)


def test_who_asks_for_patience_gets_it_also_when_more_comes(line):
    """Everything is refused, with a time after which to ask again: what comes meanwhile changes nothing."""
    line.bad = {*points(700)}
    line.usual = Answer(Verdict.BAD, "400 bad", 600)
    for number in range(600):
        line.sender.put(points(1, number))
        line.run(1)
    assert len(line.requests) < 20


def test_a_value_that_has_become_bad_says_nothing_about_those_before_it(tmp_path):
    """A backlog of good points, and then some that are refused: what was collected before them is asked about."""
    line = Line(tmp_path, batch=50, pace=Pace(20, 1e9))
    good = [b'{"metric":"x","value":%d}' % number for number in range(200)]
    bad = [b'{"metric":"x","value":%d}' % (10**18 + number) for number in range(8)]
    line.bad = set(bad)
    line.usual = Answer(Verdict.SILENCE, "down")
    now = boottime()
    for number in range(0, 200, 5):
        line.sender.put([*good[number : number + 5], *points(5, number)], now - 280 + number)
    line.run(1)
    line.usual = Answer(Verdict.TAKEN)
    for number in range(8):
        line.sender.put([bad[number], *points(3, 1000 + number * 3)])
        line.run(1)
    line.run(120)
    assert set(good) <= set(line.taken)
    assert line.sender.rejected["bad"] == len(bad)


def test_old_points_that_are_refused_say_nothing_about_new_ones(tmp_path):
    """A receiver may take nothing that is older than what it keeps."""
    old = [b'{"metric":"m","value":%d}' % number for number in range(10)]
    Spool(tmp_path, ROOMY).put([*old, *points(1)], boottime() - 3600)
    line = Line(tmp_path)
    line.bad = set(old)
    line.run(60)
    for number in range(10, 40):
        line.sender.put([b'{"metric":"m","value":%d}' % number])
        line.run(15)
    assert line.sender.rejected == {"bad": 10}
    fresh = [b'{"metric":"m","value":%d}' % number for number in range(10, 40)]
    assert sorted(line.taken) == sorted([*points(1), *fresh])


def test_a_receiver_that_takes_less_at_once_gets_less(line):
    """413 halves a request until it fits; a point that is too large alone is put aside."""
    line.most = 3
    line.sender.put(points(40))
    line.run()
    assert sorted(line.taken) == sorted(points(40))
    line.large = {points(50)[45]}
    line.sender.put(points(10, 40))
    line.run(15)
    assert line.sender.rejected == {"large": 1}
    assert sorted(line.taken) == sorted(set(points(50)) - line.large)


@given(st.data())
def test_whatever_the_answers_are_every_point_ends_once(tmp_path_factory, data):
    """Taken or put aside: none is lost, and without a restart none is sent on twice after it was taken."""
    line = Line(tmp_path_factory.mktemp("spool"), batch=data.draw(st.integers(1, 20)))
    count = data.draw(st.integers(1, 60))
    line.bad = set(data.draw(st.lists(st.sampled_from(points(count)), max_size=5)))
    others = st.sampled_from(
        [Answer(Verdict.LATER, "503"), Answer(Verdict.ALARM, "401"), Answer(Verdict.TAKEN)]
    )
    line.answers = data.draw(st.lists(others, max_size=20))
    at = 0
    while at < count:
        size = data.draw(st.integers(1, count - at))
        line.sender.put(points(size, at))
        at += size
        if data.draw(st.booleans()):
            line.sender.step()
    line.run(3600)
    for number in range(40):  # which tell that it is not the receiver who says no to all
        line.sender.put(points(1, 1000 + number))
        line.run(15)
    assert sorted(line.taken) == sorted(set(points(count)) - line.bad | set(points(40, 1000)))
    assert line.sender.rejected["bad"] == len(line.bad)
    assert line.spool.points == 0
    assert line.spool.lost.total() == 0


def test_a_receiver_that_refuses_everything_has_judged_nothing(line):
    """It speaks TLS, or is a proxy with another path: nothing is put aside, and it is asked ever more rarely."""
    line.usual = Answer(Verdict.BAD, "400 The plain HTTP request was sent to HTTPS port")
    for number in range(40):
        line.sender.put(points(50, number * 50))
        line.run(60)
    line.run(36000)
    assert line.sender.rejected.total() == 0
    assert line.sender.failing.verdict is Verdict.ALARM
    assert "HTTPS port (to everything)" in line.sender.failing.sentence
    assert len(line.requests) < 1.2 * 38400 / 30
    line.usual = Answer(Verdict.TAKEN)
    line.run(36000)
    assert sorted(line.taken) == sorted(points(2000))
    assert (line.sender.rejected.total(), line.sender.failing, line.sender.trouble) == (0, None, "")


def test_a_point_that_is_refused_while_nothing_else_waits_is_kept(line):
    """Nobody knows whether it is the point; with the first that is taken, one knows."""
    line.bad = set(points(1))
    line.sender.put(points(1))
    line.run(3600)
    assert (line.spool.points, line.sender.rejected.total()) == (1, 0)
    for number in (1, 2):
        line.sender.put(points(1, number))
        line.run(15)
    assert (line.spool.points, line.sender.rejected, line.taken) == (0, {"bad": 1}, points(2, 1))


@pytest.mark.parametrize("moods", [("bad", "taken", "bad"), ("later", "bad", "taken")])
def test_a_receiver_that_is_ill_again_condemns_nothing(line, moods):
    """A proxy that refuses all, lets some through, and refuses all again."""
    answers = {
        "bad": Answer(Verdict.BAD, "400"),
        "taken": Answer(Verdict.TAKEN),
        "later": Answer(Verdict.LATER, "503"),
    }
    for number, mood in enumerate(moods * 20):
        line.usual = answers[mood]
        line.sender.put(points(5, number * 5))
        line.run(200)
    line.usual = answers["taken"]
    line.run(3600)
    assert sorted(line.taken) == sorted(points(len(moods) * 100))
    assert line.sender.rejected.total() <= 2


@pytest.mark.parametrize("place", [0, 17, 39])
def test_a_point_that_makes_the_receiver_stumble_is_stepped_over(line, place):
    """For ever a 500: those before and behind it are sent, it is kept, tried ever more rarely, and told."""
    line.hurt = {points(40)[place]}
    line.sender.put(points(40))
    for number in range(20):
        line.sender.put(points(3, 100 + number * 3))
        line.run(15)
    assert sorted(line.taken) == sorted(set(points(40) + points(60, 100)) - line.hurt)
    assert (line.spool.points, line.sender.rejected.total()) == (1, 0)
    assert line.sender.stepped_over == (1, "500 NullPointerException")
    assert line.sender.failing is None
    before = len(line.requests)
    line.run(3600)
    assert len(line.requests) - before <= 20
    line.hurt = set()
    line.run(1200)
    assert points(40)[place] in line.taken
    assert line.sender.stepped_over == (0, "")


def test_many_points_that_make_the_receiver_stumble_stop_nobody(line):
    """More of them than there may be batches of which nothing is proved."""
    line.hurt = {points(1, 100 * number)[0] for number in range(60)}
    for number in range(60):
        line.sender.put(points(10, 100 * number))
        line.run(15)
    line.run(36000)
    assert len(line.taken) == 60 * 9
    assert line.spool.points == 60


def test_a_batch_that_cannot_be_read_now_stops_nobody(tmp_path, monkeypatch):
    """It is kept, told, and sent when it can be."""
    before = Spool(tmp_path, ROOMY)
    for number in range(60):
        before.put(points(10, 10 * number))
    line = Line(tmp_path)
    real = line.spool.read
    names = {batch.name for batch in list(line.spool)[:50]}

    def read(batch):
        if batch.name in names:
            raise OSError(5, "Input/output error", batch.name)
        return real(batch)

    monkeypatch.setattr(line.spool, "read", read)
    line.run(10)
    assert sorted(line.taken) == sorted(points(100, 500))
    points_over, why = line.sender.stepped_over
    assert (points_over, line.spool.lost.total()) == (500, 0)
    assert why.endswith(".batch: Input/output error")
    names.clear()
    line.run(3600)
    assert sorted(line.taken) == sorted(points(600))


def test_the_backlog_is_sent_on_also_where_there_is_always_something_fresh(tmp_path):
    """At its pace: what is fresh takes the rest of what the receiver can do."""
    before = Spool(tmp_path, ROOMY)
    for number in range(100):
        before.put(points(10, number * 10))
    line = Line(tmp_path, pace=Pace(20, 1e9))
    for number in range(200):
        line.sender.put(points(10, 10_000 + number * 10))
        line.sender.step()
        line.now += 0.5
    old = [point for point in line.taken if point in set(points(1000))]
    assert 900 < len(old) <= 1000


def test_a_request_is_a_slice_of_what_was_handed_over_at_once(line):
    """One file of many points, and each request says how much of it is left."""
    line.sender.put(points(95))
    assert len(list(line.place.glob("*.batch"))) == 1
    for _ in range(4):
        line.sender.step()
    (left,) = line.place.glob("*.batch")
    assert left.name.endswith("-000001.40-55.batch")
    assert [len(request) for request in line.requests] == [10] * 4
    again = Line(line.place)
    again.run(1)
    assert again.taken == points(55, 40)


def test_a_series_that_makes_the_receiver_stumble_costs_little(line):
    """It is in all that is handed over: after the second of its points it is put aside, and tried now and then."""
    stumbling = [b'{"metric":"stumbling","value":%d}' % number for number in range(400)]
    line.hurt = set(stumbling)
    for number in range(400):
        line.sender.put([*points(9, number * 9), stumbling[number]])
        line.run(15)
    assert sorted(line.taken) == sorted(points(400 * 9))
    assert line.sender.rejected["later"] + line.spool.points == 400
    assert line.spool.points < 100
    assert len(line.requests) < 1500


@pytest.mark.parametrize(
    "answer", [Answer(Verdict.NOT_NOW, "429 series limit"), Answer(Verdict.LATER, "500")]
)
def test_one_series_that_draws_an_answer_each_second_keeps_nobody_waiting(line, answer):
    """A limit on series, a bug of the receiver: each hand-over has a point of it, and all others arrive."""
    odd = {b'{"metric":"odd","value":%d}' % number for number in range(300)}
    line.hurt, line.stumble = odd, answer
    failing = 0
    for number, each in enumerate(sorted(odd)):
        line.sender.put([*points(5, number * 9), each, *points(4, number * 9 + 5)])
        line.run(1)
        failing += line.sender.failing is not None
    line.run(5)
    assert set(line.taken) == set(points(300 * 9))
    assert failing < 15
    assert line.spool.points + line.sender.rejected.total() == 300
    assert (line.sender.rejected.total() > 200) == (answer.verdict is Verdict.LATER), (
        "a limit is no judgement"
    )
    assert line.sender.failing is None
    before = len(line.requests)
    line.run(600)
    assert len(line.requests) - before <= 610, "not more than one in a second is tried again"


def test_a_receiver_that_says_yes_and_no_in_turn_condemns_nothing(line):
    """A balancer with one member that is wrong: no point is bad."""
    answers = [Answer(Verdict.BAD, "400"), Answer(Verdict.TAKEN)]
    for number in range(100):
        line.answers += answers * 3
        line.sender.put(points(10, number * 10))
        line.run(1)
    line.answers = []
    line.run(600)
    assert sorted(line.taken) == sorted(points(1000))
    assert line.sender.rejected.total() == 0


def test_what_was_taken_before_proves_nothing(line):
    """The receiver was well, and refuses all since: whether it goes on at once, later, or after an outage."""
    bad, later, taken = Answer(Verdict.BAD, "400"), Answer(Verdict.LATER, "503"), Answer(Verdict.TAKEN)
    for number, mood in enumerate([taken, bad, bad, taken, bad, later, bad, later, taken, bad] * 3):
        line.usual = mood
        line.sender.put(points(7, number * 7))
        line.run(90)
    line.usual = taken
    line.run(3600)
    assert sorted(line.taken) == sorted(points(30 * 7))
    assert line.sender.rejected.total() == 0


def test_a_suspect_is_tried_also_while_there_is_always_something_fresh(line):
    """It does not wait for a pause."""
    line.bad = {points(1)[0]}
    line.sender.put(points(1))
    for number in range(1, 40):
        line.sender.put(points(10, number * 10))
        line.sender.step()
        line.now += 0.5
    assert line.sender.rejected == {"bad": 1}


def test_a_series_of_which_a_point_is_taken_is_refused_no_more(line):
    """Two of its points were bad, long ago or just now; that says nothing of the next."""
    series = [b'{"metric":"m","value":%d}' % number for number in range(20)]
    line.bad = {series[0], series[2], series[4]}
    for each in series[:6]:
        line.sender.put([each, *points(3)])
        line.run(15)
    assert line.sender.rejected == {"bad": 3}
    line.bad = {series[6], series[7]}
    line.sender.put([series[6], *points(3)])
    line.run(15)
    line.now += 86400
    line.sender.put([series[7], *points(3)])
    line.run(15)
    line.sender.put([series[8], *points(3)])
    line.run(15)
    assert series[8] in line.taken


def test_what_cannot_be_put_aside_stays(line, monkeypatch):
    """The disk is full: a point that is refused is not forgotten before it is written down."""
    monkeypatch.setattr(line.spool, "put_aside", lambda points: not points)
    line.bad = {points(10)[4]}
    for number in range(0, 100, 10):
        line.sender.put(points(10, number))
        line.run(15)
    assert (line.spool.points, line.sender.rejected.total()) == (1, 0)
    monkeypatch.undo()
    for number in range(100, 200, 10):
        line.sender.put(points(10, number))
        line.run(15)
    assert (line.spool.points, line.sender.rejected) == (0, {"bad": 1})


def test_a_probe_costs_what_it_sends(tmp_path):
    """The backlog does not wait for points that were not sent."""
    before = Spool(tmp_path, ROOMY)
    for number in range(4):
        before.put(points(5000, number * 5000))
    line = Line(tmp_path, pace=Pace(100, 1e9), batch=500)
    line.usual = Answer(Verdict.BAD, "400")
    line.run(3600)
    line.usual = Answer(Verdict.TAKEN)
    line.run(400)
    assert len(line.taken) == 20_000


@pytest.mark.parametrize("is_held", [True, False])
def test_a_backlog_that_was_suspect_keeps_to_its_pace(tmp_path, is_held):
    """Also one that is in memory only, and a large one."""
    Spool(tmp_path, ROOMY).put(points(5000))
    line = Line(tmp_path, pace=Pace(20, 1e9))
    if is_held:
        line.spool.bounds = line.spool.bounds._replace(free=1 << 60)
        line.sender.put(points(5000, 5000))
    line.answers = [Answer(Verdict.LATER, "503")]
    line.run(100)
    assert 1000 < len(line.taken) < 2600


def test_between_two_refusals_of_a_point_others_are_taken(line):
    """Else it is the receiver that says no again."""
    line.bad = {points(1)[0]}
    line.sender.put(points(2))
    line.run(1200)
    assert line.sender.rejected.total() == 0
    assert line.taken == points(1, 1)
    assert line.sender.stepped_over[0] == 1
    line.sender.put(points(1, 2))
    line.run(1200)
    assert line.sender.rejected == {"bad": 1}


def test_in_an_outage_nothing_is_stepped_over(line):
    """A batch was refused, others were taken, and then nobody is: that says nothing of the batch any more."""
    down = Answer(Verdict.LATER, "503", 5)
    line.answers = [Answer(Verdict.BAD, "400"), Answer(Verdict.TAKEN), down, down, down, down, down, down]
    for number in range(2):
        line.sender.put(points(1, number))
    for _ in range(2):
        line.sender.step()
    line.sender.put(points(1, 2))
    line.run(40)
    assert line.sender.failing
    assert line.sender.stepped_over == (0, "")
    line.run(600)
    assert sorted(line.taken) == points(3)


@pytest.mark.parametrize(
    "answer", [Answer(Verdict.NOT_NOW, "429 series limit"), Answer(Verdict.LATER, "500")]
)
def test_the_one_that_draws_an_error_is_searched_for_at_once(tmp_path, answer):
    """Among two hundred each second: with a wait after each refusal one would never come to an end of it."""
    line = Line(tmp_path, pace=Pace(1000, 1e6), batch=500)
    line.stumble = answer
    line.hurt = {b'{"metric":"odd","value":%d}' % number for number in range(60)}
    for number, odd in enumerate(sorted(line.hurt)):
        line.sender.put([*points(3, number * 199), odd, *points(196, number * 199 + 3)])
        line.run(1)
    assert len(line.taken) > 58 * 199
