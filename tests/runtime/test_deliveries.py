"""What sinks are to be given: each run once it is kept, and under its own series whatever happens on the way."""

import asyncio

import accelerated
import pytest
from accelerated import World
from hypothesis import given
from hypothesis import strategies as st

from rscollector.config.types import Feed
from rscollector.exposition.validate import Accepted
from rscollector.model.errors import FailureKind
from rscollector.model.metrics import Kind, Metric, Sample
from rscollector.model.schedule import Due
from rscollector.runtime import bodies
from rscollector.runtime import outbox as room
from rscollector.runtime.deliveries import Deliveries
from rscollector.runtime.outbox import Chunk, Lost, Outbox, now
from rscollector.runtime.supervisor import Supervisor
from rscollector.wire.layouts import Layout
from rscollector.wire.lines import Garbage
from rscollector.wire.messages import Failed, Forget, Opened, Page, Run, decoded, encoded
from rscollector.wire.messages import Layout as Told
from rscollector.worker.parcels import Parcels

NUMBER = Metric("x_n", Kind.GAUGE, "A number.", labels=("of",))
OTHER = Metric("x_n", Kind.GAUGE, "A number.", labels=("of", "and"))


def layout(number, metric=NUMBER):
    """Return a layout with one series, which shows its number."""
    return Layout(number, "main", [(metric, [tuple(str(number) for _ in metric.labels)])])


def chunk(of, value, points=1, size=1):
    """Return a run with one value."""
    return Chunk(points, of, encoded(Run(1_795_208_406, 1.0, of.number, [value])), size, now())


def messages(parcel):
    """Return the messages in what goes ahead of a question."""
    return [decoded(line) for line in parcel.splitlines()]


def kinds(parcel):
    """Return what the messages are about: layouts that are told or forgotten, values of runs."""
    about = {Told: lambda each: ("told", each.number), Run: lambda each: each.values[0]}
    about |= {Forget: lambda each: ("forget", each.layouts), Page: lambda each: each.text}
    return [about[type(each)](each) for each in messages(parcel)]


def test_a_layout_is_told_once_ahead_of_the_first_run_that_has_it():
    """After that a run is its number and its values."""
    outbox, first = Outbox(), layout(1)
    outbox.put(chunk(first, 10))
    outbox.put(chunk(first, 11))
    assert kinds(outbox.next()) == [("told", 1), 10, 11]
    outbox.answered(2)
    outbox.put(chunk(first, 12))
    assert kinds(outbox.next()) == [12]


def test_what_was_not_confirmed_is_given_again():
    """A worker that died may have kept nothing; the next one is told of everything anew."""
    outbox, first = Outbox(), layout(1)
    outbox.put(chunk(first, 10))
    outbox.next()
    outbox.put(chunk(first, 11))
    outbox.begin()
    assert kinds(outbox.next()) == [("told", 1), 10]
    assert outbox.waiting == 2
    outbox.answered(0)
    assert kinds(outbox.next(everything=True)) == [10, 11]
    outbox.answered(1)
    assert kinds(outbox.next()) == [11]
    outbox.answered(1)
    assert (outbox.waiting, outbox.size, outbox.dropped.total(), kinds(outbox.next())) == (0, 0, 0, [])


def test_only_what_was_asked_about_can_be_taken():
    """An answer to no question says nothing, and none takes more than was given."""
    outbox = Outbox()
    outbox.put(chunk(layout(1), 10))
    outbox.answered(1)
    assert outbox.waiting == 1
    outbox.next()
    for odd in (2, -1):
        with pytest.raises(Garbage, match="taken of 1 runs"):
            outbox.answered(odd)
        outbox.next()
    assert outbox.waiting == 1


def test_what_cannot_be_taken_now_waits_however_often_that_is():
    """A full disk is no fault of what waits."""
    outbox, first = Outbox(), layout(1)
    for value in (1, 2):
        outbox.put(chunk(first, value))
    for _ in range(10):
        outbox.next()
        assert outbox.answered(0) == ""
    assert kinds(outbox.next()) == [1, 2]


