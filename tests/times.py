"""How long the tests of each folder took, printed at the end, and appended to the file that $TIMES names."""

import os
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

import pytest
from harness import children

_TICKS = os.sysconf("SC_CLK_TCK")


def _cpu():
    """Return the CPU seconds of this process and its children, of those that live as well."""
    used = sum(os.times()[:4])
    for pid in children(os.getpid()):
        with suppress(OSError):
            stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            used += sum(map(int, stat[11:15])) / _TICKS
    return used


class Times:
    """Every process measures what it runs; the one that all report to adds it up."""

    def __init__(self):
        self._before = 0.0
        self._folders = defaultdict(lambda: [0, 0.0, 0.0])

    def pytest_runtest_logstart(self):
        """Forget what was spent between two tests."""
        self._before = _cpu()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self):
        """Send along what a part of a test has cost."""
        outcome = yield
        used = _cpu()
        outcome.get_result().cpu = max(0.0, used - self._before)
        self._before = used

    def pytest_runtest_logreport(self, report):
        """Add it to its folder's."""
        folders = report.nodeid.partition("::")[0].split("/")[1:-1]
        sums = self._folders[folders[0] if folders else "."]
        sums[0] += report.when == "call"
        sums[1] += report.duration
        sums[2] += getattr(report, "cpu", 0.0)

    def pytest_terminal_summary(self, terminalreporter):
        """Print the table."""
        if not self._folders:
            return
        terminalreporter.section("seconds by folder", sep="-")
        rows = sorted(self._folders.items(), key=lambda row: -row[1][1])
        lines = [f"{folder:12}{tests:6}{wall:9.1f}{cpu:9.1f}" for folder, (tests, wall, cpu) in rows]
        for line in ("folder       tests     wall      CPU", *lines):
            terminalreporter.line(line)
        if os.environ.get("TIMES") and "PYTEST_XDIST_WORKER" not in os.environ:
            with Path(os.environ["TIMES"]).open("a") as file:
                file.writelines(f"{line}\n" for line in lines)
