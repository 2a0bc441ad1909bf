"""`rscollector spool`: what waits to be sent, also while no agent runs."""

import argparse
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from rscollector.cli.common import Commands, add_command, add_config, complain

_MORE = """\
  list     what waits, the oldest first
  show     the points of the batches, as they are sent
  drop     remove batches: they are never sent
  verify   read every batch; exit status 1 if one is damaged

Everything is printed as JSON, a line each. While an agent runs, batches come and go: one that has just been
sent is no error. Without IDs, --sink and --older, all batches are meant; `drop` wants to be told which.

examples:
  rscollector spool list --sink bosun/main          what waits for one receiver
  rscollector spool show 1795208406123-000007-500   the points of one batch
  rscollector spool drop --older 1d                 give up what is older than a day

exit status: 0 fine, 1 something is damaged or not there, 2 usage or configuration
"""


class _Waiting(NamedTuple):
    """A batch in a sink's spool."""

    sink: str
    path: Path
    made: float
    age: float | None
    points: int
    size: int
    batch: Any

    @property
    def id(self) -> str:
        return self.path.stem


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "spool", spool, "see or remove what waits to be sent to a sink", _MORE)
    parser.add_argument("action", choices=("list", "show", "drop", "verify"), help="what to do")
    parser.add_argument("ids", nargs="*", metavar="ID", help="only these batches")
    parser.add_argument("--sink", metavar="TYPE/NAME", help="only this sink's, such as bosun/main")
    parser.add_argument("--older", metavar="AGE", help="only those that are older, such as 1h")
    parser.add_argument("--all", action="store_true", help="have `drop` remove everything")
    add_config(parser)


def spool(given: argparse.Namespace) -> int:
    """Do it."""
    from rscollector.model.settings import Duration

    if given.action == "drop" and not (given.ids or given.sink or given.older or given.all):
        complain("spool drop: say which: IDs, --sink, --older or --all")
        return 2
    try:
        older = float(Duration(given.older)) if given.older else None
    except ValueError as error:
        complain(f"--older: expected {error}, not {given.older!r}")
        return 2
    directories = _directories(given.config)
    if directories is None:
        return 2
    if given.sink and given.sink not in directories:
        known = ", ".join(directories) or "none"
        complain(f"--sink: no sink is called {given.sink!r}; there are: {known}")
        return 2
    chosen = [each for each in _waiting(directories) if _is_meant(each, given, older)]
    missing = set(given.ids) - {each.id for each in chosen}
    for name in sorted(missing):
        complain(f"no batch {name} waits; perhaps it was sent")
    return max(int(bool(missing)), _ACTIONS[given.action](chosen))


def _directories(config: Path | None) -> dict[str, Path] | None:
    """Return the spools' directories by sink, None with complaints where the configuration is wrong."""
    from rscollector.config.load import load
    from rscollector.config.state_files import state_file
    from rscollector.model.feed import Feed
    from rscollector.sinks.spool import directory

    loaded = load(config)
    for mistake in loaded.mistakes:
        complain(mistake)
    if loaded.config is None:
        return None
    sinks = [spec for spec in loaded.config.specs if spec.sink is Feed.RUNS]
    return {each.key: directory(each.settings, state_file(each.key)) for each in sinks}


def _waiting(directories: dict[str, Path]) -> Iterator[_Waiting]:
    from rscollector.sinks.batches import ages, because

    for sink, directory in directories.items():
        try:
            found = ages(directory)
        except FileNotFoundError:
            continue
        except OSError as error:
            complain(because(error))
            continue
        for batch, age in found:
            path = directory / batch.name
            yield _Waiting(sink, path, batch.made / 1000, age, batch.points, batch.size, batch)


def _is_meant(waiting: _Waiting, given: argparse.Namespace, older: float | None) -> bool:
    return (
        (not given.ids or waiting.id in given.ids)
        and (not given.sink or waiting.sink == given.sink)
        and (older is None or (waiting.age is not None and waiting.age > older))
    )


def _list(chosen: list[_Waiting]) -> int:
    for each in chosen:
        made = datetime.fromtimestamp(each.made, UTC).isoformat(timespec="milliseconds")
        _say(
            each,
            made=made,
            age_seconds=None if each.age is None else round(each.age, 3),
            points=each.points,
            bytes=each.size,
        )
    return 0


def _contents(chosen: list[_Waiting]) -> Iterator[tuple[_Waiting, list[bytes] | None, str]]:
    """Yield the points of each batch that is still there, or None and what is wrong with it."""
    from rscollector.sinks.batches import because, content

    for each in chosen:
        try:
            found = content(each.path)
        except FileNotFoundError:
            continue
        except OSError as error:
            yield each, None, f"cannot be read: {because(error)}"
            continue
        lines = found.of(each.batch) if found else None
        yield each, lines, "" if lines is not None else f"{each.path}: is damaged"


def _show(chosen: list[_Waiting]) -> int:
    wrong = 0
    for _, lines, why in _contents(chosen):
        if lines is None:
            complain(why)
            wrong = 1
        sys.stdout.writelines(f"{line.decode('utf-8', 'replace')}\n" for line in lines or ())
    return wrong


def _drop(chosen: list[_Waiting]) -> int:
    from rscollector.sinks.batches import batches, because

    wrong = 0
    for each in chosen:
        try:
            left = [batch for batch in batches(each.path.parent) if batch.number == each.batch.number]
            for batch in left:  # some of it may have been sent meanwhile, then it is called otherwise
                if batch.offset >= each.batch.offset and batch.end <= each.batch.end:
                    (each.path.parent / batch.name).unlink()
                    _say(each, dropped=True, points=batch.points)
        except FileNotFoundError:
            continue  # it was sent
        except OSError as error:
            complain(because(error))
            wrong = 1
    return wrong


def _verify(chosen: list[_Waiting]) -> int:
    wrong = 0
    for each, lines, why in _contents(chosen):
        _say(each, ok=lines is not None, **({"why": why} if why else {}))
        wrong |= lines is None
    return wrong


def _say(waiting: _Waiting, **more: Any) -> None:
    print(json.dumps({"sink": waiting.sink, "id": waiting.id, **more}))


_ACTIONS = {"list": _list, "show": _show, "drop": _drop, "verify": _verify}
