"""From the tables `[collector.TYPE.NAME]` and `[sink.TYPE.NAME]` to a `Spec` for each, which the agent runs.

A table says two things: the settings that every instance has (`Common`), whose defaults are in `[agent]`, and
those of its plugin. A mistake in it is a fault of the builder's and makes the configuration invalid; what
keeps this one plugin from being opened is a problem, which the others do not feel.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, NamedTuple

from rscollector.config import registry
from rscollector.config.build import Builder, Fault, KeyPath, plain, shown, unknown
from rscollector.config.types import AgentSection, Common, Feed, Spec, worker_name
from rscollector.model.errors import Misconfigured, fence
from rscollector.model.stopping import SINK_CLOSES

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


class _Plugin(NamedTuple):
    """What an instance has of its plugin: settings as plain values, and why it cannot be opened, if so."""

    settings: dict[str, Any]
    local: bool
    problem: str


class Specs:
    """Gathers `specs`, and the `problems` of those that cannot be opened; faults are in the builder."""

    def __init__(self, builder: Builder, agent: AgentSection, defaults: Common) -> None:
        self.specs: list[Spec] = []
        self.problems: list[Fault] = []
        self._builder = builder
        self._agent = agent
        self._defaults = defaults

    def add(self, section: str, table: object) -> None:
        """Read all instances of a section, `collector` or `sink`."""
        places = registry.installed(registry.GROUPS[section])
        for type_, instances in self._tables(table, (section,)):
            if type_ not in places:
                reason = unknown(type_, places).replace("unknown key", f"no such {section} is installed")
                self._builder.fault((section, type_), reason)
                continue
            for name, settings in self._tables(instances, (section, type_)):
                self._instance((section, type_, name), settings, places[type_])

    def _tables(self, table: object, path: KeyPath) -> list[tuple[str, Any]]:
        if isinstance(table, Mapping):
            return list(table.items())
        example = ".".join((*path, "main")[:3])
        self._builder.fault(path, f"expected a table such as [{example}], not {shown(table)}")
        return []

    def _instance(self, path: KeyPath, table: object, place: str) -> None:
        if not _NAME.fullmatch(path[2]):
            self._builder.fault(path, "a name has letters, digits and _ . - after a letter or digit")
            return
        spec = self._spec(path, table, place)
        if path[0] == "sink":
            spec = self._for_sink(spec)
        if spec.problem:
            self.problems.append(Fault(path, spec.problem))
        self.specs.append(replace(spec, digest=_digest(spec)))

    def _spec(self, path: KeyPath, table: object, place: str) -> Spec:
        _, type_, name = path
        common, own = self._builder.part(self._defaults, table, path)
        plugin = self._plugin(own, path, place)
        return Spec(
            type=type_,
            name=name,
            interval=float(common.interval),
            timeout=float(common.seconds),
            max_series=common.max_series,
            max_memory=int(common.max_memory),
            policy=common.policy,
            settings=plugin.settings,
            worker=worker_name(f"{type_}/{name}", local=plugin.local, isolation=self._agent.isolation),
            plugin=place,
            problem=plugin.problem,
        )

    def _plugin(self, table: dict[str, Any], path: KeyPath, place: str) -> _Plugin:
        """Build the plugin's settings out of the part of the table that is its own."""
        builder, before = self._builder, len(self._builder.problems)
        try:
            plugin = registry.load(path[1], place)
        except Misconfigured as error:
            return _Plugin({}, local=False, problem=str(error))
        built = None
        with fence() as caught:
            built = builder.table(plugin.Settings, table, path, beside=Common)
        problems = [f"{'.'.join(each.path[3:])}: {each.reason}" for each in builder.problems[before:]]
        problems += [f"the plugin's settings are wrong: {type(each).__name__}: {each}" for each in caught]
        return _Plugin(plain(built) if built else {}, plugin.local, "; ".join(problems))

    def _for_sink(self, spec: Spec) -> Spec:
        return replace(
            spec,
            worker=f"sink/{spec.key}",
            policy=replace(spec.policy, grace=SINK_CLOSES),
            sink=Feed.RUNS if registry.is_sink_of_runs(spec.type, spec.plugin) else Feed.PAGE,
            host=self._agent.host,
            tags=self._agent.tags,
        )


def _digest(spec: Spec) -> str:
    text = json.dumps(asdict(spec), sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()
