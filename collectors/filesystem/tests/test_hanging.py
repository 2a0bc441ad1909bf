"""File systems that hang, by a FUSE server that is stopped, or reads a question and says nothing."""

import json
import os
import signal
from pathlib import Path

import pytest
from harness import alive, until

from collectors.filesystem.tests.mounting import ONLY, asking

pytestmark = [
    pytest.mark.needs(*ONLY),
    pytest.mark.skipif(not Path("/dev/fuse").exists(), reason="this kernel has no FUSE"),
]


LONG = 4.0
"""Seconds that a collect may take; who waits for an answer in vain waits for 0.45 of it, which no tick takes else."""


@pytest.fixture
def state(tmp_path):
    """Return the path of a state file; questions that it knows of are ended when their servers are."""
    return tmp_path / "state.json"


def test_one_that_hangs_costs_its_own_answer_and_is_right_again_when_it_answers(mounts, state):
    """The others are told, it is not asked again while it hangs, and no tick waits for it any more."""
    hung, _well = mounts.fuse("hung"), mounts.fuse("well")
    watched = mounts.watch(state, timeout=LONG)
    watched.tick()
    assert watched.of("responding", mounts.base / "hung") == 1
    hung.stop()
    watched.tick()
    assert watched.seconds < LONG * 0.9
    assert watched.of("responding", mounts.base / "hung") == 0
    assert watched.of("size_bytes", mounts.base / "hung") is None
    assert watched.of("size_bytes", mounts.base / "well") == 4096000
    first = watched.questions()
    assert [asking(pid) for pid in first] == [str(mounts.base / "hung")]
    watched.tick()
    assert watched.seconds < LONG * 0.4
    assert watched.questions() == first
    hung.go_on()
    until(lambda: watched.tick() and watched.of("responding", mounts.base / "hung") == 1)
    assert watched.of("size_bytes", mounts.base / "hung") == 4096000


def test_the_sentence_says_how_long_and_where_in_the_kernel_it_waits(mounts, state):
    """What hangs is named with its type and server, and so is the kernel's function."""
    mounts.fuse("hung", source="nas:/export").tell(withhold=True)
    watched = mounts.watch(state)
    watched.tick()
    channel = Path(f"/proc/{watched.questions()[0]}/wchan").read_text()
    assert watched.notes == [
        f"missing: {mounts.base}/hung (fuse.test from nas:/export) does not answer for 1 s; the question waits in {channel}"
    ]


def test_who_cannot_be_killed_is_waited_for_by_nobody_and_asked_by_no_second_one(mounts, state):
    """A server that has read the question keeps who asks in uninterruptible sleep; a renewed worker knows of it."""
    server = mounts.fuse("hung")
    server.tell(withhold=True)
    watched = mounts.watch(state, timeout=LONG)
    watched.tick()
    (pid,) = watched.questions()
    os.kill(pid, signal.SIGKILL)
    watched.renew()  # which would wait for ever
    assert alive(pid), "it was meant to be unkillable"
    watched.tick()
    assert watched.of("responding", mounts.base / "hung") == 0
    assert watched.seconds < LONG * 0.4
    assert [each for each in watched.questions() if each != pid] == []
    assert json.loads(state.read_text())["waiting"].popitem()[1][0] == pid
    server.tell(answer=True)
    until(lambda: watched.tick() and watched.of("responding", mounts.base / "hung") == 1)
    assert json.loads(state.read_text())["waiting"] == {}


