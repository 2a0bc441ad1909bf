"""The collector under a real agent, while file systems hang whose questions nobody can kill."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest
from harness import alive, children, until

from collectors.filesystem.tests.mounting import ONLY, asking
from rscollector.web.rows import rows

pytestmark = [
    pytest.mark.needs(*ONLY),
    pytest.mark.skipif(not Path("/dev/fuse").exists(), reason="this kernel has no FUSE"),
]
CONFIG = """
[web]
listen = []
[agent]
interval = "500ms"
timeout = "400ms"
[collector.tame.good]
[collector.agent.main]
[collector.filesystem.main]
"""


def worker_of(agent, name):
    """Return the process id of a worker, None if there is none."""
    for pid in children(agent.process.pid):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            if f"rscollector.worker\0{name}\0".encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
    return None


def questions(agent):
    """Return the process ids of the questions that wait in the kernel, whoever is their parent."""
    waiting = [pid for pid in agent.family() if asking(pid)]
    return [pid for pid in waiting if Path(f"/proc/{pid}/wchan").read_text() == "request_wait_answer"]


def test_a_hung_mount_costs_its_own_answer_under_every_fate_of_the_worker(agent, mounts):
    """No tick of anybody is missed, a new worker asks no second child, and the agent ends in time."""
    server = mounts.fuse("hung")
    started = agent(CONFIG, prefix=mounts.enter)
    hung = str(mounts.base / "hung")

    def responding():
        return started.value("filesystem_responding", mountpoint=hung)

    until(lambda: responding() == 1)
    server.tell(withhold=True)
    until(lambda: responding() == 0)
    (pid,) = questions(started)
    worker = worker_of(started, "filesystem/main")
    os.kill(worker, signal.SIGKILL)
    until(lambda: worker_of(started, "filesystem/main") not in (None, worker))
    until(lambda: "does not answer for" in str(started.collector("filesystem/main")["notes"]))
    assert responding() == 0
    assert questions(started) == [pid]
    assert pid in children(started.process.pid), "the agent has adopted it"
    runs = started.value("rscollector_collector_runs_total", type="filesystem", result="success")
    until(
        lambda: (
            started.value("rscollector_collector_runs_total", type="filesystem", result="success") > runs + 4
        )
    )
    assert questions(started) == [pid]
    for type_ in ("tame", "agent"):
        assert started.value("rscollector_collector_ticks_missed_total", type=type_) == 0
    processes = {dict(labels)["process"] for name, labels in started.metrics("agent_process_threads")}
    assert processes == {"agent", "local", "filesystem/main"}
    server.tell(answer=True)
    until(lambda: responding() == 1)
    until(lambda: not alive(pid))
    server.tell(withhold=True)
    until(lambda: responding() == 0)
    began = time.monotonic()
    assert started.stop() == 0
    took = time.monotonic() - began
    print(f"the agent ended in {took:.2f} s while a question hung")
    assert took < 10
    server.tell(answer=True)


def test_one_that_hangs_from_the_start_keeps_nobody_from_starting(agent, mounts):
    """The unit starts, is ready, and tells the others."""
    mounts.fuse("hung").tell(withhold=True)
    mounts.fuse("well")
    started = agent(CONFIG, prefix=mounts.enter)
    until(lambda: started.value("filesystem_responding", mountpoint=str(mounts.base / "hung")) == 0)
    until(lambda: [each.key for each in rows(started.status()) if each.is_wrong] == ["filesystem/main"])
    assert started.value("filesystem_responding", mountpoint=str(mounts.base / "well")) == 1
    assert started.state("filesystem/main") in ("idle", "collecting")
