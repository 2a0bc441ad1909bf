"""A Prometheus Pushgateway: the page of all metrics, for hosts that nobody can scrape."""

from rscollector.sinks.pushgateway.sink import Pushgateway

__all__ = ["Pushgateway"]
