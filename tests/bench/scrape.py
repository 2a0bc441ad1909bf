"""A scrape, beside prometheus_client's server and the Pushgateway (Go's client library) with the same series."""

import json
import statistics
import subprocess
import urllib.request
from contextlib import contextmanager
from itertools import chain

import bench
from bench import Row
from harness import free_port, until

AGENT = """
[agent]
isolation = "shared"
interval = "{interval}"
max_series_total = 200000
[web]
listen = ["127.0.0.1:{port}"]
"""
AIMS = {10_000: (1 / 40, 1 / 5), 100_000: (1 / 100, 1 / 15)}
ROUNDS = {10_000: 20, 100_000: 5}


def rows():
    """Measure 10,000 and 100,000 series, plain and compressed, warm and after a pause."""
    took = {}
    for count, aims in AIMS.items():
        with servers(count) as names:
            plain = asked(names, ROUNDS[count], 5, 0, "identity")
            took[count] = plain
            for (peer, theirs), aim in zip(plain.peers(), aims, strict=True):
                yield plain.row(f"scrape of {count:,} series", peer, theirs, aim)
            zipped = asked(names, ROUNDS[count], 5, 0, "gzip")
            peer, best = min(zipped.peers(), key=lambda each: each[1])
            yield zipped.row(f"scrape of {count:,} series, gzip", peer, best, 1 / 10)
    growth = took[100_000].median("agent") / took[10_000].median("agent")
    size = took[100_000].size / took[10_000].size
    yield Row(
        "time over bytes, from 10,000 to 100,000 series",
        growth,
        "× time",
        f"{size:.3g} × bytes",
        growth / size,
        1,
    )
    with servers(10_000, "1s") as names:
        for encoding in ("identity", "gzip"):
            cold = asked(names, 10, 1, 1.5, encoding)
            for peer, theirs in cold.peers():
                what = f"10,000 series, {encoding}, all of them new, after a pause of 1.5 s"
                yield cold.row(what, peer, theirs, None)


class Asked:
    """What the client has measured."""

    def __init__(self, names, told):
        self._times = {names[int(port)]: list(chain(*rounds)) for port, rounds in told["times"].items()}
        self.size = next(size for port, size in told["sizes"].items() if names[int(port)] == "agent")

    def median(self, name):
        """Return the median time of a server, in ms."""
        return statistics.median(self._times[name])

    def peers(self):
        """Return the others and their medians."""
        return [(name, self.median(name)) for name in self._times if name != "agent"]

    def row(self, what, peer, theirs, aim):
        """Return a line of the table."""
        mine = self.median("agent")
        return Row(what, mine, "ms", f"{peer} {theirs:.3g} ms", mine / theirs, aim)


@contextmanager
def servers(count, interval="15s"):
    """Run all three with the same series; yields their names by port."""
    ours, library, gateway = free_port(), free_port(), free_port()
    sections = "".join(f"[collector.load.i{each}]\n" for each in range(count // 1000))
    push = ["prometheus-pushgateway", f"--web.listen-address=127.0.0.1:{gateway}"]
    server = bench.python("client_library.py", count, library)
    with (
        bench.agent(AGENT.format(port=ours, interval=interval) + sections) as agent,
        bench.running(server, push),
    ):
        until(lambda: bench.listening(library) and bench.listening(gateway), 60)
        until(lambda: agent.status()["series"] >= count, 60)
        _fill(gateway, agent.get("/metrics")[2])
        yield {ours: "agent", library: "prometheus_client", gateway: "pushgateway"}


def asked(names, rounds, burst, pause, encoding):
    """Have the client ask them."""
    command = bench.python("client.py", rounds, burst, pause, encoding, *names)
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    return Asked(names, json.loads(done.stdout))


def _fill(port, page):
    """Have the Pushgateway hold what the agent shows of `load`."""
    body = b"".join(line for line in page.splitlines(keepends=True) if b"load_value" in line)
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics/job/load", data=body, method="PUT")
    urllib.request.urlopen(request, timeout=60).close()
