"""How long one step of the agent's loop uses the CPU while it is scraped: the longest is what a tick may wait."""

import asyncio
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import bench
from bench import Row
from harness import free_port, until

AGENT = """
[agent]
isolation = "shared"
interval = "100d"
max_series_total = 200000
[web]
listen = ["127.0.0.1:{port}"]
"""


def rows():
    """Measure scrapes of 100,000 series from 100 collectors, none of which ticks meanwhile."""
    port = free_port()
    sections = "".join(f"[collector.load.i{each}]\n" for each in range(100))
    config = AGENT.format(port=port) + sections
    what, took = longest(config, port, lambda page: page.count(b"load_value{") == 100_000, 10, 0.3)
    yield Row("longest step of the loop while 100,000 series are scraped, CPU", took, "ms", what, aim=5)


def longest(toml, port, is_whole, rounds, pause):
    """Scrape an agent in both encodings, once its page is whole; return its longest step's name and ms of CPU."""
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory, "rscollector.toml")
        config.write_text(toml)
        env = {**bench.environment(), "RUNTIME_DIRECTORY": directory, "STATE_DIRECTORY": directory}
        command = bench.python("steps.py", config)
        with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as agent:
            until(lambda: bench.listening(port), 60)
            until(lambda: is_whole(bench.fetched(port)), 60)
            bench.settled(3)
            agent.send_signal(signal.SIGUSR1)
            for encoding in ("identity", "gzip"):
                client = bench.python("client.py", rounds, 1, pause, encoding, port)
                subprocess.run(client, check=True, capture_output=True)
            agent.send_signal(signal.SIGUSR2)
            told = json.loads(agent.stdout.readline())
            agent.terminate()
    return max(told.items(), key=lambda each: each[1])


def main(config):
    """Run an agent whose loop notes the longest CPU time of each kind of step from SIGUSR1 to SIGUSR2."""
    from rscollector.runtime.agent import Agent
    from rscollector.runtime.logs import Log

    longest = {}
    run = asyncio.Handle._run

    def watched(handle):
        began = time.thread_time()
        run(handle)
        took = (time.thread_time() - began) * 1e3
        what = _name(handle)
        longest[what] = max(took, longest.get(what, 0))

    asyncio.Handle._run = watched
    signal.signal(signal.SIGUSR1, lambda *_: longest.clear())
    signal.signal(signal.SIGUSR2, lambda *_: print(json.dumps(longest), flush=True))

    async def agent():
        await Agent(Path(config), Log()).run()

    asyncio.run(agent())


def _name(handle):
    callback = handle._callback
    task = getattr(callback, "__self__", None)
    if isinstance(task, asyncio.Task):
        return task.get_coro().__qualname__
    return getattr(callback, "__qualname__", repr(callback))


if __name__ == "__main__":
    main(sys.argv[1])
