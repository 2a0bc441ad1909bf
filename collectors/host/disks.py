"""Disks: what was read and written, how long that took, and what is under way.

Whole disks only, as /sys/block lists them: their partitions would count everything twice. A device mapper's
disk goes by its name (`vg-root`). One that was never used since boot (nbd0 to nbd15, an empty card reader) is
not shown.
"""

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from collectors.host.proc import HOST, complain, count, listed, read
from rscollector.api import Context, Sample, Unavailable
from rscollector.kit.optional import optional

_SECTOR = 512  # in this file always, whatever the disk has
_MILLISECONDS = 1e-3
READS = HOST.counter("disk_reads", "Reads that were completed.", "device")
WRITES = HOST.counter("disk_writes", "Writes that were completed.", "device")
READ_SECONDS = HOST.counter(
    "disk_read_seconds", "Time that reads took, from when they were queued.", "device"
)
WRITE_SECONDS = HOST.counter("disk_write_seconds", "The same of writes.", "device")
BUSY = HOST.counter(
    "disk_busy_seconds",
    "Time for which anything was under way; what does much at once (SSD, NVMe, RAID) is not full with that.",
    "device",
)
IN_FLIGHT = HOST.gauge("disk_in_flight", "Reads and writes that are under way now.", "device")
_COLUMNS = (
    (READS, 0, 1),
    (HOST.counter("disk_read_bytes", "What was read.", "device"), 2, _SECTOR),
    (READ_SECONDS, 3, _MILLISECONDS),
    (WRITES, 4, 1),
    (HOST.counter("disk_written_bytes", "What was written.", "device"), 6, _SECTOR),
    (WRITE_SECONDS, 7, _MILLISECONDS),
    (IN_FLIGHT, 8, 1),
    (BUSY, 9, _MILLISECONDS),
)
_LEAST = 11
_LONGEST = 127  # characters of a name, by the device mapper itself
METRICS = tuple(metric for metric, _, _ in _COLUMNS)
PATH = "/proc/diskstats"
_BLOCK = "/sys/block"
_PARTITION = re.compile(r"(?:[hsv]|xv)d[a-z]+\d+|(?:nvme\d+n|mmcblk|nbd|md|loop|drbd)\d+p\d+")


class Disks:
    """Those that match none of the patterns."""

    def __init__(self, ignored: Sequence[str]) -> None:
        self._ignored = ignored

    def samples(self, context: Context) -> Iterator[Sample]:
        """Yield what each disk tells."""
        with optional(context, "disks"):
            odd = []
            for device, numbers in self._shown(context):
                try:
                    yield from _columns(device, numbers)
                except ValueError:
                    odd.append(f"{device}: {' '.join(numbers)!r:.80}")
            complain(context, PATH, odd)

    def _shown(self, context: Context) -> Iterator[tuple[str, list[str]]]:
        """Yield each disk once: what it is called, and its numbers."""
        lines, whole = read(context, PATH).splitlines(), _whole(context)
        taken: set[str] = set()
        seen: set[str] = set()  # the kernel tells of one twice when others come and go while it is read
        for line in lines:
            name, numbers = _parsed(line, whole)
            if name in seen or ((name not in whole) if whole else _PARTITION.fullmatch(name)):
                continue
            seen.add(name)
            device = _label(context, name, whole, taken)
            if device not in taken and not self._ignores(name) and not self._ignores(device):
                taken.add(device)
                yield device, numbers

    def _ignores(self, name: str) -> bool:
        return any(fnmatchcase(name, each) for each in self._ignored)


def _whole(context: Context) -> frozenset[str]:
    """Return the whole disks, as /proc/diskstats writes their names (`cciss/c0d0`)."""
    with optional(context, "which disks are whole: partitions are guessed by their names"):
        return frozenset(name.replace("!", "/") for name in listed(context, _BLOCK))
    return frozenset()


def _parsed(line: str, whole: frozenset[str]) -> tuple[str, list[str]]:
    """Return name and numbers of a line; where a name with blanks ends, only /sys/block knows."""
    rest = (*line.split(None, 2), "", "", "")[2]
    name, _, numbers = rest.partition(" ")
    if name not in whole:
        name = next((each for each in whole if " " in each and rest.startswith(f"{each} ")), name)
        numbers = rest[len(name) :]
    return name, numbers.split()


def _label(context: Context, name: str, whole: frozenset[str], taken: set[str]) -> str:
    """Return what a disk is called: by the device mapper, unless another disk has that name."""
    if not name.startswith("dm-"):
        return name
    try:
        mapped = read(context, f"{_BLOCK}/{name}/dm/name").rstrip("\n")
    except Unavailable:  # it has just gone
        return name
    is_its_own = 0 < len(mapped) <= _LONGEST and mapped not in whole and mapped not in taken
    return mapped if is_its_own else name


def _columns(device: str, numbers: Sequence[str]) -> list[Sample]:
    """Return the samples of a disk, none of one that was never used. Raises ValueError."""
    if len(numbers) < _LEAST:
        raise ValueError("cut off")
    found = [count(each) for each in numbers[:_LEAST]]
    if not any(found):
        return []
    return [metric(found[column] * factor, device=device) for metric, column, factor in _COLUMNS]
