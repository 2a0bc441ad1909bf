"""What scollector called space and inodes: it told the space twice, with `mount` and with `disk`."""

from collections.abc import Iterator

from rscollector.api.old import Old, Point, Points, Run, scaled

_SIZE, _FREE = "filesystem_size_bytes", "filesystem_free_bytes"
_FILES, _FILES_FREE = "filesystem_files", "filesystem_files_free"
_AVAILABLE = "filesystem_available_bytes"


def _used(all_of: str, tag: str) -> Points:
    def points(run: Run, ours: str) -> Iterator[Point]:
        for mountpoint, (size, free) in _pairs(run, all_of, ours):
            yield {tag: mountpoint}, size - free

    return points


def _percent(run: Run, ours: str) -> Iterator[Point]:
    for mountpoint, (size, available) in _pairs(run, _SIZE, ours):
        if size:
            yield {"disk": mountpoint}, available / size * 100


def _pairs(run: Run, one: str, other: str) -> Iterator[tuple[str, tuple[float, float]]]:
    """Yield two numbers of each file system that has both."""
    others = {labels["mountpoint"]: number for labels, number in run.numbers(other)}
    for labels, number in run.numbers(one):
        if (mountpoint := labels["mountpoint"]) in others:
            yield mountpoint, (number, others[mountpoint])


SCOLLECTOR = (
    *(
        each
        for prefix, tag in (("linux.disk.fs", "mount"), ("os.disk.fs", "disk"))
        for each in (
            Old(f"{prefix}.space_total", _SIZE, scaled(1, mountpoint=tag)),
            Old(f"{prefix}.space_used", _FREE, _used(_SIZE, tag), text="Size, less what is free."),
            Old(f"{prefix}.space_free", _AVAILABLE, scaled(1, mountpoint=tag)),
        )
    ),
    Old("os.disk.fs.percent_free", _AVAILABLE, _percent, "percent", "What is free for everybody."),
    Old("linux.disk.fs.inodes_total", _FILES, scaled(1, mountpoint="mount")),
    Old("linux.disk.fs.inodes_used", _FILES_FREE, _used(_FILES, "mount"), text="Inodes in use."),
    Old("linux.disk.fs.inodes_free", _FILES_FREE, scaled(1, mountpoint="mount")),
)