def test_a_run_at_which_the_sink_fails_stops_nobody_and_is_given_up_when_that_is_proved():
    """Twice with others, then alone; and others are taken meanwhile."""
    outbox, first = Outbox(), layout(1)
    for value in range(5):
        outbox.put(chunk(first, value))
    given, told, such = [], [], "such as x_n of 'main'"
    for number in range(30):
        if number < 12:
            outbox.put(chunk(first, 100 + number))
        values = [each for each in kinds(outbox.next()) if isinstance(each, int)]
        given.append(values)
        fails = 2 in values
        told.append(outbox.answered(0 if fails else len(values), "it crashed" if fails else ""))
    assert outbox.dropped == {Lost.FAILED: 1}
    assert outbox.waiting == 0
    assert [each for each in told if each] == [
        f"6 points, {such}, are set aside and given run by run: the sink has failed at them twice: it crashed",
        f"1 points, {such}, are lost: the sink fails at them again and again, and takes others: it crashed",
    ]
    assert given.count([2]) == 2
    first_alone = given.index([2])
    assert any(2 not in each for each in given[first_alone : given.index([2], first_alone + 1)])
    assert min(given[first_alone + 1]) >= 100, "others are next"


def test_while_a_sink_fails_at_everything_nothing_is_given_up():
    """Then it is the sink."""
    outbox, first = Outbox(), layout(1)
    for value in range(5):
        outbox.put(chunk(first, value))
    for _ in range(50):
        outbox.next()
        outbox.answered(0, "it crashed")
    assert (outbox.waiting, outbox.dropped.total()) == (5, 0)
    assert sorted(each for each in kinds(outbox.next(everything=True)) if isinstance(each, int)) == [
        0,
        1,
        2,
        3,
        4,
    ]


def test_a_trial_that_an_end_has_interrupted_is_none_any_more():
    """What was given alone is then given with all others."""
    outbox, first = Outbox(), layout(1)
    for value in (1, 2):
        outbox.put(chunk(first, value))
    for _ in range(2):
        outbox.next()
        outbox.answered(0, "it crashed")
    outbox.next()
    outbox.begin()
    outbox.next(everything=True)
    outbox.begin()
    outbox.next()
    assert outbox.answered(0, "it crashed") == ""
    assert kinds(outbox.next()) == [1, 2]


def test_a_sink_that_dies_while_it_is_opened_says_nothing_of_what_waits():
    """It was not asked about that yet."""
    outbox, first = Outbox(), layout(1)
    outbox.put(chunk(first, 1))
    for _ in range(5):
        outbox.next()
        outbox.begin()
        assert outbox.answered(0, "it crashed") == ""
    assert kinds(outbox.next()) == [("told", 1), 1]


@pytest.mark.parametrize("ends", [lambda box: box.begin(), lambda box: box.answered(0, "it crashed")])
def test_what_was_given_at_an_end_and_not_taken_waits_as_before(ends, monkeypatch):
    """Else the next question had no bound, and the newest made room."""
    monkeypatch.setattr(room, "_MOST_AT_ONCE", 2)
    monkeypatch.setattr(room, "_MOST_WAITING", 10)
    outbox, first = Outbox(), layout(1)
    for value in range(8):
        outbox.put(chunk(first, value))
    outbox.next(everything=True)
    ends(outbox)
    for value in range(8, 12):
        outbox.put(chunk(first, value))
    assert outbox.dropped == {Lost.ROOM: 2}
    assert [each for each in kinds(outbox.next()) if isinstance(each, int)] == [2, 3]


@given(st.lists(st.sampled_from(["put", "ask", "all", "fail", "refuse", "die", "end", "gone"]), max_size=60))
def test_whatever_a_sink_does_each_run_is_taken_once_or_counted(events):
    """And what is counted as waiting is there."""
    outbox, first, kept, put, given = Outbox(), layout(1), [], 0, []
    for event in [*events, *["ask"] * 200]:
        if event == "put":
            outbox.put(chunk(first, put))
            put += 1
        elif event in ("ask", "all"):
            given = [each for each in kinds(outbox.next(everything=event == "all")) if isinstance(each, int)]
            kept += given
            outbox.answered(len(given))
        elif event == "die":
            outbox.next()
            outbox.begin()
        elif event in ("end", "gone"):
            outbox.next(everything=True)
            if event == "end":
                outbox.answered(0, "it crashed")
            outbox.begin()
        else:
            outbox.next()
            outbox.answered(0, "it crashed" if event == "fail" else "")
        assert outbox.waiting == put - len(kept) - outbox.dropped.total()
    assert sorted(kept) == sorted(set(kept))
    assert len(kept) + outbox.dropped.total() == put
    assert (outbox.waiting, outbox.size, outbox.age) == (0, 0, 0.0)


