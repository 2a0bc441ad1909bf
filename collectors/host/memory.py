"""Memory, swap, paging and what was killed for want of memory."""

from collections.abc import Iterator

from collectors.host.proc import HOST, Facts, count
from rscollector.api import Context, Sample
from rscollector.kit.table import Row, Table, row


def _bytes(name: str, text: str) -> Row:
    return row(HOST.gauge(f"{name}_bytes", text), _kilobytes, 1024)


def _kilobytes(text: str) -> int:
    return count(text.removesuffix(" kB"))


TOTAL = HOST.gauge("memory_total_bytes", "Memory that the kernel has.")
AVAILABLE = HOST.gauge(
    "memory_available_bytes", "Memory that programs can still have without swapping, as the kernel estimates."
)
FREE = HOST.gauge("memory_free_bytes", "Memory that nobody uses; a healthy host has little of it.")
SWAP_TOTAL = HOST.gauge("swap_total_bytes", "Swap that there is.")
SWAP_FREE = HOST.gauge("swap_free_bytes", "Swap that nobody uses.")
SWAPPED_IN = HOST.counter("swap_in_pages", "Pages that were read from swap.")
SWAPPED_OUT = HOST.counter("swap_out_pages", "Pages that were written to swap.")
OOM_KILLS = HOST.counter(
    "oom_kills", "Processes that the kernel killed for want of memory, of the host or of a control group."
)
MEMINFO = Facts(
    "/proc/meminfo",
    Table(
        {
            "MemTotal": row(TOTAL, _kilobytes, 1024),
            "MemAvailable": row(AVAILABLE, _kilobytes, 1024),
            "MemFree": row(FREE, _kilobytes, 1024),
            "Buffers": _bytes("memory_buffers", "Memory with blocks of disks."),
            "Cached": _bytes("memory_cached", "Memory with pages of files, shared memory and tmpfs too."),
            "SUnreclaim": _bytes("memory_slab_unreclaimable", "The kernel's own that it cannot give back."),
            "Dirty": _bytes("memory_dirty", "Memory that is still to be written to disks."),
            "Shmem": _bytes("memory_shmem", "Shared memory and tmpfs: cached has it too, and it stays."),
            "SwapTotal": row(SWAP_TOTAL, _kilobytes, 1024),
            "SwapFree": row(SWAP_FREE, _kilobytes, 1024),
        }
    ),
)  # fmt: skip
VMSTAT = Facts(
    "/proc/vmstat",
    Table(
        {
            "pswpin": row(SWAPPED_IN, count),
            "pswpout": row(SWAPPED_OUT, count),
            "pgmajfault": row(
                HOST.counter("page_faults_major", "Page faults for which a disk had to be read."), count
            ),
            "oom_kill": row(OOM_KILLS, count),
        }
    ),
)
METRICS = (*MEMINFO.table.metrics, *VMSTAT.table.metrics)
_PARTS = ((AVAILABLE, TOTAL), (FREE, TOTAL), (SWAP_FREE, SWAP_TOTAL))


def samples(context: Context) -> Iterator[Sample]:
    """Yield what /proc/meminfo tells. Raises Unavailable where it cannot be read.

    A part that is more than the whole is no number: lxcfs may tell the container's limit as the total, and
    what the whole machine has available (glances#3505, btop#473).
    """
    found = {each.metric: each for each in MEMINFO.samples(context)}
    sizes = {metric: each.value for metric, each in found.items() if isinstance(each.value, int)}
    for part, whole in _PARTS:
        if whole in sizes and sizes.get(part, 0) > sizes[whole]:
            del found[part]
            context.note(
                f"missing: {part.name}: {MEMINFO.path} tells more of it than {whole.name}: look at both there"
            )
    yield from found.values()
