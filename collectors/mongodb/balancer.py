"""The balancer of a sharded cluster, as a mongos knows it."""

from collections.abc import Iterator
from typing import Any

from collectors.mongodb.server import NOT_FOUND, Refused
from collectors.mongodb.status import MONGODB, read
from rscollector.api import Sample
from rscollector.kit.table import Table, row

ENABLED = MONGODB.gauge("balancer_enabled", "Whether the balancer is switched on.")
STATUS = Table(
    {
        "mode": row(ENABLED, lambda mode: int(mode != "off")),
        "inBalancerRound": row(
            MONGODB.gauge("balancer_running", "Whether a round of balancing is under way.")
        ),
        "numBalancerRounds": row(
            MONGODB.counter("balancer_rounds", "Rounds since the config servers' primary was elected.")
        ),
    }
)

METRICS = STATUS.metrics


def samples(server: Any) -> Iterator[Sample]:
    """Ask a mongos; before 3.4 it knows no such command, and the setting stands in a collection."""
    try:
        yield from read(STATUS, server.command("balancerStatus"))
    except Refused as error:
        if error.code != NOT_FOUND:
            raise
        yield ENABLED(int(not server.setting("balancer").get("stopped", False)))
