"""A collector for benchmarks: as many series as it is asked for, with three labels, all values new each time."""

from dataclasses import dataclass

from rscollector.api import Collector, Kind, Metric, setting

VALUE = Metric("load_value", Kind.GAUGE, "A value.", labels=("queue", "zone", "number"))
QUEUES = ("active", "deferred", "incoming", "maildrop")


@dataclass(frozen=True)
class LoadSettings:
    """How much."""

    series: int = setting("How many series.", default=1000)


class Load(Collector[LoadSettings]):
    """Makes series."""

    metrics = (VALUE,)
    Settings = LoadSettings

    def open(self, _context):
        """Begin to count."""
        self.runs = 0

    def collect(self, _context):
        """Return a value for each series."""
        self.runs += 1
        for number in range(self.settings.series):
            labels = {"queue": QUEUES[number % 4], "zone": f"zone-{number % 25:02}", "number": f"{number:05}"}
            yield VALUE(self.runs + number / 7, **labels)
