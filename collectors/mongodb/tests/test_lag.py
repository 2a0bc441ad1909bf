"""The lag on the real set: idle, busy, frozen, blocked, delayed; beside it the difference of optimes, which spikes."""

import signal
import threading
import time
from contextlib import contextmanager

import pytest
from harness import until
from pymongo import WriteConcern
from scenes import shared_agent
from watching import AGENT

from collectors.mongodb.tests.replica_set import PASSWORD
from collectors.mongodb.tests.watching_mongodb import Watch, section

pytestmark = [pytest.mark.needs("mongod"), pytest.mark.timeout(300)]


@pytest.fixture
def primary(replicas):
    """Return the primary, with no writes of its own beside those of the test."""
    found = replicas.primary()
    found.run("setParameter", writePeriodicNoops=False)
    yield found
    if found.process:
        found.run("setParameter", writePeriodicNoops=True)


@pytest.fixture(scope="module")
def quick_watch(shared_set, tmp_path_factory):
    """Start an agent that asks each member five times a second."""
    quick = AGENT.format(listen="").replace('"1s"', '"200ms"', 1) + "".join(map(section, shared_set.members))
    with shared_agent(tmp_path_factory.mktemp("mongodb"), quick, MONGODB=PASSWORD) as agent:
        yield Watch(agent, None)


@pytest.fixture
def watch(quick_watch, primary):
    """Return who asks the primary, when it sees the whole set."""
    until(quick_watch.whole, 30)
    return quick_watch


def write(member, count=1, pause=0.0):
    """Write some documents."""
    with member.client() as client:
        for number in range(count):
            client.test.lag.insert_one({"number": number})
            time.sleep(pause)


def write_to_all(replicas, primary):
    """Write a document, and wait until the primary knows that each member has it, and so all before it."""
    concern = WriteConcern(w=len(replicas.members), wtimeout=60_000)
    with primary.client() as client:
        client.test.get_collection("lag", write_concern=concern).insert_one({})


@contextmanager
def writing(member, pause=0.05):
    """Write all the time."""
    stop = threading.Event()

    def go_on():
        while not stop.is_set():
            write(member, 20, pause)

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(60)


def followed(watch, primary, member, seconds):
    """Return the largest lag and the largest difference of optimes that are seen in this time."""
    seen = []
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        seen.append(watch.lag(primary.name, member.address))
        time.sleep(0.05)
    return tuple(max(each[which] for each in seen if each[which] is not None) for which in (0, 1))


def write_after_heartbeat(primary, member):
    """Write one document as soon as the primary has heard of a member: the next time is half a second later."""
    with primary.client() as client:

        def heard():
            (found,) = [
                each
                for each in client.admin.command("replSetGetStatus")["members"]
                if each["name"] == member.address
            ]
            return found["lastHeartbeat"]

        before = heard()
        until(lambda: heard() != before)
        client.test.lag.insert_one({})


@pytest.mark.parametrize("silence", [8, pytest.param(60, marks=pytest.mark.long)])
def test_one_write_after_a_silence_is_no_lag(watch, primary, replicas, silence):
    """The difference of optimes jumps to the length of the silence; the lag stays where it is."""
    member = replicas.secondaries()[0]
    write(primary)
    for _ in range(6):
        time.sleep(silence)
        write_after_heartbeat(primary, member)
        time.sleep(0.3)  # then it has been collected, and a page is a second old before there is another one
        lag, difference = followed(watch, primary, member, 2)
        print(f"after {silence} s without writes: lag {lag:.3f} s, difference of optimes {difference:.0f} s")
        assert lag < 2
        if difference >= silence - 2:
            break
    assert difference >= silence - 2


def test_a_busy_set_has_no_lag(watch, primary, replicas):
    """With writes all the time a secondary is behind by less than a second."""
    member = replicas.secondaries()[0]
    with writing(primary):
        lag, _ = followed(watch, primary, member, 3)
    assert lag < 2


def test_a_secondary_that_applies_nothing_is_behind_since_the_first_write_it_lacks(watch, primary, replicas):
    """The lag grows with the time, though nobody writes any more; when it has caught up, it is nothing."""
    member = replicas.secondaries()[0]
    write_to_all(replicas, primary)
    until(lambda: watch.lag(primary.name, member.address)[0] == 0)

    def lag():
        return watch.lag(primary.name, member.address)[0] or 0

    member.fail("rsSyncApplyStop", "alwaysOn")
    try:
        first = time.monotonic()
        write(primary, 3, 0.5)
        last = time.monotonic() - 0.5
        # What is told is older than what is asked: it is never too much.
        until(lambda: lag() > time.monotonic() - last + 0.5)
        until(lambda: lag() > 2.5)
        assert lag() <= time.monotonic() - first
    finally:  # or everything that comes after this is behind as well
        member.fail("rsSyncApplyStop", "off")
    until(lambda: watch.lag(primary.name, member.address)[0] == 0)


def test_a_secondary_that_is_frozen_is_behind_until_it_is_down(watch, primary, replicas):
    """While it counts as healthy its lag grows; a member that does not answer has none."""
    member = replicas.secondaries()[0]
    with writing(primary):
        until(lambda: watch.lag(primary.name, member.address)[0] is not None)
        member.kill(signal.SIGSTOP)
        until(lambda: (watch.lag(primary.name, member.address)[0] or 0) > 1, 30)
        until(lambda: watch.lag(primary.name, member.address) == (None, None), 30)
    member.kill(signal.SIGCONT)
    until(lambda: watch.lag(primary.name, member.address)[0] == 0, 30)


def test_a_member_that_is_delayed_on_purpose_is_not_behind(watch, primary, replicas):
    """It is three seconds behind as it should be: the difference of optimes says so, and the lag is what exceeds it."""
    member = replicas.secondaries()[0]

    def delayed(seconds):
        def change(config):
            (found,) = [each for each in config["members"] if each["host"] == member.address]
            found.update(priority=0 if seconds else 1, hidden=bool(seconds), secondaryDelaySecs=seconds)

        return change

    replicas.reconfigure(delayed(3))
    try:
        until(lambda: watch.value("mongodb_member_delay_seconds", primary.name, member=member.address) == 3)
        with writing(primary):
            until(lambda: watch.lag(primary.name, member.address)[1] >= 3, 30)
            lag, difference = followed(watch, primary, member, 2)
        assert difference >= 3
        assert lag < 2
    finally:
        replicas.reconfigure(delayed(0))
