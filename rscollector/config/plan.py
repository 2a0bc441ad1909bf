"""What a reload has to do: compare what runs with what is wanted, by the digests of the settings. Pure."""

from collections.abc import Mapping
from typing import NamedTuple

from rscollector.config.types import Spec


class Plan(NamedTuple):
    """Keys (`type/name`) to add, change, remove and keep, each in order."""

    add: tuple[str, ...]
    change: tuple[str, ...]
    remove: tuple[str, ...]
    keep: tuple[str, ...]

    def __str__(self) -> str:
        parts = ((what, keys) for what, keys in self._asdict().items() if keys and what != "keep")
        told = [f"{what} {', '.join(keys)}" for what, keys in parts]
        return "; ".join([*told, f"{len(self.keep)} kept"])


def plan(running: Mapping[str, str], wanted: Mapping[str, Spec]) -> Plan:
    """Compare the digests of what is running with the specs that are wanted.

    What is running is kept where not all could be found out about what is wanted.
    """
    both = running.keys() & wanted.keys()
    changed = {key for key in both if running[key] != wanted[key].digest and not wanted[key].unknown}
    return Plan(
        add=tuple(sorted(wanted.keys() - running.keys())),
        change=tuple(sorted(changed)),
        remove=tuple(sorted(running.keys() - wanted.keys())),
        keep=tuple(sorted(both - changed)),
    )
