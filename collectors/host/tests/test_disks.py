"""A real disk of this kernel, a loop, that is written to and read from; and that goes while it is watched."""

import os
import subprocess
import sys

import pytest
from harness import until

from collectors.host import Host
from rscollector.api import Context
from rscollector.runtime.foreground import collect_once, settings_of
from rscollector.testing import values

pytestmark = pytest.mark.needs("root", "losetup")
SIZE = 8 << 20


def of_disk(device):
    """Return the series of one disk, by their names without labels."""
    settings = settings_of(Host, {"ignored_disks": []}, None)
    found = values(collect_once(Host, settings, Context("main", timeout=30, interval=15, agent=1)).samples)
    return {name.partition("{")[0]: value for name, value in found.items() if f'device="{device}"' in name}


@pytest.fixture
def loop(tmp_path):
    """Yield the path of a disk that is a file."""
    (tmp_path / "disk").write_bytes(b"")
    os.truncate(tmp_path / "disk", SIZE)
    command = ["losetup", "--find", "--show", "--direct-io=off", tmp_path / "disk"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        pytest.skip(f"no loop device here: {done.stderr.strip()}")
    yield done.stdout.strip()
    subprocess.run(["losetup", "--detach", done.stdout.strip()], timeout=30, check=False)


COPY = """
import os, sys
path, flags = sys.argv[1], os.O_SYNC
disk = os.open(path, os.O_RDWR | flags)
for block in range(64): os.pwrite(disk, b"x" * 65536, block * 65536)
os.posix_fadvise(disk, 0, 0, os.POSIX_FADV_DONTNEED)
for block in range(32): os.pread(disk, 65536, block * 65536)
"""


def test_what_is_read_and_written_is_counted(loop):
    """4 MiB are written and 2 MiB read: the counters of the disk grow by that, or by a little more for read-ahead."""
    device = loop.removeprefix("/dev/")
    before = of_disk(device)
    subprocess.run([sys.executable, "-c", COPY, loop], timeout=60, check=True)
    until(lambda: of_disk(device).get("host_disk_in_flight") == 0)
    after = of_disk(device)
    grown = {name: value - before.get(name, 0) for name, value in after.items()}
    assert grown["host_disk_written_bytes_total"] == 4 << 20
    assert 2 << 20 <= grown["host_disk_read_bytes_total"] <= SIZE
    assert 1 <= grown["host_disk_reads_total"] <= 4096
    assert 1 <= grown["host_disk_writes_total"] <= 4096
    assert grown["host_disk_write_seconds_total"] > 0
    assert 0 <= grown["host_disk_busy_seconds_total"] < 60


def test_by_default_loops_are_not_shown(loop):
    """Each snap has one."""
    subprocess.run([sys.executable, "-c", COPY, loop], timeout=60, check=True)
    found = values(
        collect_once(
            Host, settings_of(Host, {}, None), Context("main", timeout=30, interval=15, agent=1)
        ).samples
    )
    assert [name for name in found if "loop" in name] == []
