"""A Galera node watched by the agent, beside prometheus-mysqld-exporter asking the same server in the same run."""

import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import bench
from bench import Row
from harness import free_port, until
from scrape import asked

sys.path.insert(0, str(Path(__file__).parent.parent / "galera"))
from collectors.galera.tests.cluster import PASSWORD, USER, Cluster

AGENT = """
[web]
listen = ["127.0.0.1:{ours}"]
[agent]
interval = "500ms"
[collector.agent.main]
interval = "15s"
[collector.galera.main]
host = "127.0.0.1"
port = {port}
user = "{user}"
password = {{ env = "GALERA" }}
"""
EXPORTER = "prometheus-mysqld-exporter"
ROUNDS = 200
PERIOD = 0.5


def rows():
    """Collect and scrape twice a second, both, and compare CPU, memory and the time of a scrape."""
    ours, theirs = free_port(), free_port()
    with _node() as node:
        toml = AGENT.format(ours=ours, port=node.port, user=USER)
        source = f"DATA_SOURCE_NAME={USER}:{PASSWORD}@(127.0.0.1:{node.port})/"
        command = ["env", source, EXPORTER, f"--web.listen-address=127.0.0.1:{theirs}"]
        with bench.agent(toml, GALERA=PASSWORD) as agent, bench.running(command) as (exporter,):
            until(
                lambda: bench.listening(theirs) and all(each["up"] for each in agent.status()["collectors"])
            )
            assert b"mysql_global_status_wsrep_cluster_size 1" in bench.fetched(theirs)
            yield from _measured(agent, ours, exporter, theirs)


def _measured(agent, ours, exporter, theirs):
    bench.settled(5)
    family = bench.descendants(agent.process.pid)
    cpu = [sum(map(bench.cpu_seconds, family)), bench.cpu_seconds(exporter)]
    collected = _collections(agent)
    names = {ours: "agent", theirs: EXPORTER}
    paced = asked(names, ROUNDS, 1, PERIOD, "identity")
    collected = _collections(agent) - collected
    mine = (sum(map(bench.cpu_seconds, family)) - cpu[0]) / collected * 1e3
    other = (bench.cpu_seconds(exporter) - cpu[1]) / ROUNDS * 1e3
    yield Row(
        "Galera: CPU per collection, agent and workers, its scrape included",
        mine,
        "ms",
        f"{EXPORTER} {other:.3g} ms per scrape",
        mine / other,
        1,
    )
    quick = asked(names, 20, 5, 0, "identity")
    yield quick.row("Galera: time of a scrape", EXPORTER, quick.median(EXPORTER), 1 / 10)
    yield paced.row("Galera: time of a scrape, twice a second", EXPORTER, paced.median(EXPORTER), None)
    mine, other = bench.proportional_memory(family), bench.proportional_memory([exporter])
    what = "Galera: memory of the agent and the workers of agent and galera"
    yield Row(what, mine, "MB", f"{EXPORTER} {other:.3g} MB", mine / other)


def _collections(agent):
    found = agent.metrics().items()
    return sum(
        value
        for (name, labels), value in found
        if name == "rscollector_collector_runs_total" and ("type", "galera") in labels
    )


@contextmanager
def _node():
    directory = Path(tempfile.mkdtemp(prefix="galera-", dir="/tmp"))
    try:
        cluster = Cluster(directory, 1)
        (node,) = cluster.nodes
        node.query(f"GRANT PROCESS, REPLICATION CLIENT, SELECT ON *.* TO {USER}@'127.0.0.1'")
        yield node
        cluster.stop()
    finally:
        shutil.rmtree(directory)
