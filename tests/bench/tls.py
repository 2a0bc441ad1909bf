"""A scrape over TLS beside prometheus_client's server and the Pushgateway's; what TLS and users cost the agent."""

import json
import os
import socket
import ssl
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import bcrypt
import bench
import trustme
from bench import Row
from harness import free_port, until
from scrape import Asked

COUNT = 10_000
AGENT = """
[agent]
isolation = "shared"
max_series_total = 200000
[web]
listen = ["127.0.0.1:{plain}"]
[[web.listener]]
address = "127.0.0.1:{port}"
tls = {{ certificate = "{certificate}", key = "{key}" }}
users = {users}
trusted_proxies = ["127.8.0.0/16"]  # whose handshakes are not bounded
"""
IDLE = """
[collector.agent.main]
[web]
"""
LOCKED = """
[[web.listener]]
address = "127.0.0.1:{port}"
tls = {{ certificate = "{certificate}", key = "{key}" }}
users = {users}
"""
WEB_CONFIG = "tls_server_config: {{ cert_file: {certificate}, key_file: {key} }}\n"
PASSWORD = "secret"


def rows():
    """Measure the scrape, a handshake, and the memory."""
    with tempfile.TemporaryDirectory() as directory:
        files = _files(Path(directory))
        yield from _scrapes(files)
        yield from _memory(files)


def _files(directory):
    authority = trustme.CA()
    own = authority.issue_cert("localhost", "127.0.0.1")
    names = {name: str(directory / f"{name}.pem") for name in ("certificate", "key", "ca")}
    own.cert_chain_pems[0].write_to_path(names["certificate"])
    own.private_key_pem.write_to_path(names["key"])
    authority.cert_pem.write_to_path(names["ca"])
    config = directory / "web.yml"
    config.write_text(WEB_CONFIG.format(**names))
    return {**names, "config": str(config), "users": "{}"}


def _scrapes(files):
    with _servers(files) as (agent, plain, names):
        over_tls = _asked(files["ca"], names)
        for peer, theirs in over_tls.peers():
            yield over_tls.row(f"scrape of {COUNT:,} series over TLS", peer, theirs, 1)
        pid, (ours, *_) = agent.process.pid, names
        cost = _cpu(pid, lambda: _asked(files["ca"], {ours: "agent"}, 60), 301)
        without = _cpu(pid, lambda: _asked("", {plain: "agent"}, 60), 301)
        yield Row("CPU of a scrape over TLS", cost, "ms", f"without TLS {without:.3g} ms")
        yield Row(
            "CPU of a handshake, P-256", _cpu(pid, lambda: _shake_hands(files["ca"], ours, 300), 300), "ms"
        )


@contextmanager
def _servers(files):
    """Run all three with the same series over TLS; yields the agent, its plain port, and their names by port."""
    plain, ours, library, gateway = (free_port() for _ in range(4))
    sections = "".join(f"[collector.load.i{each}]\n" for each in range(COUNT // 1000))
    push = [
        "prometheus-pushgateway",
        f"--web.listen-address=127.0.0.1:{gateway}",
        f"--web.config.file={files['config']}",
    ]
    server = bench.python("client_library.py", COUNT, library, files["certificate"], files["key"])
    toml = AGENT.format(plain=plain, port=ours, **files) + sections
    with bench.agent(toml) as agent, bench.running(server, push):
        until(lambda: bench.listening(library) and bench.listening(gateway), 60)
        until(lambda: agent.status()["series"] >= COUNT, 60)
        body = b"".join(line for line in agent.get("/metrics")[2].splitlines(True) if b"load_value" in line)
        _put(files["ca"], gateway, body)
        yield agent, plain, {ours: "agent", library: "prometheus_client", gateway: "pushgateway"}


def _put(ca, port, body):
    command = ["curl", "-sSf", "--cacert", ca, "--data-binary", "@-", "-X", "PUT"]
    subprocess.run([*command, f"https://localhost:{port}/metrics/job/load"], input=body, check=True)


def _asked(ca, names, rounds=20):
    command = bench.python("client.py", rounds, 5, 0, "identity", *names)
    environment = {**os.environ, **({"BENCH_CA": ca} if ca else {})}
    done = subprocess.run(command, capture_output=True, check=True, text=True, env=environment)
    return Asked({**names, 0: "agent"}, json.loads(done.stdout))


def _cpu(pid, act, times):
    """Return the milliseconds of CPU that an act costs a process each time."""
    before = bench.cpu_seconds(pid)
    act()
    return (bench.cpu_seconds(pid) - before) / times * 1e3


def _shake_hands(ca, port, times):
    context = ssl.create_default_context(cafile=ca)
    for number in range(times):
        source = (f"127.8.{number // 200}.{number % 200 + 1}", 0)
        connection = socket.create_connection(("127.0.0.1", port), source_address=source)
        with context.wrap_socket(connection, server_hostname="localhost"):
            pass


def _memory(files):
    """Measure an agent with TLS and a user who has logged in, beside one without."""
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(10)).decode()
    plain, port = free_port(), free_port()
    without = _used_by(
        IDLE + f'listen = ["127.0.0.1:{plain}"]\n', f"http://localhost:{plain}/metrics", files["ca"]
    )
    toml = IDLE + LOCKED.format(port=port, **{**files, "users": f'{{ u = "{hashed}" }}'})
    locked = _used_by(toml, f"https://localhost:{port}/metrics", files["ca"])
    yield Row("memory: an agent without TLS and users", without, "MB")
    yield Row("memory: TLS and users in use, beyond that", locked - without, "MB", aim=4)


def _used_by(toml, url, ca):
    with bench.agent(toml) as agent:
        for _ in range(20):
            command = ["curl", "-sSf", "-o", "/dev/null", "--cacert", ca, "-u", f"u:{PASSWORD}", url]
            subprocess.run(command, check=True)
        bench.settled()
        return bench.proportional_memory([agent.process.pid])
