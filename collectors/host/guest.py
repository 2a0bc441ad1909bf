"""Whether these are a container's files: its CPU, disks and load may be the whole machine's.

None of what is asked takes a privilege; /proc/1/environ would.
"""

import re
from contextlib import suppress

from collectors.host.proc import read
from rscollector.api import Context, Unavailable, one_line

_MARKS = {"/run/.containerenv": "podman", "/.dockerenv": "docker"}
_CGROUP = re.compile(r"/(lxc|docker|kubepods|libpod)(?:[-/]|\.slice|\.payload)")
_LXCFS = re.compile(r" (/proc/\S+) fuse\.lxcfs ")


def described(context: Context) -> str:
    """Return what these files are a view of, and by which evidence; "" on a host of its own."""
    kind, evidence = _container(context)
    mounted = _LXCFS.findall(_text(context, "/proc/self/mounts"))
    if mounted:
        files = ", ".join(sorted(mounted))
        return (
            f"This is a guest's view: {kind or 'a container'}'s own are {files}; the rest is the whole "
            f"machine's, but for its network ({evidence or '/proc/self/mounts'})."
        )
    if kind:
        return (
            f"This is a guest's view: in {kind} all but the network is the whole machine's, not the "
            f"container's own ({evidence})."
        )
    return ""


def _container(context: Context) -> tuple[str, str]:
    """Return the kind of container, and what says so."""
    if kind := one_line(_text(context, "/run/systemd/container"), 40):
        return kind, "/run/systemd/container"
    # A machine that was made of a container's image has the mark too, and its kernel's threads.
    marks = {} if _text(context, "/proc/2/comm").strip() == "kthreadd" else _MARKS
    for path, kind in marks.items():
        with suppress(Unavailable):
            read(context, path)
            return kind, path
    if found := _CGROUP.search(_text(context, "/proc/1/cgroup")):
        return found[1], "/proc/1/cgroup"
    return "", ""


def _text(context: Context, path: str) -> str:
    with suppress(Unavailable):
        return read(context, path)
    return ""
