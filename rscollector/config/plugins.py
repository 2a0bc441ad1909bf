"""What plugins make of the tables of their instances, each type in a child of its own.

A plugin that hangs, crashes or ends the process when it is imported costs its own instances only. Their
tables are passed on as they are: the worker that opens such an instance imports the plugin again, at each
attempt.
"""

import grp
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from rscollector.api import Collector
from rscollector.config import registry
from rscollector.config.alerts import alerts
from rscollector.config.build import Builder, Fault, KeyPath, plain, secrets_in
from rscollector.config.environment import leave_the_rest
from rscollector.config.forked import Tell, forked
from rscollector.config.secrets import Place, place, unread
from rscollector.config.types import Common
from rscollector.model.errors import Misconfigured, fence
from rscollector.model.feed import Feed

_SECONDS = 5.0


class Asked(NamedTuple):
    """A plugin's type and place, and the tables of its instances, each with its path."""

    type: str
    place: str
    tables: dict[KeyPath, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Built:
    """What a plugin made of a table: settings as plain values, and where the secrets in them are kept.

    `faults` are mistakes in the table. `problem` says why the plugin could make nothing of it; then the
    settings are the table, and the secrets whatever in it looks like one in the environment. A `local` one
    may share a worker.
    """

    settings: dict[str, Any]
    secrets: dict[KeyPath, Place]
    faults: tuple[Fault, ...] = ()
    problem: str = ""
    local: bool = False


@dataclass(frozen=True, slots=True)
class Plugin:
    """What a plugin declares, and what it made of the tables of its instances, by their paths.

    `missed` are the groups that it needs and this user is not in, `interval` and `max_series` are what holds
    for an instance where nothing else is configured, `alerts` those that come with it.
    Of one that could not be imported nothing is known: its instances have workers of their own, and it is
    taken for a sink of runs, whose runs are kept until it can be opened and tells what it wants.
    """

    feed: Feed
    missed: tuple[str, ...]
    interval: float
    max_series: int
    built: dict[KeyPath, Built]
    alerts: list[dict[str, str]]


def ask(plugins: Mapping[str, Asked]) -> dict[str, Plugin]:
    """Ask each plugin, all at once, for five seconds at most."""
    outcomes = forked({name: _Task(asked) for name, asked in plugins.items()}, _SECONDS)
    return {name: _plugin(plugins[name], outcome.told, outcome.ended) for name, outcome in outcomes.items()}


class _Task:
    """Imports a plugin and builds the settings of its instances, in a child."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked

    def __call__(self, tell: Tell) -> None:
        leave_the_rest()
        asked = self._asked
        try:
            plugin = registry.load(asked.type, asked.place)
        except Misconfigured as error:
            tell({"problem": str(error)})
            return
        missed = list(_missed(plugin.needs.groups))
        feed = registry.feed_of(plugin).value
        usual = {"interval": plugin.interval, "max_series": plugin.max_series}
        tell({"feed": feed, "missed": missed, **usual})
        for path, table in asked.tables.items():
            tell(_built(plugin, path, table))
        with fence():  # they are for people: without them all goes on
            tell({"alerts": alerts(plugin.__module__)})


def _missed(groups: Iterable[str]) -> Iterator[str]:
    """Yield the groups of this host that we are not in; root needs none."""
    for group in groups:
        with suppress(KeyError):
            if os.geteuid() and grp.getgrnam(group).gr_gid not in (os.getegid(), *os.getgroups()):
                yield group


def _built(plugin: type[Any], path: KeyPath, table: Mapping[str, Any]) -> dict[str, Any]:
    builder, settings, local = Builder(unread), None, False
    with fence() as caught:
        settings = builder.table(plugin.Settings, table, path, beside=Common)
        local = settings is not None and bool(plugin.is_local(settings))
    return {
        "path": path,
        "settings": plain(settings) or {},
        "secrets": [(where, place(secret.place)) for where, secret in secrets_in(settings, path)],
        "faults": builder.faults,
        "local": local,
        "problem": "".join(f"its settings are wrong: {type(each).__name__}: {each}" for each in caught),
    }


def _plugin(asked: Asked, told: list[dict[str, Any]], ended: str) -> Plugin:
    """Read what a child has told; for the tables of which it has told nothing there is a reason."""
    problem, doing = "", "when it was imported"
    feed, missed, interval, max_series = Feed.RUNS, (), Collector.interval, Collector.max_series
    built: dict[KeyPath, Built] = {}
    found: list[dict[str, str]] = []
    for each in told:
        if "path" in each:
            faults = tuple(Fault(tuple(where), reason) for where, reason in each["faults"])
            secrets = {tuple(where): Place(*place) for where, place in each["secrets"]}
            path = tuple(each["path"])
            built[path] = Built(each["settings"], secrets, faults, each["problem"], each["local"])
        elif "feed" in each:
            feed, missed = Feed(each["feed"]), tuple(each["missed"])
            interval, max_series = each["interval"], each["max_series"]
            doing = "when its settings were built"
        elif "alerts" in each:
            found = each["alerts"]
        else:
            problem = each["problem"]
    problem = problem or f"the plugin {asked.type!r} ({asked.place}) {ended} {doing}"
    for path, table in asked.tables.items():
        why = built[path].problem if path in built else problem
        if why:
            settings = json.loads(json.dumps(table, default=str))
            built[path] = Built(settings, dict(_variables(settings, path)), problem=why)
    return Plugin(feed, missed, interval, max_series, built, found)


def _variables(table: object, path: KeyPath) -> Iterator[tuple[KeyPath, Place]]:
    """Yield what may be a secret in the environment, which a worker does not see."""
    if isinstance(table, list):
        table = {str(index): each for index, each in enumerate(table)}
    if not isinstance(table, Mapping):
        return
    if table.keys() == {"env"} and isinstance(table["env"], str):
        yield path, Place("env", table["env"])
    for key, each in table.items():
        yield from _variables(each, (*path, key))
