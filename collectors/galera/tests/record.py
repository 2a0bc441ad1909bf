"""Record what the nodes of a real cluster answer, to test with versions of the server that are not installed here:
`PYTHONPATH=.:tests python3 collectors/galera/tests/record.py collectors/galera/tests/recordings/mariadb-11.8`."""

import sys
import tempfile
from pathlib import Path

from harness import until

from collectors.galera.collector import _SETTINGS, _STATUS
from collectors.galera.tests.cluster import Cluster


def record(node, path, statement):
    """Write what a node answers to a statement."""
    path.write_text("".join(f"{name}\t{value}\n" for name, value in sorted(node.query(statement))))


def main():
    """Record the nodes of a healthy cluster, of one with a donor, and of one with an isolated node."""
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    cluster = Cluster(Path(tempfile.mkdtemp(prefix="galera-", dir="/tmp")))
    n1, _, n3 = cluster.nodes
    try:
        record(n1, target / "01-healthy.n1.settings.tsv", _SETTINGS)
        for node in cluster.nodes:
            record(node, target / f"01-healthy.{node.name}.wsrep.tsv", _STATUS)
        n3.query("SET GLOBAL wsrep_desync=ON")
        record(n3, target / "02-n3-desynced.n3.wsrep.tsv", _STATUS)
        n3.query("SET GLOBAL wsrep_desync=OFF")
        n3.query("SET GLOBAL wsrep_provider_options='gmcast.isolate=1'")
        until(lambda: n1.status("wsrep_cluster_size") == "2" and n3.status("wsrep_ready") == "OFF", 30)
        for node in (n1, n3):
            record(node, target / f"05-n3-isolated.{node.name}.wsrep.tsv", _STATUS)
    finally:
        cluster.stop()


main()
