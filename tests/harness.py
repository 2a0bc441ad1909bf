"""A real agent in a child process, and how to wait for what it does."""

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
import time
from contextlib import suppress
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

MONGOD = Path(sysconfig.get_path("purelib"), "fiftyone", "db", "bin")  # a wheel has a real one
os.environ["PATH"] += f"{os.pathsep}{MONGOD}"


_FRESH = {"metrics": 1.05, "api": 0.15}
"""Seconds after which a page is put together anew, and a little more, by the first part of its path."""
_polling = threading.local()


def until(condition, timeout=60.0):
    """Wait until a condition holds and return its value; fails when it never does.

    The timeout is for a machine that is slow and busy: it costs time only where something is broken.
    """
    deadline = time.monotonic() + timeout
    pause = 0.01
    while True:
        _polling.now = True
        try:
            value = condition()
        finally:
            _polling.now = False
        if value:
            return value
        assert time.monotonic() < deadline, f"waited {timeout} s for {condition}"
        time.sleep(pause)
        pause = min(0.05, pause * 1.3)


def free_port():
    """Return a port that nobody uses now, and that the kernel gives to nobody who does not ask for it."""
    while True:
        port = random.SystemRandom().randrange(11_000, 32_000)  # each test begins with the same seed
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def children(pid):
    """Return the process ids of the children of a process, each thread of which may have some."""
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # a thread that has just ended
            found += map(int, path.read_text().split())
    return found


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(30)
        self.sock.connect(self.path)


class RunningAgent:
    """An agent with its own configuration, log and control socket, all in one directory."""

    def __init__(
        self, directory, toml, arguments, plugins, environment, prefix=(), interpreter=sys.executable
    ):
        directory.mkdir(exist_ok=True)
        self.config = directory / "rscollector.toml"
        self.config.write_text(toml)
        self.socket = directory / "run" / "control.sock"
        self.log_file = directory / "log"
        self._asked_at = {}
        env = {**os.environ, "RUNTIME_DIRECTORY": str(self.socket.parent), "PYTHONPATH": str(plugins)}
        env["STATE_DIRECTORY"] = str(directory / "state")
        command = [*prefix, interpreter, "-m", "rscollector.cli.main", "run", "-v", "-c", str(self.config)]
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, *arguments], stderr=log, stdout=log, env={**env, **environment}
            )

    @property
    def log(self):
        """What it has logged so far."""
        return self.log_file.read_text()

    def get(self, path, **headers):
        """Return status, headers and body of a request to the control socket.

        A page is as it is now, and not as it was when it was asked for before; while we wait until something
        holds, that does not matter.
        """
        if not getattr(_polling, "now", False):
            fresh = _FRESH.get(path.split("/")[1], 0.0)
            time.sleep(max(0.0, self._asked_at.get(path, 0.0) + fresh - time.monotonic()))
        self._asked_at[path] = time.monotonic()
        connection = Unix(self.socket)
        try:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def ready(self):
        """Tell whether it says that it is ready."""
        assert self.process.poll() is None, self.log
        try:
            return self.get("/-/ready")[0] == 200
        except OSError:
            return False

    def status(self):
        """Return its status."""
        return json.loads(self.get("/api/v1/status")[2])

    def collector(self, key):
        """Return the status of one collector, None if there is none."""
        found = {f"{each['type']}/{each['name']}": each for each in self.status()["collectors"]}
        return found.get(key)

    def state(self, key):
        """Return the state of one collector."""
        found = self.collector(key)
        return found and found["state"]

    def metrics(self, only=""):
        """Return the samples as {(name, frozenset of labels): value}, those whose names begin so."""
        page = self.get("/metrics")[2].decode()
        lines = (line for line in page.split("\n") if line.startswith(only)) if only else [page]
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families("\n".join(lines))
            for sample in family.samples
        }

    def value(self, metric, /, **labels):
        """Return the value of the one sample that has this name and at least these labels, None if none."""
        wanted = set(labels.items())
        samples = self.metrics(metric).items()  # a page takes long to read; this is asked again and again
        found = [value for (each, has), value in samples if each == metric and wanted <= has]
        assert len(found) <= 1, f"{metric} {labels}: {len(found)} samples"
        return found[0] if found else None

    def reload(self, toml=None):
        """Give it another configuration and have it read that; returns when it has."""
        before = self.log.count("reload")
        if toml is not None:
            self.config.write_text(toml)
        self.process.send_signal(signal.SIGHUP)
        until(lambda: self.log.count("reload") > before)

    def family(self):
        """Return the process ids of the agent's children and of all their descendants."""
        found, todo = [], [self.process.pid]
        while todo:
            born = children(todo.pop())
            found += born
            todo += born
        return found

    def stop(self, timeout=60):
        """Stop it as systemd would, and return its exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


def alive(pid):
    """Tell whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
