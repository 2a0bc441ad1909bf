"""What rs-collector called a node's status: ON and Primary are 0, a UUID is its last twelve digits."""

import re
from collections.abc import Iterator

from rscollector.api.old import Old, Point, Points, Run, numbered, scaled

_WSREP = "galera.wsrep."
_SAME = {
    "protocol.version": "protocol_version",
    "last.committed": "last_committed_seqno",
    "replicated": "replicated_writesets_total",
    "replicated.bytes": "replicated_bytes_total",
    "repl.keys": "replicated_keys_total",
    "repl.keys.bytes": "replicated_keys_bytes_total",
    "repl.data.bytes": "replicated_data_bytes_total",
    "repl.other.bytes": "replicated_other_bytes_total",
    "received": "received_writesets_total",
    "received.bytes": "received_bytes_total",
    "local.commits": "local_commits_total",
    "local.cert.failures": "local_certification_failures_total",
    "local.replays": "local_replays_total",
    "local.send.queue": "send_queue_length",
    "local.send.queue.max": "send_queue_length_max",
    "local.send.queue.min": "send_queue_length_min",
    "local.send.queue.avg": "send_queue_length_avg",
    "local.recv.queue": "recv_queue_length",
    "local.recv.queue.max": "recv_queue_length_max",
    "local.recv.queue.min": "recv_queue_length_min",
    "local.recv.queue.avg": "recv_queue_length_avg",
    "local.cached.downto": "gcache_first_seqno",
    "flow.control.paused": "flow_control_paused_avg_ratio",
    "flow.control.sent": "flow_control_sent_total",
    "flow.control.recv": "flow_control_received_total",
    "cert.deps.distance": "certification_dependency_distance",
    "apply.oooe": "apply_out_of_order_ratio",
    "apply.oool": "apply_overtaking_ratio",
    "apply.window": "apply_window",
    "commit.oooe": "commit_out_of_order_ratio",
    "commit.oool": "commit_overtaking_ratio",
    "commit.window": "commit_window",
    "cert.index.size": "certification_index_size",
    "cert.bucket.count": "certification_buckets",
    "gcache.pool.size": "gcache_pool_bytes",
    "causal.reads": "causal_reads_total",
    "cert.interval": "certification_interval",
    "desync.count": "desync_count",
    "cluster.conf.id": "cluster_configuration_id",
    "cluster.size": "cluster_size",
    "local.bf.aborts": "local_aborts_total",
    "local.index": "local_index",
}
"""Names of numbers that are the same here, each with ours, without `galera_`."""
_UNITS = {
    "local.send.queue": "Length",
    "local.recv.queue": "Length",
    "flow.control.paused": "Fraction",
    "cert.deps.distance": "Distance",
    "cluster.conf.id": "changes",
    "cluster.size": "nodes",
}
_STATES = {"initialized": 0, "joining": 1, "donor_desynced": 2, "joined": 3, "synced": 4}
_LAST_DIGITS = re.compile(r".{24}([0-9A-Fa-f]{1,12})", re.DOTALL)
_OF_UUID = "{} A number: the last twelve digits of the UUID."


def _uuid(run: Run, ours: str) -> Iterator[Point]:
    for labels, _ in run.of(ours):
        if digits := _LAST_DIGITS.fullmatch(labels["uuid"]):  # what is longer may be too large for a number
            yield {}, int(digits[1], 16)


def _history(run: Run, ours: str) -> Iterator[Point]:
    """Yield 0 for a node that has no history: alarms compare its UUID with those of the others."""
    yield from _uuid(run, ours)
    if run.of("galera_ready") and not run.of(ours):
        yield {}, 0


def _zero_is(good: object) -> Points:
    def points(run: Run, ours: str) -> Iterator[Point]:
        yield from (({}, int(value != good)) for _, value in run.of(ours))

    return points


def _state(run: Run, ours: str) -> Iterator[Point]:
    yield from (({}, _STATES[str(value)]) for _, value in run.of(ours) if value in _STATES)


RS_COLLECTOR = (
    *(Old(_WSREP + name, f"galera_{ours}", unit=_UNITS.get(name)) for name, ours in _SAME.items()),
    Old(
        _WSREP + "flow.control.paused.ns", "galera_flow_control_paused_seconds_total", scaled(1e9),
        unit="nanoseconds",
    ),
    Old(_WSREP + "local.state.uuid", "galera_local_state_uuid_info", _history, text=_OF_UUID),
    Old(_WSREP + "cluster.state.uuid", "galera_cluster_state_info", _history, text=_OF_UUID),
    Old(_WSREP + "gcomm.uuid", "galera_node_uuid_info", _uuid, text=_OF_UUID),
    Old(_WSREP + "connected", "galera_connected", _zero_is(1), text="{} 0: ON, 1: OFF."),
    Old(_WSREP + "ready", "galera_ready", _zero_is(1), text="{} 0: ON, 1: OFF."),
    Old(
        _WSREP + "cluster.status", "galera_cluster_status", _zero_is("primary"),
        "Status", "{} 0: Primary, 1: not.",
    ),
    Old(
        _WSREP + "evs.state", "galera_evs_state", _zero_is("operational"), text="{} 0: Operational, 1: not."
    ),
    Old(_WSREP + "local.state", "galera_local_state", _state, "State", numbered(_STATES)),
)  # fmt: skip
