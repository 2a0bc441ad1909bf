"""Who watches a cluster: an agent with a collector for each node, and a Prometheus with our alerts."""

import time

from cluster import USER
from harness import until

AGENT = """
[agent]
interval = "1s"
timeout = "800ms"
backoff_min = "200ms"
backoff_max = "1s"
max_failures = 100000
max_hangs = 100000
[web]
listen = [{listen}]
[collector.tame.good]
"""
PROMISED = 1 + 2 * 1.0  # seconds from the service's return until all is right: the backoff and two ticks
BUSY = 3  # what a busy machine may add


def section(node, name="", **settings):
    """Return a section for a node, with the least privileges that are documented."""
    given = {
        "host": '"127.0.0.1"',
        "port": node.port,
        "user": f'"{USER}"',
        "password": '{ env = "GALERA" }',
        "members": '["n1", "n2", "n3"]',
        **settings,
    }
    lines = [f"{key} = {value}" for key, value in given.items()]
    return "\n".join([f"[collector.galera.{name or node.name}]", *lines]) + "\n"


class Watch:
    """What the agent and Prometheus say."""

    def __init__(self, agent, prometheus):
        self.agent = agent
        self.prometheus = prometheus

    def state(self, name, metric):
        """Return the state that is set of a stateset, as a node's collector tells it."""
        found = [
            dict(labels)[metric]
            for (each, labels), value in self.agent.metrics().items()
            if each == metric and value == 1 and ("name", name) in labels
        ]
        return found[0] if found else None

    def seen(self, name):
        """Return what a node's collector tells: component, state, size."""
        size = self.value("galera_cluster_size", name)
        return self.state(name, "galera_cluster_status"), self.state(name, "galera_local_state"), size

    def value(self, metric, name, **labels):
        """Return a value that a node's collector tells."""
        return self.agent.value(metric, name=name, **labels)

    def up(self, name):
        """Tell whether a node's collector is up."""
        return self.agent.value("rscollector_collector_up", type="galera", name=name)

    def whole(self):
        """Tell whether every node is seen as a synced member of three."""
        return all(self.seen(name) == ("primary", "synced", 3) for name in ("n1", "n2", "n3"))

    def sees(self, name, *expected, timeout=30):
        """Wait until a node's collector tells this component, state and size."""
        until(lambda: self.seen(name) == expected, timeout)

    def unharmed(self):
        """Assert that the collector that has nothing to do with it was not late."""
        assert self.agent.value("rscollector_collector_up", type="tame") == 1
        assert self.agent.value("rscollector_collector_ticks_missed_total", type="tame") == 0

    def right(self):
        """Wait until all is right again; called when the service is. The alerts of the cluster cease, too."""
        began = time.monotonic()
        until(self.whole, 60)
        took = time.monotonic() - began
        print(f"right again {took:.2f} s after the service was back, {PROMISED:.0f} s are promised")
        assert took <= PROMISED + BUSY
        until(lambda: not self.alarms(), 30)

    def alarms(self):
        """Return the alerts that fire, but for those that look back an hour."""
        return self.prometheus.firing() - {"RscollectorCollectorHangs", "RscollectorBehind"}
