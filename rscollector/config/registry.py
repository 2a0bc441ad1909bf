"""Which collectors are installed: the entry points of the group `rscollector.collectors`.

Loaded in workers and one-shot commands, never in the agent: a driver that is missing, or a plugin that hangs
while it is imported, hurts only those who ask for it.
"""

from importlib.metadata import EntryPoint, entry_points
from typing import Any

from rscollector.api import Collector
from rscollector.model.errors import Misconfigured, fence

GROUP = "rscollector.collectors"


def installed() -> dict[str, EntryPoint]:
    """Return the installed collectors by type, without importing them."""
    return {point.name: point for point in sorted(entry_points(group=GROUP))}


def load(type_: str) -> type[Collector[Any]]:
    """Import a collector's class. Raises Misconfigured with the reason when that cannot be done."""
    point = installed().get(type_)
    if point is None:
        raise Misconfigured(f"no collector of the type {type_!r} is installed")
    found = None
    with fence() as caught:
        found = _imported(point)
    for error in caught:
        why = f"{type(error).__name__}: {error}"
        raise Misconfigured(f"the plugin {type_!r} ({point.value}) cannot be imported: {why}") from error
    if not (isinstance(found, type) and issubclass(found, Collector)):
        raise Misconfigured(f"the plugin {type_!r} ({point.value}) is no Collector")
    strangers = ["no metrics"]
    with fence():
        strangers = [each.name for each in found.metrics if not each.name.startswith(type_ + "_")]
    for name in strangers:
        raise Misconfigured(f"the plugin {type_!r} declares {name}, which is not one of its names")
    return found


def _imported(point: EntryPoint) -> Any:
    try:
        return point.load()
    except SystemExit as error:
        raise ImportError(f"it ends the process ({error})") from error
