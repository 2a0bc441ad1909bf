"""From a host with rs-collector to one with rscollector, by the commands on the page."""

import json
import re
from pathlib import Path

import pytest
from harness import until
from hosts import ROOT, watched

pytestmark = [
    pytest.mark.needs("mmdebstrap", "systemd-nspawn", "root"),
    pytest.mark.timeout(900),
    pytest.mark.parametrize("release", ["bookworm"], indirect=True, scope="session"),
]
OLD = """
Host = "http://me:hush@127.0.0.1:8070"
Hostname = "db1"
[Tags]
hostgroup = "db"
[HasIpAddr]
Ipv4 = ["192.0.2.10"]
[[Jvm]]
Command = "java"
"""
RECEIVER = """
import gzip, json
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        data = self.rfile.read(int(self.headers["Content-Length"]))
        is_right = self.headers["Authorization"] == "Basic bWU6aHVzaA=="
        with open("/root/" + self.path.replace("/", "-"), "a") as kept:
            for each in json.loads(gzip.decompress(data) if data[:1] == b"\\x1f" else data) if is_right else ():
                print(json.dumps(each), file=kept)
        self.send_response(204 if is_right else 401)
        self.end_headers()

HTTPServer(("127.0.0.1", 8070), Handler).serve_forever()
"""
OLD_FILES = Path(__file__).parent / "migrations"
UP, UNSENT = "", "nobody answers: "
ALWAYS = {"agent/main": UP, "vip/main": UP}
NO_LISTENER = "nobody listens there; the server is down or starting, or it is elsewhere"
NO_SOCKET = "no such socket; the server is down or starting, or it is elsewhere"
NO_POSTFIX = "/var/spool/postfix: no such directory: is Postfix installed, or is its queue elsewhere?"
MIGRATIONS = {
    "galera-by-socket.conf": (
        0,
        {"bosun/main": UNSENT, "galera/main": f"/run/mysqld/mysqld.sock: {NO_SOCKET}"},
        {"galera-main": """it's "our" \\secret\\ #1"""},
    ),
    "galera-over-tls.conf": (
        1,
        {"bosun/main": UNSENT, "galera/main": f"127.0.0.1:3307: {NO_LISTENER}"},
        {"bosun-main": "s@les/1", "galera-main": "geheim"},
    ),
    "load-balancer.conf": (1, {}, {}),
    "mail-relay.conf": (0, {"bosun/main": UNSENT, "postfix/main": NO_POSTFIX}, {}),
    "names-with-dots.conf": (
        1,
        {
            "bosun/main": f"http://[2001:db8::8070]:8070/api/put: {UNSENT}",
            "galera/main": f"127.0.0.1:3306: {NO_LISTENER}",
            "mongodb/db1.shop.example": f"127.0.0.1:27020: {NO_LISTENER}",
        },
        {"galera-main": "secret", "mongodb-db1.shop.example": "p"},
    ),
    "scollector-of-one-line.toml": (1, {"bosun/main": f"http://bosun.example:80/api/put: {UNSENT}"}, {}),
    "scollector.toml": (
        1,
        {"bosun/main": f"https://bosun.example/api/put: {UNSENT}"},
        {"bosun-main": "p/w", "bosun-main-token": 'hush-"token"\\'},
    ),
    "successor-with-two-receivers.toml": (
        1,
        {
            "bosun/main": f"http://bosun1.example:8070/api/put: {UNSENT}",
            "bosun/main-2": f"http://bosun2.example:8070/api/put: {UNSENT}",
            "mongodb/main": f"127.0.0.1:27017: {NO_LISTENER}",
        },
        {"bosun-main-2": "hush", "mongodb-main": "p@ss"},
    ),
    "successor.toml": (
        0,
        {
            "bosun/main": UNSENT,
            "galera/main": f"localhost:3307: {NO_LISTENER}",
            "galera/main-2": f"/run/second.sock: {NO_SOCKET}",
            "mongodb/main": f"127.0.0.1:27018: {NO_LISTENER}",
            "postfix/main": NO_POSTFIX,
        },
        {"bosun-main": 'pass\\word"', "galera-main": "b'\"c", "mongodb-main": "s/cret"},
    ),
    "three-mongodbs.conf": (
        1,
        {
            "bosun/main": UNSENT,
            "mongodb/rs0": f"localhost:27017: {NO_LISTENER}",
            "mongodb/the-config-servers": f"localhost:27019: {NO_LISTENER}",
            "mongodb/main": f"localhost:27018: {NO_LISTENER}",
        },
        {
            "bosun-main": "pa:ss",
            "mongodb-rs0": 'C:\\new\\"table"',
            "mongodb-the-config-servers": "ein Passwort mit ü",
        },
    ),
}
"""Of each old file: how migrate ends, what status says of the instances that it named, and the secrets in it."""
UNIT = "[Service]\nExecStart=sleep infinity\n[Install]\nWantedBy=multi-user.target\n"


