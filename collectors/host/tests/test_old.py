"""What scollector made of the same files of the kernel, said here a second time."""

import pytest

from collectors.host import memory
from collectors.host.tests.recorded_host import WHOLE, Watched, host
from rscollector.sinks.bosun.tests.old_names import SCOLLECTOR, translated

USED = ("MemFree", "Buffers", "Cached")
FREE = ("host_memory_free_bytes", "host_memory_buffers_bytes", "host_memory_cached_bytes")


@pytest.fixture(params=WHOLE)
def recorded(request, root):
    """Return what is told under the old names, and a function that reads the same host's files."""
    watched = Watched(host(root, request.param))
    watched.tick()
    found = translated(watched.collector.collect(watched.context), SCOLLECTOR)

    def lines(path):
        return [line.replace(":", " ").split() for line in (root.path / path).read_text().splitlines()]

    return found, lines


def test_memory_is_in_kilobytes_and_in_bytes(recorded):
    """Each line of meminfo, and what was made of them."""
    found, lines = recorded
    told = {name: int(number) for name, number, *_ in lines("proc/meminfo")}
    for name, kilobytes in told.items():
        if (old := f"linux.mem.{name.lower()}") in found:
            assert found[old] == {(): kilobytes}
    unused = sum(told[name] for name in USED)
    assert found["os.mem.total"] == {(): told["MemTotal"] * 1024}
    assert found["os.mem.free"] == {(): told["MemFree"] * 1024}
    assert found["os.mem.used"] == {(): (told["MemTotal"] - unused) * 1024}
    assert found["os.mem.percent_free"] == {(): pytest.approx(unused / told["MemTotal"] * 100)}
    assert found["linux.mem.swaptotal"] == {(): told["SwapTotal"]}


def test_cpu_time_is_in_jiffies(recorded):
    """By type, and the busy ones of a CPU."""
    found, lines = recorded
    told = {name: numbers for name, *numbers in lines("proc/stat")}
    ticks = list(map(int, told["cpu"]))
    assert found["linux.cpu"]["user",] == pytest.approx(ticks[0], abs=1)
    assert found["linux.cpu"]["iowait",] == pytest.approx(ticks[4], abs=1)
    cpus = sum(name.startswith("cpu") for name in told) - 1
    assert found["os.cpu"] == {(): pytest.approx(sum(ticks[:3]) / cpus)}
    assert found["linux.ctxt"] == {(): int(told["ctxt"][0])}
    assert found["linux.intr"] == {(): int(told["intr"][0])}
    assert found["linux.processes"] == {(): int(told["processes"][0])}


def test_disks_are_in_sectors_and_milliseconds(recorded):
    """Each disk's columns."""
    found, lines = recorded
    columns = {
        "read_requests": 3, "read_sectors": 5, "msec_read": 6, "write_requests": 7, "write_sectors": 9,
        "msec_write": 10, "ios_in_progress": 11, "msec_total": 12,
    }  # fmt: skip
    told = {line[2]: list(line) for line in lines("proc/diskstats")}
    compared = [
        (name, disk)
        for name, column in columns.items()
        for (disk,), value in found[f"linux.disk.{name}"].items()
        if disk in told and value == int(told[disk][column])
    ]
    disks = [disk for (disk,) in found["linux.disk.read_requests"] if disk in told]
    assert len(compared) == len(columns) * len(disks) > 0


def test_swap_and_faults_are_in_pages_by_direction(recorded):
    """As vmstat has them."""
    found, lines = recorded
    told = {name: int(number) for name, number in lines("proc/vmstat")}
    assert found["linux.mem.pswp"] == {("in",): told["pswpin"], ("out",): told["pswpout"]}
    assert found["linux.mem.pgmajfault"] == {(): told["pgmajfault"]}


def test_a_kernel_that_does_not_tell_of_caches_says_nothing_of_what_is_used():
    """A sum without them would be too large, and one with a number that is none is refused."""
    whole = (memory.TOTAL(100), *(metric(20) for metric in memory.METRICS if metric.name in FREE))
    assert translated(whole, SCOLLECTOR)["os.mem.used"] == {(): 40}
    assert "os.mem.used" not in translated(whole[:-1], SCOLLECTOR)
