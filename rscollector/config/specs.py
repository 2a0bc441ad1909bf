"""From the tables `[collector.TYPE.NAME]` and `[sink.TYPE.NAME]` to a `Spec` for each, which the agent runs.

A table says two things: the settings that every instance has (`Common`), whose defaults are in `[agent]`, and
those of its plugin. A mistake in it is a fault of the builder's and makes the configuration invalid. What
keeps this one plugin from being opened now is a problem: the worker that opens it will find the same, or that
it is mended, and the others do not feel it.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, NamedTuple, TypeGuard

from rscollector.config import registry
from rscollector.config.build import Builder, Fault, KeyPath, shown, unknown
from rscollector.config.described import described
from rscollector.config.digests import Look, look
from rscollector.config.plugins import Asked, Plugin, ask
from rscollector.config.secrets import Place
from rscollector.config.types import AgentSection, Common, Spec, worker_name
from rscollector.model.feed import Feed
from rscollector.model.settings import humanized
from rscollector.model.stopping import SINK_CLOSES
from rscollector.model.texts import LONGEST_NOTE, one_line

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


class _Instance(NamedTuple):
    """A table whose own settings are still to be built by its plugin."""

    path: KeyPath
    common: Common
    table: dict[str, Any]
    place: str


class Specs:
    """Gathers instances section by section; `build` makes their specs. Faults are in the builder.

    `problems` keep an instance from being opened now, `hints` are what an operator may not have meant;
    `settings` and `alerts` are for people, as `Config` has them.
    """

    def __init__(self, builder: Builder, agent: AgentSection, defaults: Common) -> None:
        self.problems: list[Fault] = []
        self.hints: list[Fault] = []
        self.settings: dict[str, list[list[str]]] = {}
        self.alerts: dict[str, list[dict[str, str]]] = {}
        self._builder = builder
        self._agent = agent
        self._defaults = defaults
        self._places = registry.places()
        self._instances: list[_Instance] = []

    def add(self, section: str, table: object) -> None:
        """Read all instances of a section, `collector` or `sink`."""
        places = self._places[registry.GROUPS[section]]
        for type_, instances in self._tables(table, (section,)):
            if type_ not in places:
                reason = unknown(type_, places).replace("unknown key", f"no such {section} is installed")
                self._builder.fault((section, type_), reason)
                continue
            for name, settings in self._tables(instances, (section, type_)):
                if self._is_table(settings, (section, type_, name)):
                    self._add((section, type_, name), settings, places[type_])

    def build(self, places: Mapping[KeyPath, tuple[str, int]]) -> tuple[Spec, ...]:
        """Have the plugins build their settings, look at the secrets, and return the specs.

        `places` says where each key is written, for people.
        """
        plugins = ask(self._asked())
        made = [(each, plugins[_plugin_of(each.path)]) for each in self._instances]
        looks = look({where for each, plugin in made for where in plugin.built[each.path].secrets.values()})
        for each, plugin in made:
            built = plugin.built[each.path]
            self.alerts[each.path[1]] = plugin.alerts
            self._builder.faults.extend(built.faults)
            if built.problem:
                self.problems.append(Fault(each.path, built.problem))
            else:
                found = ((path, looks[where].problem) for path, where in built.secrets.items())
                self.problems.extend(Fault(path, problem) for path, problem in found if problem)
            missed = (f"this user is not in the group {group}" for group in plugin.missed)
            self.hints.extend(Fault(each.path, why) for why in missed)
        specs = tuple(self._spec(each, plugin, looks) for each, plugin in made)
        for (each, _), spec in zip(made, specs, strict=True):
            self.settings[spec.key] = [list(row) for row in described(each.path, each.common, spec, places)]
        return specs

    def _tables(self, table: object, path: KeyPath) -> list[tuple[str, Any]]:
        return list(table.items()) if self._is_table(table, path) else []

    def _is_table(self, table: object, path: KeyPath) -> TypeGuard[Mapping[str, Any]]:
        if isinstance(table, Mapping):
            return True
        example = ".".join((*path[:2], "main"))
        self._builder.fault(path, f"expected a table such as [{example}], not {shown(table)}")
        return False

    def _add(self, path: KeyPath, table: Mapping[str, Any], place: str) -> None:
        if not _NAME.fullmatch(path[2]):
            self._builder.fault(path, "a name has letters, digits and _ . - after a letter or digit")
            return
        common, own = self._builder.part(self._defaults, table, path)
        self._instances.append(_Instance(path, common, own, place))

    def _asked(self) -> dict[str, Asked]:
        """Return what each plugin is asked, by `section.type`."""
        asked: dict[str, Asked] = {}
        for each in self._instances:
            found = asked.setdefault(_plugin_of(each.path), Asked(each.path[1], each.place, {}))
            found.tables[each.path] = each.table
        return asked

    def _spec(self, instance: _Instance, plugin: Plugin, looks: Mapping[Place, Look]) -> Spec:
        section, type_, name = instance.path
        common, built = instance.common, plugin.built[instance.path]
        secrets = {where: looks[where] for where in built.secrets.values()}
        interval = float(common.interval or plugin.interval)
        timeout = float(common.timeout_for(interval))
        if timeout > interval:
            longer = f"timeout = {humanized(timeout)} is longer than interval = {humanized(interval)}"
            hint = f"{longer}: ticks are skipped while a collect takes that long"
            self.hints.append(Fault(instance.path, hint))
        spec = Spec(
            type=type_,
            name=name,
            interval=interval,
            timeout=timeout,
            max_series=common.max_series or plugin.max_series,
            max_memory=int(common.max_memory),
            policy=common.policy,
            settings=built.settings,
            variables={where.name: os.environ[where.name] for where in secrets if where.is_variable},
            worker=worker_name(f"{type_}/{name}", local=built.local, isolation=self._agent.isolation),
            plugin=instance.place,
            unknown=one_line(
                built.problem or next((look.problem for look in secrets.values() if look.problem), ""),
                LONGEST_NOTE,
            ),
        )
        if section == "sink":
            spec = self._for_sink(spec, plugin.feed)
        return replace(spec, digest=_digest(spec, [look.digest for look in secrets.values()]))

    def _for_sink(self, spec: Spec, feed: Feed) -> Spec:
        return replace(
            spec,
            worker=f"sink/{spec.key}",
            policy=replace(spec.policy, grace=SINK_CLOSES),
            sink=feed,
            host=self._agent.host,
            tags=self._agent.tags,
        )


def _plugin_of(path: KeyPath) -> str:
    """Return the name under which the plugin of an instance is asked."""
    return ".".join(path[:2])


def _digest(spec: Spec, secrets: list[str]) -> str:
    text = json.dumps([asdict(spec), secrets], sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()
