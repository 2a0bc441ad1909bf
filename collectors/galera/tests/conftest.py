"""The cluster, for all tests that need one, and who watches it."""

import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness import until
from scenes import place_for, shared_agent
from watching import AGENT

from collectors.galera.tests.cluster import PASSWORD, PROVIDER, Cluster, Node
from collectors.galera.tests.watch import Watch, section


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


@contextmanager
def beside(cluster, number, provider, *arguments):
    """Run a server that is no member of the cluster, and is not there afterwards."""
    node = Node(cluster.nodes[0].directory.parent, number, provider)
    node.wipe()
    node.start("", *arguments)
    try:
        until(lambda: node.status("Uptime"), 60)
        yield node
    finally:
        node.kill()
        shutil.rmtree(node.directory)


@pytest.fixture(scope="module")
def plain(shared_cluster):
    """Start a server that belongs to no cluster and offers no TLS."""
    with beside(shared_cluster, 8, "", "--skip-ssl") as node:
        yield node


@pytest.fixture
def encrypted(authorities, shared_cluster):
    """Start a node, alone in its cluster, that lets one user in with TLS and one with a certificate only."""
    place = shared_cluster.nodes[0].directory.parent / "tls"
    shutil.copytree(authorities, place)
    for path in (place, *place.iterdir()):
        shutil.chown(path, "mysql")
    options = {"ca": "ca.pem", "cert": "server.pem", "key": "server.pem"}
    given = [f"--ssl-{name}={place / file}" for name, file in options.items()]
    with beside(shared_cluster, 9, PROVIDER, "--wsrep-new-cluster", *given) as node:
        until(node.synced, 60)
        node.query(f"CREATE USER secure@'%' IDENTIFIED BY '{PASSWORD}' REQUIRE SSL")
        node.query(f"CREATE USER certified@'%' IDENTIFIED BY '{PASSWORD}' REQUIRE X509")
        yield node
    shutil.rmtree(place)


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
