"""From a host with rs-collector to one with rscollector, by the commands on the page."""

import json
import re

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
