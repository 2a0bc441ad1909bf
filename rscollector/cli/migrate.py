"""`rscollector migrate`: from rs-collector's configuration to ours."""

import argparse
import os
import tomllib
from pathlib import Path

from rscollector.cli.common import Commands, add_command, complain

_MORE = """\
Reads /etc/rs-collector.conf, or that of its successor, and prints a configuration with the same meaning; what
cannot be carried over is explained, there and on standard error. With --write both the configuration and the
passwords, each in a file that only its owner may read, are written; nothing that is there is overwritten.

exit status: 0 all was carried over, 1 something was left out or cannot be written, 2 it cannot be read
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "migrate", migrate, "translate the configuration of rs-collector", _MORE)
    parser.add_argument("file", type=Path, metavar="FILE", help="such as /etc/rs-collector.conf")
    parser.add_argument(
        "--write", type=Path, metavar="DIRECTORY", help="write into this, such as /etc/rscollector"
    )


def migrate(given: argparse.Namespace) -> int:
    """Translate."""
    from rscollector.config.migrate import migrate as translate

    try:
        made = translate(tomllib.loads(given.file.read_text("utf-8")))
    except OSError as error:
        complain(f"{given.file}: cannot be read: {error.strerror}")
        return 2
    except (ValueError, RecursionError) as error:
        complain(f"{given.file}: is not TOML: {error}")
        return 2
    except (AttributeError, TypeError):
        complain(f"{given.file}: is no configuration of rs-collector: a section is not a table")
        return 2
    for sentence in made.left_out:
        complain(f"not carried over: {sentence}")
    directory = given.write or Path("/etc/rscollector")
    text = made.text.replace("SECRETS/", f"{directory.absolute()}/secrets/")
    if given.write is None:
        print(text, end="")
    elif not _written(directory, text, made.secrets):
        return 1
    return int(bool(made.left_out))


def _written(directory: Path, text: str, secrets: dict[str, str]) -> bool:
    files = {directory / "rscollector.toml": text}
    files |= {directory / "secrets" / name: f"{secret}\n" for name, secret in secrets.items()}
    there = [file for file in files if file.exists()]
    for file in there:
        complain(f"{file}: is there already, and nothing is overwritten")
    if there:
        return False
    try:
        (directory / "secrets").mkdir(mode=0o700, parents=True, exist_ok=True)
        for file, content in files.items():
            mode = 0o640 if file.suffix == ".toml" else 0o600
            with os.fdopen(
                os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8"
            ) as made:
                made.write(content)
            print(file)
    except OSError as error:
        complain(f"{error.filename}: cannot be written: {error.strerror}")
        return False
    return True
