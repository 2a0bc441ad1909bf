"""`context.run` and `context.lines`: programs are started, bounded and ended."""

import os
import sys
import time
from pathlib import Path

import pytest
from harness import alive, until

from rscollector.api import Context, Misconfigured, Unavailable


def context(timeout=10.0):
    """Return a context with so much time."""
    return Context("main", timeout=timeout, interval=15, agent=os.getpid())


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


def test_a_failing_program_is_unavailable_with_what_it_said():
    """The exit status and the first of what it said on standard error are in the reason."""
    with pytest.raises(Unavailable, match=r"sh failed \(exit status 3\): no luck"):
        context().run(["sh", "-c", "echo no luck >&2; exit 3"])


def test_a_program_that_died_is_named_with_its_signal():
    """A signal is named, and silence is said to be silence."""
    with pytest.raises(Unavailable, match=r"sh failed \(signal SIGKILL\): it said nothing"):
        context().run(["sh", "-c", "kill -9 $$"])


def test_a_program_that_does_not_end_is_killed_at_the_deadline():
    """The time of the collect is the time of the program."""
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


@pytest.mark.parametrize("ends", ["exec sleep 60", "exit 0"])
def test_what_a_program_leaves_behind_does_not_make_it_longer(ends):
    """Another process that has the output open is waited for until the deadline, and no longer."""
    script = ["sh", "-c", f"sleep 4 & echo one; {ends}"]
    for run in (context(0.3).run, lambda command: list(context(0.3).lines(command))):
        began = time.monotonic()
        with pytest.raises(Unavailable, match="sh did not end in time, killed"):
            run(script)
        assert time.monotonic() - began < 2


def test_what_a_program_leaves_behind_may_go_on_complaining():
    """The end of a program is its end, though another process has its standard error open."""
    began = time.monotonic()
    assert context().run(["sh", "-c", "sleep 4 >&- & echo one"]) == b"one\n"
    with pytest.raises(Unavailable, match=r"sh failed \(exit status 3\): no luck"):
        context().run(["sh", "-c", "sleep 4 >&- & echo no luck >&2; exit 3"])
    assert time.monotonic() - began < 2


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


def test_lines_that_are_there_are_yielded_after_the_deadline():
    """Who was late for them may still have them, and then has enough."""
    late = context(0.5)
    lines = late.lines(["sh", "-c", "echo one; echo two; exec sleep 60"])
    assert next(lines) == b"one"
    time.sleep(late.remaining())
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


def test_a_program_that_stops_to_write_is_killed_at_the_deadline():
    """What came before was yielded."""
    lines = context(0.3).lines(["sh", "-c", "echo one; exec sleep 60"])
    assert next(lines) == b"one"
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
