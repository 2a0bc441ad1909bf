"""A network namespace of the test's own, held by a sleeping process.

`ip netns` would do, but it remounts things, which a plain chroot does not allow.
"""

import ctypes
import os
import subprocess
from contextlib import contextmanager
from pathlib import Path

from harness import until


class Namespace:
    """The namespace; `enter` is the beginning of a command that is to run in it."""

    def __init__(self, pid):
        self.enter = ("nsenter", f"--net=/proc/{pid}/ns/net", "--")

    def ip(self, *arguments):
        """Run `ip` in it."""
        subprocess.run([*self.enter, "ip", *arguments], check=True)

    def batch(self, commands):
        """Have one `ip` do many things in it, as fast as it can."""
        text = "\n".join(commands)
        subprocess.run([*self.enter, "ip", "-batch", "-"], input=text, text=True, check=True)

    @contextmanager
    def inside(self):
        """Open sockets in it: they stay there."""
        libc = ctypes.CDLL(None, use_errno=True)
        ours, theirs = "/proc/thread-self/ns/net", self.enter[1].removeprefix("--net=")
        with Path(ours).open() as back, Path(theirs).open() as there:
            assert libc.setns(there.fileno(), 0) == 0, os.strerror(ctypes.get_errno())
            try:
                yield
            finally:
                assert libc.setns(back.fileno(), 0) == 0


@contextmanager
def namespace():
    """Make a namespace with a loopback and an interface a0, whose wire ends at b0."""
    holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
    try:
        until(lambda: Path(f"/proc/{holder.pid}/comm").read_text() == "sleep\n")
        made = Namespace(holder.pid)
        for command in (
            "link set lo up",
            "link add a0 type veth peer name b0",
            "link set a0 up",
            "link set b0 up",
        ):
            made.ip(*command.split())
        yield made
    finally:
        holder.kill()
        holder.wait()
