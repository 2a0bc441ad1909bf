"""The log, the journal and systemd."""

import logging
import os
import socket
import time

import pytest

from rscollector.config.state_files import state_directory
from rscollector.runtime.control import candidates, socket_path
from rscollector.runtime.logs import Log, under_journal
from rscollector.runtime.systemd import Notifier
from rscollector.wire.priorities import Priorities, level_and_text


@pytest.mark.parametrize(
    "level", [logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL]
)
def test_a_priority_comes_back_as_its_level(level):
    """What a worker logs has the same level in the agent's log."""
    record = logging.LogRecord("x", level, "", 0, "text", None, None)
    assert level_and_text(Priorities("%(message)s").format(record)) == (level, "text")


def test_each_line_of_a_message_has_its_priority():
    """The journal reads lines: a traceback keeps its level to the end."""
    record = logging.LogRecord("x", logging.ERROR, "", 0, "one\ntwo", None, None)
    assert Priorities("%(message)s").format(record) == "<3>one\n<3>two"


@pytest.mark.parametrize("text", ["", "<", "<x>y", "plain", "<12>x", "<²>x"])
def test_a_line_without_a_priority_is_information(text):
    """What is only printed is taken as it is."""
    assert level_and_text(text) == (logging.INFO, text)


def test_a_log_that_is_stuck_drops_and_counts_and_is_left_behind():
    """A terminal that does not read stops nobody: not the logger, and not the end."""
    read, stuck = os.pipe()
    log = Log(output=stuck)
    logger = logging.getLogger("rscollector")
    began = time.monotonic()
    for _ in range(5000):
        logger.info("x" * 1000)
    assert time.monotonic() - began < 5
    assert log.dropped > 3000
    log.close(timeout=0.2)
    assert time.monotonic() - began < 6
    os.set_blocking(read, False)
    deadline = time.monotonic() + 5
    while log._thread.is_alive() and time.monotonic() < deadline:
        try:
            os.read(read, 1 << 20)
        except BlockingIOError:
            log.close(timeout=0.1)
    assert not log._thread.is_alive()
    os.close(stuck)
    os.close(read)


def test_the_journal_is_known_by_device_and_inode(monkeypatch):
    """JOURNAL_STREAM of somebody else's standard error is not ours."""
    status = os.fstat(2)
    monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
    assert under_journal()
    monkeypatch.setenv("JOURNAL_STREAM", "1:1")
    assert not under_journal()
    monkeypatch.delenv("JOURNAL_STREAM")
    assert not under_journal()


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told(tmp_path, abstract):
    """The messages are those of sd_notify, on a path and on an abstract address."""
    address = f"@rsc-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("\0" + address[1:] if abstract else address)
        systemd.settimeout(5)
        notifier = Notifier(address)
        notifier.ready()
        notifier.reloading()
        notifier.alive("2 of 2 up")
        notifier.stopping()
        heard = [systemd.recv(1000).decode() for _ in range(4)]
        notifier.close()
    assert heard[0] == "READY=1"
    assert heard[1].startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert heard[2:] == ["WATCHDOG=1\nSTATUS=2 of 2 up", "STOPPING=1"]


def test_a_systemd_that_is_gone_or_never_was_is_no_error(tmp_path):
    """Messages that nobody takes are lost."""
    gone, never = Notifier(str(tmp_path / "none")), Notifier(None)
    gone.ready()
    never.ready()
    gone.close()
    never.close()


def test_the_control_socket_is_where_the_service_manager_says(monkeypatch, tmp_path):
    """RUNTIME_DIRECTORY is first, then the user's own, then the service's place."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", f"{tmp_path}/run:{tmp_path}/other")
    assert str(socket_path()) == f"{tmp_path}/run/control.sock"
    monkeypatch.delenv("RUNTIME_DIRECTORY")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert [str(each) for each in candidates()] == [
        f"{tmp_path}/rscollector/control.sock",
        "/run/rscollector/control.sock",
    ]


def test_a_variable_that_is_empty_is_not_set(monkeypatch):
    """Nothing is asked for, and nothing kept, in the directory that somebody happens to be in."""
    names = ("RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR", "STATE_DIRECTORY")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    wanted = [*candidates(), state_directory()]
    for name in names:
        monkeypatch.setenv(name, "")
    assert [*candidates(), state_directory()] == wanted
