"""`rscollector check`: is the configuration right?"""

import argparse

from rscollector.cli.common import Commands, add_command, add_config, complain, paint

_MORE = """\
Every mistake is named, each with its file and line, its path, and what was expected.
Exit status 0: right, though there may be hints; 2: something is wrong.
"""


def add(commands: Commands) -> None:
    """Add the command."""
    add_config(add_command(commands, "check", check, "check the configuration without using it", _MORE))


def check(given: argparse.Namespace) -> int:
    """Check the configuration."""
    from rscollector.config.load import load

    loaded = load(given.config)
    wrong = [*loaded.mistakes, *loaded.problems]
    for sentence in (*wrong, *loaded.hints):
        complain(sentence)
    if wrong or loaded.config is None:
        return 2
    files = ", ".join(loaded.config.files) or "no configuration file; the built-in one"
    watched = ", ".join(spec.key for spec in loaded.config.specs) or "nothing"
    print(f"{paint('OK', 'good')} ({files}): watches {watched}")
    return 0
