"""Which file systems there are: each once, by a name that it keeps, and how it can be asked. Pure.

A file system may be mounted often: bind mounts, a device mounted twice, subvolumes of btrfs, what the agent's
unit adds to its own view. They all have the super block's number, and all share its space and its fate.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from typing import NamedTuple

from collectors.filesystem.mountinfo import Mount, Tree, parsed
from rscollector.api import setting
from rscollector.kit.names import shown

_LONGEST = 400
_LOCAL = frozenset({
    "aufs", "bcachefs", "btrfs", "devtmpfs", "efivarfs", "erofs", "jffs2", "overlay", "ramfs", "squashfs",
    "tmpfs", "ubifs", "zfs",
})  # fmt: skip
"""Types without a block device that need nobody beyond this kernel."""
_CLUSTERED = frozenset({"gfs2", "ocfs2"})
"""Types with a block device that need others."""
Names = tuple[tuple[str, tuple[str, ...]], ...]
"""The mount points, as labels, that each file system was named by, the oldest first."""
_LOGIN = re.compile(r"//[^/\s]*@")


@dataclass(frozen=True, slots=True)
class FilesystemSettings:
    """What to leave out; `*` stands for any characters, also slashes."""

    skip_types: tuple[str, ...] = setting(
        "Types of file systems to leave out.",
        default=(
            "autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs",
            "efivarfs", "fuse.gvfsd-fuse", "fuse.lxcfs", "fuse.portal", "fuse.snapfuse", "fusectl",
            "hugetlbfs", "iso9660", "mqueue", "nfsd", "nsfs", "overlay", "proc", "pstore", "ramfs",
            "rpc_pipefs", "securityfs", "selinuxfs", "squashfs", "sysfs", "tracefs",
        ),
    )  # fmt: skip
    skip_mountpoints: tuple[str, ...] = setting(
        "Mount points to leave out.",
        default=(
            "/dev", "/proc/*", "/run/credentials/*", "/run/docker/*", "/run/user/*", "/snap/*", "/sys/*",
            "/var/lib/containers/storage/*", "/var/lib/docker/*", "/var/lib/kubelet/*",
        ),
    )  # fmt: skip

    def __post_init__(self) -> None:
        for each in self.skip_mountpoints:
            if not each.startswith(("/", "*")):
                raise ValueError(f'skip_mountpoints: expected such as "/mnt/*", not {each!r}')


class System(NamedTuple):
    """A file system. `mountpoint`, `source` and `type` are its labels; no two have the same mountpoint.

    `mount` is the one of this process's own by which it can be asked, None where it has none. `refused` says
    why it is not this user's to ask, "" if it is.
    """

    key: str
    mountpoint: str
    source: str
    type: str
    read_only: bool
    automounted: bool
    mount: Mount | None
    refused: str = ""

    @property
    def alone(self) -> bool:
        """Whether it is asked apart from others: its answer depends on a server or a daemon."""
        if self.type.startswith("fuse") or self.type in _CLUSTERED:
            return True
        return self.key.startswith("0:") and self.type not in _LOCAL


@lru_cache(maxsize=1)  # a list seldom differs from that of the tick before
def systems(
    theirs: bytes, ours: bytes, settings: FilesystemSettings, user: int, names: Names = ()
) -> tuple[System, ...]:
    """Return the file systems of the host's list, and by which mounts of our own list they can be asked.

    The one that names a file system is the root, or else the first of those that show most of it. What has
    named it before goes on to do so: the subvolume of a btrfs has not gone when the whole is mounted as well.
    """
    types, points = _pattern(settings.skip_types), _pattern(settings.skip_mountpoints)
    had = dict(names)
    named: dict[str, tuple[tuple[int, bool, int], Mount, list[Mount]]] = {}
    for mount, way in Tree(parsed(theirs)).visible():
        if mount.type == "autofs" or types(mount.type) or points(os.fsdecode(mount.point)):
            continue
        before, name = had.get(mount.device, ()), _shown(mount.point)
        age = before.index(name) if name in before else len(before)
        rank = (age, mount.point != b"/", len(mount.root))
        if mount.device not in named or rank < named[mount.device][0]:
            named[mount.device] = rank, mount, [each for each in way if each.type == "autofs"]
    open_to_us = _by_device(mount for mount, _ in Tree(parsed(ours)).visible())
    return tuple(_systems(named.values(), open_to_us, user))


def _systems(
    named: Iterable[tuple[object, Mount, list[Mount]]], open_to_us: dict[str, list[Mount]], user: int
) -> Iterator[System]:
    taken: set[str] = set()
    for _, mount, traps in named:
        label = _shown(mount.point)
        label = f"{label}#{mount.device}" if label in taken else label
        taken.add(label)
        yield System(
            mount.device, label, _LOGIN.sub("//", _shown(mount.source)) or "none",
            mount.type, mount.read_only, bool(traps),
            _way_in(mount, open_to_us.get(mount.device, [])), _refused(mount, traps, user),
        )  # fmt: skip


def _by_device(mounts: Iterable[Mount]) -> dict[str, list[Mount]]:
    found: dict[str, list[Mount]] = {}
    for mount in mounts:
        found.setdefault(mount.device, []).append(mount)
    return found


def _way_in(mount: Mount, ours: list[Mount]) -> Mount | None:
    """Return our mount at the same place, or else the one that shows most of the file system."""
    return min(ours, key=lambda each: (each.point != mount.point, len(each.root)), default=None)


def _refused(mount: Mount, traps: Iterable[Mount], user: int) -> str:
    """Say why it is not asked.

    FUSE lets nobody but its owner in, not even root: the answer would be zeroes. And each way through an
    automounter's trap is a use: asked at each tick, nothing is ever unmounted (collectd#3780).
    """
    for trap in traps:
        if (idle := trap.option(b"timeout")) not in (None, b"0"):
            seconds = _shown(idle or b"")
            return f"its automounter takes it away after {seconds} s without use, which this would be"
    owner = mount.option(b"user_id")
    if not mount.type.startswith("fuse") or b"allow_other" in mount.options or owner in (None, b"%d" % user):
        return ""
    return f"it belongs to user {os.fsdecode(owner or b'')} alone (FUSE without allow_other)"


def _pattern(globs: tuple[str, ...]) -> Callable[[str], object]:
    return re.compile("|".join(map(translate, globs)) or r"(?!)").match


def _shown(raw: bytes) -> str:
    """Return a name as a label that is bounded."""
    text = shown(raw)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]}…{text[-_LONGEST // 2 :]}"
