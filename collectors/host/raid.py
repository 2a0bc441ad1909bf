"""Software RAID (md), from sysfs: /proc/mdstat is a picture for people.

A container of IMSM or DDF is always `inactive`, and is no array: those in it are.
"""

import re
from collections.abc import Iterator
from contextlib import suppress

from collectors.host.proc import HOST, complain, count, listed, read
from rscollector.api import Context, Sample, Unavailable

STATES = (
    "clear", "inactive", "suspended", "readonly", "read-auto", "clean", "active", "write-pending",
    "active-idle", "broken",
)  # fmt: skip
DEGRADED = HOST.gauge(
    "md_array_degraded", "Disks that the array lacks; absent for a level that has none to spare.", "device"
)
DISKS = HOST.gauge("md_array_disks", "Disks that the array should have.", "device")
STATE = HOST.stateset("md_array_state", "The array's state, as the kernel calls it.", STATES, "device")
SYNC = HOST.gauge(
    "md_sync_ratio",
    "How much of a resync, recover, check, repair or reshape is done; absent while there is none.",
    "device",
    "action",
)
ARRAY = HOST.info(
    "md_array", "What udev calls the array (host:name), and its level.", "device", "array", "level"
)
METRICS = (DEGRADED, DISKS, STATE, SYNC, ARRAY)
BLOCK = "/sys/block"
_CONTAINER = re.compile(r"external:(?!/)")
_NUMBER = re.compile(r"\d+:\d+", re.ASCII)
_LONGEST = 100  # characters of a label
_NAME = re.compile(r"^E:MD_NAME=(.*)$", re.MULTILINE)


def samples(context: Context) -> Iterator[Sample]:
    """Yield the state of each array."""
    with suppress(Unavailable):  # that /sys/block cannot be read is told beside the disks
        for device in listed(context, BLOCK):
            if device.startswith("md"):
                with suppress(Unavailable):  # it has none of this, or has just been stopped
                    yield from _array(context, device)


def _array(context: Context, device: str) -> Iterator[Sample]:
    directory = f"{BLOCK}/{device}/md"
    if _CONTAINER.match(_word(context, f"{directory}/metadata_version")):
        return
    state = read(context, f"{directory}/array_state").strip()
    if state in STATES:
        yield STATE(state, device=device)
    else:
        complain(context, f"{directory}/array_state", [f"{state!r:.40}"])
    yield ARRAY(
        device=device, array=_name(context, device), level=_word(context, f"{directory}/level")[:_LONGEST]
    )
    for metric, name in ((DISKS, "raid_disks"), (DEGRADED, "degraded")):
        if text := _word(context, f"{directory}/{name}"):
            try:
                yield metric(count(text), device=device)
            except ValueError as error:
                complain(context, f"{directory}/{name}", [str(error)])
    yield from _sync(context, directory, device)


def _sync(context: Context, directory: str, device: str) -> Iterator[Sample]:
    """Yield how far a synchronisation has come; "none" and "delayed" are no numbers."""
    done, _, total = _word(context, f"{directory}/sync_completed").partition(" / ")
    with suppress(ValueError, ZeroDivisionError):
        ratio = count(done) / count(total)
        action = _word(context, f"{directory}/sync_action")[:_LONGEST]
        yield SYNC(min(1.0, ratio), device=device, action=action)


def _name(context: Context, device: str) -> str:
    """Return the array's name in its own metadata, which the kernel does not tell; "" where udev does not."""
    number = _word(context, f"{BLOCK}/{device}/dev")
    if not _NUMBER.fullmatch(number):
        return ""
    found = _NAME.search(_word(context, f"/run/udev/data/b{number}"))
    return found[1][:_LONGEST] if found else ""


def _word(context: Context, path: str) -> str:
    """Return what a file says, "" where there is none: levels without disks to spare have fewer of them."""
    with suppress(Unavailable):
        return read(context, path).strip()
    return ""
