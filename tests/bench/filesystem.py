"""The collector filesystem beside node_exporter's, with few and with many mounts: `python tests/bench/filesystem.py`.

Wants root: it mounts in a namespace of its own.
"""

import subprocess
import sys
import tempfile
import urllib.request
from contextlib import suppress
from pathlib import Path

HERE = Path(__file__).resolve().parent
for place in (HERE.parents[1], HERE.parent, HERE.parent / "filesystem"):
    sys.path.insert(0, str(place))

import bench  # noqa: E402
from harness import free_port, until  # noqa: E402

from collectors.filesystem.tests.mounting import mount_namespace  # noqa: E402

TICKS = 20
EXPORTER = "prometheus-node-exporter"
SWITCHES = ("--collector.disable-defaults", "--collector.filesystem", "--web.disable-exporter-metrics")


def exporter_cpu(mounts, port):
    """Return the seconds of CPU of a scrape, and the bytes of its page."""
    command = [*mounts.enter, EXPORTER, *SWITCHES, f"--web.listen-address=127.0.0.1:{port}"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def page():
        with (
            suppress(OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer,
        ):
            return len(answer.read())
        return 0

    try:
        until(page)
        before = bench.cpu_seconds(process.pid)
        size = [page() for _ in range(TICKS)][-1]
        return (bench.cpu_seconds(process.pid) - before) / TICKS, size
    finally:
        process.kill()
        process.wait()


def ours(watched):
    """Return the mean seconds of CPU, children included, and of time of a tick; and the number of series."""
    watched.tick()
    ticks = []
    for _ in range(TICKS):
        watched.tick()
        ticks.append((watched.cpu, watched.seconds))
    return *(sum(each) / TICKS for each in zip(*ticks, strict=True)), len(watched.values)


def main():
    """Print a line for each number of mounts."""
    with tempfile.TemporaryDirectory() as directory:
        base = Path(directory, "f")
        base.mkdir()
        with mount_namespace(base) as mounts:
            had = 0
            for number in (10, 2000):
                script = "for n in $(seq {} {}); do mkdir $n; mount -t tmpfs -o size=4k t $n; done"
                mounts.sh(script.format(had + 1, number))
                had = number
                cpu, seconds, series = ours(mounts.watch(Path(directory, f"state{number}"), timeout=10))
                theirs, size = exporter_cpu(mounts, free_port())
                print(
                    f"{number} mounts: {1e3 * cpu:.2f} ms of CPU and {1e3 * seconds:.1f} ms for a tick ({series} series); "
                    f"node_exporter {1e3 * theirs:.2f} ms of CPU for a scrape ({size} bytes)"
                )
            servers = [mounts.fuse(*(f"fuse/{n}" for n in range(10)))]
            cpu, seconds, _ = ours(mounts.watch(Path(directory, "state"), timeout=10, skip_types=["tmpfs"]))
            print(
                f"10 that have a child of their own: {1e3 * cpu:.2f} ms of CPU and {1e3 * seconds:.1f} ms for a tick"
            )
            del servers
    memory()


def memory():
    """Print what the collector's worker adds."""
    sizes = []
    for more in ("", "[collector.filesystem.main]\n"):
        with bench.agent(
            f"[web]\nlisten = []\n[agent]\ninterval = '1s'\n[collector.agent.main]\n{more}"
        ) as agent:
            until(lambda: all(each["up"] for each in agent.status()["collectors"]))
            bench.settled(5)
            sizes.append(bench.proportional_memory(bench.descendants(agent.process.pid)))
    print(f"memory of agent and workers: {sizes[0]:.1f} MB, with filesystem {sizes[1]:.1f} MB (proportional)")


if __name__ == "__main__":
    main()