def test_the_age_of_the_oldest_is_told_and_what_was_lost():
    """Also while it is in flight."""
    outbox = Outbox()
    assert (outbox.age, outbox.sentence()) == (0.0, "")
    outbox.put(chunk(layout(1), 1)._replace(at=now() - 60))
    for _ in range(2):
        assert 60 <= outbox.age < 70
        assert outbox.sentence() == "1 points wait for it in the agent"
        outbox.next()
    outbox.dropped[Lost.ROOM] = 7
    assert outbox.sentence() == "1 points wait for it in the agent; 7 were lost in the agent (room)"


def test_a_layout_that_no_run_can_have_any_more_is_forgotten():
    """The worker's memory is bounded by what the agent still has; what waits keeps its layout."""
    outbox, old, new = Outbox(), layout(1), layout(2)
    outbox.put(chunk(old, 10))
    outbox.next()
    outbox.put(chunk(new, 20))
    del old
    assert kinds(outbox.next(everything=True)) == [("told", 2), 10, 20]
    outbox.answered(2)
    assert kinds(outbox.next()) == [("forget", [1])]
    assert kinds(outbox.next()) == []


def test_what_was_told_before_the_sink_was_opened_anew_is_not_forgotten_there():
    """A worker that knows nothing has nothing to forget."""
    outbox, old = Outbox(), layout(1)
    outbox.put(chunk(old, 10))
    outbox.next()
    outbox.begin()
    outbox.next()
    outbox.answered(1)
    outbox.begin()
    del old
    assert kinds(outbox.next()) == []


def test_a_layout_that_the_worker_does_not_know_is_told_again():
    """Of those in flight, and of no others."""
    outbox, one, two = Outbox(), layout(1), layout(2)
    outbox.put(chunk(one, 10))
    outbox.put(chunk(two, 20))
    outbox.next()
    assert kinds(outbox.layouts([2, 3, "x", [1]])) == [("told", 2)]


def test_the_oldest_that_is_not_in_flight_makes_room(monkeypatch):
    """The bound is one in bytes, what is lost is counted in points, and what a worker may have taken is kept."""
    monkeypatch.setattr(room, "_MOST_WAITING", 10)
    outbox, first = Outbox(), layout(1)
    outbox.put(chunk(first, 1, points=40, size=4))
    outbox.next()
    for value in (2, 3, 4):
        outbox.put(chunk(first, value, points=30, size=3))
    assert (outbox.waiting, outbox.size, outbox.dropped) == (100, 10, {Lost.ROOM: 30})
    assert kinds(outbox.next(everything=True)) == [1, 3, 4]
    assert not outbox.more


def test_a_question_takes_some_and_a_close_takes_everything(monkeypatch):
    """Each question stays short, and at the end nothing is left behind."""
    monkeypatch.setattr(room, "_MOST_AT_ONCE", 5)
    outbox, first = Outbox(), layout(1)
    for value in range(6):
        outbox.put(chunk(first, value, size=2))
    assert kinds(outbox.next()) == [("told", 1), 0, 1]
    assert outbox.more
    assert kinds(outbox.next(everything=True)) == [0, 1, 2, 3, 4, 5]


@given(st.lists(st.sampled_from(["put", "other", "new", "ask", "lost", "died", "forgetful"]), max_size=60))
def test_a_sink_reads_what_was_put_whatever_is_lost_on_the_way(events):
    """Questions that never arrive, workers that die and workers that forget: each run comes, as it was."""
    way = Way()
    for event in events:
        getattr(way, event)()
    while len(way.kept) < len(way.given):
        way.ask()
    assert way.kept == way.given


