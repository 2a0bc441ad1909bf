"""A Postfix with 100,000 deferred messages, read by the collector and by others in the same run; lines of its log."""

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import bench
from bench import Row
from harness import free_port, until

from collectors.postfix import Postfix, flow
from collectors.postfix.progress import Progress
from rscollector.api import Context

sys.path.insert(0, str(Path(__file__).parent.parent / "postfix"))
from collectors.postfix.tests.mail_server import MailServer

MESSAGES = 100_000
LINES = 500_000
ROUNDS = 5
EXPORTER = "prometheus-postfix-exporter"
RECORDED = Path(__file__).parent.parent / "postfix" / "recordings" / "outbound.log"


class Cost(NamedTuple):
    """Seconds that something took, and seconds of CPU, those of Postfix' showq included."""

    time: float
    cpu: float


def rows():
    """Ask for the queues in every way, then have the log read."""
    with _mail() as mail:
        yield from _queues(mail)
    yield from _log()


def _queues(mail):
    beside = {
        "postqueue -j": _cost(mail, lambda: _run("postqueue", "-c", mail.config, "-j")),
        "qshape": _cost(mail, lambda: _run("qshape", "-c", mail.config, "deferred")),
    }
    with _exporter(mail) as (port, pid):
        beside[EXPORTER] = _cost(mail, lambda: bench.fetched(port), pid)
    collector, ticks, first = _opened(mail)
    yield Row(
        f"Postfix, {MESSAGES:,} deferred: the first {ticks} collections, all messages are read", first, "s"
    )
    usual = _cost(mail, lambda: _collect(collector))
    yield from _compared("a collection", usual, beside)
    coming = _cost(mail, lambda: _collect(collector), before=lambda: mail.send(1, "down"))
    yield from _compared("a collection after a message has come", coming, beside)
    by_showq, _, _ = _opened(mail, readable=False)
    yield from _compared("a collection by showq", _cost(mail, lambda: _collect(by_showq)), beside, aim=None)
    for name, cost in beside.items():
        yield Row(
            f"Postfix, {MESSAGES:,} deferred: {name}", cost.time * 1e3, "ms", f"CPU {cost.cpu * 1e3:.3g} ms"
        )


def _compared(what, cost, beside, aim=0.5):
    for kind in Cost._fields:
        name = min(beside, key=lambda each: getattr(beside[each], kind))
        mine, best = getattr(cost, kind) * 1e3, getattr(beside[name], kind) * 1e3
        what_of = {"time": "time", "cpu": "CPU"}[kind]
        text = f"Postfix, {MESSAGES:,} deferred: {what_of} of {what}"
        yield Row(text, mine, "ms", f"{name}, the best, {best:.3g} ms", mine / best, aim)


def _cost(mail, act, *pids, before=lambda: None):
    found = []
    for _ in range(ROUNDS):
        before()
        cpu, began = _cpu(mail, pids), time.monotonic()
        act()
        found.append(Cost(time.monotonic() - began, _cpu(mail, pids) - cpu))
    return Cost(*map(statistics.median, zip(*found, strict=True)))


def _cpu(mail, pids):
    """Return the CPU of this process, its children that have ended, the mail server and some others."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    own = sum(each.ru_utime + each.ru_stime for each in used)
    return own + sum(map(bench.cpu_seconds, [*bench.descendants(mail.process.pid), *pids]))


def _run(*command):
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, timeout=300)


def _opened(mail, readable=True):
    """Return a collector that has read everything, in how many collections, and in how many seconds."""
    collector = Postfix(Postfix.Settings(queue_directory=str(mail.queue), log=""))
    collector.open(_context())
    if not readable:
        collector._spool = None
    began, ticks = time.monotonic(), 0
    while not ticks or _unread(_collect(collector)):
        ticks += 1
    return collector, ticks, time.monotonic() - began


def _context():
    return Context("main", timeout=10, interval=15, agent=os.getpid())


def _collect(collector):
    samples = list(collector.collect(_context()))
    deferred = {each.metric.name: each.value for each in samples if each.values == ("deferred",)}
    assert deferred["postfix_queue_messages"] >= MESSAGES
    return deferred


def _unread(deferred):
    return deferred["postfix_queue_unread_messages"]


def _log():
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory, "mail.log")
        log.touch()
        progress = Progress(str(log), "postfix", None)
        lines = RECORDED.read_bytes().splitlines(keepends=True)
        text = b"".join((lines * (LINES // len(lines) + 1))[:LINES])
        port = free_port()
        options = [f"--postfix.logfile_path={log}", f"--web.listen-address=127.0.0.1:{port}"]
        with bench.running([EXPORTER, "--postfix.showq_path=/nonexistent", *options]) as (pid,):
            until(lambda: bench.listening(port))
            bench.settled()
            theirs = bench.cpu_seconds(pid)
            log.write_bytes(text)
            removed = sum(b": removed\n" in each for each in lines) * (LINES // len(lines))
            until(lambda: _removed(port) >= removed, 300)
            theirs = (bench.cpu_seconds(pid) - theirs) / LINES * 1e6
        began = time.process_time()
        progress.read(Context("main", timeout=600, interval=15, agent=os.getpid()))
        ours = (time.process_time() - began) / LINES * 1e6
        assert progress.flow.value(flow.LINES) == LINES
    yield Row(
        f"Postfix: CPU for a line of the log ({1e6 / ours:,.0f} lines/s)",
        ours,
        "µs",
        f"{EXPORTER} {theirs:.3g} µs, {1e6 / theirs:,.0f} lines/s",
    )
    yield Row("Postfix: the same, for an aim of 100,000 lines/s", ours, "µs", aim=10)


def _removed(port):
    found = [
        line
        for line in bench.fetched(port).splitlines()
        if line.startswith(b"postfix_qmgr_messages_removed_total ")
    ]
    return float(found[0].split()[1]) if found else 0


@contextmanager
def _exporter(mail):
    port = free_port()
    options = [
        f"--postfix.showq_path={mail.queue}/public/showq",
        f"--postfix.logfile_path={mail.root}/maillog",
    ]
    with bench.running([EXPORTER, *options, f"--web.listen-address=127.0.0.1:{port}"]) as (pid,):
        until(lambda: bench.listening(port))
        assert b"postfix_up" in bench.fetched(port)
        yield port, pid


@contextmanager
def _mail():
    """Run a Postfix that defers everything."""
    root = Path(tempfile.mkdtemp(prefix="postfix-", dir="/tmp"))
    try:
        root.chmod(0o755)
        mail = MailServer(root / "instance", "defer_transports = smtp\n")
        mail.start()
        try:
            for _ in range(MESSAGES // 10_000):
                mail.send(10_000, "down")
            until(lambda: mail.files("deferred") == MESSAGES, 600)
            bench.settled(3)  # until the directories' times are old
            yield mail
        finally:
            mail.close()
    finally:
        shutil.rmtree(root, ignore_errors=True)
