"""The collector vip under a real agent: its own worker, and what is known when that was killed."""

import os
import signal
from pathlib import Path

import pytest
from harness import children, until
from netns import namespace

from collectors.vip.tests.watched import V4, there_and_back

pytestmark = pytest.mark.needs("root", "ip", "unshare", "nsenter")


def worker_of(agent, name):
    """Return the process id of a worker, None if there is none."""
    for pid in children(agent.process.pid):
        if f"rscollector.worker\0{name}\0".encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
    return None


def test_a_neighbour_that_hangs_does_not_blind_it_and_a_kill_is_a_gap(agent):
    """It has a worker apart from other local collectors; the worker after a kill goes on counting."""
    with namespace() as net:
        started = agent(
            "[web]\nlisten = []\n[agent]\ninterval = '500ms'\n[collector.agent.main]\n"
            f"[collector.vip.main]\naddresses = ['{V4}']\n",
            prefix=net.enter,
        )

        def gained():
            return started.value("vip_gained_total", address=V4)

        until(lambda: gained() == 0)
        net.batch(there_and_back(20))
        until(lambda: gained() == 20)
        worker = worker_of(started, "vip/main")
        neighbour = worker_of(started, "local")
        os.kill(neighbour, signal.SIGSTOP)
        net.batch(there_and_back(20))
        until(lambda: gained() == 40)
        os.kill(worker, signal.SIGKILL)
        net.ip("address", "add", f"{V4}/32", "dev", "b0")
        until(lambda: started.value("vip_bound", address=V4) == 1)
        assert gained() == 41
        assert started.value("vip_watch_gaps_total") == 1
