"""What the kernel has a limit for: open files, and random numbers where they can still run out."""

from collections.abc import Iterator
from contextlib import suppress

from collectors.host.proc import HOST, Facts, columns, count, read
from rscollector.api import Context, Sample, Unavailable
from rscollector.kit.optional import optional
from rscollector.kit.table import Table, row

ALLOCATED = HOST.gauge("file_handles_allocated", "Files that are open on the whole host.")
LIMIT = HOST.gauge("file_handles_limit", "How many may be open; beyond it only root's programs open any.")
FILES = Facts(
    "/proc/sys/fs/file-nr",
    Table({"allocated": row(ALLOCATED, count), "limit": row(LIMIT, count)}),
    columns("allocated", "free", "limit"),
)
_RANDOM = "/proc/sys/kernel/random"
ENTROPY = Facts(
    f"{_RANDOM}/entropy_avail",
    Table(
        {
            "bits": row(
                HOST.gauge(
                    "entropy_available_bits",
                    "Randomness that is there; absent where it cannot run out (Linux 5.18 and newer).",
                ),
                count,
            )
        }
    ),
    columns("bits"),
)
_NEVER_SHORT = "256"
"""The bits that the pool of a kernel has which does not run out of them."""
METRICS = (*FILES.table.metrics, *ENTROPY.table.metrics)


def samples(context: Context) -> Iterator[Sample]:
    """Yield the limits, and how much of them is used."""
    with optional(context, "file handles"):
        yield from FILES.samples(context)
    with suppress(Unavailable):  # what newer kernels do not need may go one day
        if read(context, f"{_RANDOM}/poolsize").strip() != _NEVER_SHORT:
            yield from ENTROPY.samples(context)
