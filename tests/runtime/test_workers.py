"""Workers that do not end as they should, and processes that are not the agent's to end."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from harness import alive, until
from rogues import AGENT, TAME, rogue, runs

from rscollector.runtime.control import is_foreign
from rscollector.runtime.worker_process import WorkerProcess
from rscollector.web.listeners import CannotListen, listen_unix

TRACER = """
import ctypes, sys, time
assert ctypes.CDLL(None, use_errno=True).ptrace(0x4206, int(sys.argv[1]), 0, 0) == 0, ctypes.get_errno()
print("traced", flush=True)
time.sleep(3600)
"""


@contextmanager
def traced(pid):
    """Have a debugger at a process, that keeps it from being reaped when it is dead."""
    with subprocess.Popen([sys.executable, "-c", TRACER, str(pid)], stdout=subprocess.PIPE) as tracer:
        try:
            assert tracer.stdout.readline() == b"traced\n"
            yield
        finally:
            tracer.kill()


def test_a_dead_worker_that_cannot_be_reaped_holds_up_neither_the_agent_nor_its_neighbours(agent, tmp_path):
    """The one to blame stays in `killing`; those who shared its worker go on in another."""
    switch = tmp_path / "switch"
    hangs = rogue("hang", kind="tame", once=f'"{switch}"', timeout='"1s"')
    started = agent(AGENT + hangs + TAME)
    until(lambda: started.collector("tame/good")["up"] and started.collector("tame/bad")["up"])
    before = started.collector("tame/bad")["worker_pid"]
    with traced(before):
        switch.touch()
        until(lambda: started.state("tame/bad") == "killing")
        until(lambda: started.collector("tame/good")["worker_pid"] not in (None, before))
        until(lambda: started.collector("tame/good")["up"])
        assert runs(started, "neighbour", name="good", kind="tame") == 1
        assert started.state("tame/bad") == "killing"
        assert "killed, waiting for the process to end" in started.collector("tame/bad")["reason"]
        switch.unlink()
    until(lambda: started.collector("tame/bad")["up"])
    pids = {started.collector(f"tame/{name}")["worker_pid"] for name in ("good", "bad")}
    assert len(pids) == 1
    assert before not in pids


def test_what_is_wanted_again_while_it_ends_begins_again(agent):
    """A collector that a reload removed, and the next one adds before its process is gone, is there."""
    hangs = rogue("hang", on='"close"')
    started = agent(AGENT + hangs + TAME)
    until(lambda: started.collector("rogue/bad")["up"])
    with traced(started.collector("rogue/bad")["worker_pid"]):
        started.reload(AGENT + TAME)
        assert started.state("rogue/bad") == "killing"
        started.reload(AGENT + hangs + TAME)
        until(lambda: "reloaded: change rogue/bad; 1 kept" in started.log)
    until(lambda: started.collector("rogue/bad")["up"])


def test_a_neighbour_that_takes_its_time_is_not_killed_for_a_collector_that_is_to_end(agent):
    """The patience with a close begins when the worker can read it, not while it serves somebody else."""
    slow = rogue("slow", name="slow", kind="tame", first=1, count=4, timeout='"20s"')
    started = agent(AGENT + slow + TAME)
    until(
        lambda: started.state("tame/slow") == "collecting" and started.value("tame_runs_total", name="slow")
    )
    started.reload(AGENT + slow)
    until(lambda: started.collector("tame/good") is None)
    until(lambda: (started.value("tame_runs_total", name="slow") or 0) >= 2)
    assert runs(started, "neighbour", name="slow", kind="tame") == 0
    assert runs(started, "crash", name="slow", kind="tame") == 0


class Nobody:
    """An owner that is only told of the end."""

    def __init__(self):
        self.ended = asyncio.get_running_loop().create_future()

    def said(self, worker, line):
        """Forget it."""

    def exited(self, worker, death):
        """Take note."""
        self.ended.set_result(death)


def test_a_worker_that_does_not_end_when_it_is_hung_up_on_is_killed():
    """A driver's thread, or a stopped process, would else be left for ever."""

    async def main():
        owner = Nobody()
        worker = await WorkerProcess.start("local", owner)
        os.kill(worker.pid, signal.SIGSTOP)
        worker.hang_up()
        death = await asyncio.wait_for(owner.ended, 20)
        assert death.reason == "the worker ended"
        assert not alive(worker.pid)

    asyncio.run(main())


def test_what_cannot_be_decoded_leaves_status_and_page_readable(agent):
    """A reason or a note with bytes that are no text comes out with a replacement character."""
    started = agent(AGENT + rogue("garbled"))
    until(lambda: started.collector("rogue/bad")["notes"] == ["caf\ufffd noted"])
    until(lambda: "caf\ufffd is closed" in started.collector("rogue/bad")["reason"])
    until(lambda: "caf\ufffd is closed" in started.get("/")[2].decode())
    assert started.get("/")[0] == 200


def test_secrets_are_masked_in_logged_tracebacks(agent):
    """What a driver logs with the exception that it had does not show the password."""
    bad = rogue("log", password='{ env = "PASSWORD" }')
    started = agent(AGENT + bad, PASSWORD="hunter2")
    until(lambda: "could not convert string to float: '***'" in started.log)
    assert "hunter2" not in started.log


def test_children_that_were_there_before_the_agent_are_left_alone(agent):
    """`exec rscollector` inherits the children of the shell that it was: they are not strays."""
    prefix = ("sh", "-c", 'sleep 1000 & exec "$@"', "sh")
    started = agent(AGENT + TAME + rogue("daemon", first=1, timeout='"500ms"'), prefix=prefix)
    inherited = next(pid for pid in started.family() if _command(pid) == ["sleep", "1000"])
    until(lambda: "killed what workers have left behind" in started.log)
    assert alive(inherited)
    os.kill(inherited, signal.SIGKILL)
    until(lambda: inherited not in started.family())


def _command(pid):
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]


@pytest.mark.parametrize(
    ("mode", "owner", "foreign"),
    [(0o1777, "mine", False), (0o1777, "others", True), (0o1777, "link", True), (0o755, "others", False)],
)
def test_a_directory_that_somebody_else_has_made_in_tmp_is_not_trusted(
    tmp_path, monkeypatch, mode, owner, foreign
):
    """Where anybody may make a directory, one by our name may be a trap."""
    tmp_path.chmod(mode)
    own = tmp_path / "rscollector-7"
    if owner == "link":
        own.symlink_to("/etc")
    else:
        own.mkdir()
    if owner == "others":
        monkeypatch.setattr("os.geteuid", lambda: os.getuid() + 1)
    assert is_foreign(own / "control.sock") is foreign


def test_a_directory_that_is_not_there_is_nobodys(tmp_path):
    """Nothing is wrong with a place where nothing is."""
    assert not is_foreign(tmp_path / "none" / "control.sock")


def test_an_agent_with_a_full_backlog_is_not_taken_for_a_dead_one(tmp_path):
    """Its socket refuses with "try again"; the one who would take its place must not."""
    path = tmp_path / "control.sock"
    with ExitStack() as stack:
        busy = stack.enter_context(socket.socket(socket.AF_UNIX))
        busy.bind(str(path))
        busy.listen(0)
        with suppress(BlockingIOError):
            while True:
                client = stack.enter_context(socket.socket(socket.AF_UNIX))
                client.setblocking(False)
                client.connect(str(path))
        with pytest.raises(CannotListen, match="another rscollector answers"):
            listen_unix(path)
