"""The clock: the kernel's own word, and chrony's where it keeps it."""

import ctypes
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from harness import until

from collectors.host import clock
from collectors.host.clock import ASK, Timex
from collectors.host.tests.recorded_host import FOLLOWED, Watched, host
from rscollector.api import Context, Misconfigured, Unavailable
from rscollector.testing import FakeContext

# Recorded from chrony 4.3 while it was 2.206 µs ahead ("fast of NTP time").
AHEAD = b"7F000001,127.0.0.1,9,1795573317.737318564,-0.000002206,-0.000000136,0.000000330,0.057,-0.002,0.903,0.000007337,0.000005506,2.0,Normal\n"
UNSYNCHRONIZED = b"00000000,,0,0.000000000,0.000000000,0.000000000,0.000000000,0.000,0.000,0.000,1.000000000,1.000000000,0.0,Not synchronised\n"
LOOK = "look whether chronyd runs, and at its cmdport"
BY_CHRONY = FOLLOWED._replace(status=0x2000, offset=0)


def clock_of(root, timex, answer=None):
    """Return what is told of the clock at two ticks, and the second one's notes."""
    watched = Watched(host(root, "linux-6.12-written"), {ASK: answer} if answer is not None else {}, timex)
    watched.tick()
    found = watched.tick()
    told = {name.removeprefix("host_clock_"): value for name, value in found.items() if "_clock_" in name}
    return told, watched.context.notes


def test_ns_and_us_are_told_apart_by_the_kernels_own_bit(root):
    """STA_NANO says which unit the offset has; with systemd-timesyncd and ntpd the loop runs (STA_PLL)."""
    for status, offset in ((0x2001, 2_500_000), (0x0001, 2_500)):
        told, _ = clock_of(root, Timex(0, status, offset, 16_000))
        assert told == {
            "synchronized": 1,
            "offset_seconds": pytest.approx(0.0025),
            "error_max_seconds": 0.016,
        }


def test_an_offset_of_a_loop_that_does_not_run_is_none(root):
    """With chrony the kernel's offset is 0, whatever the truth is: it is absent rather than 0."""
    told, notes = clock_of(root, BY_CHRONY)
    assert told == {"synchronized": 1, "error_max_seconds": 0.016}
    assert notes == []


def test_a_clock_that_nobody_keeps_is_not_synchronized(root):
    """As it was recorded: TIME_ERROR, STA_UNSYNC, an error of 16 s."""
    told, _ = clock_of(root, Timex(5, 64, 0, 16_000_000))
    assert told == {"synchronized": 0, "error_max_seconds": 16}


def test_chrony_knows_the_offset(root):
    """Its correction is negative where the clock is ahead, as the kernel's offset is."""
    told, notes = clock_of(root, BY_CHRONY, AHEAD)
    assert told["offset_seconds"] == pytest.approx(-2.206e-6)
    assert notes == []


def test_a_chrony_without_a_time_to_go_by_has_no_offset(root):
    """Its answer has 0 then."""
    told, _ = clock_of(root, BY_CHRONY, UNSYNCHRONIZED)
    assert "offset_seconds" not in told


@pytest.mark.parametrize(
    ("answer", "note"),
    [
        (b"506 Cannot talk to daemon\n", f"chronyc tracking says: 506 Cannot talk to daemon; {LOOK}"),
        (AHEAD.replace(b"-0.000002206", b"nan"), "chronyc tracking has no offset: nan"),
        (b"", f"chronyc tracking says: nothing; {LOOK}"),
        (b"\xff," * 14, "could not convert string to float: '\ufffd'"),
        (Unavailable("chronyc did not end in time, killed"), "chronyc did not end in time, killed"),
    ],
)
def test_an_answer_of_no_use_is_said_and_not_guessed(root, answer, note):
    """The kernel's own word is published all the same; the note stands at each tick."""
    told, notes = clock_of(root, BY_CHRONY, answer)
    assert told == {"synchronized": 1, "error_max_seconds": 0.016}
    assert notes == [f"missing: chrony's offset: {note}"]


