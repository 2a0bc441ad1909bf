"""The cluster, for all tests that need one, and who watches it."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from cluster import PASSWORD, PROVIDER, Cluster, Node
from harness import until
from watch import Watch, section
from watching import AGENT


@pytest.fixture(scope="session")
def shared_cluster():
    """Start a cluster once; whoever uses it leaves it whole."""
    if not shutil.which("mariadbd") or not Path(PROVIDER).exists() or os.geteuid() != 0:
        pytest.skip("needs mariadbd, galera and root")  # the marker says which, and fails in CI
    directory = Path(tempfile.mkdtemp(prefix="galera-", dir="/tmp"))  # its users may not enter pytest's own
    started = Cluster(directory)
    yield started
    started.stop()
    shutil.rmtree(directory)


@pytest.fixture
def cluster(shared_cluster):
    """Return the cluster, whole before and after."""
    shared_cluster.heal()
    yield shared_cluster
    shared_cluster.heal()


@pytest.fixture
def server(shared_cluster):
    """Start a server that is no member of the cluster: `server(provider, *arguments)`."""
    started = []

    def start(provider, *arguments):
        node = Node(shared_cluster.nodes[0].directory.parent, 9, provider)
        node.wipe()
        started.append(node)
        node.start("", *arguments)
        until(lambda: node.status("Uptime"), 30)
        return node

    yield start
    for node in started:
        node.kill()
        shutil.rmtree(node.directory)


@pytest.fixture
def watching(agent, cluster, shared_prometheus):
    """Start an agent that watches the three nodes and is scraped, and wait until all is well."""
    toml = AGENT.format(listen=f'"{shared_prometheus.target}"') + "".join(map(section, cluster.nodes))
    watch = Watch(agent(toml, GALERA=PASSWORD), shared_prometheus)
    watch.begin()
    return watch
