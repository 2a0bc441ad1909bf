"""The cluster, for all tests that need one, and who watches it."""

import os
import shutil
from pathlib import Path

import pytest
from cluster import PASSWORD, PROVIDER, Cluster, Node
from harness import until
from scenes import place_for, shared_agent
from watch import Watch, section
from watching import AGENT


@pytest.fixture(scope="session")
def shared_cluster():
    """Start a cluster once."""
    if not shutil.which("mariadbd") or not Path(PROVIDER).exists() or os.geteuid() != 0:
        pytest.skip("needs mariadbd, galera and root")  # the marker says which, and fails in CI
    with place_for("galera") as directory:
        started = Cluster(directory)
        yield started
        started.stop()


@pytest.fixture
def cluster(shared_cluster):
    """Return the cluster, whole, whatever the test before has left."""
    shared_cluster.heal()
    return shared_cluster


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


@pytest.fixture(scope="module")
def watcher(shared_cluster, shared_prometheus, tmp_path_factory):
    """Start an agent that watches the three nodes and is scraped."""
    toml = AGENT.format(listen=f'"{shared_prometheus.target}"') + "".join(map(section, shared_cluster.nodes))
    with shared_agent(tmp_path_factory.mktemp("galera"), toml, GALERA=PASSWORD) as agent:
        yield Watch(agent, shared_prometheus)


@pytest.fixture
def watching(watcher, cluster):
    """Return who watches the three nodes, when all is well."""
    watcher.begin()
    return watcher
