"""A configuration that is read again: what the agent knows of it afterwards."""

import asyncio
from unittest.mock import Mock

from accelerated import World, accelerated, spec

from rscollector.config.types import Config
from rscollector.runtime.configure import Read
from rscollector.runtime.listening import Listening
from rscollector.runtime.reload import apply, relock
from rscollector.runtime.supervisor import Supervisor
from rscollector.runtime.vitals import Vitals
from rscollector.web.server import Connections


def applied(*reads, config=None):
    """Apply what was read to an agent without collectors; returns its vitals."""

    async def main():
        vitals = Vitals(started=0.0, config=config or Config(host="db1"))
        for read in reads:
            apply(read, Supervisor("db1", 100), vitals, Listening(Connections()))
        return vitals

    return asyncio.run(main())


def test_a_good_reload_is_in_use_and_ends_what_was_wrong():
    """`status` shows its files and when it was read, and no mistake of the one before."""
    good = Config(host="db1", files=("new.toml",))
    vitals = applied(Read(None, ("new.toml:1: a mistake",)), Read(good, ()))
    assert (vitals.config, vitals.reload_ok, vitals.reload_error) == (good, True, "")
    assert vitals.reloaded_at > 0


def test_a_reload_with_a_mistake_changes_nothing_but_says_so():
    """What is in use is still the configuration before, and when that was read."""
    vitals = applied(Read(None, ("one", "two")))
    assert (vitals.config.host, vitals.reload_ok, vitals.reload_error) == ("db1", False, "one\ntwo")
    assert vitals.reloaded_at == 0


def test_what_is_not_known_changes_nothing_that_runs(caplog):
    """A plugin that hangs for once when it is asked, or a secret that does not answer, closes no good connection."""

    async def main():
        vitals, supervisor = Vitals(started=0.0), Supervisor("db1", 100)
        supervisor.bodies = World(supervisor)
        found, why = [], "it took more than 5 s"
        for wanted in (
            spec("x/a", digest="old"),
            spec("x/a", digest="new", unknown=why),
            spec("x/a", digest="new"),
        ):
            apply(Read(Config(specs=(wanted,)), ()), supervisor, vitals, Listening(Connections()))
            await asyncio.sleep(0.1)
            found.append((supervisor.instances["x/a"].spec.digest, vitals.reload_ok, vitals.reload_error))
        return found

    kept = "x/a: goes on as it was before the reload: it took more than 5 s"
    assert accelerated(main) == [("old", True, ""), ("old", True, kept), ("new", True, "")]
    assert caplog.text.count(kept) == 1


def test_what_goes_on_as_it_was_is_told_in_a_line_each_and_some_of_them():
    """A plugin of many collectors may hang, and what it says of itself may be anything."""

    async def main():
        vitals, supervisor = Vitals(started=0.0), Supervisor("db1", 1000)
        supervisor.bodies = World(supervisor)
        for digest, why in (("old", ""), ("new", "no\x1b[2J\nline")):
            specs = tuple(spec(f"x/n{each:03}", digest=digest, unknown=why) for each in range(130))
            apply(Read(Config(specs=specs), ()), supervisor, vitals, Listening(Connections()))
        return vitals.reload_error.splitlines()

    told = asyncio.run(main())
    assert told[0] == "x/n000: goes on as it was before the reload: no line"
    assert (len(told), told[100]) == (101, "and 30 more: `rscollector check` names them all")


def test_a_lock_that_cannot_be_used_is_logged_at_each_reload_and_else_once(caplog):
    """Who reloads asks; who looks each 30 seconds would fill the log."""
    vitals, read = Vitals(started=0.0), Read(Config(), ())
    listening = Mock(change=Mock(return_value=["127.0.0.1:1: why"]), certificates={})

    async def main():
        supervisor = Supervisor("db1", 100)
        for _ in range(3):
            relock(read, vitals, listening)
        for _ in range(2):
            apply(read, supervisor, vitals, listening)

    asyncio.run(main())
    assert caplog.messages.count("127.0.0.1:1: why") == 3
    assert not [each for each in caplog.messages if "were not renewed" in each], "some of it is in use"
    assert vitals.web_error == "127.0.0.1:1: why"
