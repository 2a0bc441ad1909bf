"""What rs-collector called connections, operations, a member's state and the lags."""

from collections.abc import Callable, Iterator
from statistics import fmean

from rscollector.api.old import Labels, Old, Point, Points, Run, numbered

_STATES = {
    "startup": 0, "primary": 1, "secondary": 2, "recovering": 3, "startup2": 5, "unknown": 6, "arbiter": 7,
    "down": 8, "rollback": 9, "removed": 10,
}  # fmt: skip
_OPERATIONS = ("insert", "query", "update", "delete", "getmore", "command")
_LAGS: tuple[tuple[str, Callable[[list[float]], float], str], ...] = (
    ("min", min, "shortest"),
    ("avg", fmean, "mean"),
    ("max", max, "longest"),
)


def _server(run: Run) -> Labels:
    found = run.of("mongodb_server_info")
    return {label: found[0][0][label] for label in ("version", "process")} if found else {}


def _set(run: Run) -> Labels:
    found = run.of("mongodb_replica_set_info")
    return {"replicaset": found[0][0]["set"]} if found else {}


def _of_server(run: Run, ours: str) -> Iterator[Point]:
    yield from ((_server(run), number) for _, number in run.numbers(ours))


def _of_operation(operation: str) -> Points:
    def points(run: Run, ours: str) -> Iterator[Point]:
        for labels, number in run.numbers(ours):
            if labels["operation"] == operation:
                yield _server(run), number

    return points


def _state(run: Run, ours: str) -> Iterator[Point]:
    for _, value in run.of(ours):
        if value in _STATES:
            yield _set(run), _STATES[str(value)]


def _lag(of: Callable[[list[float]], float]) -> Points:
    """Return what the primary says of the others' lag, in milliseconds; nothing where there are none."""

    def points(run: Run, ours: str) -> Iterator[Point]:
        lags = [number for _, number in run.numbers(ours)]
        if lags and any(value == "primary" for _, value in run.of("mongodb_state")):
            yield _set(run), of(lags) * 1000

    return points


RS_COLLECTOR = (
    Old("mongo.connections.current", "mongodb_connections_current", _of_server),
    Old("mongo.connections.available", "mongodb_connections_available", _of_server),
    Old("mongo.connections.totalCreated", "mongodb_connections_created_total", _of_server, rate="counter"),
    *(
        Old(f"mongo.opcounters.{each}", "mongodb_operations_total", _of_operation(each))
        for each in _OPERATIONS
    ),
    Old("mongo.replicasets.members.mystate", "mongodb_state", _state, text=numbered(_STATES)),
    *(
        Old(
            f"mongo.replicasets.oplog_lag.{each}",
            "mongodb_member_optime_lag_seconds",
            _lag(of),
            "ms",
            f"{{}} The {which} lag of all, told by the primary.",
            beside=True,
        )
        for each, of, which in _LAGS
    ),
)
