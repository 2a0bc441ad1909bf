"""Commands in trees, and hosts that boot a real systemd from one: what they write is in a layer of their own."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
import urllib.parse
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path

from harness import until

ROOT = Path(__file__).parent.parent.parent
_LEFT = r"""find / -xdev \( -path /proc -o -path /sys -o -path /run -o -path /tmp -o -path /var/cache -o -path /var/log \
    -o -path /var/lib/systemd -o -path /var/lib/apt -o -path /root \) -prune -o -printf '%p %y %U %G\n' | grep -v __pycache__"""
_numbers = count()


def run(*command, timeout=300, check=True, **more):
    """Run a command; returns the finished process, whose output is text. A failure shows it."""
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=timeout, check=False, **more
    )
    assert not check or done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def with_file(name):
    """Return the names of the collectors and sinks whose folder has such a file."""
    places = (f"collectors/*/{name}", f"rscollector/sinks/*/{name}")
    return tuple(sorted(each.parent.name for place in places for each in ROOT.glob(place)))


def is_of_tests(name):
    """Tell whether a file of a package is one of our tests or recordings, which are for this checkout only."""
    return bool(re.search(r"/tests/|/recordings/|/test_[^/]*\.py$|/conftest\.py$|alerts_test\.yml$", name))


def sources(directory):
    """Copy the sources, as they are now, into a directory."""
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            target = directory / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target)
    return directory


def in_tree(tree, *command, binds=(), network=False, volatile=True, timeout=600, check=True):
    """Run a command in a tree, without booting it. By default without a network, and what it writes there is lost."""
    options = ["--pipe", "--as-pid2", *binds]
    options += [] if network else ["--private-network"]
    options += ["--volatile=overlay"] if volatile else []
    environment = ["--setenv=DEBIAN_FRONTEND=noninteractive", "--setenv=LC_ALL=C.UTF-8"]
    name = _name()
    with _own_groups(name) as enter:
        spawn = [*enter, *_spawn(tree, name), *options, *environment]
        return run(*spawn, *command, timeout=timeout, check=check, env=_UNLOCKED)


# Who writes into a tree is alone by other means; the others may be many.
_UNLOCKED = {**os.environ, "SYSTEMD_NSPAWN_LOCK": "0"}


def _name():
    return f"host-{os.getpid()}-{next(_numbers)}"


def _spawn(tree, name):
    common = ("--quiet", "--register=no", "--keep-unit")
    return ["systemd-nspawn", *common, f"--directory={tree}", f"--machine={name}"]


class Host:
    """A booted Debian: `run(…)` runs commands on it. What is written is gone with it."""

    def __init__(self, tree, *options):
        name = _name()
        self._owned = ExitStack()
        enter = self._owned.enter_context(_own_groups(name))
        command = [*_spawn(tree, name), "--volatile=overlay", "--console=pipe", "--boot", *options]
        if not any(option.startswith("--network") for option in options):
            command.append("--private-network")
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen([*enter, *command], env=_UNLOCKED, **quiet)
        self._first = None

    def wait_for_the_boot(self):
        """Return when nothing more is to be started. Who waits is told by its systemd, once that answers."""
        self._first = until(self._init, 30)
        until(Path(f"/proc/{self._first}/root/run/systemd/private").exists, 60)
        until(self._booted, 120)

    def _booted(self):
        told = self.run("systemctl", "is-system-running", "--wait", check=False).stdout.strip()
        return told in ("running", "degraded")

    def _init(self):
        """Return the process that is the first on the host; before it, systemd-nspawn has other children."""
        with suppress(OSError):
            place = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
            for child in place.read_text().split():
                status = Path(f"/proc/{child}/status").read_text()
                if re.search(r"^NSpid:.*\t1$", status, re.MULTILINE):
                    return int(child)
        return None

    def enter(self):
        """Return the command before which others run on the host."""
        return ["nsenter", "-t", str(self._first), "-m", "-p", "-n", "-u", "-i", "-C", "--"]

    def run(self, *command, timeout=120, check=True):
        """Run a command on the host as root."""
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "DEBIAN_FRONTEND": "noninteractive",
            "LC_ALL": "C.UTF-8",
        }
        return run(*self.enter(), *command, timeout=timeout, check=check, env=environment)

    def shell(self, script, **more):
        """Run a line of shell on the host, and return what it printed."""
        return self.run("sh", "-c", script, **more).stdout

    def put(self, path, text):
        """Write a file on the host."""
        directory = path.rpartition("/")[0]
        script = 'mkdir -p "$1" && cat > "$2"'
        enter = ["nsenter", "-t", str(self._first), "-m", "--", "sh", "-c", script, "sh", directory, path]
        subprocess.run(enter, input=text, text=True, check=True, timeout=30)

    def copy(self, file, path):
        """Copy a file to the host."""
        with Path(file).open("rb") as source:
            enter = ["nsenter", "-t", str(self._first), "-m", "--", "sh", "-c", 'cat > "$1"', "sh", path]
            subprocess.run(enter, stdin=source, check=True, timeout=60)

    def fetch(self, path="/metrics", port=10070):
        """Ask the agent on the host, "" while nobody answers."""
        return self.run("curl", "-fs", f"http://127.0.0.1:{port}{path}", check=False).stdout

    def hurry_prometheus(self):
        """Have the Prometheus on the host scrape and evaluate each second."""
        slow = r"^( +)(scrape_interval|scrape_timeout|evaluation_interval): .*"
        self.run("sed", "-i", "-E", rf"s/{slow}/\1\2: 1s/", "/etc/prometheus/prometheus.yml")
        self.run("systemctl", "restart", "prometheus")

    def ask_prometheus(self, path, **parameters):
        """Return the data of its answer, None while there is none."""
        url = f"http://127.0.0.1:9090{path}?{urllib.parse.urlencode(parameters)}"
        answer = self.run("curl", "-fs", url, check=False).stdout
        return json.loads(answer)["data"] if answer else None

    def value(self, query):
        """Return the value of a query to it with one result, None while there is none."""
        found = (self.ask_prometheus("/api/v1/query", query=query) or {"result": []})["result"]
        return float(found[0]["value"][1]) if found else None

    def show(self, name, unit="rscollector"):
        """Return a property of a unit."""
        return self.run("systemctl", "show", "--value", "-p", name, unit).stdout.strip()

    def log(self, unit="rscollector"):
        """Return what a unit has logged."""
        return self.run("journalctl", "-u", unit, "--no-pager", "-o", "cat").stdout

    def stop(self):
        """Take it the power: whoever is on it is gone with its first process."""
        with suppress(ProcessLookupError):
            os.kill(self._first or self._process.pid, signal.SIGKILL)
        self._process.wait(60)
        self._owned.close()


_IN_GROUPS = 'for group in $0; do echo $$ > "$group/cgroup.procs" || exit; done; exec "$@"'


@contextmanager
def _own_groups(name):
    """Make control groups for a system: without, two at a time would be one to their systemds."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    groups = [
        Path(mount, name)
        for _, mount, kind, options, *_ in mounts
        if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options.split(","))
    ]
    for group in groups:
        group.mkdir()
    try:
        yield ["sh", "-c", _IN_GROUPS, " ".join(map(str, groups))]
    finally:
        for group in groups:
            _remove(group)


def _remove(group):
    """Remove a control group when its last process is gone."""
    until(lambda: not any(map(_processes, group.rglob("cgroup.procs"))), 60)
    for below in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
        below.rmdir()
    group.rmdir()


def _processes(listing):
    """Return the processes of a control group, "" for one that has just gone."""
    try:
        return listing.read_text()
    except OSError:
        return ""


def watched(host):
    """Wait until the agent on a host has collected something."""
    until(lambda: 'rscollector_collector_up{name="main",type="agent"} 1' in host.fetch(), 30)


def seconds(act):
    """Return how long something took."""
    began = time.monotonic()
    act()
    return time.monotonic() - began


def left(host):
    """Return all files of a host, with kind and owner, but those that a system makes while it runs."""
    return set(host.shell(_LEFT).splitlines())
