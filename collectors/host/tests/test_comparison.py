"""This host, told by the collector and by others in the same moment."""

import subprocess
import time
from pathlib import Path

import pytest
from harness import free_port, until
from prometheus_client.parser import text_string_to_metric_families

from collectors.host import Host
from rscollector.api import Context
from rscollector.runtime.foreground import collect_once, settings_of
from rscollector.testing import values

PROGRAM = "prometheus-node-exporter"
EVERY = ("cpu", "diskstats", "conntrack", "entropy", "filefd", "loadavg", "meminfo", "netstat", "pressure", "sockstat",
         "softnet", "stat", "timex", "vmstat", "mdadm")  # fmt: skip

STEADY = {
    "host_cpus": 'count:node_cpu_seconds_total{mode="idle"}',
    "host_boot_time_seconds": "node_boot_time_seconds",
    "host_memory_total_bytes": "node_memory_MemTotal_bytes",
    "host_swap_total_bytes": "node_memory_SwapTotal_bytes",
    "host_file_handles_limit": "node_filefd_maximum",
    "host_conntrack_limit": "node_nf_conntrack_entries_limit",
    "host_clock_synchronized": "node_timex_sync_status",
}
"""What does not change between two questions: it is the same."""

COUNTERS = {
    "host_context_switches_total": "node_context_switches_total",
    "host_forks_total": "node_forks_total",
    "host_interrupts_total": "node_intr_total",
    "host_swap_in_pages_total": "node_vmstat_pswpin",
    "host_swap_out_pages_total": "node_vmstat_pswpout",
    "host_page_faults_major_total": "node_vmstat_pgmajfault",
    "host_oom_kills_total": "node_vmstat_oom_kill",
    "host_tcp_retransmitted_segments_total": "node_netstat_Tcp_RetransSegs",
    "host_tcp_sent_segments_total": "node_netstat_Tcp_OutSegs",
    "host_tcp_listen_overflows_total": "node_netstat_TcpExt_ListenOverflows",
    "host_tcp_listen_drops_total": "node_netstat_TcpExt_ListenDrops",
    'host_udp_receive_buffer_errors_total{family="ipv4"}': "node_netstat_Udp_RcvbufErrors",
    'host_udp_receive_buffer_errors_total{family="ipv6"}': "node_netstat_Udp6_RcvbufErrors",
    "host_softnet_dropped_total": "sum:node_softnet_dropped_total",
    "host_softnet_squeezed_total": "sum:node_softnet_times_squeezed_total",
    'host_pressure_seconds_total{resource="cpu",share="some"}': "node_pressure_cpu_waiting_seconds_total",
    'host_pressure_seconds_total{resource="io",share="some"}': "node_pressure_io_waiting_seconds_total",
    'host_pressure_seconds_total{resource="io",share="full"}': "node_pressure_io_stalled_seconds_total",
    'host_pressure_seconds_total{resource="memory",share="some"}': "node_pressure_memory_waiting_seconds_total",
    'host_pressure_seconds_total{resource="memory",share="full"}': "node_pressure_memory_stalled_seconds_total",
    **{
        f'host_cpu_seconds_total{{mode="{mode}"}}': f'sum:node_cpu_seconds_total{{mode="{mode}"}}'
        for mode in ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
    },
}
"""What only grows: theirs is between ours of before and of after; a CPU's ticks are rounded for each CPU."""

OF_DISKS = {
    "host_disk_reads_total": "node_disk_reads_completed_total",
    "host_disk_writes_total": "node_disk_writes_completed_total",
    "host_disk_read_bytes_total": "node_disk_read_bytes_total",
    "host_disk_written_bytes_total": "node_disk_written_bytes_total",
    "host_disk_read_seconds_total": "node_disk_read_time_seconds_total",
    "host_disk_write_seconds_total": "node_disk_write_time_seconds_total",
    "host_disk_busy_seconds_total": "node_disk_io_time_seconds_total",
}

MEMORY = {
    "host_memory_available_bytes": "node_memory_MemAvailable_bytes",
    "host_memory_free_bytes": "node_memory_MemFree_bytes",
    "host_memory_buffers_bytes": "node_memory_Buffers_bytes",
    "host_memory_cached_bytes": "node_memory_Cached_bytes",
    "host_memory_slab_unreclaimable_bytes": "node_memory_SUnreclaim_bytes",
    "host_memory_dirty_bytes": "node_memory_Dirty_bytes",
    "host_memory_shmem_bytes": "node_memory_Shmem_bytes",
    "host_swap_free_bytes": "node_memory_SwapFree_bytes",
}
"""Others use memory meanwhile: 2 % of all of it."""

