"""A scrape, beside prometheus_client's server and the Pushgateway (Go's client library) with the same series."""

import json
import statistics
import subprocess
import urllib.request

import bench
from bench import Row
from harness import free_port, until

AGENT = """
[agent]
isolation = "shared"
max_series_total = 200000
[web]
listen = ["127.0.0.1:{port}"]
"""
AIMS = {10_000: (1 / 40, 1 / 5), 100_000: (1 / 100, 1 / 15)}


def rows():
    """Measure 10,000 and 100,000 series, plain and compressed."""
    medians = {}
    for count, rounds in ((10_000, 60), (100_000, 15)):
        yield from _of(count, rounds, medians)
    growth = medians[100_000][0] / medians[10_000][0]
    size = medians[100_000][1] / medians[10_000][1]
    yield Row(
        "scrape: time over bytes, from 10,000 to 100,000 series",
        growth,
        "× time",
        f"{size:.3g} × bytes",
        growth / size,
        1,
    )


def _of(count, rounds, medians):
    ours, library, gateway = free_port(), free_port(), free_port()
    toml = AGENT.format(port=ours) + "".join(f"[collector.load.i{each}]\n" for each in range(count // 1000))
    push = ["prometheus-pushgateway", f"--web.listen-address=127.0.0.1:{gateway}"]
    with bench.agent(toml) as agent, bench.running(bench.python("client_library.py", count, library), push):
        until(lambda: bench.listening(library) and bench.listening(gateway), 60)
        until(lambda: agent.status()["series"] >= count, 60)
        _fill(gateway, agent.get("/metrics")[2])
        names = {ours: "agent", library: "prometheus_client", gateway: "pushgateway"}
        for encoding in ("identity", "gzip"):
            command = bench.python("client.py", rounds, encoding, *names)
            told = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
            took = {names[int(port)]: statistics.median(times) for port, times in told["times"].items()}
            mine = took.pop("agent")
            if encoding == "identity":
                medians[count] = mine, told["sizes"][str(ours)]
                for (peer, theirs), aim in zip(took.items(), AIMS[count], strict=True):
                    yield Row(
                        f"scrape of {count:,} series",
                        mine,
                        "ms",
                        f"{peer} {theirs:.3g} ms",
                        mine / theirs,
                        aim,
                    )
            else:
                peer, best = min(took.items(), key=lambda each: each[1])
                yield Row(
                    f"scrape of {count:,} series, gzip",
                    mine,
                    "ms",
                    f"{peer} {best:.3g} ms",
                    mine / best,
                    1 / 10,
                )


def _fill(port, page):
    """Have the Pushgateway hold what the agent shows of `load`."""
    body = b"".join(line for line in page.splitlines(keepends=True) if b"load_value" in line)
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics/job/load", data=body, method="PUT")
    urllib.request.urlopen(request, timeout=60).close()
