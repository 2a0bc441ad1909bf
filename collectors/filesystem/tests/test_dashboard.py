"""Every query of the dashboard, asked from a Prometheus that scrapes a real agent; and an alert of its own."""

from pathlib import Path

import pytest
from harness import free_port, until
from scraping import Prometheus, dashboard_queries, unanswered

from collectors.filesystem.tests.mounting import ONLY

pytestmark = [
    pytest.mark.needs(*ONLY, "prometheus"),
    pytest.mark.timeout(180),
    pytest.mark.skipif(not Path("/dev/fuse").exists(), reason="this kernel has no FUSE"),
]


def test_every_query_of_the_dashboard_has_an_answer(agent, mounts, tmp_path):
    """While a file system is filled and another one hangs each panel shows something, and the hung one is an alert."""
    port = free_port()
    server = mounts.fuse("hung")
    mounts.sh("mkdir t; mount -t tmpfs -o size=10m,nr_inodes=1000 t t")
    config = (
        f'[web]\nlisten = ["127.0.0.1:{port}"]\n[agent]\ninterval = "500ms"\n[collector.filesystem.main]\n'
    )
    started = agent(config, prefix=mounts.enter)
    until(lambda: started.value("filesystem_responding", mountpoint=str(mounts.base / "hung")) == 1)
    server.tell(withhold=True)
    (tmp_path / "prometheus").mkdir()
    prometheus = Prometheus(tmp_path / "prometheus", f"127.0.0.1:{port}")
    try:
        queries = dashboard_queries("filesystem", name=".*", instance=".*", mountpoint=".*")
        assert len(queries) >= 12

        def answered(found):
            return found and all(each["value"][1] != "NaN" for each in found)

        assert unanswered(prometheus, queries, answered, lambda: mounts.sh("echo more >> t/file")) == []
        prometheus.fires("FilesystemNotResponding")
        server.tell(answer=True)
    finally:
        prometheus.stop()
