"""Run a collector once, in this process: for `rscollector collect`, for debuggers and for tests."""

import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Self

from rscollector.api import Collector, Context, Sample
from rscollector.config.build import Builder
from rscollector.exposition.render import Format
from rscollector.exposition.store import Store, page
from rscollector.exposition.validate import Accepted
from rscollector.model.errors import CollectError
from rscollector.model.metrics import samples_of
from rscollector.model.texts import LONGEST_NOTE, one_line


def settings_of(plugin: type[Collector[Any]], table: Mapping[str, Any], secret: Any) -> Any:
    """Build a plugin's settings from a table as TOML gives it; raises ValueError with every mistake."""
    builder = Builder(secret)
    built = builder.table(plugin.Settings, table, ())
    wrong = [*builder.faults, *builder.problems]
    if wrong:
        raise ValueError(
            "; ".join(f"{'.'.join(path)}: {reason}".removeprefix(": ") for path, reason in wrong)
        )
    return built


class Collected(NamedTuple):
    """What a collect gave: samples, notes for the operator, and what it all means in sentences.

    `degraded` is what keeps the collector from what it is for.
    """

    samples: list[Sample]
    notes: list[str]
    sentences: list[str]
    degraded: CollectError | None

    def shown(self, masked: Callable[[str], str]) -> Self:
        """Return it with notes and sentences as they may be printed."""
        notes, sentences = ([one_line(each, LONGEST_NOTE, masked) for each in texts] for texts in self[1:3])
        return self._replace(notes=notes, sentences=sentences)


def collect_once(plugin: type[Collector[Any]], settings: Any, context: Context) -> Collected:
    """Open, collect, close; whatever the collector raises is the caller's."""
    collector = plugin(settings)
    collector.open(context)
    try:
        samples = list(samples_of(collector.collect(context)))
        return Collected(samples, context.notes, context.sentences, context.degradation)
    finally:
        collector.close()


def context_for(name: str, timeout: float, interval: float = 15.0) -> Context:
    """Return a context in which this process takes the agent's place."""
    return Context(name, timeout=timeout, interval=interval, agent=os.getpid())


def exposed(
    plugin: type[Collector[Any]], key: str, samples: list[Sample], wanted: Format, limit: int
) -> tuple[Accepted, bytes]:
    """Return what the agent would make of these samples, and the page that it would show."""
    store = Store(limit)
    declared = {metric.name: metric for metric in plugin.metrics}
    rows = [(sample.metric.name, sample.values, sample.value) for sample in samples]
    accepted = store.commit(key, rows, declared, limit=limit, expires=1)
    return accepted, page(store.chunks(wanted), wanted)