class Way:
    """From an outbox to a sink's worker, and what can happen on it."""

    def __init__(self):
        self.outbox, self.parcels, self.layouts = Outbox(), Parcels(), 1
        self.current = layout(1)
        self.given, self.kept = [], []

    def put(self):
        """A run with the series of the one before."""
        ((metric, (labels,)),) = self.current.groups
        self.outbox.put(chunk(self.current, len(self.given)))
        self.given.append((metric, labels, len(self.given)))

    def new(self, metric=NUMBER):
        """A run with other series."""
        self.layouts += 1
        self.current = layout(self.layouts, metric)
        self.put()

    def other(self):
        """A run of a plugin that was upgraded, and declares its metric otherwise."""
        self.new(OTHER)

    def ask(self):
        """A question that is answered."""
        self._arrived(self.outbox.next())
        self._arrived(self.outbox.layouts(self.parcels.unknown()))
        assert self.parcels.unknown() == []
        runs = self.parcels.runs()
        self.kept += [sample for run in runs for sample in run.samples]
        self.parcels.clear()
        self.outbox.answered(len(runs))

    def lost(self):
        """A question that is withdrawn before it is sent."""
        self.outbox.next()

    def forgetful(self):
        """The worker knows nothing any more, by a fault of its own."""
        self.parcels = Parcels()

    def died(self):
        """The worker is another one, and the sink is opened anew."""
        self.parcels = Parcels()
        self.outbox.begin()

    def _arrived(self, parcel):
        for message in messages(parcel):
            self.parcels.arrived(message)


def spec(type_, sink=Feed.NOTHING, interval=15.0):
    """Return a collector, or a sink."""
    return accelerated.spec(f"{type_}/main", interval=interval, worker=type_, sink=sink)


class Owner:
    """Takes note of the sinks that are asked; the first `busy` times they are busy."""

    def __init__(self, busy=0):
        self.busy = busy
        self.asked = []

    def ask_sink(self, key):
        """Ask a sink."""
        self.asked.append(key)
        return len(self.asked) <= self.busy


def accepted(value, of="a"):
    """Return a run with one sample."""
    made = Accepted()
    made.take(NUMBER, (of,), value)
    return made


def with_deliveries(act, owner=None):
    """Run a function with deliveries to one sink of runs and one of the page."""

    async def main():
        deliveries = Deliveries(owner or Owner())
        deliveries.page = lambda: "the page\n"
        deliveries.add(spec("bosun", Feed.RUNS))
        deliveries.add(spec("pushgateway", Feed.PAGE))
        result = act(deliveries)
        return await result if asyncio.iscoroutine(result) else result

    return asyncio.run(main())


def test_runs_with_the_same_series_share_a_layout():
    """Whoever collects, and what the agent tells of it: each has its own, and a change makes a new one."""

    def act(deliveries):
        for value in (1, 2):
            deliveries.hand_on("x/main", accepted(value))
            deliveries.hand_on_own("x/main", [Sample(OTHER, ("up", ""), value)])
        deliveries.hand_on("x/main", accepted(3, of="b"))
        return messages(deliveries.parcel("bosun/main"))

    got = with_deliveries(act)
    assert [each.layout for each in got if isinstance(each, Run)] == [1, 2, 1, 2, 3]
    assert [(each.number, each.name) for each in got if isinstance(each, Told)] == [
        (1, "main"),
        (2, "main"),
        (3, "main"),
    ]


def test_a_sink_of_the_page_is_given_the_page_and_others_nothing():
    """What goes ahead of a question is what its sink wants."""

    def act(deliveries):
        deliveries.hand_on("x/main", accepted(1))
        return deliveries.parcel("pushgateway/main"), deliveries.parcel("x/main")

    page, nothing = with_deliveries(act)
    assert (messages(page), nothing) == ([Page("the page\n")], b"")


@pytest.mark.parametrize(("successor", "left"), [(None, 0), (Feed.PAGE, 0), (Feed.RUNS, 1)])
def test_what_waits_for_a_sink_goes_to_its_successor_and_to_nobody_else(successor, left):
    """A reload with other settings loses nothing; a sink that is taken away is kept nothing for."""

    def act(deliveries):
        deliveries.hand_on("x/main", accepted(1))
        after = spec("bosun", successor) if successor else None
        deliveries.forget("bosun/main", after)
        if after:
            deliveries.add(after)
        outbox = deliveries.outbox("bosun/main")
        return outbox.waiting if outbox else 0

    assert with_deliveries(act) == left


