"""The pages say what is so: tables are generated, links lead somewhere, and the tutorial works as it stands."""

import os
import re
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest
from harness import until

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    page
    for places in ("*.md", "docs/*.md", "collectors/*/README.md", "rscollector/sinks/*/README.md")
    for page in ROOT.glob(places)
)


def blocks(page):
    """Return the code blocks of a page as (language, text)."""
    return re.findall(r"^```(\w+)\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def test_the_tables_are_what_the_code_says():
    """Nobody has to remember `make docs`: a table that is old fails here."""
    command = [sys.executable, ROOT / "docs" / "generate.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    """Every relative link of a page names a file that is there."""
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", page.read_text())]
    missing = [link for link in links if link and "://" not in link and not (page.parent / link).exists()]
    assert missing == []


OPEN = "answers everybody who reaches this host"
"""What is said of an address without a lock, as the shortest example has it."""


def test_configurations_on_the_pages_are_right(rscollector, tmp_path):
    """Every configuration on a page that names only our own collectors passes `check`."""
    found = [
        text
        for page in PAGES
        for language, text in blocks(page)
        if language == "toml" and re.search(r"^\[(agent|web|collector\.(vip|agent)\.)", text, re.MULTILINE)
    ]
    assert len(found) >= 4
    for number, text in enumerate(found):
        file = tmp_path / f"{number}.toml"
        file.write_text(text)
        checked = rscollector("check", "--config", file)
        said = [line for line in checked.stderr.splitlines() if OPEN not in line]
        assert (checked.returncode, said) == (0, []), text


def _own(_directory, text):
    """An environment of its own, as the page has it."""
    return text


def _ours(directory, text):
    """The environment that runs this test, where the page's would be, with the package as if it were installed."""
    commands = [line for line in text.splitlines() if "-m venv" not in line and "/pip " not in line]
    binaries = directory / "venv" / "bin"
    if not binaries.exists():
        binaries.mkdir(parents=True)
        for name in ("rscollector", "pytest"):
            (binaries / name).symlink_to(Path(sys.executable).parent / name)
    described = directory / "pyproject.toml"
    if described.exists() and not list(directory.glob("*.dist-info")):
        project = tomllib.loads(described.read_text())["project"]
        installed = directory / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
        installed.mkdir()
        (installed / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".format(**project)
        )
        points = project["entry-points"]["rscollector.collectors"].items()
        lines = ["[rscollector.collectors]", *(f"{name} = {place}" for name, place in points)]
        (installed / "entry_points.txt").write_text("\n".join(lines))
    return "\n".join(commands)


@pytest.mark.parametrize("commands", [_ours, pytest.param(_own, marks=pytest.mark.long)])
@pytest.mark.timeout(900)
def test_the_tutorial_works_as_it_stands(tmp_path, commands):
    """Files are written and commands run as the page has them."""
    environment = {**os.environ, "RSCOLLECTOR": str(ROOT), "RUNTIME_DIRECTORY": str(tmp_path / "run")}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    if commands is _ours:
        environment["PYTHONPATH"] = str(tmp_path)
    printed = ""
    for language, text in blocks(ROOT / "docs" / "write-a-collector.md"):
        name = re.match(r"# (\S+\.(?:toml|py))\n", text)
        if name:
            file, body = tmp_path / name[1], text.partition("\n")[2]
            assert (
                not file.exists() or file.read_text() == body
            )  # what `new` has written is what the page shows
            file.write_text(body)
        elif language == "sh":
            done = subprocess.run(
                ["sh", "-euc", commands(tmp_path, text)], cwd=tmp_path, env=environment, capture_output=True,
                text=True, timeout=600, check=False,
            )  # fmt: skip
            assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
            printed += done.stdout
    assert "Files in a directory: number, age and size of the newest." in printed
    assert re.search(r"^backup_size_bytes +- +1000$", printed, re.MULTILINE)
    assert re.search("4 passed|3 passed, 1 skipped", printed)
    assert "2 passed" in printed
    assert "OK (rscollector.toml): watches backup/database" in printed
    _run_it(tmp_path, environment)


def _status(directory, environment):
    """Return what is shown when one collector is well and the other one has no directory."""
    done = subprocess.run(
        ["venv/bin/rscollector", "status"], cwd=directory, env=environment, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    return done.stdout if "up " in done.stdout and "removed" in done.stdout else ""


def _run_it(directory, environment):
    """The agent finds the package's collector, shows it, and says why it is missing when it is."""
    config = (directory / "rscollector.toml").read_text()
    here = config.replace("/srv/dumps", str(directory / "dumps")) + textwrap.dedent("""
        [collector.backup.nowhere]
        directory = "/srv/no-such-dumps"
        [web]
        listen = []
    """)
    (directory / "here.toml").write_text(here)
    command = ["venv/bin/rscollector", "run", "--config", "here.toml"]
    agent = subprocess.Popen(command, cwd=directory, env=environment, stderr=subprocess.DEVNULL)
    try:
        shown = until(lambda: _status(directory, environment))
        assert re.search(r"^up .* backup/database +3 ", shown, re.MULTILINE), shown
        assert re.search(
            r"^removed .* backup/nowhere .*/srv/no-such-dumps is no directory; removed", shown, re.MULTILINE
        )
    finally:
        agent.terminate()
        assert agent.wait(60) == 0
