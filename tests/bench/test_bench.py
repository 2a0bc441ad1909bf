"""The benchmarks themselves: they run, and their table says what was aimed at."""

import re
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


def test_each_module_with_rows_is_a_part():
    """What measures something runs with all others, and not only by itself."""
    here = Path(__file__).parent
    command = [sys.executable, str(here), "--help"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True).stdout
    parts = {each.stem for each in here.glob("*.py") if "\ndef rows(" in each.read_text()}
    assert len(parts) > 10
    assert parts <= set(re.findall(r"\w+", told))
