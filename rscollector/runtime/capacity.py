"""How much fits into what the agent may use, which is found out before it runs: descriptors and tasks.

Each bound is stated in what runs out. Clients have a quarter of the descriptors, workers the rest; a worker
takes four of the agent's, and four tasks of the control group's: itself, its driver's threads, a program.
"""

import resource
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_FILES = 65536  # a few hundred workers need more than the usual 1024; a million slows programs that close all
_OWN_FILES = 64
_FILES_OF_A_WORKER = 4
_OWN_TASKS = 16
_TASKS_OF_A_WORKER = 4
_CONNECTIONS = 1024  # with 256, of 500 scrapes at once some were turned away on a busy host


class Capacity(NamedTuple):
    """How many connections and how many workers there may be, and what keeps it from more workers."""

    connections: int
    workers: int
    why: str


def capacity(group: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> Capacity:
    """Raise the limit of open files as far as that is allowed and useful, and return what fits."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = max(soft, min(hard, _FILES))
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    connections = min(_CONNECTIONS, files // 4)
    by_files = max(1, (files - connections - _OWN_FILES) // _FILES_OF_A_WORKER)
    tasks = _most_tasks(group, root)
    by_tasks = by_files if tasks is None else max(1, (tasks - _OWN_TASKS) // _TASKS_OF_A_WORKER)
    if by_tasks < by_files:
        return Capacity(connections, by_tasks, f"{tasks} tasks in its control group, TasksMax=")
    return Capacity(connections, by_files, f"{files} open files, LimitNOFILE=")


def _most_tasks(group: Path, root: Path) -> int | None:
    """Return the smallest limit of tasks of the control groups that this process is in, None without one."""
    limits = []
    with suppress(OSError):
        for line in group.read_text("utf-8", "replace").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers in ("", "pids"):
                own = root / controllers / path.lstrip("/")
                groups = [each for each in (own, *own.parents) if each.is_relative_to(root)]
                limits += [_limit(each / "pids.max") for each in groups]
    return min((limit for limit in limits if limit is not None), default=None)


def _limit(file: Path) -> int | None:
    with suppress(OSError, ValueError):
        return int(file.read_text("ascii"))
    return None
