"""Who watches a service that has a collector for each of its nodes: an agent, and a Prometheus with our alerts."""

import time
from contextlib import suppress

from harness import until

AGENT = """
[agent]
interval = "1s"
timeout = "800ms"
backoff_min = "200ms"
backoff_max = "1s"
max_failures = 100000
max_hangs = 100000
probation_misconfigured = "1s"
[web]
listen = [{listen}]
[collector.tame.good]
"""
PROMISED = 1 + 2 * 1.0  # seconds from the service's return until all is right: the backoff and two ticks
BUSY = 3  # what a busy machine may add


def section(type_, name, **settings):
    """Return a collector's section."""
    lines = [f"{key} = {value}" for key, value in settings.items()]
    return "\n".join([f"[collector.{type_}.{name}]", *lines]) + "\n"


class Watch:
    """What the agent and Prometheus say; `type` is the collector's."""

    type = ""
    look_back = frozenset({"RscollectorCollectorHangs", "RscollectorBehind"})

    def __init__(self, agent, prometheus):
        self.agent = agent
        self.prometheus = prometheus

    def state(self, name, metric, **labels):
        """Return the state that is set of a stateset, as a node's collector tells it."""
        wanted = {("name", name), *labels.items()}
        found = [
            dict(has)[metric]
            for (each, has), value in self.agent.metrics().items()
            if each == metric and value == 1 and wanted <= has
        ]
        return found[0] if found else None

    def value(self, metric, name, **labels):
        """Return a value that a node's collector tells."""
        return self.agent.value(metric, name=name, **labels)

    def up(self, name):
        """Tell whether a node's collector is up."""
        return self.agent.value("rscollector_collector_up", type=self.type, name=name)

    def whole(self):
        """Tell whether all is as it should be, seen from every node."""
        raise NotImplementedError

    def unharmed(self):
        """Assert that the collector that has nothing to do with it was not late."""
        assert self.agent.value("rscollector_collector_up", type="tame") == 1
        assert self.agent.value("rscollector_collector_ticks_missed_total", type="tame") == 0

    def begin(self):
        """Wait until all is well, and Prometheus knows it."""
        until(self.whole)
        count = len(self.agent.status()["collectors"])
        until(lambda: self.prometheus.value("sum(rscollector_collector_up)") == count)
        self.calm()

    def right(self):
        """Wait until all is right again; called when the service is. The alerts of the service cease, too."""
        began = time.monotonic()
        until(self.whole)
        took = time.monotonic() - began
        print(f"right again {took:.2f} s after the service was back, {PROMISED:.0f} s are promised")
        assert took <= PROMISED + BUSY
        self.calm()

    def calm(self):
        """Wait until no alert fires."""
        with suppress(AssertionError):
            until(lambda: not self.alarms())
        alarms = self.alarms()
        assert not alarms, f"still firing: {alarms}"

    def alarms(self):
        """Return the alerts that fire, but for those that look back far."""
        return self.prometheus.firing() - self.look_back
