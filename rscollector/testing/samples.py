"""The samples of one collect, as the agent would take them: as they are, as a page, as series."""

from collections.abc import Iterable, Mapping
from typing import Any

from rscollector.api import Collector, Context, Sample
from rscollector.config.secrets import read
from rscollector.exposition.render import Format
from rscollector.runtime.foreground import collect_once, exposed, settings_of
from rscollector.testing.context import FakeContext


class Rejected(AssertionError):
    """The collector gave samples that the agent would drop; the text says which and why."""


def collect(
    plugin: type[Collector[Any]],
    settings: Mapping[str, Any] | None = None,
    *,
    context: Context | None = None,
) -> list[Sample]:
    """Open a collector with settings as TOML gives them, collect once, close it, and return the samples.

    Raises ValueError when the settings are wrong, Rejected when the agent would drop a sample, and whatever
    the collector raises.
    """
    built = settings_of(plugin, settings or {}, read)
    samples = collect_once(plugin, built, context or FakeContext()).samples
    accepted, _ = exposed(plugin, "test/main", samples, Format.TEXT, plugin.max_series)
    if accepted.dropped:
        raise Rejected("; ".join(f"{reason}: {what}" for reason, what in accepted.examples.items()))
    return samples


def page(plugin: type[Collector[Any]], samples: Iterable[Sample], wanted: Format = Format.TEXT) -> str:
    """Return the samples as the agent would show them to Prometheus, for comparison with a golden file."""
    return exposed(plugin, "test/main", list(samples), wanted, plugin.max_series)[1].decode()


def values(samples: Iterable[Sample]) -> dict[str, float]:
    """Return the series of samples by their name and labels as a query would write them."""
    found: dict[str, float] = {}
    for sample in samples:
        for name, labels, value in sample.metric.series(sample.values, sample.value):
            inner = ",".join(f'{label}="{text}"' for label, text in labels.items())
            found[f"{name}{{{inner}}}" if inner else name] = value
    return found
