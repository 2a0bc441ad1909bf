"""What the agent tells of itself: of every collector, of none that is gone, whatever it has missed."""

import asyncio
import json
import time

import pytest
from accelerated import World, spec

from rscollector.cli.status import _head
from rscollector.config.types import Config, Listener, Tls
from rscollector.exposition.render import Format
from rscollector.model.feed import Feed
from rscollector.model.lifecycle import State
from rscollector.model.metrics import Kind, Metric
from rscollector.runtime.changes import Changes
from rscollector.runtime.outbox import Lost
from rscollector.runtime.status import status
from rscollector.runtime.supervisor import Supervisor
from rscollector.runtime.telemetry import Telemetry
from rscollector.runtime.vitals import Vitals

VALID = [f"rscollector_web_certificate_not_{end}_timestamp_seconds" for end in ("before", "after")]
NUMBER = Metric("x_n", Kind.GAUGE, "A number.")


def with_telemetry(act):
    """Run a function with a supervisor and its telemetry."""

    async def main():
        supervisor = Supervisor("host", 100)
        supervisor.bodies = World(supervisor, "misconfigured")
        return await act(supervisor, Telemetry(supervisor, Vitals(started=0.0)))

    return asyncio.run(main())


async def removed(supervisor):
    """Wait until its one collector is known to be misconfigured: then nothing changes by itself."""
    while supervisor.instances["x/a"].machine.state is not State.REMOVED:
        await asyncio.sleep(0.001)


async def told(telemetry):
    """Return the names of the collectors that are on the page a moment later."""
    telemetry.every_second(asyncio.get_running_loop().time())
    while telemetry._more:
        await asyncio.sleep(0.001)
    page = b"".join(telemetry.chunks(Format.TEXT)).decode()
    lines = [line for line in page.splitlines() if line.startswith("rscollector_collector_up{")]
    return sorted(line.partition('name="')[2].partition('"')[0] for line in lines)


@pytest.mark.parametrize("kept", [10_000, 2])
def test_every_collector_is_told_of_and_none_that_is_gone(kept):
    """More than are rendered in one step, and more changes than are remembered."""

    async def act(supervisor, telemetry):
        supervisor.changes = Changes(kept)
        names = sorted(f"n{number}" for number in range(25))
        for name in names:
            supervisor.add(spec(f"x/{name}"))
        before = await told(telemetry)
        for name in names[1:]:
            supervisor.end(f"x/{name}")
        while len(supervisor.instances) > 1:
            await asyncio.sleep(0.001)
        return before == names, await told(telemetry)

    assert with_telemetry(act) == (True, ["n0"])


@pytest.mark.parametrize("dropped", ["suspended", "expired"])
def test_whatever_takes_samples_off_the_page_is_a_change(dropped):
    """Else `up` and the number of series would stay as they were."""

    async def act(supervisor, _telemetry):
        supervisor.add(spec("x/a"))
        await removed(supervisor)
        supervisor.store.commit("x/a", [("x_n", (), 1)], {"x_n": NUMBER}, limit=9, expires=1.0)
        before = supervisor.changes.since(0).number
        if dropped == "suspended":
            supervisor.drop_all_samples()
        else:
            supervisor.expire(2.0)
        return supervisor.changes.since(before).keys

    assert with_telemetry(act) == ["x/a"]


def test_a_change_is_read_once():
    """A scrape of a large configuration costs little: what has not changed is not rendered again."""

    async def act(supervisor, telemetry):
        supervisor.add(spec("x/a"))
        await removed(supervisor)
        await told(telemetry)
        since, asked = supervisor.changes.since, []
        supervisor.changes.since = lambda number: asked.append(number) or since(number)
        telemetry.render_some()
        return asked == [since(0).number]

    assert with_telemetry(act)


def test_how_long_ago_a_success_was_does_not_depend_on_the_wall_clock():
    """A clock that is set back by an hour makes no time negative."""

    async def act(supervisor, telemetry):
        supervisor.add(spec("x/a"))
        instance, now = supervisor.instances["x/a"], asyncio.get_running_loop().time()
        instance.succeeded(now - 3, time.time() + 3600)
        (shown,) = status(supervisor, Vitals(started=0.0), now)["collectors"]
        return shown["last_success_seconds_ago"]

    assert with_telemetry(act) == 3


def test_a_status_has_no_note_of_samples_that_are_gone_and_no_tick_in_the_past():
    """What was missing in samples that are not shown is no news, and a tick that is late is due now."""

    async def act(supervisor, _telemetry):
        supervisor.add(spec("x/a"))
        supervisor.instances["x/a"].notes = ("missing: a number",)
        late = asyncio.get_running_loop().time() + 1000
        (shown,) = status(supervisor, Vitals(started=0.0), late)["collectors"]
        return shown["notes"], shown["next_run_seconds"]

    assert with_telemetry(act) == ([], 0.0)


def test_what_is_locked_is_told_with_when_its_certificate_expires():
    """And what is wrong with the newest one, also to whoever asks on the command line; without files, nothing is."""
    vitals = Vitals(started=0.0)

    async def act(supervisor, _telemetry):
        telemetry = Telemetry(supervisor, vitals)
        found = []
        for locked in (False, True):
            if locked:
                secured = Listener("[::]:1", ("metrics",), Tls("c", "k"), {"alice": "h"}, prefix="/db1")
                vitals.config = Config(
                    host="h", listeners=(Listener("127.0.0.1:2"), secured), seen={"/f": "1"}
                )
                vitals.certificates, vitals.web_error = {"[::]:1": (2.0, 7.0)}, "server.key: it is damaged"
            samples = {each.metric.name: (each.values, each.value) for each in telemetry.samples(None)}
            found.append((samples.get("rscollector_web_last_reload_successful"), *map(samples.get, VALID)))
        return found, status(supervisor, vitals, 0.0)

    found, told = with_telemetry(act)
    assert found == [(None, None, None), (((), 0), (("[::]:1",), 2.0), (("[::]:1",), 7.0))]
    plain, locked = told["web"]["listeners"]
    assert (plain["url"], plain["certificate_not_after"], plain["users"]) == (
        "http://127.0.0.1:2/metrics",
        None,
        0,
    )
    assert locked == {
        "address": "[::]:1", "url": "https://[::]:1/db1/metrics", "rights": ["metrics"], "users": 1,
        "client_certificates": "none", "certificate_not_after": 7.0,
    }  # fmt: skip
    shown = _head(told)
    assert "metrics on http://127.0.0.1:2/metrics, https://[::]:1/db1/metrics" in shown
    assert shown.endswith(
        "certificates or web configuration in the files are wrong; those before are in their place:\n"
        "server.key: it is damaged"
    )
    assert "alice" not in json.dumps(told)


def test_a_status_says_of_a_sink_what_waits_and_what_was_lost():
    """As numbers, and in a sentence beside its notes."""

    async def act(supervisor, _telemetry):
        supervisor.add(spec("bosun/main", sink=Feed.RUNS))
        supervisor.deliveries.outbox("bosun/main").dropped[Lost.ROOM] += 3
        now = asyncio.get_running_loop().time()
        (shown,) = status(supervisor, Vitals(started=0.0), now)["collectors"]
        return shown["waiting"], shown["notes"]

    waiting, notes = with_telemetry(act)
    assert waiting == {"points": 0, "bytes": 0, "age_seconds": 0.0, "lost_points": 3}
    assert notes == ["3 were lost in the agent (room)"]