def test_a_busy_sink_is_asked_again_and_one_that_has_all_is_not():
    """What has come is taken soon, however long the sink was at something else."""
    owner = Owner(busy=1)

    async def act(deliveries):
        deliveries.hand_on("x/main", accepted(1))
        deliveries.nudge_all()
        deliveries.nudge_all()
        async with asyncio.timeout(20):
            while len(owner.asked) < 2:
                await asyncio.sleep(0.05)
        deliveries.parcel("bosun/main")
        deliveries.answered("bosun/main", 1)
        await asyncio.sleep(1.2)
        return owner.asked

    assert with_deliveries(act, owner) == ["bosun/main", "bosun/main"]


def test_a_sink_that_has_not_got_all_is_asked_again_at_once(monkeypatch):
    """What did not fit into one question is given with the next one; nothing is gathered for it."""
    monkeypatch.setattr(room, "_MOST_AT_ONCE", 1)
    owner = Owner()

    async def act(deliveries):
        deliveries.hand_on("x/main", accepted(1))
        deliveries.hand_on("x/main", accepted(2))
        deliveries.nudge_all()
        deliveries.parcel("bosun/main")
        deliveries.answered("bosun/main", 1)
        await asyncio.sleep(0.5)

    with_deliveries(act, owner)
    assert owner.asked == ["bosun/main"]


def test_what_waits_for_a_sink_whose_worker_was_not_born_is_not_in_flight():
    """No worker was asked: so the next question is as short as any other, and the oldest still make room."""

    async def main():
        supervisor = Supervisor("host", 100)
        supervisor.add(spec("bosun", Feed.RUNS))
        supervisor.deliveries.hand_on("x/main", accepted(1))
        supervisor.end("bosun/main", spec("bosun", Feed.RUNS))
        supervisor.bodies.kill_all()
        return supervisor.deliveries.outbox("bosun/main").more

    assert asyncio.run(main())


def test_a_sink_that_is_gone_is_not_asked():
    """Between the samples that came for it and the question that they are worth."""
    owner, failed = Owner(), []

    async def act(deliveries):
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context))
        deliveries.hand_on("x/main", accepted(1))
        deliveries.nudge_all()
        deliveries.forget("bosun/main", None)
        await asyncio.sleep(1.2)

    with_deliveries(act, owner)
    assert (owner.asked, failed) == ([], [])


def test_layouts_of_a_collector_that_is_gone_are_forgotten():
    """Both of what it has collected and of what the agent tells of it."""

    def act(deliveries):
        deliveries.hand_on("x/main", accepted(1))
        deliveries.hand_on_own("x/main", [Sample(OTHER, ("up", ""), 1)])
        deliveries.parcel("bosun/main")
        deliveries.answered("bosun/main", 2)
        deliveries.forget("x/main", None)
        return kinds(deliveries.parcel("bosun/main"))

    assert with_deliveries(act) == [("forget", [1, 2])]


def test_a_sink_that_is_opened_anew_is_told_of_layouts_anew():
    """Its worker is another one and knows none."""

    def act(deliveries):
        deliveries.hand_on("x/main", accepted(1))
        deliveries.parcel("bosun/main")
        deliveries.opening("bosun/main")
        return kinds(deliveries.parcel("bosun/main"))

    assert with_deliveries(act) == [("told", 1), 1]


def test_a_sink_of_the_page_whose_successor_takes_runs_is_given_runs():
    """And a run without samples is given to nobody."""

    def act(deliveries):
        deliveries.forget("pushgateway/main", spec("pushgateway", Feed.RUNS))
        deliveries.add(spec("pushgateway", Feed.RUNS))
        deliveries.hand_on("x/main", Accepted())
        deliveries.hand_on("x/main", accepted(1))
        return kinds(deliveries.parcel("pushgateway/main"))

    assert with_deliveries(act) == [("told", 1), 1]


def test_a_sink_is_also_given_what_the_agent_tells_of_itself():
    """At each of its ticks, and of each collector at that one's."""

    async def main():
        supervisor = Supervisor("host", 100)
        supervisor.own = lambda instance: [Sample(NUMBER, (instance.key if instance else "agent",), 1)]
        supervisor.bodies = World(supervisor, "misconfigured")
        supervisor.add(spec("bosun", Feed.RUNS, interval=0.02))
        await asyncio.sleep(0.2)
        told = messages(supervisor.deliveries.parcel("bosun/main"))
        return {each.name: each.rows for each in told if isinstance(each, Told)}

    assert accelerated.accelerated(main) == {"": [[["agent"]]], "main": [[["bosun/main"]]]}


