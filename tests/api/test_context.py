"""`context.run` and `context.lines`: programs are started, bounded and ended."""

import errno
import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from harness import alive, until

from rscollector.api import Context, Misconfigured, Unavailable, programs
from rscollector.testing import FakeClock, FakeContext


def context(timeout=10.0):
    """Return a context with so much time."""
    return Context("main", timeout=timeout, interval=15, agent=os.getpid())


class Clock(FakeClock):
    """Goes on only when it is told to, or by a step whenever somebody looks."""

    step = 0.0

    def __call__(self):
        self.advance(self.step)
        return super().__call__()


@pytest.fixture
def clock(monkeypatch):
    """Have the time of programs stand still: however slow this machine is, none is late before it is told so."""
    made = Clock()
    monkeypatch.setattr(programs, "time", SimpleNamespace(monotonic=made))
    return made


def descriptors():
    """Return how many descriptors this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def test_the_output_of_a_program_is_returned():
    """What a program writes to its standard output is the result."""
    assert context().run(["printf", "%s", "hello"]) == b"hello"


def test_a_missing_program_is_misconfigured():
    """A program that is not installed is somebody's to mend, and is named."""
    with pytest.raises(Misconfigured, match="cannot run /no/such/program: No such file or directory"):
        context().run(["/no/such/program"])


@pytest.mark.parametrize("code", [errno.EAGAIN, errno.EMFILE, errno.ENOMEM])
def test_what_is_short_for_a_moment_is_nobodys_to_mend(monkeypatch, code):
    """No process, no descriptor or no memory: trying again may help."""

    def short(*_args, **_kwargs):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("subprocess.Popen", short)
    with pytest.raises(Unavailable, match=f"cannot run true: {os.strerror(code)}"):
        context().run(["true"])


def test_who_has_left_the_session_and_writes_on_is_not_read_to_its_end(tmp_path):
    """The program's own output is, however much another one writes into the same pipe."""
    pid = tmp_path / "pid"
    left = f"setsid sh -c 'echo $$ >{pid}; exec yes' & until [ -s {pid} ]; do sleep 0.01; done"
    lines = list(context(60).lines(["sh", "-c", f"{left}; echo one; exit 0"]))
    assert b"one" in lines
    until(lambda: not alive(int(pid.read_text())))  # by its next line, which nobody can read


def test_a_failing_program_is_unavailable_with_what_it_said():
    """The exit status and the first of what it said on standard error are in the reason."""
    with pytest.raises(Unavailable, match=r"sh failed \(exit status 3\): no luck"):
        context().run(["sh", "-c", "echo no luck >&2; exit 3"])


def test_a_program_that_died_is_named_with_its_signal():
    """A signal is named, and silence is said to be silence."""
    with pytest.raises(Unavailable, match=r"sh failed \(killed by SIGKILL\): it said nothing"):
        context().run(["sh", "-c", "kill -9 $$"])


def test_a_program_that_does_not_end_is_killed_at_the_deadline():
    """The time of the collect is the time of the program, but for a tenth."""
    began = time.monotonic()
    with pytest.raises(Unavailable, match="sleep did not end in time, killed"):
        context(0.3).run(["sleep", "60"])
    assert time.monotonic() - began < 5


def test_a_program_that_writes_too_much_is_killed():
    """Output is bounded, on standard output and on standard error."""
    with pytest.raises(Unavailable, match="sh wrote more than 1000 bytes, killed"):
        context().run(["sh", "-c", "while :; do echo yes; done"], limit=1000)
    flood = [sys.executable, "-c", "import sys; sys.stderr.write('x' * 10**7); print('done')"]
    assert context().run(flood) == b"done\n"


