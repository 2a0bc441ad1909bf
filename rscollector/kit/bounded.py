"""Labels that come from outside, bounded: who writes names into a log does not decide how many they are."""

from collections.abc import Iterable

OTHER = "other"
_LONGEST = 100


class Bounded:
    """Takes names for as long as there is room, and `other` for all that come later.

    `kept` are the names of an earlier life, which keep their places: a restart makes no room for others.
    """

    def __init__(self, most: int, kept: Iterable[str] = ()) -> None:
        self._most = most
        self._names = dict.fromkeys([str(name)[:_LONGEST] for name in kept][:most])

    def __call__(self, name: str) -> str:
        """Return the label for a name, of at most 100 characters."""
        name = name[:_LONGEST]
        if name not in self._names:
            if len(self._names) >= self._most:
                return OTHER
            self._names[name] = None
        return name

    @property
    def kept(self) -> list[str]:
        """The names that were taken, for the next life."""
        return list(self._names)
