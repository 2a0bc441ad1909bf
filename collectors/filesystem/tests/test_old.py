"""What scollector said of a file system: df's numbers, of space twice."""

from collectors.filesystem import Filesystem
from rscollector.sinks.bosun.tests.old_names import SCOLLECTOR, translated

METRICS = {metric.name.removeprefix("filesystem_"): metric for metric in Filesystem.metrics}


def of(mountpoint, **numbers):
    """Return samples of a file system."""
    return [METRICS[name](number, mountpoint=mountpoint) for name, number in numbers.items()]


def test_the_numbers_are_those_of_df():
    """Used is what is not free, free is what everybody may have, the percentage is of all."""
    run = of("/", size_bytes=1000, free_bytes=300, available_bytes=250, files=64, files_free=60)
    found = translated(run, SCOLLECTOR)
    assert found == {
        "linux.disk.fs.space_total": {("/",): 1000},
        "linux.disk.fs.space_used": {("/",): 700},
        "linux.disk.fs.space_free": {("/",): 250},
        "os.disk.fs.space_total": {("/",): 1000},
        "os.disk.fs.space_used": {("/",): 700},
        "os.disk.fs.space_free": {("/",): 250},
        "os.disk.fs.percent_free": {("/",): 25},
        "linux.disk.fs.inodes_total": {("/",): 64},
        "linux.disk.fs.inodes_used": {("/",): 4},
        "linux.disk.fs.inodes_free": {("/",): 60},
    }
    points = list(SCOLLECTOR([(each.metric, each.values, each.value) for each in run]))
    tags = {each.name.partition(".")[0]: list(each.labels) for each in points}
    assert tags == {"linux": ["mount"], "os": ["disk"]}


def test_what_a_file_system_does_not_tell_is_absent():
    """One without size has no percentage, nor used space; the others have theirs."""
    run = [
        *of("/proc", size_bytes=0, free_bytes=0, available_bytes=0),
        *of("/", free_bytes=300),
        METRICS["read_only"](0, mountpoint="/"),
    ]
    found = translated(run, SCOLLECTOR)
    assert "os.disk.fs.percent_free" not in found
    assert found["linux.disk.fs.space_used"] == {("/proc",): 0}
    assert found["filesystem.read.only"] == {("/",): 0}
