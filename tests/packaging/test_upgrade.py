"""From 0.1.0 to this package, on hosts that 0.1.0 has left something on.

`recordings/0.1.0` is what is needed of it, since a checkout may have no history: of the package that was built
from commit e95861b all but its modules and pages, as it was on Debian 13; a spool that its code has written; and
the state of a Postfix that its agent has watched. What there is no recording of, its agent, is played by a script.
"""

import json
import re
import shutil
from pathlib import Path

import pytest
from harness import until
from hosts import left, run, watched

pytestmark = [
    pytest.mark.needs("mmdebstrap", "systemd-nspawn", "root"),
    pytest.mark.timeout(900),
]
OLD = Path(__file__).parent / "recordings" / "0.1.0"
RECEIVER = Path(__file__).parents[1] / "sinks" / "receiver.py"
STATE = "/var/lib/rscollector"
CONFIG = "/etc/rscollector/rscollector.toml"
MORE = "/etc/rscollector/conf.d/more.toml"
SECRET = "/etc/rscollector/bosun.password"
# What an operator of 0.1.0 has written.
WATCH = f"""\
[agent]
interval = "1s"

[collector.postfix.main]

[sink.bosun.main]
url = "http://127.0.0.1:8070"
user = "agent"
password = {{ file = "{SECRET}" }}
spool_free = 0
"""
# What 0.1.0 took: a port without a host.
WRONG = "[collector.galera.main]\nport = 3307\n"
WRONG_FILE = "/etc/rscollector/conf.d/wrong.toml"
MISTAKE = f"{WRONG_FILE}:1: collector.galera.main: port: it belongs to a host, which is missing"
ASKED_BEFORE = """\
dpkg-deb --extract /root/rscollector.deb /opt/rscollector-new
PYTHONPATH=/opt/rscollector-new/usr/share/rscollector python3 -m rscollector.cli.main check
"""
AGENT = """\
#!/usr/bin/python3
import os, signal, socket
told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
told.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
signal.pause()
"""
# Lets in who knows the password, and writes down after each request how often each point has come.
SERVE = """
import base64, json, os, threading
from receiver import Receiver
class Writing(Receiver):
    def take(self, handler):
        super().take(handler)
        with open("/root/points.new", "w") as file:
            json.dump([[*key, count] for key, count in list(self.points.items())], file)
        os.replace("/root/points.new", "/root/points")
receiver = Writing(8070)
receiver.demands = {"Authorization": "Basic " + base64.b64encode(b"agent:hush").decode()}
threading.Event().wait()
"""


def test_what_dpkg_asks_about_never_changes():
    """An operator who has changed the file would be asked at the upgrade, and one who is not there would not finish it."""
    assert (OLD / "package" / CONFIG[1:]).read_bytes() == (
        Path(__file__).parents[2] / "debian" / "rscollector.toml"
    ).read_bytes()


@pytest.fixture
def old(tmp_path):
    """Return the package 0.1.0, with a script in the place of its agent."""
    tree = tmp_path / "old"
    shutil.copytree(OLD / "package", tree)
    control = tree / "DEBIAN" / "control"
    control.write_text(control.read_text().replace(" python3-hypercorn,", ""))  # which nobody needs any more
    agent = tree / "usr" / "bin" / "rscollector"
    agent.parent.mkdir()
    agent.write_text(AGENT)
    (tree / "etc" / "rscollector" / "conf.d").mkdir()
    for path, mode in (
        (agent, 0o755),
        (tree / CONFIG[1:], 0o640),
        *((each, 0o750) for each in (tree / "etc").rglob("*/")),
    ):
        path.chmod(mode)
    run("dpkg-deb", "--build", "--root-owner-group", tree, tmp_path / "old.deb")
    return tmp_path / "old.deb"


@pytest.fixture
def upgradable(boot, installed, old):
    """Return a host with a Postfix and 0.1.0, its state and its configuration; and what was there before."""
    host = boot(installed)
    host.run("dpkg", "--purge", "rscollector")
    host.shell("echo postfix postfix/main_mailer_type select Local only | debconf-set-selections")
    host.run("apt-get", "-qq", "-y", "install", "postfix")
    host.run("systemctl", "start", "postfix")
    before = left(host)
    host.copy(old, "/root/old.deb")
    host.run("dpkg", "--install", "/root/old.deb")
    for file in filter(Path.is_file, (OLD / "state").rglob("*")):
        host.put(f"{STATE}/{file.relative_to(OLD / 'state')}", file.read_text())
    kept = json.loads((OLD / "state" / "postfix" / "main.json").read_text())
    kept["place"] = until(lambda: last_of_postfix(host), 30)
    host.put(f"{STATE}/postfix/main.json", json.dumps(kept))
    host.shell(f"chown -R rscollector: {STATE}; chmod -R u=rwX,g=rX,o= {STATE}")
    host.shell(f"echo '# mine' >> {CONFIG}; chmod 600 {CONFIG}; chown rscollector {CONFIG}")
    host.put(MORE, WATCH)
    host.put(SECRET, "hush\n")
    host.shell(f"chgrp rscollector {MORE} {SECRET}; chmod 640 {MORE} {SECRET}")
    return host, before


