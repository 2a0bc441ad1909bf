"""A network namespace of the test's own, held by a sleeping process.

`ip netns` would do, but it remounts things, which a plain chroot does not allow.
"""

import ctypes
import os
import subprocess
from contextlib import contextmanager
from pathlib import Path

from harness import until

NO_NETLINK = """
import ctypes, os, struct
# seccomp(2): socket(AF_NETLINK, ...) is EAFNOSUPPORT, which is what systemd does for RestrictAddressFamilies.
number = {"x86_64": 41, "aarch64": 198}[os.uname().machine]
code = ((0x20, 0, 0, 0), (0x15, 0, 3, number), (0x20, 0, 0, 16), (0x15, 0, 1, 16), (0x06, 0, 0, 0x50000 | 97), (0x06, 0, 0, 0x7FFF0000))
program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *each) for each in code))
header = ctypes.create_string_buffer(struct.pack("@HP", len(code), ctypes.addressof(program)))
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, header, 0, 0) == 0
"""
"""The beginning of a program that may open no netlink socket."""


class Namespace:
    """The namespace; `enter` is the beginning of a command that is to run in it."""

    def __init__(self, pid):
        self.enter = ("nsenter", f"--net=/proc/{pid}/ns/net", "--")

    def ip(self, *arguments):
        """Run `ip` in it."""
        subprocess.run([*self.enter, "ip", *arguments], check=True)

    def tc(self, *arguments):
        """Run `tc` in it."""
        subprocess.run([*self.enter, "tc", *arguments], check=True)

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
