"""What the processes cost in memory (PSS: shared pages divided among their users), beside the bare imports."""

import tempfile
from pathlib import Path

import bench
from bench import Row
from harness import free_port, until

FLOOR_AGENT = "asyncio logging h11 starlette.applications starlette.responses jinja2 prometheus_client"
FLOOR_WORKER = "json logging faulthandler subprocess psutil netifaces"
DEFAULT = """
[web]
listen = []
[collector.agent.main]
[collector.vip.main]
"""
COLLECTD = """
PIDFile "{directory}/pid"
BaseDir "{directory}"
LoadPlugin cpu
LoadPlugin memory
LoadPlugin interface
LoadPlugin load
LoadPlugin processes
LoadPlugin unixsock
<Plugin unixsock>
  SocketFile "{directory}/socket"
</Plugin>
"""


def rows():
    """Measure the default configuration, ten more collectors each way, and two other agents."""
    ten = "".join(f"[collector.load.i{number}]\nseries = 100\n" for number in range(10))
    floor = _floor(FLOOR_AGENT, FLOOR_WORKER)
    default = used_by(DEFAULT)
    yield Row("memory: the default configuration", default, "MB", aim=50)
    yield Row(
        "the same, over the bare imports",
        default,
        "MB",
        f"bare imports {floor:.3g} MB",
        default / floor,
        1.25,
    )
    yield Row("memory: with ten collectors more in their own workers", used_by(DEFAULT + ten), "MB")
    shared = '[agent]\nisolation = "shared"\n' + DEFAULT + ten
    yield Row('memory: the same with isolation = "shared"', used_by(shared), "MB")
    for name, memory in _others():
        yield Row(f"memory: {name}", memory, "MB", "the default configuration", memory / default)


def used_by(toml):
    """Return the MB of an agent with this configuration and its workers, after some scrapes."""
    with bench.agent(toml) as agent:
        until(lambda: all(each["up"] for each in agent.status()["collectors"]), 60)
        for _ in range(20):
            agent.get("/metrics")
        bench.settled()
        return bench.proportional_memory(bench.descendants(agent.process.pid))


def _floor(*imports):
    scripts = [
        [bench.sys.executable, "-c", f"import {', '.join(each.split())}, time; time.sleep(60)"]
        for each in imports
    ]
    with bench.running(*scripts) as pids:
        bench.settled(2)
        return bench.proportional_memory(pids)


def _others():
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        config, socket = Path(directory, "collectd.conf"), Path(directory, "socket")
        config.write_text(COLLECTD.format(directory=directory))
        exporter = ["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{port}"]
        with bench.running(exporter, ["collectd", "-f", "-C", str(config)]) as pids:
            until(lambda: bench.listening(port) and socket.exists(), 30)
            bench.fetched(port)
            bench.settled(12)
            for name, pid in zip(("prometheus-node-exporter", "collectd"), pids, strict=True):
                yield name, bench.proportional_memory([pid])
