"""A configuration that is read again: what the agent knows of it afterwards."""

import asyncio

import pytest

from rscollector.config.types import Config
from rscollector.runtime.configure import Read
from rscollector.runtime.reload import apply
from rscollector.runtime.supervisor import Supervisor
from rscollector.runtime.vitals import Vitals


def applied(*reads):
    """Apply what was read to an agent without collectors; returns its vitals."""

    async def main():
        vitals = Vitals(started=0.0, config=Config(host="db1", listen=("127.0.0.1:10070",)))
        for read in reads:
            apply(read, Supervisor("db1", 100), vitals)
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


@pytest.mark.parametrize(("change", "warned"), [({}, 0), ({"host": "db2"}, 1), ({"listen": ("[::1]:1",)}, 1)])
def test_what_only_a_restart_changes_is_named(change, warned, caplog):
    """Whoever has changed it would wait for ever."""
    before = {"host": "db1", "listen": ("127.0.0.1:10070",)}
    applied(Read(Config(**{**before, **change}), ()))
    assert caplog.text.count("web.listen and agent.host change only with a restart") == warned
