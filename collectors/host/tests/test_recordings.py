"""Recorded hosts of several kernels: what is published of each, and what is said to be missing."""

import pytest

from collectors.host import Host
from collectors.host.tests.recorded_host import FOLLOWED, PARTS, WHOLE, WRITTEN, Still, Watched, host
from rscollector.testing import (
    FakeContext,
    Root,
    assert_all_metrics_are_emitted,
    assert_values,
    collect,
    values,
)


def seen(tmp_path, name, **settings):
    """Return the series and the notes of a recorded host."""
    context = FakeContext(root=host(Root(tmp_path / name), name))
    return values(collect(Still, settings, context=context)), context.notes


def test_every_metric_is_in_a_recording(tmp_path):
    """What is declared is told by some kernel."""
    runs = [
        collect(Still, context=FakeContext(root=host(Root(tmp_path / name), name)))
        for name in (*WHOLE, *PARTS)
    ]
    assert_all_metrics_are_emitted(Host, runs)


@pytest.mark.parametrize("name", WRITTEN)
def test_the_numbers_are_those_of_the_files(tmp_path, name):
    """Units are base units: ticks, kB, sectors, ms and µs are turned into seconds and bytes."""
    found, _ = seen(tmp_path, name)
    assert_values(
        found,
        {
            'host_cpu_seconds_total{mode="user"}': 101321.53,
            'host_cpu_seconds_total{mode="steal"}': 12.01,
            'host_cpu_seconds_total{mode="guest"}': None,
            "host_cpus": 2,
            "host_load1": 1.52,
            "host_load15": 0.80,
            "host_interrupts_total": 1462898034,
            "host_boot_time_seconds": 1790000000,
            "host_memory_total_bytes": 16266428 * 1024,
            "host_memory_available_bytes": 9120332 * 1024,
            "host_swap_free_bytes": 8301052 * 1024,
            "host_swap_in_pages_total": 4021,
            "host_page_faults_major_total": 123456,
            "host_oom_kills_total": 2,
            "host_tcp_retransmitted_segments_total": 4200,
            "host_tcp_sent_segments_total": 8000000,
            "host_tcp_listen_overflows_total": 7,
            "host_tcp_listen_drops_total": 9,
            'host_udp_receive_buffer_errors_total{family="ipv4"}': 5,
            'host_udp_receive_buffer_errors_total{family="ipv6"}': 2,
            'host_sockets{protocol="tcp",state="tw"}': 14,
            'host_sockets{protocol="raw6",state="inuse"}': 1,
            "host_softnet_dropped_total": 7,
            "host_softnet_squeezed_total": 14,
            "host_conntrack_entries": 1312,
            "host_file_handles_limit": 2**63 - 1,
            "host_clock_offset_seconds": -0.0015,
            "host_clock_error_max_seconds": 0.016,
        },
    )


def test_linux_4_18_of_red_hat_has_no_pressure_and_says_so_once(tmp_path):
    """PSI is there with psi=1 only; a disk's name has a slash, and sr0 is not shown."""
    found, notes = seen(tmp_path, "linux-4.18-written")
    assert notes == [
        (
            "missing: pressure: /proc/pressure/cpu: No such file or directory "
            "(this needs a kernel with PSI; Red Hat's wants psi=1 on its command line)"
        )
    ]
    devices = {name.split('"')[1] for name in found if name.startswith("host_disk_reads")}
    assert devices == {"cciss/c0d0", "rhel-root", "rhel-swap"}
    assert_values(
        found,
        {
            "host_entropy_available_bits": 3781,
            'host_disk_reads_total{device="rhel-root"}': 194027,
            'host_disk_read_bytes_total{device="rhel-root"}': 10435826 * 512,
            'host_disk_written_bytes_total{device="rhel-root"}': 35785088 * 512,
            'host_disk_read_seconds_total{device="rhel-root"}': pytest.approx(589.961),
            'host_disk_busy_seconds_total{device="rhel-root"}': pytest.approx(185.052),
        },
    )


