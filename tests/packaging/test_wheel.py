"""What PyPI would be given: it is built, is found right, and runs where pipx has installed it."""

import subprocess
import sys
from zipfile import ZipFile

import pytest
from hosts import is_of_tests, run, sources, with_file

pytestmark = [pytest.mark.needs("twine", "pipx"), pytest.mark.timeout(300)]


def test_the_wheel_runs_where_pipx_installs_it(tmp_path):
    """Source and wheel are built from each other, and the command finds its collectors."""
    place = sources(tmp_path / "sources")
    run(sys.executable, "-m", "build", "--outdir", tmp_path / "dist", place)
    built = sorted((tmp_path / "dist").iterdir())
    assert [path.name for path in built] == ["rscollector-0.1.0-py3-none-any.whl", "rscollector-0.1.0.tar.gz"]
    assert [name for name in ZipFile(built[0]).namelist() if is_of_tests(name)] == []
    assert "WARNING" not in run("twine", "check", "--strict", *built).stdout
    home = {
        "PIPX_HOME": str(tmp_path / "home"),
        "PIPX_BIN_DIR": str(tmp_path / "bin"),
        "PATH": "/usr/bin:/bin",
    }
    pipx = run("sh", "-c", "command -v pipx").stdout.strip()
    run(pipx, "install", "--python", sys.executable, f"{built[0]}[all]", env=home)
    command = tmp_path / "bin" / "rscollector"
    listed = subprocess.run(
        [command, "collectors"], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    for each in with_file("README.md"):
        assert f"\n{each} " in f"\n{listed}"
    assert "cannot be imported" not in listed
