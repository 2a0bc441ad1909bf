"""Receivers, for all tests of sinks."""

import pytest
from arrivals import TOML
from receiver import Receiver


@pytest.fixture
def receiver():
    """Return a receiver that takes everything that is right."""
    started = Receiver()
    yield started
    started.close()


@pytest.fixture
def sending(agent, receiver):
    """Start an agent that sends to the receiver: `sending(more)`."""

    def start(more="", **environment):
        return agent(TOML.format(url=receiver.url, more=more), **environment)

    return start
