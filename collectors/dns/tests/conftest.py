"""The servers, for all tests that need them, and who asks them."""

import os
import shutil

import pytest
from scenes import place_for

from collectors.dns.tests.servers import Servers
from collectors.dns.tests.watch import Watcher


@pytest.fixture(scope="session")
def shared_servers():
    """Start the servers once."""
    if os.geteuid() or not all(map(shutil.which, ("named", "nsd", "knotd", "dig", "ip"))):
        pytest.skip("needs root, named, nsd, knotd, dig and ip")  # the marker says which, and fails in CI
    with place_for("dns") as directory:
        started = Servers(directory)
        try:
            started.start()
            yield started
        finally:
            started.stop()


@pytest.fixture
def servers(shared_servers):
    """Return the servers, all of them up, whatever the test before has left."""
    shared_servers.heal()
    return shared_servers


@pytest.fixture
def watcher(servers):
    """Return what opens the collector where it can ask the servers: `watcher("example.test")`."""

    def watch(*zones, **settings):
        return Watcher(servers, zones, settings)

    return watch
