"""Debian systems in directories: trees that are made once, builds in them, and hosts that boot a real systemd."""

import os
import re
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil
from harness import until

ROOT = Path(__file__).parent.parent.parent
RELEASES = ("bookworm", "trixie")
# What a small server has, and what the tests themselves ask with. No Python.
SERVER = "systemd,systemd-sysv,dbus,iproute2,procps,curl,ca-certificates"
# The same where Ansible may come, a Prometheus is, and Debian's tests of packages are run.
MANAGED = f"{SERVER},openssh-server,python3,python3-apt,prometheus,autopkgtest,dpkg-dev"
_MANUAL = "/usr/share/man"


def run(*command, timeout=300, check=True, **more):
    """Run a command; returns the finished process, whose output is text. A failure shows it."""
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=timeout, check=False, **more
    )
    assert not check or done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def make_tree(directory, release, packages):
    """Make a Debian system with some packages."""
    run(
        "mmdebstrap", "--quiet", "--variant=minbase", f"--include={packages}", release, directory, timeout=600
    )
    (directory / "etc" / "hostname").unlink(missing_ok=True)
    shutil.copy("/etc/resolv.conf", directory / "etc" / "resolv.conf")
    return directory


def build_dependencies():
    """Return what debian/control wants for a build, as mmdebstrap wants it."""
    control = (ROOT / "debian" / "control").read_text()
    found = re.search(r"^Build-Depends:\n((?: .*\n)+)", control, re.MULTILINE)[1]
    names = [line.strip().rstrip(",").split()[0] for line in found.splitlines()]
    return ",".join(sorted({name.replace("debhelper-compat", "debhelper") for name in names}))


def sources(directory):
    """Copy the sources, as they are now, into a directory."""
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            target = directory / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target)
    return directory


def in_tree(tree, *command, timeout=600, network=False, check=True):
    """Run a command in a tree, without booting it, and by default without a network."""
    isolated = [] if network else ["--private-network"]
    options = [
        "--quiet",
        f"--directory={tree}",
        "--register=no",
        "--keep-unit",
        "--pipe",
        "--as-pid2",
        *isolated,
    ]
    environment = ["--setenv=DEBIAN_FRONTEND=noninteractive", "--setenv=LC_ALL=C.UTF-8"]
    return run("systemd-nspawn", *options, *environment, *command, timeout=timeout, check=check)


class Host:
    """A booted Debian: `run(…)` runs commands on it. What is written is gone with it."""

    def __init__(self, tree, name, *options):
        self.tree = tree
        command = ["systemd-nspawn", "--quiet", f"--directory={tree}", f"--machine={name}", "--register=no"]
        command += ["--keep-unit", "--volatile=overlay", "--console=pipe", "--boot", *options]
        if not any(option.startswith("--network") for option in options):
            command.append("--private-network")
        self._groups = _own_groups(name)
        self._process = subprocess.Popen(
            ["sh", "-c", _IN_GROUPS, " ".join(map(str, self._groups)), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._first = until(self._init, 30)
        until(
            lambda: (
                self.run("systemctl", "is-system-running", check=False).stdout.strip()
                in ("running", "degraded")
            ),
            60,
        )

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

    def show(self, name, unit="rscollector"):
        """Return a property of a unit."""
        return self.run("systemctl", "show", "--value", "-p", name, unit).stdout.strip()

    def log(self, unit="rscollector"):
        """Return what a unit has logged."""
        return self.run("journalctl", "-u", unit, "--no-pager", "-o", "cat").stdout

    def stop(self):
        """Switch it off."""
        # Who came from outside keeps the host's last processes: systemd stops it on its way down, and it never ends.
        entered = self.enter()
        for process in psutil.process_iter(["cmdline"]):
            if (process.info["cmdline"] or [])[: len(entered)] == entered:
                process.kill()
        self.run("systemctl", "poweroff", "--no-block", check=False)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.kill(self._first, signal.SIGKILL)
            self._process.kill()
            self._process.wait(20)
        for group in self._groups:
            until(lambda group=group: not any(map(_processes, group.rglob("cgroup.procs"))), 20)
            for below in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
                below.rmdir()
            group.rmdir()


_IN_GROUPS = 'for group in $0; do echo $$ > "$group/cgroup.procs" || exit; done; exec "$@"'


def _own_groups(name):
    """Make control groups for a host: without, two hosts at a time would be one to their systemds."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    groups = [
        Path(mount, f"{name}-{os.getpid()}")
        for _, mount, kind, options, *_ in mounts
        if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options.split(","))
    ]
    for group in groups:
        group.mkdir()
    return groups


def _processes(listing):
    """Return the processes of a control group, "" for one that has just gone."""
    try:
        return listing.read_text()
    except OSError:
        return ""


def files(tree):
    """Return every path of a tree, with the type of each, but for what changes by itself."""
    quiet = re.compile(r"/(proc|sys|dev|run|tmp|var/(cache|log|tmp|lib/(apt|dpkg|systemd|private)))(/|$)")
    found = {}
    for path in sorted(Path(tree).rglob("*")):
        name = str(path)[len(str(tree)) :]
        if not quiet.match(name) and "__pycache__" not in name:
            found[name] = "l" if path.is_symlink() else "d" if path.is_dir() else "f"
    return found


def watched(host):
    """Wait until the agent on a host has collected something."""
    until(lambda: 'rscollector_collector_up{name="main",type="agent"} 1' in host.fetch(), 30)


def seconds(act):
    """Return how long something took."""
    began = time.monotonic()
    act()
    return time.monotonic() - began
