"""What rs-collector said of itself."""

import os

from collectors.agent import Agent
from rscollector.sinks.bosun.tests.old_names import translated
from rscollector.testing import FakeContext, collect


def test_the_agent_says_the_same():
    """The version as one number, memory in KB, and how much is told."""
    samples = list(collect(Agent, {}, context=FakeContext(agent=os.getpid())))
    found = translated(samples)
    resident = next(
        each.value
        for each in samples
        if each.metric.name == "agent_process_resident_memory_bytes" and "agent" in each.values
    )
    assert found["rs-collector.stats.rss"] == {(): round(resident / 1024)}
    assert found["rs-collector.version"][()] >= 1000
    assert found["rs-collector.stats.samples"] == {(): len(samples)}