def test_the_steps_on_the_page_lead_to_the_old_names_in_bosun(boot, installed):
    """Each command is run as it stands there; the service can read what was written, and the old agent is off."""
    host = boot(installed)
    watched(host)
    host.put("/etc/rs-collector.conf", OLD)
    host.put("/root/receiver.py", RECEIVER)
    host.put("/etc/systemd/system/rs-collector.service", UNIT)
    host.run("systemctl", "enable", "--now", "rs-collector")
    host.run("systemd-run", "--unit=receiver", "python3", "/root/receiver.py")
    page = (ROOT / "docs" / "coming-from.md").read_text()
    look, go = re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    before = host.shell("find /etc/rscollector -type f | sort | xargs sha256sum")
    shown = host.run("sh", "-c", look, check=False)
    assert "+addresses = [" in shown.stdout
    assert "not carried over: Jvm: " in shown.stderr
    assert host.shell("find /etc/rscollector -type f | sort | xargs sha256sum") == before
    *steps, status = go.splitlines()
    host.shell(f"set -e\n{chr(10).join(steps)}")
    assert status == "rscollector status"
    until(lambda: host.run("rscollector", "status", check=False).returncode == 0, 60)
    found = host.shell("stat -c '%a %U %G' /etc/rscollector/conf.d/migrated.toml /etc/rscollector/secrets/*")
    assert set(found.splitlines()) == {"640 root rscollector"}
    assert host.run("systemctl", "is-active", "rs-collector", check=False).stdout == "inactive\n"
    points = lambda: [json.loads(line) for line in host.shell("cat /root/-api-put || true").splitlines()]  # noqa: E731
    until(lambda: "os.net.has_ipv4s" in {point["metric"] for point in points()}, 60)
    tags = [point["tags"] for point in points() if point["metric"] == "os.net.has_ipv4s"]
    assert tags[0] == {"host": "db1", "hostgroup": "db", "ipv4": "192.0.2.10", "name": "main"}
    until(lambda: '"uname"' in host.shell("cat /root/-api-metadata-put || true"), 60)
    again = host.run(
        "rscollector", "migrate", "/etc/rs-collector.conf", "--write", "/etc/rscollector", check=False
    )
    assert "nothing is to be done" in again.stdout


def test_ten_old_files_are_ten_services_that_run(boot, installed):
    """Each is migrated on a fresh configuration, and accepted; the service runs, reads its secrets, and says why not."""
    assert MIGRATIONS.keys() == {file.name for file in OLD_FILES.iterdir()}
    host = boot(installed)
    watched(host)
    host.put("/etc/hosts", "127.0.0.1 localhost\n")
    host.shell("cp --archive /etc/rscollector /root/fresh")
    for name, (code, wanted, secrets) in MIGRATIONS.items():
        _migrate(host, name, code)
        host.run("systemctl", "restart", "rscollector")
        _until_told(host, ALWAYS | wanted)
        assert host.show("ActiveState") == "active", name
        assert host.show("NRestarts") == "0", name
        _check_files(host, secrets)


def _migrate(host, name, code):
    """Have a configuration that is as after the installation, and what an old file makes of it; check takes it."""
    host.shell("rm -r /etc/rscollector && cp --archive /root/fresh /etc/rscollector")
    host.put(f"/etc/{name}", (OLD_FILES / name).read_text())
    done = host.run("rscollector", "migrate", f"/etc/{name}", "--write", "/etc/rscollector", check=False)
    assert (name, done.returncode) == (name, code), done.stderr
    assert done.stderr.count("not carried over: ") == len(done.stderr.splitlines())
    checked = host.run("rscollector", "check")
    assert checked.stdout.startswith("OK "), checked.stdout


def _told(host):
    """Return what is said of each instance, "" of one that is up."""
    answer = host.run("rscollector", "status", "--json", check=False).stdout
    found = json.loads(answer)["collectors"] if answer else []
    return {f"{each['type']}/{each['name']}": UP if each["up"] else each["reason"] for each in found}


def _until_told(host, wanted):
    """Wait until this is said of these instances, and there are no others."""
    told = {}

    def is_told():
        told.clear()
        told.update(_told(host))
        return told.keys() == wanted.keys() and all(
            part in told[key] if part else not told[key] for key, part in wanted.items()
        )

    try:
        until(is_told)
    except AssertionError:
        assert told == wanted


def _check_files(host, secrets):
    """All is root's and the service's to read, and of nobody else; its user reads the secrets as they were meant."""
    found = host.shell("find /etc/rscollector -printf '%y %m %u %g\\n' | sort -u").splitlines()
    assert found == ["d 750 root rscollector", "f 640 root rscollector"]
    listed = host.shell("ls /etc/rscollector/secrets 2>/dev/null || true").split()
    assert listed == sorted(secrets)
    for file, text in secrets.items():
        read = host.run("runuser", "-u", "rscollector", "--", "cat", f"/etc/rscollector/secrets/{file}")
        assert read.stdout == f"{text}\n"
