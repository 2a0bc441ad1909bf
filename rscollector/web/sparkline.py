"""The last hour of a collector's runs as a line, and in words for those who do not see it. Pure.

Of each minute it is given the longest run in seconds; NaN, or in JSON None, for a minute without one.
"""

from collections.abc import Sequence

from rscollector.model.settings import humanized

_TOP, _HEIGHT = 1, 22
"""Of a picture that is 60 wide and 24 high: whole numbers are short, and there may be hundreds of lines."""


def path(minutes: Sequence[float | None]) -> str:
    """Return an SVG path of an hour's durations, a unit for each minute; a minute without a run is a gap.

    It is "" when there is none at all.
    """
    longest = max(_runs(minutes), default=0.0) or 1.0
    bottom = _TOP + _HEIGHT
    parts, before = [], -2
    for x, seconds in enumerate(minutes):
        if seconds is not None and seconds == seconds:  # noqa: PLR0124  no NaN
            y = round(bottom - _HEIGHT * (seconds / longest))
            parts.append(f"L{x} {y}" if before == x - 1 else f"M{x} {y}h1")
            before = x
    return "".join(parts)


def label(minutes: Sequence[float | None]) -> str:
    """Say what the line shows."""
    found = _runs(minutes)
    if not found:
        return "no run in the last hour"
    gaps = f", none in {len(minutes) - len(found)} of its minutes" if len(found) < len(minutes) else ""
    return f"runs of the last hour: up to {humanized(max(found))}{gaps}"


def _runs(minutes: Sequence[float | None]) -> list[float]:
    return [each for each in minutes if each is not None and each == each]  # noqa: PLR0124  no NaN
