"""What each `wsrep_` status variable is: the metric that it becomes, and how its text is read.

Names and meanings: the documentation of MariaDB, of Percona XtraDB Cluster and of Galera; the recordings of
real nodes in the tests. A value that a variable has only by way of saying "none" (2⁶⁴−1, −1) gives no sample.
"""

import re
from collections.abc import Mapping

from rscollector.api import Namespace
from rscollector.kit.table import IGNORED, Reader, Row, Table, flag, number, row, stripped

GALERA = Namespace("galera")
NONE = (2**64 - 1, -1)  # the second in MariaDB 11.8

LOCAL_STATES = ("initialized", "joining", "donor_desynced", "joined", "synced", "error")
CLUSTER_STATES = ("primary", "non_primary", "disconnected")
EVS_STATES = ("closed", "joining", "leaving", "gather", "install", "operational")


def _some_number(text: str) -> int | float | None:
    value = number(text)
    return None if value in NONE else value


def _gauge(name: str, text: str) -> Row:
    return row(GALERA.gauge(name, text), _some_number)


def _count(text: str) -> int | float | None:
    value = _some_number(text)
    return None if value is None or value < 0 else value


def _counter(name: str, text: str, factor: float = 1) -> Row:
    return row(GALERA.counter(name, text), _count, factor)


def _flag(name: str, text: str) -> Row:
    return row(GALERA.gauge(name, text), flag)


def _info(name: str, label: str, text: str) -> Row:
    return row(GALERA.info(name, text, label), stripped)


def some_uuid(text: str) -> str | None:
    """Return a UUID, None for the one of zeroes, which says that there is none."""
    return text.strip() if text.strip("0-\t ") else None


def _uuid(name: str, text: str) -> Row:
    return row(GALERA.info(name, text, "uuid"), some_uuid)


def _length(name: str, text: str) -> Row:
    return row(GALERA.gauge(name, text), lambda value: len(listed(value)))


def _states(name: str, text: str, states: tuple[str, ...], words: Mapping[str, str]) -> Row:
    read: Reader = lambda value: words[value.strip().lower()]  # noqa: E731
    return row(GALERA.stateset(name, text, states), read)


def read_only(settings: Mapping[str, str]) -> bool:
    """Tell whether the server is read-only: newer servers have more words for that than ON."""
    return settings.get("read_only", "OFF").upper() not in ("OFF", "0")


def switched_off(settings: Mapping[str, str]) -> bool:
    """Tell whether replication is switched off: what is written here reaches no other node."""
    return settings.get("wsrep_on", "ON").upper() in ("OFF", "0")


def rejected(settings: Mapping[str, str]) -> str:
    """Return whose queries are rejected by setting: NONE, or those of ALL clients, even connected ones."""
    return settings.get("wsrep_reject_queries", "NONE").upper()


def listed(text: str) -> list[str]:
    """Return the entries of a list with commas, empty ones left out."""
    return [each.strip() for each in text.split(",") if each.strip()]


def _latency() -> Row:
    what = {"min": "minimum", "avg": "mean", "max": "maximum", "stddev": "standard deviation"}
    metrics = [
        GALERA.gauge(
            f"evs_replication_latency_{name}_seconds",
            f"Latency of group communication, {part} since the last view change or report.",
        )
        for name, part in what.items()
    ]
    count = GALERA.gauge("evs_replication_latency_samples", "Number of messages that these latencies are of.")

    def read(text: str) -> list[float | None]:
        *seconds, samples = (float(each) for each in text.split("/"))
        if len(seconds) != len(metrics):
            raise ValueError("not five numbers")
        # all zero is no latency, it says that nothing was measured
        return [samples, *(value if samples > 0 else None for value in seconds)]

    return Row((count, *metrics), read)


def _interval() -> Row:
    metrics = [
        GALERA.gauge(f"flow_control_interval_{end}", f"{word} of the flow-control interval.")
        for end, word in (("low", "Lower end"), ("high", "Upper end"))
    ]

    def read(text: str) -> list[int]:
        low, high = re.findall(r"\d+", text)
        return [int(low), int(high)]

    return Row(tuple(metrics), read)


def _queue(name: str, what: str) -> dict[str, Row]:
    length = f"{name}_queue_length"
    since = "since the last FLUSH STATUS"
    return {
        f"wsrep_local_{name}_queue": _gauge(length, f"Write-sets that wait {what}."),
        f"wsrep_local_{name}_queue_max": _gauge(f"{length}_max", f"Longest queue of these {since}."),
        f"wsrep_local_{name}_queue_min": _gauge(f"{length}_min", f"Shortest queue of these {since}."),
        f"wsrep_local_{name}_queue_avg": _gauge(f"{length}_avg", f"Mean length of this queue {since}."),
    }