@pytest.mark.parametrize(("feed", "asked"), [(Feed.RUNS, 0), (Feed.NOTHING, 1)])
def test_what_a_sink_tells_of_itself_is_not_worth_a_question(feed, asked):
    """Else each answer of a sink would be followed by a question, for ever."""

    async def main():
        supervisor, sinks = Supervisor("host", 100), []
        supervisor.deliveries.nudge_all = lambda: sinks.append("all")
        supervisor.add(spec("x", feed))
        supervisor.opened("x/main", Opened(1, feed), [NUMBER])
        supervisor.collected("x/main", bodies.Run(2, [("x_n", ("a",), 1)], (), 0.1))
        supervisor.bodies.kill_all()
        await asyncio.sleep(0.05)
        return len(sinks)

    assert asyncio.run(main()) == asked


@pytest.mark.parametrize(
    ("ends", "waits"),
    [
        (lambda its: its.collected("bosun/main", bodies.Run(2, (), (), 0.1, taken=1)), 0),
        (lambda its: its.collected("bosun/main", bodies.Run(2, (), (), 0.1)), 1),
        (lambda its: its.failed("bosun/main", Failed(2, 1, FailureKind.UNAVAILABLE, "full", "")), 0),
        (lambda its: its.failed("bosun/main", Failed(2, 0, FailureKind.UNAVAILABLE, "full", "")), 1),
        (lambda its: its.closed("bosun/main", 1), 0),
        (lambda its: its.closed("bosun/main", 0), 1),
        (lambda its: its.lost("bosun/main", bodies.Loss("was killed")), 1),
    ],
)
def test_only_what_an_answer_says_was_taken_is_forgotten(ends, waits):
    """Whatever the answer is: the sink may have kept it and failed later, or closed without it."""

    async def main():
        supervisor = Supervisor("host", 100)
        supervisor.bodies = World(supervisor, "misconfigured")
        supervisor.add(spec("bosun", Feed.RUNS))
        outbox = supervisor.deliveries.outbox("bosun/main")
        supervisor.deliveries.hand_on("x/main", accepted(1))
        supervisor.opened("bosun/main", Opened(1, Feed.RUNS), [NUMBER])
        supervisor.deliveries.parcel("bosun/main")
        ends(supervisor)
        return outbox.waiting

    assert asyncio.run(main()) == waits


@pytest.mark.parametrize(
    ("fails", "is_charged"),
    [
        (lambda its: its.failed("bosun/main", Failed(0, 0, FailureKind.BUG, "KeyError", "")), True),
        (lambda its: its.failed("bosun/main", Failed(0, 0, FailureKind.MISCONFIGURED, "x", "")), False),
        (lambda its: its.lost("bosun/main", bodies.Loss("was killed by SIGSEGV")), True),
        (lambda its: its.lost("bosun/main", bodies.Loss("a neighbour", charged=False)), False),
    ],
)
def test_what_a_sink_does_at_a_batch_is_the_batch_s_account_only_where_it_may_be(fails, is_charged, caplog):
    """A bug, a crash and a hang may be; what it says that it cannot do now is not."""

    async def main():
        supervisor = Supervisor("host", 100)
        supervisor.bodies = World(supervisor, "misconfigured")
        supervisor.add(spec("bosun", Feed.RUNS))
        supervisor.deliveries.hand_on("x/main", accepted(1))
        for _ in range(2):
            supervisor.deliveries.parcel("bosun/main")
            fails(supervisor)

    asyncio.run(main())
    assert ("are set aside" in caplog.text) == is_charged


def test_points_that_are_lost_with_a_sink_are_told(caplog):
    """One that is configured no more, and one that the agent's end leaves behind."""

    def act(deliveries):
        deliveries.hand_on("x/main", accepted(1))
        deliveries.tell_what_is_lost()
        deliveries.forget("bosun/main", None)

    with_deliveries(act)
    sentence = "bosun/main: 1 points are lost: it has not taken them before its end"
    assert [record.message for record in caplog.records] == [sentence, sentence]


