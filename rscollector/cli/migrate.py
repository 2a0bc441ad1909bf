"""`rscollector migrate`: from the configuration of rs-collector, its successor or scollector to ours.

What is to be written is shown first, as a difference to what is there, and is checked in a copy. No file is
overwritten: of a configuration that is there already, at most the empty tables are taken out that the new
file has as well.
"""

import argparse
import difflib
import grp
import os
import re
import shutil
import stat
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rscollector.cli.common import Commands, add_command, complain
from rscollector.model.texts import printable

_MORE = """\
Reads the configuration of rs-collector (/etc/rs-collector.conf), of its successor, or of scollector
(scollector.toml), and prints one with the same meaning; what cannot be carried over is explained, there and
on standard error.

With --write it shows what it changes in that directory, and then does it. Where rscollector.toml is there
already, the new configuration becomes conf.d/migrated.toml beside it. Files belong to root and the group
rscollector, each password to one of its own. Nothing that is there is overwritten.

exit status: 0 all was carried over, 1 something was left out or cannot be written, 2 it cannot be read
"""

_GROUP = "rscollector"
_MAIN, _ADDED, _SECRETS = "rscollector.toml", "conf.d/migrated.toml", "secrets"


def add(commands: Commands) -> None:
    """Add the command."""
    text = "translate the configuration of rs-collector or scollector"
    parser = add_command(commands, "migrate", migrate, text, _MORE)
    parser.add_argument("file", type=Path, metavar="FILE", help="such as /etc/rs-collector.conf")
    parser.add_argument(
        "--write", type=Path, metavar="DIRECTORY", help="write into this, such as /etc/rscollector"
    )
    parser.add_argument("--dry-run", action="store_true", help="only show what --write would change")


def migrate(given: argparse.Namespace) -> int:
    """Translate."""
    from rscollector.config.migrate import SECRETS, written
    from rscollector.config.migrate import migrate as translate

    if given.dry_run and not given.write:
        complain("--dry-run is about --write DIRECTORY: without that, nothing is written")
        return 2
    try:
        made = translate(tomllib.loads(given.file.read_text("utf-8-sig")), given.file.name)
    except OSError as error:
        complain(f"{given.file}: cannot be read: {error.strerror}")
        return 2
    except (ValueError, RecursionError) as error:
        complain(f"{given.file}: is not TOML: {error}")
        return 2
    for sentence in made.left_out:
        complain(f"not carried over: {sentence}")
    if made.is_foreign:
        complain(f"{given.file}: is no configuration of rs-collector or scollector: nothing in it is known")
        return 2
    if given.write is None:
        print(written(made.placed(SECRETS), made.left_out), end="")
    else:
        plan = _planned(given.write.absolute(), made)
        plan.show()
        if plan.refusals or not (given.dry_run or plan.is_done or plan.carry_out()):
            return 1
    return int(bool(made.left_out))


@dataclass
class _Plan:
    """What is to be done in a directory: texts of files, and why it cannot be done."""

    directory: Path
    new: dict[Path, str] = field(default_factory=dict)
    changed: dict[Path, str] = field(default_factory=dict)
    secrets: dict[Path, str] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)

    @property
    def is_done(self) -> bool:
        """Whether all of it is there already."""
        return not (self.new or self.changed or self.secrets)

    def show(self) -> None:
        """Print the difference to what is there; of secrets, only where they are put."""
        for file, text in {**self.changed, **self.new}.items():
            old = _read(file) or ""
            before = str(file) if file.exists() else "/dev/null"
            lines = difflib.unified_diff(
                old.splitlines(keepends=True), text.splitlines(keepends=True), before, str(file)
            )
            print("".join(map(printable, lines)), end="")
        for file in self.secrets:
            print(f"{file}: new, with a secret that is not shown")
        for sentence in self.refusals:
            complain(sentence)
        if self.refusals:
            complain(f"{self.directory}: nothing is written")
        elif self.is_done:
            print(f"{self.directory}: all of it is there already; nothing is to be done")
        sys.stdout.flush()

    def carry_out(self) -> bool:
        """Write. What was written before something fails is taken away again."""
        group, done = _group(), []
        try:
            for directory in (self.directory, *({file.parent for file in [*self.new, *self.secrets]})):
                _make(directory, group)
            for file, text in {**self.secrets, **self.new}.items():
                _put(file, text, group)
                done.append(file)
            for file, text in self.changed.items():
                _replace(file, text)
        except OSError as error:
            complain(f"{error.filename2 or error.filename}: cannot be written: {error.strerror}")
            for file in done:
                file.unlink(missing_ok=True)
            return False
        print(f"written. Next: rscollector check --config {self.directory / _MAIN}")
        print("then `systemctl reload-or-restart rscollector`, and `rscollector status`")
        return True


def _planned(directory: Path, made: Any) -> _Plan:
    """Plan what is to be written, and look at it in a copy."""
    plan, added = _Plan(directory), directory / _ADDED
    for name, secret in made.secrets.items():
        _plan_file(plan, plan.secrets, directory / _SECRETS / name, f"{secret}\n")
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch)
        try:
            _copied(directory, copy, without=added)
            text = _fitted(plan, copy, made)
            target = added if (copy / _MAIN).exists() else directory / _MAIN
            if text:
                _plan_file(plan, plan.new, target, text)
            for file, content in {target: text, **plan.changed}.items():
                here = copy / file.relative_to(directory)
                here.parent.mkdir(parents=True, exist_ok=True)
                here.write_text(content, "utf-8")
            plan.refusals += [] if plan.refusals else _mistakes(copy, directory)
        except OSError as error:
            plan.refusals.append(f"{error.filename}: cannot be read: {error.strerror}")
    return plan


