"""The settings of the provider that decide how a node behaves: `wsrep_provider_options`, one long line."""

import re
from collections.abc import Iterator, Mapping

from collectors.galera.variables import GALERA
from rscollector.api import Sample
from rscollector.kit.table import Table, flag, row

_PERIOD = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")


def options(line: str) -> dict[str, str]:
    """Return the settings in the line by name."""
    pairs = (each.partition("=") for each in line.split(";") if "=" in each)
    return {name.strip(): value.strip() for name, _, value in pairs}


def size(text: str) -> int:
    """Read a size such as 128M or 2g; raises ValueError."""
    number, unit = (text[:-1], text[-1].upper()) if text[-1:].isalpha() else (text, "")
    return int(number) << 10 * ("", *"KMGTPE").index(unit)


def period(text: str) -> float:
    """Read an ISO 8601 period such as PT5S in seconds; raises ValueError."""
    match = _PERIOD.fullmatch(text)
    if match is None:
        raise ValueError(f"no period: {text!r}")
    days, hours, minutes, seconds = (float(each or 0) for each in match.groups())
    return days * 86400 + hours * 3600 + minutes * 60 + seconds


_SINGLE_PRIMARY = GALERA.gauge(
    "flow_control_single_primary",
    "Whether the limit is taken as it is (1), or multiplied with the square root of the cluster's size (0).",
)
OPTIONS = Table(
    {
        "gcs.fc_limit": row(
            GALERA.gauge(
                "flow_control_limit", "Setting of the queue of write-sets at which a node asks for a pause."
            )
        ),
        "gcs.fc_factor": row(
            GALERA.gauge("flow_control_resume_ratio", "Share of that limit at which replication goes on.")
        ),
        "gcs.fc_single_primary": row(_SINGLE_PRIMARY, flag),
        "gcs.fc_master_slave": row(_SINGLE_PRIMARY, flag),  # its name before 4.10
        "gcache.size": row(GALERA.gauge("gcache_size_bytes", "Size of the write-set cache."), size),
        "pc.weight": row(GALERA.gauge("weight", "The node's weight in votes about the primary component.")),
        "pc.ignore_sb": row(
            GALERA.gauge(
                "ignores_split_brain",
                "Whether the node goes on after a split with half of the votes (pc.ignore_sb).",
            ),
            flag,
        ),
        "pc.ignore_quorum": row(
            GALERA.gauge(
                "ignores_quorum", "Whether the node asks for no majority at all (pc.ignore_quorum)."
            ),
            flag,
        ),
        "evs.suspect_timeout": row(
            GALERA.gauge(
                "evs_suspect_timeout_seconds", "Silence after which a member is suspected to be gone."
            ),
            period,
        ),
        "evs.inactive_timeout": row(
            GALERA.gauge(
                "evs_inactive_timeout_seconds",
                "Silence after which a member is declared gone whatever the others say.",
            ),
            period,
        ),
    }
)


def samples(chosen: Mapping[str, str]) -> Iterator[Sample]:
    """Yield what the settings say; one that cannot be read gives nothing."""
    yield from OPTIONS.samples({name: chosen[name] for name in OPTIONS.names if name in chosen})


def single_primary(chosen: Mapping[str, str]) -> bool:
    """Tell whether the flow-control limit is taken as it is."""
    return any(sample == _SINGLE_PRIMARY(1) for sample in samples(chosen))
