"""`rscollector collectors`: what is installed, sinks too, with its settings and metrics."""

import argparse
import dataclasses
import inspect
from typing import Any, get_type_hints

from rscollector.cli.common import Commands, add_command, complain, paint, table


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands, "collectors", collectors, "list the installed collectors and sinks, or describe one"
    )
    parser.add_argument("type", nargs="?", metavar="TYPE", help="the collector to describe")


def collectors(given: argparse.Namespace) -> int:
    """List or describe."""
    from rscollector.config import registry

    if given.type:
        return _describe(given.type)
    places = registry.places()
    for head, what, group in (
        ("COLLECTOR", "WHAT IT WATCHES", registry.COLLECTORS),
        ("SINK", "WHERE IT SENDS", registry.SINKS),
    ):
        print(table((head, what), [(type_, _summary(type_)) for type_ in places[group]]))
    return 0


def _summary(type_: str) -> str:
    from rscollector.config import registry
    from rscollector.model.errors import Misconfigured

    try:
        return summary(registry.load(type_))
    except Misconfigured as error:
        return str(error)


def summary(plugin: type[Any]) -> str:
    """Return the first line of what a collector says of itself."""
    own = inspect.cleandoc(plugin.__doc__ or "")  # that of a base class is about something else
    return own.partition("\n")[0] or "its class has no docstring"


def _describe(type_: str) -> int:
    from rscollector.config import registry
    from rscollector.model.errors import Misconfigured

    try:
        plugin = registry.load(type_)
    except Misconfigured as error:
        complain(str(error))
        return 2
    print(f"{paint(type_, 'bold')}: {summary(plugin)}\n")
    settings = setting_rows(plugin.Settings)
    print(table(("SETTING", "TYPE", "DEFAULT", "MEANING"), settings) if settings else "It has no settings.")
    print()
    print(table(("METRIC", "KIND", "LABELS", "MEANING"), metric_rows(plugin.metrics)))
    return 0


def setting_rows(settings: type[Any]) -> list[tuple[str, str, str, str]]:
    """Return name, type, default and meaning of each setting of a dataclass; required ones come first."""
    from rscollector.config.build import plain, shown, type_name

    hints = get_type_hints(settings)
    rows = []
    for field in dataclasses.fields(settings):
        if field.default_factory is not dataclasses.MISSING:
            default = "none"
        elif field.default is dataclasses.MISSING:
            default = "required"
        else:
            default = _default(field.default, plain, shown)
        rows.append((field.name, type_name(hints[field.name]), default, field.metadata.get("help", "-")))
    return sorted(rows, key=lambda row: row[2] != "required")


def _default(value: Any, plain: Any, shown: Any) -> str:
    if value in (None, "", ()):
        return "none"
    if isinstance(value, tuple):
        return ", ".join(shown(str(each)) for each in value)
    return str(shown(plain(value)))


def metric_rows(metrics: tuple[Any, ...]) -> list[tuple[str, str, str, str]]:
    """Return name, kind, labels and meaning of each metric."""
    return [(each.name, each.kind.value, ", ".join(("name", *each.labels)), each.help) for each in metrics]
