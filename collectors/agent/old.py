"""What rs-collector told of itself: memory in KB, the version as one number, and how much it tells."""

import re
from collections.abc import Iterator

import rscollector
from rscollector.api.old import Old, Point, Run

_RESIDENT = "agent_process_resident_memory_bytes"


def _memory(run: Run, ours: str) -> Iterator[Point]:
    for labels, number in run.numbers(ours):
        if labels["process"] == "agent":
            yield {}, round(number / 1024)


def _version(_run: Run, _ours: str) -> Iterator[Point]:
    major, minor, patch = (*map(int, re.findall(r"\d+", rscollector.__version__)), 0, 0, 0)[:3]
    yield {}, major * 1_000_000 + minor * 1_000 + patch


def _samples(run: Run, _ours: str) -> Iterator[Point]:
    yield {}, run.size


RS_COLLECTOR = (
    Old("rs-collector.stats.rss", _RESIDENT, _memory, "KB", "Resident memory of the agent."),
    Old(
        "rs-collector.version", _RESIDENT, _version, "",
        "Version of the agent: x * 1000000 + y * 1000 + z.",
    ),
    Old(
        "rs-collector.stats.samples", _RESIDENT, _samples, "Samples",
        "Samples of the agent's own in a run.",
    ),
)  # fmt: skip