def last_of_postfix(host):
    """Return the place in the journal of what Postfix has logged last, "" if there is nothing."""
    return (
        host.shell("journalctl SYSLOG_FACILITY=2 -n 1 -o cat --show-cursor")
        .partition("-- cursor: ")[2]
        .strip()
    )


def waiting():
    """Return the points of the recorded spool as the receiver tells them, and the runs that they are of."""
    found = set()
    for file in (OLD / "state" / "bosun" / "main").glob("*.batch"):
        for line in file.read_text().splitlines()[1:]:
            point = json.loads(line)
            tags = tuple(sorted(point["tags"].items()))
            found.add((point["metric"], tags, point["timestamp"], point["value"]))
    runs = [value for metric, _, _, value in found if metric == "rscollector.collector.runs.total"]
    return found, sorted(runs)


def arrived(host):
    """Return how often each point has come to the receiver."""
    points = json.loads(host.shell("cat /root/points || echo []"))
    return {(metric, tuple(map(tuple, tags)), *rest): count for metric, tags, *rest, count in points}


def status(host):
    """Return what the agent says of itself."""
    return host.run("rscollector", "status", check=False).stdout


def test_an_upgrade_from_0_1_0_loses_nothing_and_asks_nothing(upgradable):
    """What waits arrives once, counts go on, what was changed stays and secrets are read; a purge leaves nothing."""
    host, before = upgradable
    host.put(WRONG_FILE, WRONG)
    asked = host.run("sh", "-c", ASKED_BEFORE, check=False)
    assert (asked.returncode, asked.stderr) == (2, f"rscollector: {MISTAKE}\n")
    host.run("rm", WRONG_FILE)
    assert host.shell(ASKED_BEFORE).startswith("OK ")
    host.run("rm", "-r", "/opt/rscollector-new")
    pid = host.show("MainPID")
    told = host.run("sh", "-c", "apt-get -qq -y install /root/rscollector.deb </dev/null")
    assert "does not start" not in told.stderr
    watched(host)
    assert host.show("MainPID") != pid
    assert (host.show("ActiveState"), host.show("Result"), host.show("NRestarts")) == (
        "active",
        "success",
        "0",
    )
    assert host.shell(f"tail -1 {CONFIG}; stat -c '%a %U' {CONFIG}") == "# mine\n600 rscollector\n"
    assert host.shell("ls /etc/rscollector").split() == ["bosun.password", "conf.d", "rscollector.toml"]
    assert {"postdrop", "systemd-journal"} <= set(host.shell("id -nG rscollector").split())
    assert "# [collector.galera.main]" in host.shell(f"cat {CONFIG}")
    host.shell("test -e /usr/share/doc/rscollector/configuration.md")  # where that file says

    until(lambda: "nobody answers: Connection refused" in status(host), 30)
    assert re.search(r"bosun/main .*[0-9]+ points wait; lost so far: none", status(host))
    points, runs = waiting()
    assert (len(points), runs) == (18, list(range(1, 10)))
    listed = host.shell("rscollector spool list")
    assert all(f"-00000{number}" in listed for number in (1, 6, 7, 8, 9))
    host.shell("echo hello | sendmail -f root root")
    mails = 'postfix_deliveries_total{class="2",name="main",status="sent",transport="local"} '
    until(lambda: f"{mails}3" in host.fetch(), 60)
    assert 'postfix_log_gaps_total{name="main"} 0' in host.fetch()

    host.copy(RECEIVER, "/root/receiver.py")
    host.put("/root/serve.py", SERVE)
    host.run("systemd-run", "--unit=receiver", "--working-directory=/root", "python3", "serve.py")
    until(lambda: points <= arrived(host).keys(), 90)
    assert {arrived(host)[point] for point in points} == {1}
    until(lambda: "bosun/main" in status(host) and "points wait" not in status(host), 30)
    assert 'sink_dropped_points_total{name="main",reason="damaged",type="bosun"} 0' in host.fetch()
    assert "Traceback" not in host.log()

    host.put(WRONG_FILE, WRONG)
    told = host.run("dpkg", "--install", "/root/rscollector.deb").stderr
    correct = "rscollector does not start with this; correct it, then: systemctl start rscollector"
    assert told.endswith(f"rscollector: {MISTAKE}\n{correct}\n")
    assert host.show("ActiveState") == "failed"
    host.run("rm", WRONG_FILE)
    host.run("systemctl", "start", "rscollector")
    watched(host)

    host.run("dpkg", "--purge", "rscollector")
    host.run("systemctl", "stop", "receiver")
    new = left(host) - before
    assert {each for each in new if not each.startswith(("/var/spool/postfix/", "/var/mail/"))} == set()
    assert host.run("getent", "passwd", "rscollector", check=False).stdout == ""
