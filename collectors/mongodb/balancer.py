"""The balancer of a sharded cluster, as a mongos knows it."""

from collections.abc import Iterator
from typing import Any

from collectors.mongodb.server import NOT_FOUND
from collectors.mongodb.status import number
from rscollector.api import Kind, Metric, Sample

ENABLED = Metric("mongodb_balancer_enabled", Kind.GAUGE, "Whether the balancer is switched on.")
RUNNING = Metric("mongodb_balancer_running", Kind.GAUGE, "Whether a round of balancing is under way.")
ROUNDS = Metric(
    "mongodb_balancer_rounds_total",
    Kind.COUNTER,
    "Rounds since the config servers' primary was elected.",
)

METRICS = (ENABLED, RUNNING, ROUNDS)


def samples(server: Any) -> Iterator[Sample]:
    """Ask a mongos; before 3.4 it knows no such command, and the setting stands in a collection."""
    status, refused = server.attempt("balancerStatus", (NOT_FOUND,))
    if refused:
        setting = server.setting("balancer")
        yield ENABLED(int(not setting.get("stopped", False)))
        return
    yield ENABLED(int(status.get("mode") != "off"))
    yield RUNNING(int(bool(status.get("inBalancerRound"))))
    if (rounds := number(status.get("numBalancerRounds"))) is not None:
        yield ROUNDS(rounds)
