"""Receivers, for all tests of sinks."""

import pytest
from receiver import Receiver


@pytest.fixture
def receiver():
    """Return a receiver that takes everything that is right."""
    started = Receiver()
    yield started
    started.close()
