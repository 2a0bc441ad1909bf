"""The cluster, for all tests that need one."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from cluster import PROVIDER, Cluster


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