def test_a_worker_that_was_killed_leaves_no_second_question_either(mounts, state):
    """What the first one has written down the second one reads, and sees that the process is still the same."""
    server = mounts.fuse("hung")
    server.tell(withhold=True)
    first = mounts.watch(state)
    first.tick()
    (pid,) = first.questions()
    first.process.kill()
    first.process.wait()
    second = mounts.watch(state)
    second.tick()
    assert second.questions() == []
    assert second.of("responding", mounts.base / "hung") == 0
    assert alive(pid)
    server.tell(answer=True)
    until(lambda: second.tick() and second.of("responding", mounts.base / "hung") == 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"boot": 1, "waiting": 2}',
        '{"boot": "BOOT", "waiting": {"KEY": [PID, 1, 0.0]}}',
        '{"boot": "BOOT", "waiting": {"KEY": [0, 0, 0]}}',
        '{"boot": "BOOT", "waiting": {"KEY": [-1, 0, 0]}}',
        '{"boot": "BOOT", "waiting": {"KEY": [1e30, 0, 0]}}',
        '{"boot": "BOOT", "waiting": {"KEY": ["x"]}}',
        '{"boot": "BOOT", "waiting": {"KEY": null}}',
        '{"boot": "BOOT", "waiting": {"KEY": [1, 2, "nan"]}}',
        '{"boot": "BOOT", "waiting": {}, "names": 3}',
        '{"boot": "BOOT", "waiting": {}, "names": {"KEY": 3}}',
        '{"boot": "BOOT", "waiting": {}, "names": {"KEY": [null, {}]}}',
        "\ud800\x00",
        '{"boot": "BOOT", "waiting": ' + "[" * 100000,
    ],
)
def test_a_state_file_that_is_damaged_or_tells_of_another_process_keeps_nothing_from_being_asked(
    mounts, state, text
):
    """A number that belongs to somebody else by now is nobody's question."""
    mounts.fuse("well")
    (line,) = [each for each in mounts.run("cat", "/proc/self/mountinfo").splitlines() if "/well " in each]
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    text = text.replace("BOOT", boot).replace("KEY", line.split()[2]).replace("PID", str(os.getpid()))
    state.write_bytes(text.encode("utf-8", "surrogatepass"))
    watched = mounts.watch(state)
    watched.tick()
    assert watched.of("responding", mounts.base / "well") == 1


def test_a_collector_that_starts_while_one_hangs_works(mounts, state):
    """Nothing was known before, and the first tick tells all others."""
    mounts.fuse("hung").stop()
    mounts.fuse("well")
    watched = mounts.watch(state)
    watched.tick()
    assert watched.of("responding", mounts.base / "hung") == 0
    assert watched.of("responding", mounts.base / "well") == 1
    assert watched.of("available_bytes", mounts.base) > 0


def test_a_local_file_system_below_one_that_hangs_holds_up_no_local_one(mounts, state):
    """The child of the local ones waits for the directory above it; another one goes on with those behind."""
    server = mounts.fuse("hung")
    mounts.mount("-t", "tmpfs", "below", mounts.base / "hung" / "sub")
    mounts.sh("mkdir behind; mount -t tmpfs behind behind")
    watched = mounts.watch(state)
    watched.tick()
    assert watched.of("responding", mounts.base / "hung/sub") == 1
    server.stop()
    watched.tick()
    assert watched.of("responding", mounts.base / "hung/sub") == 0
    assert watched.of("responding", mounts.base / "behind") == 1
    server.go_on()
    until(lambda: watched.tick() and watched.of("responding", mounts.base / "hung/sub") == 1)


def test_nothing_piles_up_while_one_hangs(mounts, state):
    """No descriptor, no child and no thread more after a hundred ticks (node_exporter#244, #578)."""
    mounts.fuse("hung").tell(withhold=True)
    watched = mounts.watch(state)
    watched.tick()
    proc = Path(f"/proc/{watched.process.pid}")

    def held():
        return len(list((proc / "fd").iterdir())), len(list((proc / "task").iterdir())), watched.questions()

    before = held()
    for _ in range(100):
        watched.tick()
    assert held() == before


def test_a_child_that_is_killed_while_it_waits_is_replaced_and_does_not_count_as_an_answer(mounts, state):
    """The kernel may kill it when memory is short: the next tick asks again, and it still does not respond."""
    mounts.fuse("hung").stop()
    watched = mounts.watch(state)
    watched.tick()
    (pid,) = watched.questions()
    os.kill(pid, signal.SIGKILL)
    until(lambda: not alive(pid))
    watched.tick()
    assert watched.of("responding", mounts.base / "hung") == 0
    (other,) = [each for each in watched.questions() if alive(each)]
    assert other != pid


def test_a_child_that_somebody_has_stopped_keeps_no_tick(mounts, state):
    """SIGSTOP to a child is a silence like another one, until SIGCONT."""
    server = mounts.fuse("f")
    server.stop()
    watched = mounts.watch(state)
    watched.tick()
    (pid,) = watched.questions()
    os.kill(pid, signal.SIGSTOP)
    server.go_on()
    watched.tick()
    assert watched.of("responding", mounts.base / "f") == 0
    os.kill(pid, signal.SIGCONT)
    until(lambda: watched.tick() and watched.of("responding", mounts.base / "f") == 1)


