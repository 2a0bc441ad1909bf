"""The pages say what is so: tables are generated, links lead somewhere, and the tutorial works as it stands."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("collectors/*/README.md")])


def blocks(page):
    """Return the code blocks of a page as (language, text)."""
    return re.findall(r"^```(\w+)\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def test_the_tables_are_what_the_code_says():
    """Nobody has to remember `make docs`: a table that is old fails here."""
    command = [sys.executable, ROOT / "docs" / "generate.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    """Every relative link of a page names a file that is there."""
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", page.read_text())]
    missing = [link for link in links if link and "://" not in link and not (page.parent / link).exists()]
    assert missing == []


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
        assert (checked.returncode, checked.stderr) == (0, ""), text


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_tutorial_works_as_it_stands(tmp_path):
    """Files are written and commands run as the page has them, in an environment of their own."""
    environment = {**os.environ, "RSCOLLECTOR": str(ROOT), "RUNTIME_DIRECTORY": str(tmp_path / "run")}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    printed = ""
    for language, text in blocks(ROOT / "docs" / "write-a-collector.md"):
        name = re.match(r"# (\S+\.(?:toml|py))\n", text)
        if name:
            (tmp_path / name[1]).write_text(text)
        elif language == "sh":
            done = subprocess.run(
                ["sh", "-euc", text], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240,
                check=False,
            )  # fmt: skip
            assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
            printed += done.stdout
    assert "Backups in a directory: number, age and size of the newest." in printed
    assert re.search(r"^backup_size_bytes +- +1000$", printed, re.MULTILINE)
    assert "3 passed" in printed
    assert "OK (rscollector.toml): watches backup/database" in printed
    _run_it(tmp_path, environment)


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
        shown = ""
        for _ in range(100):
            status = ["venv/bin/rscollector", "status"]
            done = subprocess.run(
                status,
                cwd=directory,
                env=environment,
                capture_output=True,
                text=True,
                timeout=20,
                check=False,
            )
            shown = done.stdout
            if "idle" in shown and "removed" in shown:
                break
        assert re.search(r"^idle +backup/database +3 ", shown, re.MULTILINE), shown
        assert re.search(
            r"^removed +backup/nowhere .*/srv/no-such-dumps is no directory; removed", shown, re.MULTILINE
        )
    finally:
        agent.terminate()
        assert agent.wait(15) == 0
