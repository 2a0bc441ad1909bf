"""The collector agent on real processes."""

import os

import pytest

from collectors.agent.collector import Agent, worker_name
from rscollector.testing import FakeContext, collect, values


def test_the_agents_process_is_measured():
    """This process, in the agent's place, has memory, files and threads."""
    found = values(collect(Agent, context=FakeContext(agent=os.getpid())))
    assert found['agent_process_resident_memory_bytes{process="agent"}'] > 10e6
    proportional = found['agent_process_proportional_memory_bytes{process="agent"}']
    assert 0 < proportional <= found['agent_process_resident_memory_bytes{process="agent"}']
    assert found['agent_process_cpu_seconds_total{process="agent"}'] > 0
    assert found['agent_process_open_fds{process="agent"}'] >= 3
    assert found['agent_process_threads{process="agent"}'] >= 1


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["python3", "-P", "-m", "rscollector.worker", "galera/main", "5", "6", "7"], "galera/main"),
        (["python3", "-m", "rscollector.config"], ""),
        (["python3", "-m", "rscollector.worker"], ""),
        ([], ""),
    ],
)
def test_a_worker_is_known_by_its_command_line(command, name):
    """Only what was started as a worker is one, and its name follows the module's."""
    assert worker_name(command) == name
