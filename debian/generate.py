"""Write the manual's pages and the completions, from the parser: `generate.py DIRECTORY`."""

import argparse
import subprocess
import sys
from pathlib import Path

import shtab

sys.path.insert(0, str(Path(__file__).parent.parent))
from rscollector import __version__
from rscollector.cli.main import parser

COMPLETED = {"config", "file"}
FILES = r"""
[files]
.TP
.I /etc/rscollector/rscollector.toml
the configuration, see
.BR rscollector.toml (5)
.TP
.I /etc/rscollector/conf.d/*.toml
more of it
.TP
.I /var/lib/rscollector
what waits to be sent, and where logs were read up to
.TP
.I /run/rscollector/control.sock
what
.B rscollector status
asks
.TP
.I /usr/share/rscollector/prometheus
alerts and dashboards

[see also]
.BR rscollector.toml (5),
/usr/share/doc/rscollector
"""


def main(directory: Path) -> None:
    """Write them."""
    directory.mkdir(parents=True, exist_ok=True)
    made = parser()
    (commands,) = (each for each in made._actions if isinstance(each, argparse._SubParsersAction))
    for command in commands.choices.values():
        for action in command._actions:
            if action.dest in COMPLETED:
                action.complete = shtab.FILE
    (directory / "rscollector.bash").write_text(shtab.complete(made, "bash"))
    (directory / "_rscollector").write_text(shtab.complete(made, "zsh"))
    (directory / "files").write_text(FILES)
    _page(directory, made.description)
    for command in commands._choices_actions:
        _page(directory, command.help, command.dest)


def _page(directory: Path, what: str, *command: str) -> None:
    """Have help2man write the page of a command."""
    name = "-".join(("rscollector", *command))
    program = directory / "bin" / name
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec python3 -m rscollector.cli.main {" ".join(command)} "$@"\n')
    program.chmod(0o755)
    options = ["--no-info", "--section=1", f"--name={what.rstrip('.')}", f"--version-string={__version__}"]
    options.append(f"--include={directory / 'files'}")
    subprocess.run(["help2man", *options, f"--output={directory / name}.1", program], check=True)


main(Path(sys.argv[1]))
