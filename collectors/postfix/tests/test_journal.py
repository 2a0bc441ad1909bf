"""A real journal, written by systemd-journal-remote and read by journalctl."""

import json
import os
import shutil
import struct
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from collectors.postfix import flow
from collectors.postfix.journal import Journal
from collectors.postfix.progress import JOURNAL, Progress
from collectors.postfix.tests.nobody import as_nobody
from rscollector.api import Context, Misconfigured, Unavailable

REMOTE = Path("/lib/systemd/systemd-journal-remote")
pytestmark = pytest.mark.needs("journalctl", str(REMOTE))
CONNECT = b"connect from unknown[192.0.2.1]"


class Entries:
    """A journal of its own, which `journalctl` reads instead of the system's."""

    def __init__(self, directory):
        self.directory = directory
        self.written = 0
        self.file = 0

    def write(self, count=1, message=CONNECT, identifier="postfix/smtpd", facility=2, more=""):
        """Write entries."""
        stream = b"".join(self._entry(message, identifier, facility, more) for _ in range(count))
        target = self.directory / f"{self.file}.journal"
        subprocess.run([REMOTE, "-o", target, "-"], input=stream, check=True, capture_output=True)

    def rotate(self):
        """Go on in another file."""
        self.file += 1

    def vacuum(self):
        """Take away all files but the newest."""
        for number in range(self.file):
            (self.directory / f"{number}.journal").unlink(missing_ok=True)

    def _entry(self, message, identifier, facility, more):
        self.written += 1
        clock = time.time_ns() // 1000 + self.written
        head = (
            f"__REALTIME_TIMESTAMP={clock}\n__MONOTONIC_TIMESTAMP={self.written}\n"
            f"_BOOT_ID={1:032x}\nSYSLOG_FACILITY={facility}\nSYSLOG_IDENTIFIER={identifier}\n{more}"
        )
        return head.encode() + b"MESSAGE\n" + struct.pack("<Q", len(message)) + message + b"\n\n"


