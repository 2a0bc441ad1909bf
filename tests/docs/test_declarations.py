"""A collector is a folder and one line: whatever else names it follows from its declarations."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rscollector.api import Needs

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("ansible", "collectors", "debian", "docs", "rscollector", "README.md", "pyproject.toml")
CODE = '''"""The collector `echo`."""

from dataclasses import dataclass

from rscollector.api import Collector, DropIn, Namespace, Needs, Package, setting

SAID = Namespace("echo").gauge("said", "What it has said.")


@dataclass(frozen=True)
class EchoSettings:
    """What to say."""

    word: str = setting("The word of this test.", default="hello")


class Echo(Collector[EchoSettings]):
    """Says what it hears in this test."""

    metrics = (SAID,)
    Settings = EchoSettings
    needs = Needs(
        packages=(Package("python3-echo", "echo>=1"),),
        groups=("echoes",),
        program="/usr/sbin/echod",
        drop_ins=(DropIn("loud", "It may shout.", capabilities=("CAP_SHOUT",), devices=("/dev/horn r",)),),
    )

    def collect(self, context):
        """Say it."""
        yield SAID(len(self.settings.word))
'''


@pytest.fixture
def checkout(tmp_path):
    """Return a copy of this checkout with one more collector in it: a folder, and a line in pyproject.toml."""
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        options = (
            {"symlinks": True, "ignore": shutil.ignore_patterns("__pycache__")}
            if copy is shutil.copytree
            else {}
        )
        copy(ROOT / part, tmp_path / part, **options)
    folder = tmp_path / "collectors" / "echo"
    folder.mkdir()
    (folder / "__init__.py").write_text(CODE)
    (folder / "README.md").write_text("# echo\n\n<!-- generated: settings echo -->\n<!-- end -->\n")
    (folder / "alerts.yml").write_text("groups: []\n")
    (folder / "dashboard.json").write_text("{}\n")
    (folder / "example.toml").write_text('[collector.echo.main]\nword = "sample"\n')
    project = tmp_path / "pyproject.toml"
    line = 'agent = "collectors.agent:Agent"\n'
    assert line in project.read_text()
    project.write_text(project.read_text().replace(line, f'{line}echo = "collectors.echo:Echo"\n'))
    return tmp_path


def generate(checkout, *arguments):
    """Run what `make docs` and `make lint` run."""
    return subprocess.run(
        [sys.executable, checkout / "docs" / "generate.py", *arguments],
        env={**os.environ, "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_new_collector_is_found_everywhere(checkout):
    """Its page, the overview, the package, the unit's drop-ins, the manual, both roles: by one command."""
    assert generate(checkout, "--check").returncode == 1
    written = generate(checkout)
    assert written.returncode == 0, written.stderr
    role, prometheus = (
        checkout / "ansible" / "roles" / name for name in ("rscollector", "rscollector_prometheus")
    )
    for file, wanted in {
        "collectors/echo/README.md": "The word of this test.",
        "README.md": "[echo](collectors/echo/README.md) | Says what it hears in this test.",
        "docs/deployment.md": "| `echo` | the groups `echoes` |",
        "pyproject.toml": 'echo = ["echo>=1"]',
        "debian/control": " python3-echo,",
        "debian/rscollector.postinst": "    join /usr/sbin/echod echoes",
        "debian/rscollector.triggers": "interest-noawait /usr/sbin/echod",
        "debian/examples/rscollector.toml": '[collector.echo.main]\nword = "sample"',
        "debian/rscollector.toml.5": '.SH "[collector.echo.NAME]"',
        "debian/examples/echo-loud.conf": "CapabilityBoundingSet=CAP_SHOUT\nAmbientCapabilities=CAP_SHOUT\nDeviceAllow=/dev/horn r",
        role / "defaults/main.yml": "rscollector_collector_echo: []",
        role / "meta/argument_specs.yml": "rscollector_collector_echo:",
        role / "vars/main/kinds.yml": "  echo:\n    - python3-echo",
        prometheus / "vars/main.yml": "__rscollector_prometheus_with_alerts: [agent, dns, echo, ",
    }.items():
        assert wanted in (checkout / file).read_text(), file
    for name in ("alerts.yml", "dashboard.json"):
        assert (prometheus / "files" / f"echo.{name}").resolve() == checkout / "collectors" / "echo" / name
    assert generate(checkout, "--check").returncode == 0
    (checkout / "collectors/echo/dashboard.json").unlink()
    assert "files/echo.dashboard.json" in generate(checkout, "--check").stderr
    assert generate(checkout).returncode == 0
    assert not (prometheus / "files/echo.dashboard.json").is_symlink()


def test_groups_want_the_program_whose_they_are():
    """Without it the package would not know where to join them."""
    with pytest.raises(ValueError, match="program="):
        Needs(groups=("echoes",))


def test_two_that_need_groups_of_one_program_get_both(checkout):
    """The package joins each group once, and waits for each program once; who needs none has no line."""
    code = checkout / "collectors" / "echo" / "__init__.py"
    changed = CODE.replace("/usr/sbin/echod", "/usr/sbin/postfix").replace(
        '("echoes",)', '("echoes", "postdrop")'
    )
    code.write_text(changed)
    assert generate(checkout).returncode == 0
    joins = (checkout / "debian" / "rscollector.postinst").read_text().partition("# generated: groups\n")[2]
    (program, *groups) = joins.partition("# end")[0].strip().removeprefix("join ").split()
    assert (program, sorted(groups)) == ("/usr/sbin/postfix", ["echoes", "postdrop", "systemd-journal"])
    assert (checkout / "debian" / "rscollector.triggers").read_text().count("/usr/sbin/postfix") == 1


def test_no_other_file_names_a_collector():
    """Written by hand are its folder, the entry point and prose; what names it besides is told here, with its reason."""
    names = ("galera", "mongodb", "postfix")
    prose = {".md", ".svg"}
    found = set()
    for directory in ("ansible", "debian", "docs", "rscollector"):
        for file in (ROOT / directory).rglob("*"):
            if (
                file.is_file()
                and not file.is_symlink()
                and file.suffix not in prose
                and not {"__pycache__", "tests"} & set(file.parts)
            ):
                text = _by_hand(file.read_text("utf-8", "replace"))
                if any(name in text for name in names):
                    found.add(str(file.relative_to(ROOT)))
    assert found == BY_HAND.keys()


BY_HAND = {
    "ansible/examples/from_rs_collector.yml": "an example",
    "ansible/plugins/filter/rscollector.py": "an example in a filter's documentation",
    "debian/control": "prose: its description",
    "debian/examples/credentials.conf": "an example",
    "debian/rscollector.service": "prose",
    "debian/rscollector.toml": "the text of 0.1.0, which stays: of another one, dpkg asks whoever has changed theirs",
    "ansible/plugins/filter/from_rs_collector.yml": "an example in a filter's documentation",
    "rscollector/cli/collect.py": "an example in the help",
    **dict.fromkeys(
        (
            f"rscollector/config/migrate/{each}.py"
            for each in ("parts", "rs_collector", "scollector", "successor")
        ),
        "what others called their sections",
    ),
    "rscollector/model/namespace.py": "an example",
    "rscollector/sinks/bosun/sink.py": "an example in the help of a setting",
}


def _by_hand(text):
    """Return a text without what `make docs` writes."""
    if "Written by `make docs`" in text:
        return ""
    kept, made = [], False
    for line in text.lower().splitlines():
        made = (made or line.strip().startswith("# generated: ")) and line.strip() != "# end"
        kept += [] if made else [line]
    return "\n".join(kept)
