"""The settings of the provider that decide how a node behaves: `wsrep_provider_options`, one long line."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from rscollector.api import Kind, Metric, Sample

_FACTOR = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SIZE = re.compile(r"(\d+)([KMGT]?)")
_PERIOD = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")

FC_LIMIT = Metric(
    "galera_flow_control_limit",
    Kind.GAUGE,
    "Setting of the queue of write-sets at which a node asks for a pause.",
)
FC_FACTOR = Metric(
    "galera_flow_control_resume_ratio",
    Kind.GAUGE,
    "Share of that limit at which replication goes on.",
    unit="ratio",
)
FC_SINGLE_PRIMARY = Metric(
    "galera_flow_control_single_primary",
    Kind.GAUGE,
    "Whether the limit is taken as it is (1), or multiplied with the square root of the cluster's size (0).",
)
GCACHE_SIZE = Metric("galera_gcache_size_bytes", Kind.GAUGE, "Size of the write-set cache.", unit="bytes")
WEIGHT = Metric("galera_weight", Kind.GAUGE, "The node's weight in votes about the primary component.")
IGNORE_SPLIT = Metric(
    "galera_ignores_split_brain",
    Kind.GAUGE,
    "Whether the node goes on after a split with half of the votes (pc.ignore_sb).",
)
IGNORE_QUORUM = Metric(
    "galera_ignores_quorum", Kind.GAUGE, "Whether the node asks for no majority at all (pc.ignore_quorum)."
)
SUSPECT_TIMEOUT = Metric(
    "galera_evs_suspect_timeout_seconds",
    Kind.GAUGE,
    "Silence after which a member is suspected to be gone.",
    unit="seconds",
)
INACTIVE_TIMEOUT = Metric(
    "galera_evs_inactive_timeout_seconds",
    Kind.GAUGE,
    "Silence after which a member is declared gone whatever the others say.",
    unit="seconds",
)

METRICS = (
    FC_LIMIT, FC_FACTOR, FC_SINGLE_PRIMARY, GCACHE_SIZE, WEIGHT, IGNORE_SPLIT, IGNORE_QUORUM,
    SUSPECT_TIMEOUT, INACTIVE_TIMEOUT,
)  # fmt: skip


def options(line: str) -> dict[str, str]:
    """Return the settings in the line by name."""
    pairs = (each.partition("=") for each in line.split(";") if "=" in each)
    return {name.strip(): value.strip() for name, _, value in pairs}


def size(text: str) -> int:
    """Read a size such as 128M; raises ValueError."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"no size: {text!r}")
    return int(match[1]) * _FACTOR[match[2]]


def period(text: str) -> float:
    """Read an ISO 8601 period such as PT5S in seconds; raises ValueError."""
    match = _PERIOD.fullmatch(text)
    if match is None:
        raise ValueError(f"no period: {text!r}")
    days, hours, minutes, seconds = (float(each or 0) for each in match.groups())
    return days * 86400 + hours * 3600 + minutes * 60 + seconds


def _truth(text: str) -> int:
    return int(text.lower() in ("yes", "true", "on", "1"))


_READ: dict[str, tuple[Metric, Callable[[str], int | float]]] = {
    "gcs.fc_limit": (FC_LIMIT, int),
    "gcs.fc_factor": (FC_FACTOR, float),
    "gcs.fc_single_primary": (FC_SINGLE_PRIMARY, _truth),
    "gcs.fc_master_slave": (FC_SINGLE_PRIMARY, _truth),  # its name before 4.10
    "gcache.size": (GCACHE_SIZE, size),
    "pc.weight": (WEIGHT, int),
    "pc.ignore_sb": (IGNORE_SPLIT, _truth),
    "pc.ignore_quorum": (IGNORE_QUORUM, _truth),
    "evs.suspect_timeout": (SUSPECT_TIMEOUT, period),
    "evs.inactive_timeout": (INACTIVE_TIMEOUT, period),
}


def samples(chosen: Mapping[str, str]) -> Iterator[Sample]:
    """Yield what the settings say; one that cannot be read gives nothing."""
    told: dict[Metric, Sample] = {}
    for name, (metric, read) in _READ.items():
        if name in chosen:
            with suppress(ValueError):
                told.setdefault(metric, metric(read(chosen[name])))
    yield from told.values()


def single_primary(chosen: Mapping[str, str]) -> bool:
    """Tell whether the flow-control limit is taken as it is."""
    return bool(_truth(chosen.get("gcs.fc_single_primary", chosen.get("gcs.fc_master_slave", "no"))))
