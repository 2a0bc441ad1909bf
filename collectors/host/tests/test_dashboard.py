"""Every query of the dashboard, asked from a Prometheus that scrapes a real agent on this host."""

import subprocess
import sys
from pathlib import Path
from tempfile import NamedTemporaryFile

import pytest
from harness import free_port
from scraping import Prometheus, dashboard_queries, unanswered

pytestmark = [pytest.mark.needs("prometheus"), pytest.mark.timeout(180)]

CONFIG = """
[web]
listen = ["127.0.0.1:{}"]
[agent]
interval = "500ms"
[collector.host.main]
"""
NOT_HERE = ("host_md_sync_ratio", "host_clock_offset_seconds", "host_conntrack_entries")
"""An array, chrony, a firewall: of whatever each host need not have."""
WORK = """
import os, sys
file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT | os.O_SYNC)
os.pwrite(file, os.urandom(1 << 20), 0)
os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
os.pread(file, 1 << 20, 0)
"""


def test_every_query_of_the_dashboard_has_an_answer(agent, tmp_path):
    """While a disk is used each panel shows something, and all of it numbers."""
    port = free_port()
    started = agent(CONFIG.format(port))
    (tmp_path / "prometheus").mkdir()
    prometheus = Prometheus(tmp_path / "prometheus", f"127.0.0.1:{port}")
    try:
        queries = dashboard_queries("host", instance=".*")
        asked = [each for each in queries if not any(name in each for name in NOT_HERE)]
        if not list(Path("/proc/pressure").glob("*")):
            asked = [each for each in asked if "pressure" not in each]
        assert len(asked) >= 25

        def answered(found):
            return found and all(each["value"][1] != "NaN" for each in found)

        with NamedTemporaryFile(dir="/var/tmp") as file:  # which is on a disk, where /tmp need not be

            def provoke():
                subprocess.run([sys.executable, "-c", WORK, file.name], timeout=60, check=True)

            assert unanswered(prometheus, asked, answered, provoke) == []
        assert started.value("rscollector_collector_up", type="host") == 1
    finally:
        prometheus.stop()