def test_of_what_is_to_end_nothing_is_told_any_more():
    """Sinks end first, and are given what is told last: what came after it would be lost."""

    async def main():
        supervisor = Supervisor("host", 100)
        supervisor.bodies = World(supervisor)
        supervisor.own = lambda _: [Sample(NUMBER, ("a",), 7)]
        supervisor.add(spec("bosun", Feed.RUNS))
        supervisor.add(spec("x"))
        supervisor.end("x/main")
        supervisor._tick(Due("x/main", 0.0, 0))
        return supervisor.deliveries.outbox("bosun/main").waiting

    assert asyncio.run(main()) == 0


@pytest.mark.parametrize("is_tick", [True, False])
def test_what_a_sink_tells_of_itself_is_handed_on_at_its_own_ticks(is_tick):
    """And not whenever it is given something."""

    async def main():
        supervisor = Supervisor("host", 100)
        supervisor.bodies = World(supervisor, "misconfigured")
        supervisor.add(spec("bosun", Feed.RUNS))
        supervisor.own = lambda _: [Sample(OTHER, ("a", "b"), 7)]
        supervisor.opened("bosun/main", Opened(1, Feed.RUNS), [NUMBER])
        if is_tick:
            supervisor._tick(Due("bosun/main", 0.0, 0))
        supervisor.deliveries.parcel("bosun/main", everything=True)
        supervisor.collected("bosun/main", bodies.Run(2, [("x_n", ("a",), 1)], (), 0.1))
        skipped = supervisor.instances["bosun/main"].skipped
        return skipped, kinds(supervisor.deliveries.parcel("bosun/main", everything=True))

    skipped, told = asyncio.run(main())
    assert skipped == 0
    assert (1 in told) == is_tick


def test_who_wants_to_be_given_nothing_is_not_asked_for_ever():
    """A plugin of another kind was installed under the name of a sink."""
    owner = Owner()

    async def act(deliveries):
        deliveries.hand_on("x/main", accepted(1))
        deliveries.feed("bosun/main", Feed.NOTHING)
        deliveries.answered("bosun/main", 0)
        await asyncio.sleep(0.2)
        return deliveries.parcel("bosun/main")

    assert with_deliveries(act, owner) == b""
    assert owner.asked == []


@pytest.mark.parametrize("feed", [Feed.RUNS, Feed.PAGE])
def test_a_sink_says_itself_what_it_is_fed_with(feed):
    """Its plugin may not have been there when the configuration was read: then runs were kept for it."""

    async def main():
        supervisor = Supervisor("host", 100)
        supervisor.bodies = World(supervisor, "misconfigured")
        supervisor.deliveries.page = lambda: "the page"
        supervisor.add(spec("late", Feed.RUNS))
        supervisor.deliveries.hand_on("x/main", accepted(1))
        supervisor.opened("late/main", Opened(1, feed), [NUMBER])
        kept = supervisor.deliveries.outbox("late/main")
        return bool(kept), kinds(supervisor.deliveries.parcel("late/main"))

    runs = feed is Feed.RUNS
    assert asyncio.run(main()) == (runs, [("told", 1), 1] if runs else ["the page"])


def test_what_a_sink_takes_while_it_is_to_end_is_not_given_to_it_again():
    """It is busy with a question when it is told to end: what that one gave is its, and the rest comes with the end."""
    given = []

    class Busy(World):
        """Takes what it is given, and does not answer."""

        def collect(self, _key, _seq, parcel, **_):
            given.append(parcel())

        def release(self, _key, _seq, _grace, parcel):
            given.append(parcel)

    async def main():
        supervisor = Supervisor("host", 100)
        supervisor.bodies = Busy(supervisor)
        supervisor.add(spec("bosun", Feed.RUNS))
        supervisor.deliveries.hand_on("x/main", accepted(1))
        supervisor.opened("bosun/main", Opened(1, Feed.RUNS), [NUMBER])
        supervisor.deliveries.hand_on("x/main", accepted(2))
        supervisor.end("bosun/main")
        supervisor.collected("bosun/main", bodies.Run(2, [], (), 0.1, taken=1))
        first, rest = given
        return kinds(first), kinds(rest())

    assert asyncio.run(main()) == ([("told", 1), 1], [2])
