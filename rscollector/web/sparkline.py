"""The last hour of a collector's runs as a line, and in words for those who do not see it. Pure."""

from collections.abc import Sequence

from rscollector.model.settings import humanized

_TOP, _HEIGHT = 1, 22
"""Of a picture that is 60 wide and 24 high: whole numbers are short, and there may be hundreds of lines."""


def path(minutes: Sequence[float | None]) -> str:
    """Return an SVG path of an hour's durations, a unit for each minute; a minute without a run is a gap.

    It is "" when there is none at all.
    """
    longest = max((each for each in minutes if each is not None), default=0.0) or 1.0
    bottom = _TOP + _HEIGHT
    parts, pen = [], "M"
    for x, seconds in enumerate(minutes):
        if seconds is None:
            pen = "M"
            continue
        y = round(bottom - _HEIGHT * (seconds / longest))
        parts.append(f"M{x} {y}h1" if pen == "M" else f"L{x} {y}")
        pen = "L"
    return "".join(parts)


def label(minutes: Sequence[float | None]) -> str:
    """Say what the line shows."""
    found = [each for each in minutes if each is not None]
    if not found:
        return "no run in the last hour"
    gaps = f", none in {len(minutes) - len(found)} of its minutes" if len(found) < len(minutes) else ""
    return f"runs of the last hour: up to {humanized(max(found))}{gaps}"