@pytest.fixture
def journal(tmp_path, monkeypatch):
    """Return a journal, in place of the system's."""
    real = shutil.which("journalctl")
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "journalctl"
    program.write_text(f'#!/bin/sh\nexec {real} --directory={tmp_path}/journal "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    (tmp_path / "journal").mkdir()
    monkeypatch.setattr("collectors.postfix.journal._FILES", (tmp_path,))
    made = Entries(tmp_path / "journal")
    made.write(identifier="systemd", facility=3)
    return made


def reader(tmp_path):
    """Return a reader, as a new process would have it."""
    return Progress(JOURNAL, "postfix", tmp_path / "main.json")


DROPPED = b"Suppressed 125 messages from postfix@-.service"  # as systemd 252 writes it
DRIVER = "_TRANSPORT=driver\nMESSAGE_ID=a596d6fe7bfa4994828e72309e95d61e\nN_DROPPED=125\n"


def read(progress, timeout=10.0):
    """Read on, and return the connections counted so far."""
    progress.read(Context("main", timeout=timeout, interval=15, agent=os.getpid()))
    return progress.flow.value(flow.CONNECTIONS)


def test_entries_are_read_on_from_one_process_to_the_next(journal, tmp_path):
    """New entries only, in whatever file they are, and those of this instance only."""
    first = reader(tmp_path)
    assert read(first) == 0
    journal.write(3)
    assert read(first) == 3
    journal.write(5, identifier="postfix-in/smtpd")
    journal.write(5, identifier="dovecot")
    journal.write(5, facility=3)
    assert read(first) == 3
    journal.rotate()
    journal.write(4)
    assert read(first) == 7
    journal.write(2)
    again = reader(tmp_path)
    assert read(again) == 9
    assert read(again) == 9
    assert again.flow.value(flow.LINES) == 9


def test_bytes_that_are_no_text_are_counted_too(journal, tmp_path):
    """journalctl gives them as a list of numbers, and leaves out what is very long."""
    progress = reader(tmp_path)
    read(progress)
    journal.write(message=b"connect from caf\xe9[192.0.2.1]")
    journal.write(message=b"connect from \x00\x01\n\n[192.0.2.1]")
    journal.write(message=b"x" * 200_000)
    assert read(progress) == 2
    assert progress.flow.value(flow.LINES) == 3


def test_what_does_not_fit_into_a_tick_is_read_in_the_next(journal, tmp_path):
    """journalctl is killed in the middle, and the next one goes on behind the last entry that counted."""
    progress = reader(tmp_path)
    read(progress)
    for _ in range(10):
        journal.write(2000)
    seen = [read(progress, timeout=0.2)]
    while seen[-1] < 20_000:
        seen.append(read(progress, timeout=0.2))
        assert len(seen) < 200
    assert seen[-1] == 20_000
    assert len(seen) > 1
    assert read(progress) == 20_000


def test_entries_that_were_vacuumed_away_are_no_failure(journal, tmp_path):
    """The oldest that is left comes next."""
    progress = reader(tmp_path)
    read(progress)
    journal.write(3)
    assert read(progress) == 3
    journal.write(2)
    journal.rotate()
    journal.write(4)
    journal.vacuum()
    assert read(progress) == 3 + 4
    assert progress.flow.value(flow.GAPS) == 1
    journal.rotate()
    journal.vacuum()
    assert read(progress) == 7
    assert progress.flow.value(flow.GAPS) == 2
    time.sleep(0.01)
    journal.write(1)
    assert read(progress) == 8
    assert progress.flow.value(flow.GAPS) == 2


@pytest.mark.parametrize(
    ("message", "gaps"),
    [
        (DROPPED, 1),
        (b"Suppressed 9 messages from /system.slice/system-postfix.slice/postfix@in.service", 1),
        (b"Suppressed 9 messages from nginx.service", 0),
        (b"Suppressed 9 messages from /postfix/nginx.service", 0),
    ],
)
def test_lines_that_journald_has_suppressed_are_a_gap(journal, tmp_path, message, gaps):
    """It says so itself, once; how often is kept with the place, and it is no line of Postfix."""
    progress = reader(tmp_path)
    assert read(progress) == 0
    journal.write(2)
    journal.write(1, message, "systemd-journald", 3, DRIVER)
    assert read(progress) == 2
    journal.write(1)
    progress = reader(tmp_path)
    assert read(progress) == 3
    assert (progress.flow.value(flow.GAPS), progress.flow.value(flow.LINES)) == (gaps, 3)


def test_what_others_say_of_suppressed_lines_is_no_gap(journal, tmp_path):
    """Anybody may write this text, with this id; its transport is journald's word."""
    progress = reader(tmp_path)
    read(progress)
    journal.write(1, DROPPED, "systemd-journald", 3, DRIVER.replace("driver", "journal"))
    journal.write(1, DROPPED, "systemd-journald", 2)
    read(progress)
    assert progress.flow.value(flow.GAPS) == 0


@pytest.mark.parametrize("place", ["nonsense", "@yesterday", "", 7, None])
def test_a_kept_place_that_is_none_is_a_gap(journal, tmp_path, place):
    """journalctl would refuse it at each tick, for ever."""
    kept = {"log": JOURNAL, "place": place, "flow": reader(tmp_path).flow.kept()}
    (tmp_path / "main.json").write_text(json.dumps(kept))
    progress = reader(tmp_path)
    assert read(progress) == 0
    assert progress.flow.value(flow.GAPS) == 1
    journal.write(2)
    assert read(progress) == 2


def test_a_place_that_is_none_says_so(journal):
    """journalctl's own words, and no traceback."""
    context = Context("main", timeout=10, interval=15, agent=os.getpid())
    with pytest.raises(Unavailable, match="journalctl failed"):
        list(Journal("nonsense", None).entries(context, lambda: False))


def test_without_journalctl_the_sentence_says_so(journal, tmp_path, monkeypatch):
    """The collector notes it, and tells the queues."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Misconfigured, match="cannot run journalctl: No such file or directory"):
        read(reader(tmp_path))


def test_a_host_without_a_journal_is_told_so(tmp_path, monkeypatch):
    """journalctl would say nothing, as if nothing were logged."""
    monkeypatch.setattr("collectors.postfix.journal._FILES", (tmp_path,))
    with pytest.raises(Misconfigured, match="no journal is kept on this host"):
        Journal("@0", None)


@pytest.mark.needs("root")
@pytest.mark.parametrize("closed", [".", "machine"])
def test_a_journal_that_may_not_be_entered_names_the_group(monkeypatch, closed):
    """A closed directory is not one in which nothing is; the journal's, or that of the machine in it."""
    with TemporaryDirectory(dir="/tmp") as directory:
        place = Path(directory)
        place.chmod(0o755)
        (place / "machine").mkdir()
        (place / "machine" / "system.journal").touch()
        (place / closed).chmod(0o750)
        monkeypatch.setattr("collectors.postfix.journal._FILES", (place, place / "nowhere"))
        refused = as_nobody([], lambda: Journal("@0", None))
        said = f"this user may not look into {place / closed}: it needs to be in the group systemd-journal"
        assert (type(refused), str(refused)) == (Misconfigured, said)


def test_an_entry_that_is_none_says_nothing_of_its_text(journal, tmp_path):
    """It may be somebody's address."""
    (tmp_path / "bin" / "journalctl").write_text("#!/bin/sh\necho boss@secret.example\n")
    with pytest.raises(Unavailable, match="a line of 19 bytes that is no entry") as raised:
        read(reader(tmp_path))
    assert "boss" not in str(raised.value)


def test_a_journal_of_which_only_others_may_read_names_the_group(tmp_path, monkeypatch):
    """journalctl would be silent about it, and tell nothing."""
    (tmp_path / "machine").mkdir()
    (tmp_path / "machine" / "system.journal").touch()
    monkeypatch.setattr("collectors.postfix.journal._FILES", (tmp_path,))
    monkeypatch.setattr("os.access", lambda *_, **__: False)
    with pytest.raises(Misconfigured, match="needs to be in the group systemd-journal"):
        Journal("@0", None)