MOVING = {
    "host_load1": ("node_load1", 1.0),  # the kernel computes it anew each 5 s
    "host_load5": ("node_load5", 0.5),
    "host_load15": ("node_load15", 0.2),
    "host_procs_running": ("node_procs_running", 40),
    "host_procs_blocked": ("node_procs_blocked", 40),
    "host_file_handles_allocated": ("node_filefd_allocated", 1000),
    "host_conntrack_entries": ("node_nf_conntrack_entries", 1000),
    'host_sockets{protocol="tcp",state="inuse"}': ("node_sockstat_TCP_inuse", 100),
    'host_sockets{protocol="tcp",state="orphan"}': ("node_sockstat_TCP_orphan", 100),
    'host_sockets{protocol="tcp",state="tw"}': ("node_sockstat_TCP_tw", 500),
    'host_sockets{protocol="tcp",state="alloc"}': ("node_sockstat_TCP_alloc", 100),
    'host_sockets{protocol="udp",state="inuse"}': ("node_sockstat_UDP_inuse", 50),
    'host_sockets{protocol="raw",state="inuse"}': ("node_sockstat_RAW_inuse", 50),
    'host_sockets{protocol="tcp6",state="inuse"}': ("node_sockstat_TCP6_inuse", 100),
    'host_sockets{protocol="udp6",state="inuse"}': ("node_sockstat_UDP6_inuse", 50),
    'host_sockets{protocol="raw6",state="inuse"}': ("node_sockstat_RAW6_inuse", 50),
    "host_clock_error_max_seconds": ("node_timex_maxerror_seconds", 0.1),
}
"""What other tests on the same host may change between two questions, and by how much at most."""


_MOMENTS = 10


def ours():
    """Return the series of this host now."""
    context = Context("main", timeout=30, interval=15, agent=1)
    return values(collect_once(Host, settings_of(Host, {}, None), context).samples)


@pytest.fixture(scope="module")
def moments():
    """Return moments: what the collector told before and after node_exporter did, and that."""
    port = free_port()
    command = [PROGRAM, f"--web.listen-address=127.0.0.1:{port}", "--collector.disable-defaults"]
    process = subprocess.Popen(
        [*command, *(f"--collector.{name}" for name in EVERY)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: fetched(port))
        return [(ours(), fetched(port), ours()) for _ in range(_MOMENTS)]
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def moment(moments):
    """Return one of them."""
    return moments[0]


def is_near(moment, name, their_name, apart):
    """Tell whether both tell nearly the same, or neither does."""
    _, theirs, after = moment
    value = theirs_of(theirs, their_name)
    if value is None or name not in after:
        return value is None and name not in after
    return after[name] == pytest.approx(value, abs=apart)


def fetched(port):
    """Return another exporter's series, None while it does not answer."""
    command = ["curl", "--silent", "--fail", f"http://127.0.0.1:{port}/metrics"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        return None
    families = text_string_to_metric_families(done.stdout)
    return {
        (each.name, *sorted(each.labels.items())): each.value
        for family in families
        for each in family.samples
    }


def theirs_of(series, wanted):
    """Return the value of one of theirs, or of all that have the wanted labels: `sum:` or `count:`."""
    how, _, name = wanted.rpartition(":")
    name, _, label = name.partition("{")
    pair = tuple(label.rstrip("}").replace('"', "").split("=")) if label else None
    found = [
        value for (each, *labels), value in series.items() if each == name and (not pair or pair in labels)
    ]
    return len(found) if how == "count" else sum(found) if found else None


pytestmark = pytest.mark.needs(PROGRAM, "curl")


def test_what_does_not_change_is_the_same(moment):
    """Of each both tell the same, or neither does."""
    _, theirs, after = moment
    assert {name: after.get(name) for name in STEADY} == {
        name: theirs_of(theirs, each) for name, each in STEADY.items()
    }


@pytest.mark.parametrize("name", COUNTERS)
def test_counters_are_between_ours(moment, name):
    """What node_exporter counts between two of our ticks is between what those have."""
    before, theirs, after = moment
    value = theirs_of(theirs, COUNTERS[name])
    rounded = 0.011 * after["host_cpus"] if "cpu_seconds" in name else 1e-6
    assert value is not None
    assert before[name] - rounded <= value <= after[name] + rounded


def test_disks_are_the_same_and_whole(moment):
    """Each disk of ours is one of theirs, with numbers between ours; its partitions are none of ours."""
    before, theirs, after = moment
    devices = {name.split('"')[1] for name in after if name.startswith("host_disk_reads")}
    assert devices
    for name, their_name in OF_DISKS.items():
        for device in devices:
            value = theirs[their_name, ("device", device)]
            series = f'{name}{{device="{device}"}}'
            assert before[series] <= value <= after[series], series


@pytest.mark.parametrize("name", MEMORY)
def test_memory_is_the_same_but_for_what_others_do(moments, name):
    """All are of the same file, some milliseconds apart, in which others do another thing each time."""
    apart = 0.02 * ours()["host_memory_total_bytes"]
    assert any(is_near(each, name, MEMORY[name], apart) for each in moments)


@pytest.mark.parametrize("name", MOVING)
def test_what_moves_is_near(moments, name):
    """A host that others use too moves a little between two questions; what one has not the other has not."""
    assert any(is_near(each, name, *MOVING[name]) for each in moments)


@pytest.mark.needs("free")
def test_free_says_the_same():
    """`free` of procps, in bytes: total is the same, what is available moves a little."""
    done = subprocess.run(["free", "--bytes"], capture_output=True, text=True, timeout=30, check=True)
    memory, swap = (list(map(int, line.split()[1:])) for line in done.stdout.splitlines()[1:3])
    found = ours()
    assert (memory[0], swap[0]) == (found["host_memory_total_bytes"], found["host_swap_total_bytes"])
    assert memory[-1] == pytest.approx(found["host_memory_available_bytes"], abs=0.02 * memory[0])


def test_uptime_says_the_same():
    """The kernel's own uptime and the time of the start fit together, to a second for its rounding."""
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    assert time.time() - ours()["host_boot_time_seconds"] == pytest.approx(uptime, abs=2)