def test_a_host_without_chrony_misses_nothing(root):
    """The program is not there: there is no note."""
    assert clock_of(root, FOLLOWED, Misconfigured("cannot run chronyc: No such file or directory"))[1] == []


def test_a_filter_that_refuses_adjtimex_costs_the_clock_only(root):
    """node_exporter#835: containers are refused it."""
    told, notes = clock_of(root, Unavailable("adjtimex: Operation not permitted"), AHEAD)
    assert list(told) == ["offset_seconds"]
    assert notes == [
        ("missing: the clock's state: adjtimex: Operation not permitted "
        "(this needs adjtimex, which the filters of some containers refuse)")
    ]  # fmt: skip


class Slow(FakeContext):
    """Its chronyc takes its time and fails."""

    took = 0.0

    def run(self, command, **_):
        """Note the command, and let time pass."""
        self.ran.append(tuple(command))
        self.clock.advance(self.took)
        raise Unavailable("late")


@pytest.mark.parametrize(("took", "times"), [(0.1, 20), (9.0, 2)])
def test_chrony_is_asked_once_a_minute_and_seldom_when_it_is_slow(took, times):
    """A hang of it would hold up the other collectors of the worker, at each tick."""
    context, chrony = Slow(timeout=10_000), clock.Chrony()
    context.took = took
    while context.clock() < 1200:
        chrony.offset(context)
        context.clock.advance(1)
    assert context.ran == [ASK] * times


def test_the_kernel_answers_anybody():
    """Nothing is changed by asking, and what it says fits its own words."""
    told = clock.adjtimex()
    assert 0 <= told.state <= 5
    assert told.maxerror >= 0
    assert told.is_synchronized or told.state == 5


def test_the_structure_is_large_enough_for_the_kernels():
    """glibc's struct timex has 208 bytes, of which the kernel writes all."""
    assert ctypes.sizeof(clock._Timex) >= 208
    assert clock._Timex.status.offset == 40 if ctypes.sizeof(ctypes.c_long) == 8 else True


@pytest.fixture
def chronyd(tmp_path):
    """Run a chronyd that keeps no clock, on the port where chronyc looks for one; yields its process."""
    config = tmp_path / "chrony.conf"
    config.write_text(
        f"local stratum 8\nport 0\nbindcmdaddress 127.0.0.1\nbindcmdaddress {tmp_path}/none/c.sock\npidfile {tmp_path}/pid\n"
    )
    if subprocess.run(ASK, capture_output=True, check=False, timeout=30).returncode == 0:
        pytest.skip("this host has a chronyd of its own")
    process = subprocess.Popen(
        ["chronyd", "-x", "-d", "-u", "root", "-f", config],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until(lambda: subprocess.run(ASK, capture_output=True, check=False, timeout=30).returncode == 0)
    yield process
    process.send_signal(signal.SIGCONT)
    process.terminate()
    process.wait(30)


@pytest.mark.needs("chronyd", "chronyc", "root")
def test_a_real_chronyd_answers_and_a_frozen_one_costs_half_a_second(chronyd):
    """chronyc's own patience is 7 s; with ours the other collectors of the worker hardly notice."""
    context = Context("main", timeout=10, interval=15, agent=os.getpid())
    assert clock.tracked(context.run(ASK).decode()) == 0.0
    chronyd.send_signal(signal.SIGSTOP)
    until(lambda: Path(f"/proc/{chronyd.pid}/stat").read_text().split()[2] == "T")
    began = time.monotonic()
    chrony = clock.Chrony()
    assert chrony.offset(context) is None
    assert time.monotonic() - began < 5
    assert context.notes == [
        f"missing: chrony's offset: chronyc tracking says: 506 Cannot talk to daemon; {LOOK}"
    ]
