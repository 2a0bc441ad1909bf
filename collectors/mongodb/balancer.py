"""The balancer of a sharded cluster, as a mongos knows it."""

from collections.abc import Iterator
from typing import Any

from collectors.mongodb.server import NOT_FOUND, Refused
from collectors.mongodb.status import MONGODB, number
from rscollector.api import Sample

ENABLED = MONGODB.gauge("balancer_enabled", "Whether the balancer is switched on.")
RUNNING = MONGODB.gauge("balancer_running", "Whether a round of balancing is under way.")
ROUNDS = MONGODB.counter("balancer_rounds", "Rounds since the config servers' primary was elected.")

METRICS = (ENABLED, RUNNING, ROUNDS)


def samples(server: Any) -> Iterator[Sample]:
    """Ask a mongos; before 3.4 it knows no such command, and the setting stands in a collection."""
    try:
        status = server.command("balancerStatus")
    except Refused as error:
        if error.code != NOT_FOUND:
            raise
        yield ENABLED(int(not server.setting("balancer").get("stopped", False)))
        return
    yield ENABLED(int(status.get("mode") != "off"))
    yield RUNNING(int(bool(status.get("inBalancerRound"))))
    if (rounds := number(status.get("numBalancerRounds"))) is not None:
        yield ROUNDS(rounds)