_LOCAL = {
    "0": "initialized", "1": "joining", "2": "donor_desynced", "3": "joined", "4": "synced", "5": "error",
    "-1": "error",
}  # fmt: skip
_CLUSTER = {"primary": "primary", "non-primary": "non_primary", "disconnected": "disconnected"}

_ROWS: dict[str, Row] = {
    # --- the cluster ---
    "wsrep_cluster_status": _states(
        "cluster_status",
        "The component that the node is in, as the node sees it.",
        CLUSTER_STATES,
        _CLUSTER,
    ),
    "wsrep_cluster_size": _gauge("cluster_size", "Members of the node's component, itself included."),
    "wsrep_cluster_weight": _gauge("cluster_weight", "Sum of the members' weights in the component."),
    "wsrep_cluster_conf_id": _gauge(
        "cluster_configuration_id",
        "Number of the component's membership change; absent outside a primary one.",
    ),
    "wsrep_cluster_state_uuid": _uuid("cluster_state", "The history that the cluster has."),
    "wsrep_cluster_capabilities": _info(
        "cluster_capabilities", "capabilities", "Capabilities that all members have."
    ),
    # --- the node ---
    "wsrep_local_state": _states("local_state", "The state of the node.", LOCAL_STATES, _LOCAL),
    "wsrep_local_state_comment": _info(
        "local_state_comment", "comment", "The state in the node's own words."
    ),
    "wsrep_local_state_uuid": _uuid("local_state_uuid", "The history that the node has."),
    "wsrep_local_index": _gauge(
        "local_index", "The node's place among the members; absent while it is none."
    ),
    "wsrep_connected": _flag("connected", "Whether the node is connected to the cluster's group."),
    "wsrep_ready": _flag("ready", "Whether the node accepts statements."),
    "wsrep_desync_count": _gauge("desync_count", "Operations that keep the node desynchronised on purpose."),
    "wsrep_gcomm_uuid": _uuid("node_uuid", "The node's id in the group."),
    "wsrep_gmcast_segment": _gauge("segment", "The node's network segment."),
    "wsrep_incoming_addresses": _length("incoming_addresses", "Client addresses that the members announce."),
    # --- positions ---
    "wsrep_last_committed": _gauge(
        "last_committed_seqno", "Sequence number of the last write-set that was committed here."
    ),
    "wsrep_last_applied": _gauge(
        "last_applied_seqno", "Sequence number of the last write-set that was applied here."
    ),
    "wsrep_local_cached_downto": _gauge(
        "gcache_first_seqno",
        "Lowest sequence number in the write-set cache: what an incremental transfer can reach.",
    ),
    "wsrep_checkpoint_position": IGNORED,  # as uuid:seqno, which others tell
    "wsrep_se_checkpoint": IGNORED,  # likewise
    # --- replication ---
    "wsrep_replicated": _counter("replicated_writesets", "Write-sets sent to the other members."),
    "wsrep_replicated_bytes": _counter("replicated_bytes", "Size of the write-sets sent."),
    "wsrep_repl_keys": _counter("replicated_keys", "Keys in the write-sets sent."),
    "wsrep_repl_keys_bytes": _counter("replicated_keys_bytes", "Size of the keys sent."),
    "wsrep_repl_data_bytes": _counter("replicated_data_bytes", "Size of the row data sent."),
    "wsrep_repl_other_bytes": _counter("replicated_other_bytes", "Size of what else was sent."),
    "wsrep_received": _counter("received_writesets", "Write-sets received, membership changes included."),
    "wsrep_received_bytes": _counter("received_bytes", "Size of the write-sets received."),
    "wsrep_local_commits": _counter(
        "local_commits", "Transactions of this node's clients that were committed."
    ),
    "wsrep_local_cert_failures": _counter(
        "local_certification_failures", "Transactions of this node's clients that failed certification."
    ),
    "wsrep_local_bf_aborts": _counter(
        "local_aborts", "Transactions of this node's clients aborted by write-sets from others."
    ),
    "wsrep_local_replays": _counter(
        "local_replays", "Transactions that were replayed after such a conflict."
    ),
    "wsrep_causal_reads": _counter("causal_reads", "Reads that waited for the node to catch up."),
    **_queue("send", "to be sent"),
    **_queue("recv", "to be applied"),
    # --- flow control ---
    "wsrep_flow_control_paused_ns": _counter(
        "flow_control_paused_seconds", "Time that replication was paused by flow control.", 1e-9
    ),
    "wsrep_flow_control_paused": _gauge(
        "flow_control_paused_avg_ratio",
        "Share of the time since the last FLUSH STATUS that replication was paused.",
    ),
    "wsrep_flow_control_sent": _counter("flow_control_sent", "Requests of this node that the others pause."),
    "wsrep_flow_control_recv": _counter(
        "flow_control_received", "Requests to pause, this node's own included."
    ),
    "wsrep_flow_control_active": _flag("flow_control_active", "Whether replication is paused now."),
    "wsrep_flow_control_status": _flag("flow_control_active", "Whether replication is paused now."),
    "wsrep_flow_control_requested": _flag("flow_control_requested", "Whether this node asks for the pause."),
    "wsrep_flow_control_interval": _interval(),
    "wsrep_flow_control_interval_low": _gauge(
        "flow_control_interval_low", "Lower end of the flow-control interval."
    ),
    "wsrep_flow_control_interval_high": _gauge(
        "flow_control_interval_high", "Upper end of the flow-control interval."
    ),
    # --- parallel applying ---
    "wsrep_cert_deps_distance": _gauge(
        "certification_dependency_distance",
        "Mean distance of write-sets that could be applied in parallel.",
    ),
    "wsrep_cert_index_size": _gauge("certification_index_size", "Entries of the certification index."),
    "wsrep_cert_bucket_count": _gauge(
        "certification_buckets", "Cells of the certification index's hash table."
    ),
    "wsrep_cert_interval": _gauge(
        "certification_interval", "Mean number of write-sets received while one replicates."
    ),
    "wsrep_apply_oooe": _gauge("apply_out_of_order_ratio", "How often write-sets are applied out of order."),
    "wsrep_apply_oool": _gauge(
        "apply_overtaking_ratio",
        "How often a write-set is applied before one that was sent earlier.",
    ),
    "wsrep_apply_window": _gauge("apply_window", "Mean distance of write-sets that are applied at once."),
    "wsrep_apply_waits": _counter(
        "apply_waits", "Times that applying waited for a write-set on which it depends."
    ),
    "wsrep_commit_oooe": _gauge(
        "commit_out_of_order_ratio", "How often write-sets are committed out of order."
    ),
    "wsrep_commit_oool": _gauge(
        "commit_overtaking_ratio",
        "How often a write-set is committed before one that was sent earlier.",
    ),
    "wsrep_commit_window": _gauge("commit_window", "Mean distance of write-sets that are committed at once."),
    # --- threads, connections, memory ---
    "wsrep_applier_thread_count": _gauge("applier_threads", "Threads that apply write-sets."),
    "wsrep_rollbacker_thread_count": _gauge("rollbacker_threads", "Threads that roll transactions back."),
    "wsrep_thread_count": _gauge("threads", "Threads that replication uses."),
    "wsrep_open_transactions": _gauge("open_transactions", "Transactions that are known to the provider."),
    "wsrep_open_connections": _gauge("open_connections", "Connections that are known to the provider."),
    "wsrep_gcache_pool_size": _gauge("gcache_pool_bytes", "Size of the pages that the write-set cache uses."),
    "wsrep_ist_receive_status": IGNORED,  # a text with ever other numbers, which the next three tell
    "wsrep_ist_receive_seqno_start": _gauge(
        "ist_receive_start_seqno", "First write-set of the incremental transfer."
    ),
    "wsrep_ist_receive_seqno_current": _gauge(
        "ist_receive_current_seqno", "Write-set that the incremental transfer has come to."
    ),
    "wsrep_ist_receive_seqno_end": _gauge(
        "ist_receive_end_seqno", "Last write-set of the incremental transfer."
    ),
    "wsrep_monitor_status": IGNORED,  # seqnos of three monitors; last_committed tells what matters
    # --- group communication ---
    "wsrep_evs_state": _states(
        "evs_state",
        "The state of the group communication's protocol.",
        EVS_STATES,
        {each: each for each in EVS_STATES},
    ),
    "wsrep_evs_repl_latency": _latency(),
    "wsrep_evs_delayed": _length("evs_delayed_members", "Members whose answers are late."),
    "wsrep_evs_evict_list": _length("evs_evicted_members", "Members that were evicted for good."),
    # --- versions ---
    "wsrep_protocol_version": _gauge("protocol_version", "Version of the replication protocol."),
    "wsrep_protocol_application": _gauge(
        "protocol_application_version", "Version of the application's protocol."
    ),
    "wsrep_protocol_replicator": _gauge(
        "protocol_replicator_version", "Version of the replicator's protocol."
    ),
    "wsrep_protocol_gcs": _gauge("protocol_gcs_version", "Version of the group communication's protocol."),
    "wsrep_provider_name": _info("provider_name", "provider", "Name of the provider."),
    "wsrep_provider_vendor": _info("provider_vendor", "vendor", "Who has made the provider."),
    "wsrep_provider_version": _info("provider_version", "version", "Version of the provider."),
    "wsrep_provider_capabilities": _info(
        "provider_capabilities", "capabilities", "What the provider can do."
    ),
}

VARIABLES = Table(_ROWS)
