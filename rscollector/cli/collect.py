"""`rscollector collect`: run one collector once, here in the foreground, and print what it gives."""

import argparse
import faulthandler
import signal
import sys
import tomllib
import traceback
from contextlib import suppress
from types import FrameType
from typing import Any

from rscollector.cli.common import Commands, add_command, add_config, complain, table

_MORE = """\
Without a name it is the one of this type that the configuration has; where that has none, the
settings are the defaults, and in any case what --set gives. The collector runs in this process,
as this user: a debugger works.

examples:
  rscollector collect vip                            a table, with its settings if it is configured
  rscollector collect vip/main --format prometheus   the one of the configuration, as it is scraped
  rscollector collect galera --explain               what its numbers mean, in sentences
  rscollector collect vip --set 'addresses=["192.0.2.10"]'
"""
_LONGEST = 86400.0


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "collect", collect, "run one collector and print what it gives", _MORE)
    parser.add_argument("what", metavar="TYPE[/NAME]", help="a collector, or one of the configuration")
    parser.add_argument("--format", choices=("table", "prometheus", "json"), default="table")
    parser.add_argument("--explain", action="store_true", help="say in plain language what the numbers mean")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a setting, the value as in TOML"
    )
    parser.add_argument("--timeout", type=_seconds, metavar="SECONDS", help="instead of the configured one")
    add_config(parser)


def _seconds(text: str) -> float:
    """Read a time that a timer can have. Raises ArgumentTypeError."""
    with suppress(ValueError):
        if 0 < (seconds := float(text)) <= _LONGEST:
            return seconds
    raise argparse.ArgumentTypeError(f"expected seconds, more than 0 and at most {_LONGEST:.0f}")


class _Late(Exception):
    """The time is over; `where` is the line that was running."""

    def __init__(self, where: str) -> None:
        super().__init__(where)
        self.where = where


def collect(given: argparse.Namespace) -> int:
    """Collect and print."""
    from rscollector.config import registry
    from rscollector.config.environment import leave_the_rest
    from rscollector.model.errors import Misconfigured, fence, said
    from rscollector.model.masks import Masks

    type_ = given.what.partition("/")[0]
    masks = Masks()
    try:
        plugin = registry.load(type_)
        settings, timeout, name = _settings(given, plugin, masks)
    except (Misconfigured, ValueError) as error:
        complain(f"{given.what}: {masks.masked(said(error))}")
        return 2
    leave_the_rest()  # as in a worker: what works here works there
    collected = None
    with fence() as caught:
        collected = _within(timeout, plugin, settings, name)
    if caught:
        return _failed(given.what, timeout, caught[0], masks)
    collected = collected.shown(masks.masked)
    if given.explain:
        code = _explain(given.what, collected)
    else:
        code = _print(given.format, plugin, f"{type_}/{name}", collected)
    return _failed(given.what, timeout, collected.degraded, masks) if collected.degraded else code


def _failed(what: str, timeout: float, error: Exception, masks: Any) -> int:
    from rscollector.model.errors import FailureKind, kind_of, said
    from rscollector.model.texts import block, one_line

    kind = kind_of(error)
    if isinstance(error, _Late):
        complain(f"{what}: no answer for {timeout:g} s ({error.where})")
    else:
        if kind is FailureKind.BUG:
            trace = "".join(traceback.format_exception(error))
            print("\n".join(f"  {line}" for line in block(trace, masks.masked)), file=sys.stderr)
        complain(f"{what}: {kind.value}: {one_line(said(error), masked=masks.masked)}")
    return 1


def _settings(given: argparse.Namespace, plugin: Any, masks: Any) -> tuple[Any, float, str]:
    """Return the settings, the timeout and the name: the configured ones, changed by the options.

    Whatever secret is read is masked from then on.
    """
    from rscollector.config.load import load
    from rscollector.config.secrets import read
    from rscollector.runtime.foreground import settings_of

    table: dict[str, Any] = {}
    timeout, name = 10.0, "main"
    loaded = load(given.config)
    if loaded.config is None and ("/" in given.what or given.config):
        raise ValueError("the configuration has mistakes:\n" + "\n".join(loaded.mistakes))
    if loaded.config is None:
        complain(f"{given.what}: with its defaults, for the configuration is not used: {loaded.mistakes[0]}")
    specs = {spec.key: spec for spec in loaded.config.specs} if loaded.config else {}
    if key := _chosen(given.what, list(specs)):
        table, timeout, name = dict(specs[key].settings), specs[key].timeout, key.partition("/")[2]
    for assignment in given.set:
        table |= _assigned(assignment)

    def secret(place: object) -> Any:
        found = read(place)
        masks.add([found.reveal()])
        return found

    return settings_of(plugin, table, secret), given.timeout or timeout, name


def _chosen(what: str, configured: list[str]) -> str | None:
    """Return which of the configured collectors is meant, None for none of them."""
    type_, _, name = what.partition("/")
    of_type = [key for key in configured if key.partition("/")[0] == type_]
    if name and what not in configured:
        raise ValueError(
            f"the configuration has no such collector; it has: {', '.join(configured) or 'none'}"
        )
    if not name and len(of_type) > 1:
        raise ValueError(f"which one of the configuration: {', '.join(of_type)}?")
    return what if name else next(iter(of_type), None)


def _assigned(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        key, equals, value = text.partition("=")
        try:
            # A text may come without its quotes.
            return tomllib.loads(f'{key} = "{value}"' if equals else text)
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"--set {text}: not KEY=VALUE as in TOML: {error}") from None


def _within(timeout: float, plugin: Any, settings: Any, name: str) -> Any:
    from rscollector.runtime.foreground import collect_once, context_for

    def late(_number: int, frame: FrameType | None) -> None:
        raise _Late(f"in {frame.f_code.co_filename}:{frame.f_lineno}" if frame else "nowhere")

    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, timeout)
    faulthandler.dump_traceback_later(1.5 * timeout + 1, exit=True)  # for a call that no signal gets out of
    try:
        return collect_once(plugin, settings, context_for(name, timeout))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()


def _explain(what: str, collected: Any) -> int:
    for sentence in [*collected.sentences, *collected.notes]:
        print(sentence)
    if not collected.sentences:
        complain(f"{what}: this collector explains nothing; its numbers are all it says")
        return 1
    return 0


def _print(form: str, plugin: Any, key: str, collected: Any) -> int:
    from rscollector.exposition.render import Format
    from rscollector.runtime.foreground import exposed

    for note in collected.notes:
        complain(f"{key}: {note}")
    accepted, text = exposed(plugin, key, collected.samples, Format.TEXT, plugin.max_series)
    for reason, example in accepted.examples.items():
        complain(f"{key}: {accepted.dropped[reason]} samples dropped ({reason}), such as {example}")
    if form == "prometheus":
        sys.stdout.write(text.decode())
        return 0
    series = [
        each
        for metric, rows in accepted.rows.items()
        for values, value in rows.items()
        for each in metric.series(values, value)
    ]
    if form == "json":
        import json

        print(json.dumps([{"name": n, "labels": labels, "value": v} for n, labels, v in series], indent=2))
    else:
        print(table(("METRIC", "LABELS", "VALUE"), [(n, _labels(la), f"{v:.10g}") for n, la, v in series]))
    return 0


def _labels(labels: dict[str, str]) -> str:
    from rscollector.model.texts import LONGEST_LINE, one_line

    return one_line(" ".join(f"{name}={value}" for name, value in labels.items()), LONGEST_LINE) or "-"
