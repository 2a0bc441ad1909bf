"""An agent that sends, a receiver, and what has arrived there: a plugin, for all tests of sinks."""

import json

import pytest
from harness import until
from receiver import Receiver

TOML = """
[agent]
host = "db1"
interval = "300ms"
timeout = "2s"
backoff_max = "500ms"
tags = {{ domain = "example" }}
[web]
listen = []
[collector.tame.good]
[sink.bosun.main]
url = "{url}"
timeout = "5s"
spool_free = 0
{more}
"""


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


def sent(receiver):
    """Return the runs of tame/good that the receiver has, in order: the values of tame_runs_total."""
    found = receiver.points.copy()
    return sorted(
        value
        for (metric, tags, _, value) in found
        if metric == "tame.runs.total" and dict(tags)["name"] == "good"
    )


def doubled(receiver):
    """Return the runs that have come more than once."""
    return [
        point
        for point, count in receiver.points.copy().items()
        if count > 1 and point[0] == "tame.runs.total"
    ]


def in_spool(directory):
    """Return the points that wait in a spool, as the receiver counts them."""
    found = set()
    for file in directory.glob("*.batch"):
        for point in map(json.loads, file.read_text().splitlines()[1:]):
            tags = tuple(sorted(point["tags"].items()))
            found.add((point["metric"], tags, point["timestamp"], point["value"]))
    return found


def all_until_now(receiver, started):
    """Return a condition: the receiver has every run up to the one that the page shows now."""
    runs = int(until(lambda: started.value("tame_runs_total", name="good")))
    return lambda: sent(receiver)[:runs] == list(range(1, runs + 1))


def runs_of(receiver, life):
    """Return the runs that have arrived of what was collected in one of an agent's lives, in order."""
    return sorted(
        value
        for (metric, tags, _, value) in receiver.points.copy()
        if metric == "tame.runs.total" and dict(tags).get("life") == str(life)
    )
