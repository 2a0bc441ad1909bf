"""What scollector called CPU, load, memory, disks and network: in jiffies, KB, sectors, milliseconds."""

from collections.abc import Iterator
from math import isfinite

from rscollector.api.old import Old, Point, Points, Run, scaled

_CPU = "host_cpu_seconds_total"
_JIFFIES = 100
_TOTAL, _FREE = "host_memory_total_bytes", "host_memory_free_bytes"
_CACHES = ("host_memory_buffers_bytes", "host_memory_cached_bytes")
_MEMORY = {
    "memtotal": "memory_total",
    "memfree": "memory_free",
    "memavailable": "memory_available",
    "buffers": "memory_buffers",
    "cached": "memory_cached",
    "sunreclaim": "memory_slab_unreclaimable",
    "dirty": "memory_dirty",
    "shmem": "memory_shmem",
    "swaptotal": "swap_total",
    "swapfree": "swap_free",
}


def _busy(run: Run, ours: str) -> Iterator[Point]:
    """Yield user, nice and system in jiffies of a CPU: with that many in a second, their rate is percent."""
    found = {labels["mode"]: number for labels, number in run.numbers(ours)}
    modes, cpus = ("user", "nice", "system"), run.number("host_cpus")
    if found.keys() >= set(modes) and cpus > 0:
        yield {}, sum(found[mode] for mode in modes) * _JIFFIES / cpus


def _used(run: Run, _ours: str) -> Iterator[Point]:
    yield from (({}, total - free) for total, free in _memory(run))


def _percent(run: Run, _ours: str) -> Iterator[Point]:
    yield from (({}, free / total * 100) for total, free in _memory(run))


def _memory(run: Run) -> Iterator[tuple[float, float]]:
    """Yield all memory, and what of it is free, or would be without caches; nothing where one is absent."""
    total, free = run.number(_TOTAL), sum(map(run.number, (_FREE, *_CACHES)))
    if isfinite(free) and total > 0:
        yield total, free


def _swapped(direction: str) -> Points:
    def points(run: Run, ours: str) -> Iterator[Point]:
        yield from (({"direction": direction}, number) for _, number in run.numbers(ours))

    return points


def _of_ipv4(run: Run, ours: str) -> Iterator[Point]:
    yield from (({}, number) for labels, number in run.numbers(ours) if labels["family"] == "ipv4")


_disk = scaled(1, device="dev")
_milliseconds = scaled(1000, device="dev")
_sectors = scaled(1 / 512, device="dev")

SCOLLECTOR = (
    Old("os.cpu", _CPU, _busy, "percent", "User, nice and system, of a CPU.", "counter"),
    Old("linux.cpu", _CPU, scaled(_JIFFIES, mode="type"), "CentiHertz", rate="counter"),
    *(Old(f"linux.loadavg_{minutes}_min", f"host_load{minutes}", unit="load") for minutes in (1, 5, 15)),
    Old("linux.ctxt", "host_context_switches_total", unit="context switches", rate="counter"),
    Old("linux.intr", "host_interrupts_total", unit="interupts", rate="counter"),
    Old("linux.processes", "host_forks_total", unit="processes", rate="counter"),
    Old("linux.procs_blocked", "host_procs_blocked", unit="processes"),
    Old("os.mem.total", _TOTAL),
    Old("os.mem.free", _FREE),
    Old("os.mem.used", _FREE, _used, text="What is neither free, nor has blocks of disks or pages of files."),
    Old("os.mem.percent_free", _FREE, _percent, "percent", "What is free, or has blocks or pages of files."),
    *(
        Old(f"linux.mem.{name}", f"host_{ours}_bytes", scaled(1 / 1024), "kbytes")
        for name, ours in _MEMORY.items()
    ),
    *(
        Old("linux.mem.pswp", f"host_swap_{way}_pages_total", _swapped(way), "pages", "Pages.", "counter")
        for way in ("in", "out")
    ),
    Old("linux.mem.pgmajfault", "host_page_faults_major_total", unit="pages", rate="counter"),
    Old("linux.mem.oom_kill", "host_oom_kills_total", unit="", rate="counter"),
    Old("linux.disk.read_requests", "host_disk_reads_total", _disk, "", rate="counter"),
    Old("linux.disk.write_requests", "host_disk_writes_total", _disk, "", rate="counter"),
    Old("linux.disk.read_sectors", "host_disk_read_bytes_total", _sectors, "", rate="counter"),
    Old("linux.disk.write_sectors", "host_disk_written_bytes_total", _sectors, "", rate="counter"),
    Old(
        "linux.disk.msec_read", "host_disk_read_seconds_total", _milliseconds, "milliseconds", rate="counter"
    ),
    Old(
        "linux.disk.msec_write",
        "host_disk_write_seconds_total",
        _milliseconds,
        "milliseconds",
        rate="counter",
    ),
    Old(
        "linux.disk.msec_total", "host_disk_busy_seconds_total", _milliseconds, "milliseconds", rate="counter"
    ),
    Old("linux.disk.ios_in_progress", "host_disk_in_flight", _disk, "Operations"),
    Old("linux.net.stat.tcp.retranssegs", "host_tcp_retransmitted_segments_total", rate="counter"),
    Old("linux.net.stat.tcp.listenoverflows", "host_tcp_listen_overflows_total"),
    Old("linux.net.stat.tcp.listendrops", "host_tcp_listen_drops_total"),
    Old(
        "linux.net.stat.udp.rcvbuferrors",
        "host_udp_receive_buffer_errors_total",
        _of_ipv4,
        rate="counter",
        beside=True,  # which tells IPv6, too
    ),
)