@pytest.mark.parametrize("left", ["sleep 100", "yes", "yes >&2", "sh -c 'while :; do sleep 100; done'"])
def test_what_a_program_leaves_behind_is_not_waited_for_and_killed(left, tmp_path):
    """The end of a program is its end, though another process has its output open, or floods it."""
    pid = tmp_path / "pid"  # on the output it would stand among what is left
    assert b"one\n" in context(60).run(["sh", "-c", f"{left} & echo $! >{pid}; echo one"], limit=1 << 30)
    until(lambda: not alive(int(pid.read_text())))
    assert list(context(60).lines(["sh", "-c", "sleep 100 & echo one"])) == [b"one"]
    with pytest.raises(Unavailable, match=r"sh failed \(exit status 3\): no luck"):
        context(60).run(["sh", "-c", "sleep 100 & echo no luck >&2; exit 3"])


def test_a_program_may_have_less_than_the_collect():
    """Then the rest of the time is left for others; more than is left it never has."""
    long = context(200)
    with pytest.raises(Unavailable, match="sleep did not end in time, killed"):
        long.run(["sleep", "300"], seconds=0.2)
    assert long.remaining() > 100
    with pytest.raises(Unavailable, match="sleep did not end in time, killed"):
        context(1).run(["sleep", "300"], seconds=250)


def test_the_whole_group_of_a_program_that_is_late_is_killed(clock):
    """What it has started does not go on when it is killed."""
    lines = context(0.3).lines(["sh", "-c", "sleep 100 & echo $!; wait"])
    pid = int(next(lines))
    clock.advance(0.3)
    with pytest.raises(Unavailable, match="sh did not end in time, killed"):
        next(lines)
    until(lambda: not alive(pid))


@pytest.mark.parametrize("script", ["sleep 60", "while :; do echo no >&2; done", "exec >&- 2>&-; sleep 60"])
def test_a_late_program_is_told_of_before_the_kill(script, clock):
    """At nine tenths of the time: the sentence comes, and not the agent's kill, however much it complains."""
    clock.step = 0.005
    late = Context("main", timeout=0.2, interval=15, agent=os.getpid(), clock=clock)
    with pytest.raises(Unavailable, match="sh did not end in time, killed"):
        late.run(["sh", "-c", script])
    assert 0 < late.remaining() < 0.02


def test_a_program_that_cannot_be_killed_is_left_and_not_started_again(monkeypatch):
    """It has changed its user: it is named, nobody waits for it, and there is one of them at a time."""

    def forbidden(*_):
        raise PermissionError

    monkeypatch.setattr(os, "killpg", forbidden)
    monkeypatch.setattr(programs, "_GONE", 0.1)
    with pytest.raises(
        Unavailable, match="sleep cannot be killed: it has changed its user, or hangs in the kernel"
    ):
        context(0.3).run(["sleep", "300"])
    with pytest.raises(Unavailable, match="the last sleep runs still, and cannot be killed"):
        context(60).run(["sleep", "400"])
    ((_, left),) = programs._immortal
    left.kill()
    left.wait()
    assert context(60).run(["true"]) == b""
    assert programs._immortal == []


def test_an_exit_status_may_be_an_answer():
    """Such as 1 of grep, which has found nothing."""
    assert context().run(["sh", "-c", "echo none; exit 1"], answers=(0, 1)) == b"none\n"
    with pytest.raises(Unavailable, match="exit status 2"):
        context().run(["sh", "-c", "exit 2"], answers=(0, 1))


def test_a_program_speaks_english_and_has_no_terminal(monkeypatch):
    """Whatever the language of the host; and nobody can ask for a password."""
    monkeypatch.setenv("LC_ALL", "de_AT.UTF-8")
    said = context().run(["sh", "-c", "echo $LC_ALL; ps -o sid= -p $$; echo $$; : </dev/tty"], answers=(1, 2))
    language, session, own = said.split()
    assert (language, session) == (b"C.UTF-8", own)


def test_no_descriptor_is_left_open():
    """However a program ends."""
    before = descriptors()
    context().run(["true"])
    for command in (["false"], ["/no/such/program"], ["sh", "-c", "kill -9 $$"]):
        with pytest.raises((Unavailable, Misconfigured)):
            context().run(command)
    with pytest.raises(Unavailable):
        context(0.1).run(["sleep", "60"])
    lines = context().lines(["yes"])
    next(lines)
    lines.close()
    assert descriptors() == before


