"""The replica set, for all tests that need one, and who watches it."""

import shutil
import tempfile
from pathlib import Path

import pytest
from replica_set import PASSWORD, Mongod, ReplicaSet
from watching import AGENT
from watching_mongodb import Watch, section

MEMORY = Path("/dev/shm")


@pytest.fixture(scope="session")
def place():
    """Return a directory for databases, in memory where there is room."""
    roomy = MEMORY.exists() and shutil.disk_usage(MEMORY).free > 4 << 30
    with tempfile.TemporaryDirectory(prefix="mongodb-", dir=MEMORY if roomy else None) as directory:
        yield Path(directory)


@pytest.fixture(scope="session")
def shared_set(place):
    """Start a replica set once; whoever uses it leaves it whole."""
    if not shutil.which("mongod"):
        pytest.skip("needs mongod")  # the marker says so, and fails in CI
    directory = place / "set"
    directory.mkdir()
    started = ReplicaSet(directory)
    yield started
    started.stop()


@pytest.fixture
def replicas(shared_set):
    """Return the replica set, whole before and after."""
    shared_set.heal()
    yield shared_set
    shared_set.heal()


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
        server.kill()
        shutil.rmtree(server.directory.parent)


@pytest.fixture
def watching(agent, replicas, shared_prometheus):
    """Start an agent that watches the three members and is scraped, and wait until all is well."""
    toml = AGENT.format(listen=f'"{shared_prometheus.target}"') + "".join(map(section, replicas.members))
    watch = Watch(agent(toml, MONGODB=PASSWORD), shared_prometheus)
    watch.begin()
    return watch
