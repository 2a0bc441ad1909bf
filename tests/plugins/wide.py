"""A collector for a page of many small pieces: a hundred metrics with three series each, all values new each time."""

from rscollector.api import Collector, Kind, Metric

ZONES = ("zone-a", "zone-b", "zone-c")


class Wide(Collector):
    """Makes a hundred families; it asks nobody, so that sixty of them share a process."""

    local = True
    max_series = 5000
    interval = 60.0
    metrics = tuple(
        Metric(f"wide_number_{number:02}_of_what_is_counted_here", Kind.GAUGE, "A number.", labels=("zone",))
        for number in range(100)
    )

    def open(self, _context):
        """Begin to count."""
        self.runs = 0

    def collect(self, _context):
        """Return three values for each metric."""
        self.runs += 1
        for number, metric in enumerate(self.metrics):
            for zone in ZONES:
                yield metric(self.runs + number / 7, zone=zone)
