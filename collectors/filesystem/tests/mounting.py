"""A mount namespace of the test's own, with what is mounted in it, and the collector that watches it."""

import json
import os
import shlex
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

from harness import children, until

HERE, ROOT = Path(__file__).parent, Path(__file__).resolve().parents[3]
PYTHON = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}:{HERE}"}
ONLY = ("root", "unshare", "nsenter", "mount")


class Mounts:
    """The namespace; `enter` is the beginning of a command that is to run in it, `base` a tmpfs for mount points."""

    def __init__(self, pid, base):
        self.enter = ("nsenter", f"--mount=/proc/{pid}/ns/mnt", f"--wdns={ROOT}", "--")
        self.base = base
        self._left = []
        self.mount("-t", "tmpfs", "base", base)
        # The collector reads the list of process 1, which is here the one that holds the namespace.
        for name in ("mountinfo", "mounts"):
            self.mount("--bind", f"/proc/{pid}/{name}", f"/proc/1/{name}")

    def run(self, *command, **options):
        """Run a command in it and return what it prints."""
        command = [*self.enter, *map(os.fspath, command)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def sh(self, script):
        """Run lines of shell in it, in `base`."""
        return self.run("sh", "-euc", f"cd {shlex.quote(str(self.base))}\n{script}")

    def mount(self, *arguments):
        """Mount something in it."""
        self.run("mount", *arguments)

    def fuse(self, *names, source="test", type="fuse.test", options="user_id=0,allow_other", **numbers):
        """Mount FUSE file systems below `base` and return their server."""
        points = [self.base / name for name in names]
        self.run("mkdir", "-p", *points)
        command = [*self.enter, sys.executable, HERE / "fuse_server.py", source, type, options, *points]
        server = Fuse(command, len(points))
        self._left.append(server)
        if numbers:
            server.tell(statfs=numbers)
        return server

    def watch(self, state, timeout=1.6, user=0, prefix=None, **settings):
        """Return the collector in it, or behind another command, as a user."""
        watched = Watched(
            [
                *(prefix or self.enter),
                sys.executable,
                HERE / "ticking.py",
                state,
                str(timeout),
                str(user),
                json.dumps(settings),
            ]
        )
        self._left.append(watched)
        return watched

    def end(self):
        """End what runs in it."""
        for each in reversed(self._left):
            each.end()


class _Program:
    """A program that is told lines and answers each with one."""

    def __init__(self, command):
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=PYTHON
        )

    def ask(self, line):
        """Return the answer to a line."""
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def end(self):
        """Kill it."""
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Fuse(_Program):
    """The server of a FUSE file system."""

    def __init__(self, command, number):
        super().__init__(command)
        for _ in range(number):
            assert self.process.stdout.readline() == "ready\n"

    def tell(self, **commands):
        """Have it do something else: `statfs={…}`, `error=5`, `withhold=True`, `answer=True`."""
        for command, value in commands.items():
            self.process.stdin.write(f"{command} {json.dumps(value)}\n")
            self.process.stdin.flush()
            while (line := self.process.stdout.readline()) != "done\n":
                assert line == "withheld\n", line

    def stop(self):
        """Have it hang, so that questions are not even read."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        """Have it go on."""
        self.process.send_signal(signal.SIGCONT)


class Watched(_Program):
    """The collector; `values`, `notes`, `sentences`, `seconds` and `cpu` are those of its last tick."""

    def tick(self):
        """Return the series of one tick."""
        self._told(self.ask("tick"))
        return self.values

    def renew(self):
        """Close the collector and open another one, as a new worker does."""
        self._told(self.ask("renew"))

    def _told(self, line):
        assert line, f"it has died: {self.process.wait()}"
        for name, value in json.loads(line).items():
            setattr(self, name, value)

    def questions(self):
        """Return the process ids of its children."""
        return children(self.process.pid)

    def of(self, name, mountpoint):
        """Return a value of the last tick, None if there is none."""
        return self.values.get(f'filesystem_{name}{{mountpoint="{mountpoint}"}}')


@contextmanager
def mount_namespace(base):
    """Make a namespace whose mounts nobody else sees."""
    holder = subprocess.Popen(["unshare", "--mount", "sleep", "infinity"])
    try:
        until(lambda: Path(f"/proc/{holder.pid}/comm").read_text() == "sleep\n")
        made = Mounts(holder.pid, base)
        try:
            yield made
        finally:
            made.end()
    finally:
        holder.kill()
        holder.wait()


def asking(pid):
    """Return what a process asks, as far as its title has room; "" if it is none of the collector's children."""
    with suppress(OSError):
        title = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode()
        return (
            title.removeprefix("rscollector: statvfs ") if title.startswith("rscollector: statvfs ") else ""
        )
    return ""
