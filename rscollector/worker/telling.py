"""How the runs of a collector are told to the agent: the layout when it is new there, and the values."""

from collections.abc import Iterator, Sequence
from operator import itemgetter

from rscollector.api import Metric, Sample
from rscollector.model.metrics import LONGEST_LABELS
from rscollector.wire.layouts import plain
from rscollector.wire.lines import batches, slices
from rscollector.wire.messages import Rows, Values, part


def _bounded(values: Sequence[object]) -> Sequence[object]:
    """Return label values as the agent is told them; those that it refuses need not come as they are."""
    texts = [each for each in values if isinstance(each, str)]
    if len(texts) < len(values):
        return ", ".join(type(each).__name__ for each in values)
    if sum(map(len, texts)) <= LONGEST_LABELS:
        return values
    return ["x" * (LONGEST_LABELS + 1), *("" for _ in values[1:])]


class Telling:
    """The layout of a collector's last run; `number` is 0 before the first one."""

    def __init__(self) -> None:
        self.number = 0
        self._metrics: list[Metric] = []
        self._labels: list[tuple[str, ...]] = []

    def run(self, seq: int, known: int, samples: Sequence[Sample]) -> Iterator[bytes]:
        """Yield the lines that tell a run to an agent that has the layout `known`; then `number` is its."""
        metrics, labels = list(map(itemgetter(0), samples)), list(map(itemgetter(1), samples))
        if not self.number or known != self.number or (metrics, labels) != (self._metrics, self._labels):
            self.number, self._metrics, self._labels = self.number + 1, metrics, labels
            for array in batches(
                [metric.name, _bounded(values)] for metric, values in zip(metrics, labels, strict=True)
            ):
                yield part(Rows, seq, array)
        for array in slices(list(map(itemgetter(2), samples)), plain):
            yield part(Values, seq, array)
