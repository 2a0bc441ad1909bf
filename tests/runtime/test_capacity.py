"""What fits into the limits of open files and of tasks."""

import resource

import pytest

from rscollector.runtime.capacity import capacity


@pytest.fixture
def limits(monkeypatch, tmp_path):
    """Set limits: `limits(soft, hard, groups)` returns the room that is left; groups are their limits by path."""
    made = []

    def look(soft=1024, hard=1 << 20, line="0::/", **groups):
        monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
        monkeypatch.setattr(resource, "setrlimit", lambda _, wanted: made.append(wanted))
        for path, limit in groups.items():
            group = tmp_path / "fs" / path.replace("_", "/")
            group.mkdir(parents=True, exist_ok=True)
            (group / "pids.max").write_text(f"{limit}\n")
        (tmp_path / "cgroup").write_text(f"{line}\n")
        return (*capacity(tmp_path / "cgroup", tmp_path / "fs"), made[-1])

    return look


@pytest.mark.parametrize(
    ("soft", "hard", "connections", "workers", "files"),
    [
        (1024, 1 << 20, 1024, 16112, 65536),
        (1024, 4096, 1024, 752, 4096),
        (512, 512, 128, 80, 512),
        (1 << 20, 1 << 20, 1024, 261872, 1 << 20),
        (64, 64, 16, 1, 64),
    ],
)
def test_open_files_are_for_clients_and_for_workers(limits, soft, hard, connections, workers, files):
    """A quarter for connections, whoever makes them, so that no client takes what a worker or a reload needs."""
    why = f"{files} open files, LimitNOFILE="
    assert limits(soft, hard) == (connections, workers, why, (files, hard))


def test_tasks_are_those_of_the_smallest_control_group(limits):
    """Of the own one and of those around it; "max" is no limit, and what cannot be read is none either."""
    groups = {"system.slice_x.service": 512, "system.slice": "max"}
    line = "0::/system.slice/x.service"
    assert limits(line=line, **groups)[1:3] == (124, "512 tasks in its control group, TasksMax=")
    assert limits(line=line, **{**groups, "system.slice": 100})[1] == 21
    assert limits(line="1:name=x:/elsewhere", **groups)[1] == 16112
    assert limits(line="4:pids:/y", pids_y=40)[1] == 6
    assert limits(line="0::/gone", gone="what?")[1] == 16112
