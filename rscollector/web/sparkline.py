"""The last hour of a collector's runs as a line, and in words for those who do not see it. Pure."""

from collections.abc import Sequence

from rscollector.model.settings import humanized

_HEIGHT = 11.0


def path(minutes: Sequence[float | None]) -> str:
    """Return an SVG path of an hour's durations, a unit for each minute; a minute without a run is a gap."""
    longest = max((each for each in minutes if each is not None), default=0.0) or 1.0
    parts, pen = [], "M"
    for x, seconds in enumerate(minutes):
        if seconds is None:
            pen = "M"
            continue
        y = 0.5 + _HEIGHT * (1 - seconds / longest)
        parts.append(f"{pen}{x} {y:.1f}" + ("h1" if pen == "M" else ""))
        pen = "L"
    return "".join(parts)


def label(minutes: Sequence[float | None]) -> str:
    """Say what the line shows."""
    found = [each for each in minutes if each is not None]
    if not found:
        return "no run in the last hour"
    gaps = f", none in {len(minutes) - len(found)} of its minutes" if len(found) < len(minutes) else ""
    return f"runs of the last hour: up to {humanized(max(found))}{gaps}"
