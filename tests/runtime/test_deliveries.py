"""What sinks are to be given: each run once it is kept, and under its own series whatever happens on the way."""

import asyncio

import pytest
from accelerated import World
from hypothesis import given
from hypothesis import strategies as st

from rscollector.config.types import Common, Feed, Spec
from rscollector.exposition.validate import Accepted
from rscollector.model.metrics import Kind, Metric, Sample
from rscollector.runtime import bodies
from rscollector.runtime import outbox as room
from rscollector.runtime.deliveries import Deliveries
from rscollector.runtime.outbox import Chunk, Outbox
from rscollector.runtime.supervisor import Supervisor
from rscollector.wire.layouts import Layout
from rscollector.wire.messages import Forget, Opened, Page, Run, decoded, encoded
from rscollector.wire.messages import Layout as Told
from rscollector.worker.parcels import Parcels

NUMBER = Metric("x_n", Kind.GAUGE, "A number.", labels=("of",))
OTHER = Metric("x_n", Kind.GAUGE, "A number.", labels=("of", "and"))


def layout(number, metric=NUMBER):
    """Return a layout with one series, which shows its number."""
    return Layout(number, "main", [(metric, [tuple(str(number) for _ in metric.labels)])])


def chunk(of, value, points=1):
    """Return a run with one value."""
    return Chunk(points, of, encoded(Run(1_795_208_406, of.number, [value])))


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
    outbox.confirm()
    outbox.put(chunk(first, 12))
    assert kinds(outbox.next()) == [12]


def test_what_was_not_confirmed_is_given_again():
    """A worker that died may have kept nothing; the next one is told of everything anew."""
    outbox, first = Outbox(), layout(1)
    outbox.put(chunk(first, 10))
    outbox.next()
    outbox.put(chunk(first, 11))
    outbox.begin()
    assert kinds(outbox.next()) == [("told", 1), 10, 11]
    assert outbox.waiting == 2
    outbox.confirm()
    assert (outbox.waiting, outbox.dropped, kinds(outbox.next())) == (0, 0, [])


def test_a_layout_that_no_run_can_have_any_more_is_forgotten():
    """The worker's memory is bounded by what the agent still has; what waits keeps its layout."""
    outbox, old, new = Outbox(), layout(1), layout(2)
    outbox.put(chunk(old, 10))
    outbox.next()
    outbox.put(chunk(new, 20))
    del old
    assert kinds(outbox.next()) == [("told", 2), 10, 20]
    outbox.confirm()
    assert kinds(outbox.next()) == [("forget", [1])]
    assert kinds(outbox.next()) == []


def test_what_was_told_before_the_sink_was_opened_anew_is_not_forgotten_there():
    """A worker that knows nothing has nothing to forget."""
    outbox, old = Outbox(), layout(1)
    outbox.put(chunk(old, 10))
    outbox.next()
    outbox.begin()
    outbox.confirm()
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
    """What is too much is counted in points, and what a worker may have kept already is not dropped."""
    monkeypatch.setattr(room, "_MOST_WAITING", 10)
    outbox, first = Outbox(), layout(1)
    outbox.put(chunk(first, 1, points=4))
    outbox.next()
    for value in (2, 3, 4):
        outbox.put(chunk(first, value, points=3))
    assert (outbox.waiting, outbox.dropped) == (10, 3)
    assert kinds(outbox.next()) == [1, 3, 4]
    assert not outbox.more


def test_a_question_takes_some_and_a_close_takes_everything(monkeypatch):
    """Each question stays short, and at the end nothing is left behind."""
    monkeypatch.setattr(room, "_MOST_AT_ONCE", 5)
    outbox, first = Outbox(), layout(1)
    for value in range(6):
        outbox.put(chunk(first, value, points=2))
    assert kinds(outbox.next()) == [("told", 1), 0, 1, 2]
    assert outbox.more
    assert kinds(outbox.next(everything=True)) == [0, 1, 2, 3, 4, 5]


@given(st.lists(st.sampled_from(["put", "other", "new", "ask", "lost", "died", "forgetful"]), max_size=60))
def test_a_sink_reads_what_was_put_whatever_is_lost_on_the_way(events):
    """Questions that never arrive, workers that die and workers that forget: each run comes, as it was."""
    way = Way()
    for event in events:
        getattr(way, event)()
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
        self.kept += [sample for run in self.parcels.runs() for sample in run.samples]
        self.parcels.clear()
        self.outbox.confirm()

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
    common = Common()
    return Spec(
        type=type_, name="main", interval=interval, timeout=10.0, max_series=10, max_memory=1 << 28,
        policy=common.policy, settings={}, worker=type_, sink=sink,
    )  # fmt: skip


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
        deliveries.confirm("bosun/main")
        await asyncio.sleep(1.2)
        return owner.asked

    assert with_deliveries(act, owner) == ["bosun/main", "bosun/main"]


def test_a_sink_that_has_not_got_all_is_asked_again(monkeypatch):
    """What did not fit into one question is given with the next one."""
    monkeypatch.setattr(room, "_MOST_AT_ONCE", 1)
    owner = Owner()

    async def act(deliveries):
        deliveries.hand_on("x/main", accepted(1))
        deliveries.hand_on("x/main", accepted(2))
        deliveries.parcel("bosun/main")
        deliveries.confirm("bosun/main")
        async with asyncio.timeout(20):
            while not owner.asked:
                await asyncio.sleep(0.05)

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
        deliveries.confirm("bosun/main")
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

    assert asyncio.run(main()) == {"": [[["agent"]]], "main": [[["bosun/main"]]]}


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


def test_only_the_answer_that_is_waited_for_says_that_a_sink_keeps_what_it_was_given():
    """A late one is about a question that was given up."""

    async def main():
        supervisor, waiting = Supervisor("host", 100), []
        supervisor.add(spec("bosun", Feed.RUNS))
        outbox = supervisor.deliveries.outbox("bosun/main")
        supervisor.deliveries.hand_on("x/main", accepted(1))
        supervisor.opened("bosun/main", Opened(1, Feed.RUNS), [NUMBER])
        supervisor.deliveries.parcel("bosun/main")
        for seq in (1, 2):
            supervisor.collected("bosun/main", bodies.Run(seq, (), (), 0.1))
            waiting.append(outbox.waiting)
        supervisor.bodies.kill_all()
        await asyncio.sleep(0.05)
        return waiting

    assert asyncio.run(main()) == [1, 0]


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

        def collect(self, _key, _seq, parcel):
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
        supervisor.collected("bosun/main", bodies.Run(2, [], (), 0.1))
        first, rest = given
        return kinds(first), kinds(rest())

    assert asyncio.run(main()) == ([("told", 1), 1], [2])