def test_what_is_mounted_anew_is_asked_while_the_old_one_still_hangs(mounts, state):
    """A lazy umount leaves the old question behind; the new file system at the same place is another one."""
    old = mounts.fuse("f")
    old.tell(withhold=True)
    watched = mounts.watch(state)
    watched.tick()
    assert watched.of("responding", mounts.base / "f") == 0
    (pid,) = watched.questions()
    mounts.run("umount", "--lazy", mounts.base / "f")
    mounts.fuse("f", blocks=77)
    watched.tick()
    assert watched.of("size_bytes", mounts.base / "f") == 77 * 4096
    assert alive(pid)
    old.tell(answer=True)
    until(lambda: watched.tick() and watched.questions() == [])


def test_when_a_hundred_hang_at_once_no_more_than_so_many_are_asked(mounts, state):
    """The rest is told as not asked, local file systems are told all the same, and no more children come."""
    names = [f"hung/{n}" for n in range(100)]
    server = mounts.fuse(*names)
    watched = mounts.watch(state)
    watched.tick()
    assert [watched.of("responding", mounts.base / name) for name in names] == [1] * 100
    server.tell(withhold=True)
    for _ in range(2):
        watched.tick()
        assert [watched.of("responding", mounts.base / name) for name in names].count(0) == 64
        assert watched.of("responding", mounts.base) == 1
        assert watched.of("available_bytes", mounts.base) > 0
        assert len(watched.questions()) == 64
    assert watched.notes[-1] == "and 90 more like these"
    server.tell(answer=True)
    until(
        lambda: (
            watched.tick() and [watched.of("responding", mounts.base / name) for name in names] == [1] * 100
        )
    )
    assert watched.notes == []


@pytest.mark.parametrize(
    ("error", "text"), [(5, "Input/output error"), (116, "Stale file handle"), (112, "Host is down")]
)
def test_an_error_is_an_answer_that_helps_nobody(mounts, state, error, text):
    """It does not respond, and the sentence has the error's text."""
    mounts.fuse("f").tell(error=error)
    watched = mounts.watch(state)
    watched.tick()
    assert watched.of("responding", mounts.base / "f") == 0
    assert watched.notes == [f"missing: {mounts.base}/f (fuse.test from test) answers with an error: {text}"]


def test_a_server_that_has_died_is_told(mounts, state):
    """The kernel says that nobody is connected."""
    server = mounts.fuse("f")
    server.end()
    watched = mounts.watch(state)
    watched.tick()
    assert watched.of("responding", mounts.base / "f") == 0
    assert watched.notes == [
        f"missing: {mounts.base}/f (fuse.test from test) answers with an error: Transport endpoint is not connected"
    ]


@pytest.mark.parametrize("error", [38, 95])
def test_one_that_tells_nothing_answers(mounts, state, error):
    """It responds, and has no sizes."""
    mounts.fuse("f").tell(error=error)
    watched = mounts.watch(state)
    watched.tick()
    assert watched.of("responding", mounts.base / "f") == 1
    assert watched.of("size_bytes", mounts.base / "f") is None
    assert watched.notes == []


def test_a_user_s_own_is_not_ours_to_ask(mounts, state):
    """FUSE without allow_other would tell us zeroes: it is not asked, and so it cannot hang either."""
    server = mounts.fuse("f", options="user_id=1000")
    server.stop()
    watched = mounts.watch(state)
    watched.tick()
    assert watched.of("responding", mounts.base / "f") is None
    assert watched.of("read_only", mounts.base / "f") == 0
    assert watched.notes == [
        f"{mounts.base}/f (fuse.test from test) is not asked: it belongs to user 1000 alone (FUSE without allow_other)"
    ]


def test_a_question_about_what_is_mounted_no_more_is_ended(mounts, state):
    """Nobody waits for its answer, and the next worker is told of none."""
    mounts.fuse("f").stop()
    watched = mounts.watch(state)
    watched.tick()
    (pid,) = watched.questions()
    mounts.run("umount", "--lazy", mounts.base / "f")
    watched.tick()
    until(lambda: not alive(pid))
    assert json.loads(state.read_text())["waiting"] == {}
    assert watched.notes == []
