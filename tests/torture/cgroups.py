"""A control group of the test's own, where this machine lets us make one."""

import os
from contextlib import contextmanager
from pathlib import Path

import pytest

_ROOT = Path("/sys/fs/cgroup")
_LIMITS = {"memory": ("memory.limit_in_bytes", "memory.max"), "pids": ("pids.max", "pids.max")}


@contextmanager
def limited(controller, limit, *pids):
    """Hold processes to a limit ("memory" in bytes, "pids"); skips the test where the kernel gives us no such group."""
    first, second = _LIMITS[controller]
    unified = (_ROOT / "cgroup.controllers").exists()
    group = (_ROOT if unified else _ROOT / controller) / f"storm-{os.getpid()}"
    homes = {pid: _home(pid, "" if unified else controller) for pid in pids}
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group for {controller}: {error.strerror}")
    try:
        if not (group / (second if unified else first)).exists():
            pytest.skip(f"the controller {controller} is not enabled here")
        (group / (second if unified else first)).write_text(str(limit))
        for pid in pids:
            (group / "cgroup.procs").write_text(str(pid))
        yield
    finally:
        for line in (group / "cgroup.procs").read_text().split():
            home = homes.get(int(line), next(iter(homes.values())))
            (home / "cgroup.procs").write_text(line)
        group.rmdir()


def _home(pid, controller):
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return _ROOT / controller / path.lstrip("/")
    return _ROOT / controller
