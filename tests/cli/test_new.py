"""`rscollector new`: the package that it writes works at once, and nothing that is there is lost."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.needs("promtool")
@pytest.mark.parametrize("name", ["backup", "print_queue"])
def test_a_new_package_passes_its_own_tests(rscollector, tmp_path, name):
    """Its collector, its metrics, and its alert both ways."""
    place = tmp_path / "mine"
    done = rscollector("new", name, place)
    assert (done.returncode, done.stderr) == (0, "")
    *written, after = done.stdout.splitlines()
    assert sorted(written) == sorted(map(str, place.iterdir()))
    assert after == f"Try it, in {place}: pip install --editable . && pytest"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", place, place]
    tested = subprocess.run(
        command,
        cwd=place,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{place}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "4 passed" in tested.stdout, tested.stdout
    assert "@type@" not in "".join(each.read_text() for each in place.glob("*.*")).lower()


def test_nothing_is_overwritten(rscollector, tmp_path):
    """Neither a file that somebody has written, nor half of the others."""
    (tmp_path / "README.md").write_text("mine")
    done = rscollector("new", "backup", tmp_path)
    assert done.returncode == 1
    assert (
        done.stderr == f"rscollector: nothing was written, for this is there already: {tmp_path}/README.md\n"
    )
    assert [each.name for each in tmp_path.iterdir()] == ["README.md"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Backup", "a type is a word in small letters"),
        ("../backup", "a type is a word in small letters"),
        ("class", "a keyword or a module of Python is called so"),
        ("json", "a keyword or a module of Python is called so"),
        ("pytest", "a keyword or a module of Python is called so"),
        ("psutil", "a keyword or a module of Python is called so"),
        ("collectors", "a keyword or a module of Python is called so"),
        ("b" * 41, "a type is a word in small letters"),
        ("vip", "there is one already"),
    ],
)
def test_a_name_that_would_not_work_is_refused(rscollector, tmp_path, name, why):
    """Before anything is written, with what to do."""
    done = rscollector("new", name, tmp_path / "mine")
    assert done.returncode == 2
    assert why in done.stderr
    assert not (tmp_path / "mine").exists()


def test_a_place_that_cannot_be_written_is_named(rscollector, tmp_path):
    """In a sentence."""
    (tmp_path / "file").write_text("")
    done = rscollector("new", "backup", tmp_path / "file" / "mine")
    assert done.returncode == 1
    assert done.stderr.startswith(f"rscollector: {tmp_path}/file/mine: cannot be written: ")