def test_linux_5_10_has_no_full_of_the_cpu_and_misses_nothing(tmp_path):
    """node_exporter#3051: the whole of pressure was lost for that line. A container of IMSM is no array."""
    found, notes = seen(tmp_path, "linux-5.10-written")
    assert notes == []
    assert_values(
        found,
        {
            'host_pressure_seconds_total{resource="cpu",share="some"}': pytest.approx(111749.368752),
            'host_pressure_seconds_total{resource="io",share="full"}': pytest.approx(52.96807),
            'host_md_array_info{device="md126",array="db1:root",level="raid1"}': 1,
            'host_md_array_state{device="md126",host_md_array_state="active"}': 1,
            'host_md_sync_ratio{device="md126",action="check"}': 0.5,
            'host_md_array_degraded{device="md126"}': 0,
        },
    )
    assert [name for name in found if "md127" in name] == []
    devices = {name.split('"')[1] for name in found if name.startswith("host_disk_reads")}
    assert devices == {"sda", "nvme0n1", "vg-root", "md126"}


def test_linux_6_12_tells_of_interrupts_and_of_no_randomness(tmp_path):
    """The pool of 256 bits cannot run out; the CPU's `full` is always 0 and is left out."""
    found, notes = seen(tmp_path, "linux-6.12-written")
    assert notes == []
    assert_values(
        found,
        {
            'host_pressure_seconds_total{resource="irq",share="full"}': pytest.approx(98.765432),
            'host_pressure_seconds_total{resource="irq",share="some"}': None,
            'host_pressure_seconds_total{resource="cpu",share="full"}': None,
            "host_entropy_available_bits": None,
        },
    )


@pytest.mark.parametrize("name", [name for name in WHOLE if name not in WRITTEN])
def test_a_real_kernel_tells_all_but_pressure(tmp_path, name):
    """Nothing that was recorded is odd; user-mode-linux has no pressure."""
    found, notes = seen(tmp_path, name)
    assert [note for note in notes if not note.startswith("missing: pressure")] == []
    assert found["host_memory_total_bytes"] > 1e8


ARRAYS = {
    "linux-6.1-uml-healthy": (0, "clean", "clean", None),
    "linux-6.1-uml-failed": (1, "clean", "clean", None),
    "linux-6.1-uml-rebuilding": (1, "clean", "clean", 6144 / 47104),
    "linux-6.1-uml-inactive": (1, "clean", "inactive", 9216 / 47104),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_of_a_real_kernel(tmp_path, name):
    """A RAID 1 that loses a disk and is rebuilt, and a RAID 0 (node_exporter#1655, #500, #3198)."""
    lacking, state, other, ratio = ARRAYS[name]
    found, notes = seen(tmp_path, name)
    assert [note for note in notes if "/md" in note] == []
    assert_values(
        found,
        {
            'host_md_array_degraded{device="md0"}': lacking,
            'host_md_array_disks{device="md0"}': 2,
            f'host_md_array_state{{device="md0",host_md_array_state="{state}"}}': 1,
            f'host_md_array_state{{device="md1",host_md_array_state="{other}"}}': 1,
            'host_md_array_degraded{device="md1"}': None,
            'host_md_sync_ratio{device="md0",action="recover"}': ratio,
        },
    )


def test_mapped_disks_of_a_real_kernel_go_by_their_names(tmp_path):
    """A blank in a name is written by the device mapper's library as \\x20; loops are shown where wanted."""
    found, _ = seen(tmp_path, "linux-6.1-uml-healthy", ignored_disks=["loop1", "md*"])
    devices = {name.split('"')[1] for name in found if name.startswith("host_disk_reads")}
    assert devices == {"vg-root", "my\\x20disk", "loop2", "loop3", "loop4", "loop5", "loop6"}
    assert found['host_disk_written_bytes_total{device="vg-root"}'] == 8192 * 512


def test_what_a_recorded_host_says(tmp_path):
    """The sentences of an array that is rebuilt name its file."""
    watched = Watched(host(Root(tmp_path), "linux-6.1-uml-rebuilding"), timex=FOLLOWED)
    watched.tick()
    assert watched.said[:2] == [
        "The array md0 lacks 1 of 2 disks (/sys/block/md0/md).",
        "The array md0 is at 13.0% of a rebuild (/sys/block/md0/md).",
    ]
