"""Metrics whose names begin alike, each declared in a line."""

from rscollector.model.metrics import Kind, Metric

UNITS = frozenset({
    "seconds", "bytes", "ratio", "celsius", "volts", "amperes", "watts", "joules", "hertz", "meters", "grams",
})  # fmt: skip
"""Base units, of Prometheus' and OpenMetrics' conventions: a name that ends in one has that unit."""


class Namespace:
    """Declares metrics. Their names begin with `prefix`; `labels` stand before the labels of each.

        galera = Namespace("galera")
        SIZE = galera.gauge("cluster_size", "Members of the node's component, itself included.")
        PAUSED = galera.counter("paused_seconds", "Time that replication was paused.")  # …_seconds_total
        SERVER = galera.info("server", "The server.", "version")  # galera_server_info{version="…"}

    The suffix of a kind is added, and the unit is the name's last word, where that is one of UNITS.
    """

    def __init__(self, prefix: str, *labels: str) -> None:
        self._prefix = prefix
        self._labels = labels

    def gauge(self, name: str, text: str, *labels: str) -> Metric:
        """Declare a number that may rise and fall; `text` is a sentence, the metric's help."""
        return self._metric(Kind.GAUGE, name, text, labels)

    def counter(self, name: str, text: str, *labels: str) -> Metric:
        """Declare a number that only rises, but for a restart; `_total` is added to its name."""
        return self._metric(Kind.COUNTER, name, text, labels, suffix="_total")

    def info(self, name: str, text: str, *labels: str) -> Metric:
        """Declare what is told by labels alone; `_info` is added to its name."""
        return self._metric(Kind.INFO, name, text, labels, suffix="_info")

    def stateset(self, name: str, text: str, states: tuple[str, ...], *labels: str) -> Metric:
        """Declare a state, which is one of several."""
        return self._metric(Kind.STATESET, name, text, labels, states=states)

    def histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Metric:
        """Declare a distribution of all that was observed so far; `buckets` are the upper bounds."""
        return self._metric(Kind.HISTOGRAM, name, text, labels, buckets=buckets)

    def gauge_histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Metric:
        """Declare a distribution of what is there now; `buckets` are the upper bounds."""
        return self._metric(Kind.GAUGE_HISTOGRAM, name, text, labels, buckets=buckets)

    def _metric(  # noqa: PLR0913
        self,
        kind: Kind,
        name: str,
        text: str,
        labels: tuple[str, ...],
        *,
        suffix: str = "",
        states: tuple[str, ...] = (),
        buckets: tuple[float, ...] = (),
    ) -> Metric:
        last = name.rpartition("_")[2]
        return Metric(
            f"{self._prefix}_{name}{suffix}",
            kind,
            text,
            unit=last if last in UNITS else "",
            labels=(*self._labels, *labels),
            states=states,
            buckets=buckets,
        )
