"""A mount namespace for a test."""

import pytest

from collectors.filesystem.tests.mounting import mount_namespace


@pytest.fixture
def mounts(tmp_path):
    """Return a namespace whose mounts are below `mounts.base`, and nobody else's."""
    base = tmp_path / "f"
    base.mkdir()
    with mount_namespace(base) as made:
        yield made