def test_a_program_that_does_not_stop_to_write_is_killed_at_the_deadline():
    """Its time counts also while there is always something to read."""
    began = time.monotonic()
    with pytest.raises(Unavailable, match="yes did not end in time, killed"):
        context(0.2).run(["yes"], limit=1 << 40)
    assert time.monotonic() - began < 5


def test_lines_that_are_there_are_yielded_after_the_deadline(clock, tmp_path):
    """Who was late for them may still have them, and then has enough."""
    asked, done = tmp_path / "asked", tmp_path / "done"
    script = f"echo one; until [ -e {asked} ]; do sleep 0.01; done; echo two; : >{done}; exec sleep 60"
    lines = context(0.3).lines(["sh", "-c", script])
    assert next(lines) == b"one"
    asked.touch()
    until(done.exists)
    clock.advance(0.3)
    assert next(lines) == b"two"
    lines.close()


def test_lines_come_as_they_are_written():
    """Also the last one, that has no end."""
    assert list(context().lines(["printf", r"one\n\ntwo"])) == [b"one", b"", b"two"]


def test_a_program_whose_lines_nobody_wants_any_more_is_killed():
    """It would else write for ever, into a full pipe."""
    lines = context().lines(["sh", "-c", "echo $$; while :; do echo yes; done"])
    pid = int(next(lines))
    assert next(lines) == b"yes"
    lines.close()
    assert not alive(pid)


def test_a_program_that_stops_to_write_is_killed_at_the_deadline(clock):
    """What came before was yielded."""
    lines = context(0.3).lines(["sh", "-c", "echo one; exec sleep 60"])
    assert next(lines) == b"one"
    clock.advance(0.3)
    with pytest.raises(Unavailable, match="sh did not end in time, killed"):
        next(lines)


def test_a_program_that_closes_its_output_and_stays_is_killed_at_the_deadline():
    """The end of the output is not the end of the program."""
    with pytest.raises(Unavailable, match="sh did not end in time, killed"):
        list(context(0.3).lines(["sh", "-c", "exec >&- 2>&-; sleep 60"]))


def test_lines_have_a_bound_and_failures_are_told():
    """A line of a MiB is no line; what a program says when it fails is in the reason."""
    with pytest.raises(Unavailable, match="wrote a line of more than 1048576 bytes, killed"):
        list(context().lines(["sh", "-c", "head -c 2000000 /dev/zero"]))
    with pytest.raises(Unavailable, match=r"sh failed \(exit status 3\): no luck"):
        list(context().lines(["sh", "-c", "echo one; echo no luck >&2; exit 3"]))
    with pytest.raises(Misconfigured, match="cannot run /no/such/program"):
        list(context().lines(["/no/such/program"]))


def test_a_program_dies_with_the_worker(tmp_path):
    """When the process that started it is killed, the program is killed by the kernel."""
    pid_file = tmp_path / "pid"
    script = (
        "import os; from rscollector.api import Context; "
        f"Context('m', timeout=60, interval=1, agent=1).run(['sh', '-c', 'echo $$ > {pid_file}; exec sleep 60'])"
    )
    worker = os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, "-c", script])
    pid = until(lambda: pid_file.exists() and pid_file.read_text().strip())
    assert alive(int(pid))
    os.kill(worker, 9)
    os.waitpid(worker, 0)
    until(lambda: not alive(int(pid)))


def test_the_remaining_time_shrinks_to_zero_and_no_further():
    """A driver is never given a negative timeout."""
    spent = context(0.01)
    time.sleep(0.02)
    assert spent.remaining() == 0
    assert 9 < context(10).remaining() <= 10


def test_the_budget_of_a_call_is_what_is_left_but_for_a_tenth():
    """Each call is given less, and none is given zero, which drivers take for "for ever"."""
    clock = FakeClock()
    fake = FakeContext(timeout=10.0, clock=clock)
    found = []
    for _ in range(4):
        found.append(fake.budget())
        clock.advance(4)
    assert found == [9, 5, 1, 0.001]
