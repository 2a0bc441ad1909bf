"""What may have been meant by a name that is wrong."""

from collections.abc import Iterable
from difflib import SequenceMatcher

_LIKE = 0.6
_SHOWN = 8


def likeness(one: str, other: str) -> float:
    """Return how like two names are, from 0 to 1, apart from the prefix of a collector that both may have."""
    prefix = one[: one.find("_") + 1]
    if other.startswith(prefix):
        one, other = one.removeprefix(prefix), other.removeprefix(prefix)
    return SequenceMatcher(None, one, other).ratio()


def like(wrong: str, known: Iterable[str]) -> list[str]:
    """Return the known names that are like a wrong one, the nearest first."""
    found = sorted((-likeness(wrong, each), each) for each in known)
    return [each for distance, each in found if -distance >= _LIKE]


def hint(wrong: str, known: Iterable[str]) -> str:
    """Return the end of a sentence about a wrong name: what may have been meant, or else what there is."""
    names = sorted(known)
    near = like(wrong, names)
    return f"did you mean {near[0]}?" if near else f"there is {listed(names)}"


def listed(names: list[str]) -> str:
    """Return names for a sentence: the first ones, and how many more there are."""
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "") or "nothing"
