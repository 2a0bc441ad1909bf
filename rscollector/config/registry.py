"""Which collectors and sinks are installed: the entry points of two groups.

Loaded in workers and one-shot commands, never in the agent: a driver that is missing, or a plugin that hangs
while it is imported, hurts only those who ask for it. A worker is told the place (`module:class`), so that it
need not look for it: what reads the packages' metadata would cost each worker 2 MB.
"""

from functools import reduce
from importlib import import_module, invalidate_caches
from typing import Any

from rscollector.api import Collector, PageSink, Sink
from rscollector.model.errors import Misconfigured, fence
from rscollector.model.feed import Feed

COLLECTORS = "rscollector.collectors"
SINKS = "rscollector.sinks"
GROUPS = {"collector": COLLECTORS, "sink": SINKS}
"""The groups by the section of the configuration in which their instances are."""
_MOST = 1e9


def places() -> dict[str, dict[str, str]]:
    """Return the places of what is installed by group and type, without importing it.

    A package whose metadata are broken is none of ours, and is passed over.
    """
    from importlib.metadata import distributions

    found: dict[str, dict[str, str]] = {group: {} for group in GROUPS.values()}
    for distribution in distributions():
        with fence():
            for point in distribution.entry_points:
                if point.group in found:
                    found[point.group].setdefault(point.name, point.value)
    return {group: dict(sorted(types.items())) for group, types in found.items()}


def load(type_: str, place: str = "") -> type[Collector[Any]]:
    """Import a collector's class from its place, or from where it is installed.

    Raises Misconfigured with the reason when that cannot be done.
    """
    if not place:
        installed = places()
        place = installed[COLLECTORS].get(type_) or installed[SINKS].get(type_, "")
    if not place:
        known = ", ".join(installed[COLLECTORS])
        raise Misconfigured(f"no collector of the type {type_!r} is installed; installed: {known}")
    found = None
    with fence() as caught:
        found = _imported(place)
    for error in caught:
        missing = (getattr(error, "name", None) or "").partition(".")[0]
        if isinstance(error, ModuleNotFoundError) and missing not in place.replace(":", "."):
            # What Debian calls its packages. A name that is misspelt may be that of a stranger's package.
            where = f"if that is how it is spelt, install python3-{missing.lower()}, or {missing} from PyPI"
            raise Misconfigured(f"{type_!r} needs the Python module {missing}: {where}") from error
        why = f"{type(error).__name__}: {error}"
        raise Misconfigured(f"the plugin {type_!r} ({place}) cannot be imported: {why}") from error
    if not (isinstance(found, type) and issubclass(found, Collector)):
        raise Misconfigured(f"the plugin {type_!r} ({place}) is no Collector")
    _look_at_names(type_, found)
    _look_at_numbers(type_, found)
    return found


def _look_at_names(type_: str, plugin: type[Collector[Any]]) -> None:
    """Raise Misconfigured where a plugin declares no metrics, or one that another plugin might have."""
    own = (f"{type_}_", "sink_") if feed_of(plugin) else (f"{type_}_",)
    strangers = None
    with fence():
        strangers = [each.name for each in plugin.metrics if not each.name.startswith(own)]
    if strangers is None:
        raise Misconfigured(f"the plugin {type_!r} declares no metrics: its class names them in `metrics`")
    if strangers:
        why = f"which is not one of its names: they begin with {type_}_"
        raise Misconfigured(f"the plugin {type_!r} declares {strangers[0]}, {why}")


def _look_at_numbers(type_: str, plugin: type[Collector[Any]]) -> None:
    """Raise Misconfigured where what a plugin declares could not be configured either."""
    for name, least in (("interval", 0.1), ("max_series", 1)):
        value = getattr(plugin, name)
        if not isinstance(value, int | float) or not least <= value <= _MOST:
            why = f"which is no number from {least} to {_MOST:.0f}"
            raise Misconfigured(f"the plugin {type_!r} declares {name} = {value!r:.40}, {why}")


def feed_of(plugin: type[Any]) -> Feed:
    """Return what a plugin wants to be fed with."""
    if issubclass(plugin, Sink):
        return Feed.RUNS
    return Feed.PAGE if issubclass(plugin, PageSink) else Feed.NOTHING


def _imported(place: str) -> Any:
    module, _, attribute = place.partition(":")
    invalidate_caches()  # what was missing at the last attempt may have been installed since
    try:
        return reduce(getattr, attribute.split("."), import_module(module))
    except SystemExit as error:
        raise ImportError(f"it ends the process ({error})") from error
