"""Memory, swap, paging and what was killed for want of memory."""

from collectors.host.proc import HOST, Facts, count
from rscollector.kit.table import Row, Table, row


def _bytes(name: str, text: str) -> Row:
    return row(HOST.gauge(f"{name}_bytes", text), _kilobytes, 1024)


def _kilobytes(text: str) -> int:
    return count(text.removesuffix(" kB"))


TOTAL = HOST.gauge("memory_total_bytes", "Memory that the kernel has.")
AVAILABLE = HOST.gauge(
    "memory_available_bytes", "Memory that programs can still have without swapping, as the kernel estimates."
)
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
            "MemFree": _bytes("memory_free", "Memory that nobody uses; a healthy host has little of it."),
            "Buffers": _bytes("memory_buffers", "Memory with blocks of disks."),
            "Cached": _bytes("memory_cached", "Memory with pages of files, shared memory and tmpfs too."),
            "SUnreclaim": _bytes("memory_slab_unreclaimable", "The kernel's own that it cannot give back."),
            "Dirty": _bytes("memory_dirty", "Memory that is still to be written to disks."),
            "Shmem": _bytes("memory_shmem", "Shared memory and tmpfs: cached has it too, and it stays."),
            "SwapTotal": _bytes("swap_total", "Swap that there is."),
            "SwapFree": _bytes("swap_free", "Swap that nobody uses."),
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
