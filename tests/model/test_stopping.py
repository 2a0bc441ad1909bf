"""The times of an end contain each other."""

from rscollector.model.lifecycle import Policy
from rscollector.model.stopping import AGENT_STOPS, SINK_CLOSES, SINK_SENDS


def test_a_sink_gives_up_before_it_is_killed():
    """What it could not send it leaves in its spool, and ends by itself."""
    assert 0 < SINK_SENDS < SINK_CLOSES


def test_the_agent_waits_for_all_that_may_take_its_time():
    """Neither a sink nor a collector is killed for the agent's end before its own time is over."""
    assert max(SINK_CLOSES, Policy().grace) <= AGENT_STOPS


def test_the_agent_is_gone_within_ten_seconds():
    """It waits for its workers, and for nobody else."""
    assert AGENT_STOPS + 2 < 10
