"""The collector filesystem beside node_exporter's, with few and with many mounts, and while one of them hangs.

Wants root: it mounts in a namespace of its own.
"""

import asyncio
import json
import logging
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import bench
import ticks
from bench import Row, p99
from harness import free_port, until

from collectors.filesystem.tests.mounting import asking, mount_namespace

TICKS = 100
EXPORTER = "prometheus-node-exporter"
SWITCHES = ("--collector.disable-defaults", "--collector.filesystem", "--web.disable-exporter-metrics")
SECONDS, ROUNDS = 10, 3


def rows():
    """Measure a mount that hangs, those with a child each, and ten and two thousand local ones."""
    with tempfile.TemporaryDirectory() as directory:
        base = Path(directory, "f")
        base.mkdir()
        with mount_namespace(base) as mounts:
            yield from _hung(mounts)
            had = 0
            for number in (10, 2000):
                script = "for n in $(seq {} {}); do mkdir $n; mount -t tmpfs -o size=4k t $n; done"
                mounts.sh(script.format(had + 1, number))
                had = number
                what = f"Filesystem, {number:,} mounts"
                cpu, seconds = _ours(mounts.watch(Path(directory, f"state{number}"), timeout=10))
                theirs = _exporter_cpu(mounts, free_port())
                beside = f"{EXPORTER} {theirs:.3g} ms per scrape"
                yield Row(f"{what}: CPU of a collect, its child included", cpu, "ms", beside, cpu / theirs)
                yield Row(f"{what}: time of a collect", seconds, "ms")
            servers = [mounts.fuse(*(f"fuse/{n}" for n in range(10)))]
            watched = mounts.watch(Path(directory, "state"), timeout=10, skip_types=["tmpfs"])
            cpu, seconds = _ours(watched)
            what = "Filesystem, 10 that have a child each (FUSE)"
            yield Row(f"{what}: CPU of a collect, children included", cpu, "ms")
            yield Row(f"{what}: time of a collect", seconds, "ms")
            del servers


def _ours(watched):
    """Return the mean ms of CPU, children included, and of time of a tick."""
    watched.tick()
    took = []
    for _ in range(TICKS):
        watched.tick()
        took.append((watched.cpu, watched.seconds))
    return tuple(1e3 * sum(each) / TICKS for each in zip(*took, strict=True))


def _exporter_cpu(mounts, port):
    """Return the ms of CPU of a scrape."""
    with bench.running([*mounts.enter, EXPORTER, *SWITCHES, f"--web.listen-address=127.0.0.1:{port}"]) as (
        pid,
    ):
        until(lambda: bench.listening(port))
        assert b"node_filesystem_size_bytes{" in bench.fetched(port)
        before = bench.cpu_seconds(pid)
        for _ in range(TICKS):
            bench.fetched(port)
        return 1e3 * (bench.cpu_seconds(pid) - before) / TICKS


def _hung(mounts):
    """Yield how late other collectors of the same agent are while a mount hangs, in turns with while none does."""
    server, calm, storm = mounts.fuse("hung"), [], []
    with _agent(mounts) as (pid, late):
        for _ in range(ROUNDS):
            calm += late()
            server.stop()
            storm += late()
            assert any(map(asking, bench.descendants(pid))), "no question waits"
            server.go_on()
    what = "Filesystem: lateness of others while a mount hangs"
    for name, of, aim in (("median", median, 1.25), ("p99", p99, None)):
        yield Row(
            f"{what}, {name}",
            of(storm),
            "ms",
            f"while none does {of(calm):.3g} ms",
            of(storm) / of(calm),
            aim,
        )


@contextmanager
def _agent(mounts):
    """Run an agent in the namespace; yields its process and what returns the latenesses of the next seconds."""
    command = [*mounts.enter, *bench.python("filesystem.py")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=bench.environment()
    ) as process:

        def late():
            process.stdin.write("late\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        late()
        yield process.pid, late
        process.stdin.close()
        process.wait()


async def agent():
    """Watch the mounts and run ten other collectors, all of 1 s; for each line tell how late those are."""
    ticks.PLACES["filesystem"] = "collectors.filesystem:Filesystem"
    supervisor = ticks.Watched("host", 10**6)
    for number in range(10):
        supervisor.add(ticks.spec("load", f"i{number}", f"load/i{number}", series=ticks.SERIES))
    supervisor.add(ticks.spec("filesystem", "main", "filesystem/main"))
    while not all(map(supervisor.up, supervisor.instances.values())):
        await asyncio.sleep(0.1)
    while await asyncio.to_thread(sys.stdin.readline):
        supervisor.late.clear()
        await asyncio.sleep(SECONDS)
        print(json.dumps(supervisor.late), flush=True)
    await supervisor.stop(5)
    supervisor.bodies.kill_all()


if __name__ == "__main__":
    logging.disable()
    asyncio.run(agent())
