"""What is kept: complete or not there, made once, not older than two weeks, and written into by nobody."""

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

import pytest
from harness import until
from hosts import in_tree
from kept import kept, this_week, until_the_last_leaves

KILLED = """
import os, pathlib, sys
from kept import kept
def make(path):
    path.mkdir()
    (path / "half").touch()
    os.kill(os.getpid(), 9)
kept(pathlib.Path(sys.argv[1]), "tree", make)
"""


def test_what_was_half_made_is_never_used(tmp_path):
    """Whoever comes after one that was killed makes it anew, and nothing is left of the half."""
    killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path], cwd=Path(__file__).parent, check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = tmp_path.glob("tree.part-*")
    assert list(left.iterdir()) == [left / "half"]
    assert list(kept(tmp_path, "tree", Path.mkdir).iterdir()) == []
    assert not left.exists()


def test_what_two_want_is_made_once(tmp_path):
    """The second waits for the first, and is given the same."""
    asked, made = Event(), []
    ours = tmp_path / "tree.lock"

    def waited_for():
        waiting = [
            line.split() for line in Path("/proc/locks").read_text().splitlines() if "-> FLOCK" in line
        ]
        return any(line[6].endswith(f":{ours.stat().st_ino}") for line in waiting)

    def make(path):
        asked.set()
        made.append(path)
        if len(made) == 1:
            until(waited_for)
        path.mkdir()

    with ThreadPoolExecutor() as pool:
        first = pool.submit(kept, tmp_path, "tree", make)
        assert asked.wait(20)
        assert kept(tmp_path, "tree", make) == first.result(20) == tmp_path / "tree"
    assert len(made) == 1


def test_what_is_older_than_last_week_is_thrown_away(tmp_path, monkeypatch):
    """Last week's may be in use by somebody; a new year changes nothing."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    weeks = [this_week(datetime(2026, 12, day, tzinfo=UTC)) for day in (15, 22, 29)]
    last = this_week(datetime(2027, 1, 4, tzinfo=UTC))
    assert [week.name for week in (*weeks, last)] == ["2026-W51", "2026-W52", "2026-W53", "2027-W01"]
    assert sorted(last.parent.iterdir()) == [weeks[-1], last]


def test_what_is_shared_is_there_until_the_last_one_leaves(tmp_path):
    """Who leaves before takes nothing away."""
    with until_the_last_leaves(tmp_path / "shared") as last:
        with until_the_last_leaves(tmp_path / "shared") as first:
            (first / "made").touch()
        assert (last / "made").exists()
    assert not last.exists()


@pytest.mark.needs("mmdebstrap", "systemd-nspawn", "root")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("release", ["trixie"], indirect=True, scope="session")
def test_nobody_writes_into_a_tree_that_is_kept(boot, server):
    """Neither a command nor a host; each has what it has written itself."""
    assert in_tree(server, "sh", "-c", "echo mine >/mine; cat /mine").stdout == "mine\n"
    host = boot(server)
    assert host.shell("ls /mine || echo theirs >/theirs; cat /theirs") == "theirs\n"
    assert not {"mine", "theirs"} & {path.name for path in server.iterdir()}
