"""What there is to say of the file systems, the most important first. Pure."""

from collections.abc import Iterable, Iterator

from collectors.filesystem.findings import Finding, Space
from collectors.filesystem.systems import System

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
_FULL = 90
_MOST = 10


def troubles(findings: Iterable[Finding]) -> list[str]:
    """Return a sentence for each file system of which something is not known; those that hang come first.

    What hangs or fails is missing, so that `status --wrong` tells it; what is not ours to ask is not.
    """
    wrong = sorted((each for each in findings if each.trouble), key=lambda each: each.responding is None)
    sentences = [
        f"{'missing: ' if each.responding is False else ''}{_named(each.system)} {each.trouble}"
        for each in wrong[:_MOST]
    ]
    return sentences + ([f"and {len(wrong) - _MOST} more like these"] if len(wrong) > _MOST else [])


def explain(findings: list[Finding]) -> Iterator[str]:
    """Yield sentences about those that take no writes, the fullest ones, and all."""
    for each in findings:
        if each.system.read_only:
            yield f"{_named(each.system)} is read-only (filesystem_read_only)."
    told = [(each.system.mountpoint, each.space) for each in findings if each.space and each.space.size]
    told.sort(key=lambda each: -each[1].percent_full)
    for mountpoint, space in told:
        yield from _shortage(mountpoint, space)
    if told:
        mountpoint, space = told[0]
        fullest = f"the fullest is {mountpoint} with {space.percent_full} %"
        number = sum(each.responding is True for each in findings)
        yield f"{number} file systems answer; {fullest}." if number > 1 else f"One answers; {fullest}."
    elif not findings:
        yield "There is no file system but those that are left out (skip_types, skip_mountpoints)."


def _shortage(mountpoint: str, space: Space) -> Iterator[str]:
    if space.percent_full >= _FULL:
        left = f"{_bytes(space.available)} left (filesystem_available_bytes)"
        yield f"{mountpoint} is {space.percent_full} % full: {left}."
    if space.files_free * 100 < space.files * (100 - _FULL):
        yield f"{mountpoint} has {space.files_free} of {space.files} inodes left (filesystem_files_free)."


def _named(system: System) -> str:
    return f"{system.mountpoint} ({system.type} from {system.source})"


def _bytes(number: float) -> str:
    power = next((each for each in range(6) if number < 1000 ** (each + 1)), 6)
    amount = number / 1000**power
    return f"{amount:.{int(amount < 10 and power > 0)}f} {_UNITS[power]}"
