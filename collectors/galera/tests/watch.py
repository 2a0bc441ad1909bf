"""A cluster, watched from each of its nodes."""

import scenes
import watching
from harness import until

from collectors.galera.tests.cluster import USER

SEEN = ("galera_cluster_status", "galera_local_state", "galera_cluster_size")


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
    return watching.section("galera", name or node.name, **given)


class Watch(scenes.Watch):
    """What is said of the cluster."""

    type = "galera"

    def seen(self, name):
        """Return what a node's collector tells: component, state, size."""
        return self._seen_in(scenes.told(self.agent, *SEEN), name)

    def _seen_in(self, samples, name):
        states = (self.state_in(samples, name, metric) for metric in SEEN[:2])
        return *states, self.value_in(samples, SEEN[2], name=name)

    def whole(self):
        """Tell whether every node is seen as a synced member of three."""
        samples = scenes.told(self.agent, *SEEN)
        return all(self._seen_in(samples, name) == ("primary", "synced", 3) for name in ("n1", "n2", "n3"))

    def sees(self, name, *expected, timeout=30):
        """Wait until a node's collector tells this component, state and size."""
        until(lambda: self.seen(name) == expected, timeout)