def _plan_file(plan: _Plan, kind: dict[Path, str], file: Path, text: str) -> None:
    there = _read(file)
    if there == text:
        return
    kind[file] = text
    if there is not None:
        plan.refusals.append(
            f"{file}: is there already, with another content: take it away, or do it by hand"
        )


def _read(file: Path) -> str | None:
    try:
        return file.read_bytes().decode("utf-8", "replace")
    except OSError:
        return "" if file.is_symlink() or file.exists() else None


def _copied(directory: Path, copy: Path, without: Path) -> None:
    for file in (directory / _MAIN, *sorted((directory / "conf.d").glob("*.toml"))):
        if file.is_file() and file != without:
            here = copy / file.relative_to(directory)
            here.parent.mkdir(exist_ok=True)
            shutil.copyfile(file, here)


def _mistakes(copy: Path, directory: Path) -> list[str]:
    from rscollector.config.load import load

    found = load(copy / _MAIN).mistakes
    return [f"as it would be: {sentence.replace(str(copy), str(directory))}" for sentence in found]


def _fitted(plan: _Plan, copy: Path, made: Any) -> str:
    """Return what is to be added to the configuration in `copy`: what is not there yet.

    Where something else is there, that is a refusal, but for empty tables, which are taken out.
    """
    from rscollector.config import files
    from rscollector.config.migrate import written

    placed = dict(made.placed(str(plan.directory / _SECRETS)))
    if not (copy / _MAIN).exists():
        return written(placed.items(), made.left_out)
    there = files.read(copy / _MAIN)
    kept: dict[tuple[str, ...], dict[str, Any]] = {}
    for path, settings in placed.items():
        known = _within(there.table, path)
        if path == ("agent",):
            new = {key: value for key, value in settings.items() if key not in (known or {})}
            others = {key: value for key, value in settings.items() if (known or {}).get(key, value) != value}
            kept |= {path: new} if new else {}
            for key in others:
                place = there.place((*path, key)).replace(str(copy), str(plan.directory))
                plan.refusals.append(f"{place}: agent.{key} is set already, to another value: take it out")
        elif known is None:
            kept[path] = settings
        elif known != settings:
            kept[path] = settings
            _make_room(plan, copy, path, known, there.place(path))
    return written(kept.items(), made.left_out) if kept else ""


def _within(table: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any] | None:
    found: Any = table
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else None


def _make_room(plan: _Plan, copy: Path, path: tuple[str, ...], known: dict[str, Any], place: str) -> None:
    """Take an empty table out of the file in which it is, or say what is in the way."""
    name, _, number = place.rpartition(":")
    file = plan.directory / Path(name).relative_to(copy)
    lines = plan.changed.get(file, Path(name).read_text("utf-8")).splitlines(keepends=True)
    line = lines[int(number) - 1]
    header = re.escape(".".join(path))
    if known or not re.fullmatch(rf"\s*\[{header}\]\s*(#.*)?\s*", line):
        plan.refusals.append(
            f"{file}:{number}: there is a [{'.'.join(path)}] already: take one of the two out"
        )
        return
    lines[int(number) - 1] = f"# {line.strip()} is in {_ADDED}\n"
    plan.changed[file] = "".join(lines)


# --- files ---


def _group() -> int | None:
    """Return the group that may read what is written, None where this user cannot give files to it."""
    try:
        group = grp.getgrnam(_GROUP).gr_gid
    except KeyError:
        print(f"there is no group {_GROUP} on this host yet: later, let it read what is written here")
        return None
    if os.geteuid() != 0:
        print(f"only root can give files to the group {_GROUP}: let it read what is written here")
        return None
    return group


def _make(directory: Path, group: int | None) -> None:
    """Make a directory that the service can enter; one that is there stays as it is."""
    for each in reversed([each for each in (directory, *directory.parents) if not each.exists()]):
        each.mkdir()
        each.chmod(0o750)  # whatever the umask is
        if group is not None:
            os.chown(each, 0, group)


def _put(file: Path, text: str, group: int | None) -> None:
    """Write a new file, for root and the group; it is there as a whole or not at all."""
    with _beside(file, text, (0, group) if group is not None else (-1, -1), 0o640) as whole:
        os.link(whole, file)  # which fails if it is there


def _replace(file: Path, text: str) -> None:
    there = file.stat()
    with _beside(file, text, (there.st_uid, there.st_gid), stat.S_IMODE(there.st_mode)) as whole:
        whole.replace(file)


@contextmanager
def _beside(file: Path, text: str, owner: tuple[int, int], mode: int) -> Iterator[Path]:
    """Yield a file with a text, an owner and a mode, beside the one that it is to be."""
    whole = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with open(whole, "x", encoding="utf-8", opener=_private) as opened:
            opened.write(text)
            os.fchown(opened.fileno(), *owner)
            os.fchmod(opened.fileno(), mode)
        yield whole
    finally:
        whole.unlink(missing_ok=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
