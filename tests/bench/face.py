"""What it costs when people look: one look at a page of 300 collectors, ten pages that are open, streams of events."""

import http.client
import json
import signal
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import bench
from bench import Row
from harness import free_port, until

MANY = 300
LOOKS = 20
OPEN = 10
STREAMS = 8
SECONDS = 40
PAUSE = 5  # as in page.js
FRESH = 1.1
HEAD = '[agent]\nisolation = "shared"\ninterval = "{interval}"\n[web]\nlisten = ["127.0.0.1:{port}"]\n'
COLLECTORS = "".join(f"[collector.load.i{each}]\nseries = 5\n" for each in range(MANY))


def rows():
    """Measure with nothing else to do, then while each of them runs every 15 s."""
    port = free_port()
    with _stepping(HEAD.format(interval="100d", port=port) + COLLECTORS, port) as (agent, steps):
        for path, what in (("/", f"/ with {MANY}"), ("/collectors/load/i1", "a collector's page")):
            _get(port, path)
            steps("begin")
            before = bench.cpu_seconds(agent.pid)
            for _ in range(LOOKS):
                _get(port, path)
                time.sleep(FRESH)
            looks = bench.cpu_seconds(agent.pid) - before
            name, longest = steps("end")
            time.sleep(1)
            before = bench.cpu_seconds(agent.pid)
            time.sleep(LOOKS * FRESH)
            idle = bench.cpu_seconds(agent.pid) - before
            aims = (15, 5) if path == "/" else (None, None)
            cpu = (looks - idle) / LOOKS * 1e3
            yield Row(f"Face, {what}: CPU for one look", cpu, "ms", aim=aims[0])
            yield Row(f"Face, {what}: longest step of the loop, CPU", longest, "ms", name, aim=aims[1])
    with bench.agent(HEAD.format(interval="15s", port=port) + COLLECTORS) as agent:
        until(lambda: all(each["up"] for each in agent.status()["collectors"]), 60)
        bench.settled(5)
        pid = agent.process.pid
        alone = _share(pid)
        with _pages(port, OPEN):
            opened = _share(pid)
        yield Row(
            f"Face: {OPEN} open pages of {MANY} collectors", (opened - alone) * 100, "% of a core", aim=2
        )
        bench.settled(5)
        before = bench.proportional_memory([pid])
        with _streams(port, STREAMS):
            time.sleep(10)
            during = bench.proportional_memory([pid])
        yield Row("Face: memory of a stream of events", (during - before) / STREAMS * 1e3, "kB", aim=40)


def _get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path)
    response = connection.getresponse()
    text = response.read()
    connection.close()
    assert response.status == 200
    return text.decode()


def _share(pid):
    """Return the share of a core that a process takes."""
    before = bench.cpu_seconds(pid)
    time.sleep(SECONDS)
    return (bench.cpu_seconds(pid) - before) / SECONDS


@contextmanager
def _stepping(toml, port):
    """Run an agent whose loop notes its longest step; yields its process, and what begins and ends to take notes."""
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory, "rscollector.toml")
        config.write_text(toml)
        env = {**bench.environment(), "RUNTIME_DIRECTORY": directory, "STATE_DIRECTORY": directory}
        command = bench.python("steps.py", config)
        with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as agent:

            def steps(what):
                agent.send_signal(signal.SIGUSR1 if what == "begin" else signal.SIGUSR2)
                if what == "end":
                    return max(json.loads(agent.stdout.readline()).items(), key=lambda each: each[1])
                return None

            until(lambda: bench.listening(port), 60)
            until(lambda: _get(port, "/metrics").count("load_value{") == 5 * MANY, 60)
            bench.settled(5)
            yield agent, steps
            agent.terminate()


@contextmanager
def _pages(port, number):
    """Have so many browsers open: each reads the stream, and looks when there is news and every five seconds."""
    over = threading.Event()

    def look():
        page = _get(port, "/")
        return page.partition('data-since="')[2].partition('"')[0]

    def listen(since):
        for _ in _events(port, since, over):
            look()

    def browse():
        threading.Thread(target=listen, args=(look(),), daemon=True).start()
        while not over.wait(PAUSE):
            look()

    threads = [threading.Thread(target=browse) for _ in range(number)]
    for each in threads:
        each.start()
        time.sleep(0.5)
    try:
        yield
    finally:
        over.set()
        for each in threads:
            each.join()


@contextmanager
def _streams(port, number):
    over = threading.Event()
    since = json.loads(_get(port, "/api/v1/status"))["changes"]

    def listen():
        for _ in _events(port, since, over):
            pass

    for _ in range(number):
        threading.Thread(target=listen, daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _events(port, since, over):
    """Yield at each event, and come back when the stream ends, as EventSource does."""
    while not over.is_set():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", f"/api/v1/events?since={since}")
        response = connection.getresponse()
        while (line := response.readline()) and not over.is_set():
            if line.startswith(b"id: "):
                since = line.decode().split()[1]
            if line.startswith(b"data: "):
                yield
        connection.close()
        over.wait(1)
