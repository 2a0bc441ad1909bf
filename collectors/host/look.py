"""What two ticks tell together, by metric and labels."""

from collections.abc import Iterable

from rscollector.api import Metric, Sample
from rscollector.kit.rates import Readings


class Look:
    """The samples of a tick and of the one before; a collector owns it from its opening on."""

    def __init__(self) -> None:
        self._readings = Readings()
        self.take(0.0, ())

    def take(self, at: float, samples: Iterable[Sample]) -> None:
        """Take the samples of a tick, at a monotonic time in seconds."""
        self._now = {_key(each.metric, each.values): each for each in samples}
        numbers = {key: each.value for key, each in self._now.items() if isinstance(each.value, int | float)}
        self._changes = self._readings.take(at, numbers)
        self.at, self.seconds = at, self._changes.seconds

    def now(self, metric: Metric, *labels: str) -> float | None:
        """Return a number as it is now."""
        found = self._now.get(_key(metric, labels))
        return found.value if found and isinstance(found.value, int | float) else None

    def of(self, metric: Metric) -> list[Sample]:
        """Return all samples of a metric."""
        return [each for each in self._now.values() if each.metric is metric]

    def rate(self, metric: Metric, *labels: str) -> float:
        """Return by how much a counter grows in a second, 0 where that is not known."""
        return self._changes.rate(_key(metric, labels)) or 0.0

    def grown(self, metric: Metric, *labels: str) -> float:
        """Return by how much a counter has grown, 0 where that is not known."""
        return self._changes.growth(_key(metric, labels)) or 0.0


def _key(metric: Metric, labels: Iterable[str]) -> str:
    return "\0".join((metric.name, *labels))
