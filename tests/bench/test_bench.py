"""The benchmarks themselves: they run, and their table says what was aimed at."""

import subprocess
import sys
from pathlib import Path


def test_a_part_of_the_benchmarks_prints_its_table():
    """The shortest part measures something and prints a row for each figure."""
    command = [sys.executable, str(Path(__file__).parent), "commit"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    rows = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith("| 1,000 samples")]
    assert len(rows) == 8
    assert all(float(row[1].split()[0]) > 0 for row in rows)
