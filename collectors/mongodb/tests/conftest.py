"""The replica set, for all tests that need one, and who watches it."""

import shutil

import pytest
from scenes import place_for, shared_agent
from watching import AGENT

from collectors.mongodb.tests.replica_set import PASSWORD, Mongod, ReplicaSet
from collectors.mongodb.tests.watching_mongodb import Watch, section


@pytest.fixture(scope="session")
def place():
    """Return a directory for databases."""
    with place_for("mongodb") as directory:
        yield directory


@pytest.fixture(scope="session")
def shared_set(place):
    """Start a replica set once."""
    if not shutil.which("mongod"):
        pytest.skip("needs mongod")  # the marker says so, and fails in CI
    directory = place / "set"
    directory.mkdir()
    started = ReplicaSet(directory)
    yield started
    started.stop()


@pytest.fixture
def replicas(shared_set):
    """Return the replica set, whole, whatever the test before has left."""
    shared_set.heal()
    return shared_set


@pytest.fixture
def mongod(place):
    """Start a server that belongs to no set: `mongod(**options)`."""
    started = []

    def start(**options):
        directory = place / f"alone-{len(started)}"
        directory.mkdir()
        server = Mongod(directory, "alone", **options)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        if server.process:
            server.kill()
        shutil.rmtree(server.directory.parent)


@pytest.fixture(scope="module")
def watcher(shared_set, shared_prometheus, tmp_path_factory):
    """Start an agent that watches the three members and is scraped."""
    toml = AGENT.format(listen=f'"{shared_prometheus.target}"') + "".join(map(section, shared_set.members))
    with shared_agent(tmp_path_factory.mktemp("mongodb"), toml, MONGODB=PASSWORD) as agent:
        yield Watch(agent, shared_prometheus)


@pytest.fixture
def watching(watcher, replicas):
    """Return who watches the three members, when all is well."""
    watcher.begin()
    return watcher
