"""A cluster, watched from each of its nodes."""

import watching
from cluster import USER
from harness import until


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


class Watch(watching.Watch):
    """What is said of the cluster."""

    type = "galera"

    def seen(self, name):
        """Return what a node's collector tells: component, state, size."""
        size = self.value("galera_cluster_size", name)
        return self.state(name, "galera_cluster_status"), self.state(name, "galera_local_state"), size

    def whole(self):
        """Tell whether every node is seen as a synced member of three."""
        return all(self.seen(name) == ("primary", "synced", 3) for name in ("n1", "n2", "n3"))

    def sees(self, name, *expected, timeout=30):
        """Wait until a node's collector tells this component, state and size."""
        until(lambda: self.seen(name) == expected, timeout)
