"""Our configuration as it is made out of an old one, and what could not be carried over."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .toml import written

SECRETS = "/etc/rscollector/secrets"
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]")
_LONGEST_NAME = 100


class Hidden(str):
    """A password or token."""

    __slots__ = ()


class LeftOut(NamedTuple):
    """Something that is not carried over, or not as it was: where it stood, and what to do."""

    where: str
    why: str

    def __str__(self) -> str:
        return f"{self.where}: {self.why}"


@dataclass
class Migrated:
    """Our configuration: settings of the agent, settings of instances by (section, type) and name."""

    agent: dict[str, Any] = field(default_factory=dict)
    instances: dict[tuple[str, str], dict[str, dict[str, Any]]] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    not_understood: int = 0

    def leave_out(self, where: str, why: str, *, understood: bool = True) -> None:
        """Say what is not carried over; what was not understood is counted."""
        self.left_out.append(LeftOut(where, why))
        self.not_understood += not understood

    def free_name(self, section: str, type_: str, wanted: str = "") -> str:
        """Return a name that no instance of this type has."""
        wanted = _NOT_IN_NAMES.sub("-", wanted).lstrip("_.-")[:_LONGEST_NAME] or "main"
        taken, name, number = self.instances.get((section, type_), {}), wanted, 1
        while name in taken:
            number += 1
            name = f"{wanted}-{number}"
        return name

    def add(self, section: str, type_: str, name: str, settings: Mapping[str, Any]) -> None:
        """Add an instance; what is None is not set."""
        known = {key: value for key, value in settings.items() if value is not None}
        self.instances.setdefault((section, type_), {})[name] = known

    def tables(self) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
        """Yield each table with its path, in the order in which they are written."""
        if self.agent:
            yield ("agent",), self.agent
        for (section, type_), named in self.instances.items():
            for name, settings in named.items():
                yield (section, type_, name), settings

    def placed(self, directory: str) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
        """Yield each table with its secrets' places in a directory instead of their texts."""
        for path, settings in self.tables():
            yield (
                path,
                {
                    key: {"file": f"{directory}/{_secret_file(path, key)}"} if type(each) is Hidden else each
                    for key, each in settings.items()
                },
            )

    @property
    def is_foreign(self) -> bool:
        """Tell whether nothing in it was understood: it is no configuration of those that are known."""
        nothing = not self.agent and not self.instances.keys() - {("collector", "agent")}
        return nothing and 0 < self.not_understood == len(self.left_out)

    @property
    def secrets(self) -> dict[str, str]:
        """The texts of the secrets by the names of their files."""
        return {
            _secret_file(path, key): str(each)
            for path, settings in self.tables()
            for key, each in settings.items()
            if type(each) is Hidden
        }

    @property
    def text(self) -> str:
        """The configuration, with its secrets where the package's example has them."""
        return written(self.placed(SECRETS), self.left_out)


def _secret_file(path: tuple[str, ...], key: str) -> str:
    name = f"{path[1]}-{path[2]}"
    return name if key == "password" else f"{name}-{key}"
