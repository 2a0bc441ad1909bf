"""From `dpkg -i` to an alert and back: the package, the roles, a real Prometheus, an address that is taken away."""

import json
import re
import urllib.parse

import pytest
from harness import until
from hosts import run, sources, with_file
from scraping import ROOT, dashboard_queries

pytestmark = [
    pytest.mark.needs("mmdebstrap", "systemd-nspawn", "ansible-playbook", "ssh", "root"),
    pytest.mark.timeout(900),
    pytest.mark.parametrize("release", ["bookworm"], indirect=True, scope="session"),
]
ADDRESS = "192.0.2.10"


def test_an_address_that_is_taken_away_wakes_somebody(bare):
    """Prometheus scrapes what the role has registered, with the rules that it has installed."""
    host = bare.host

    def ask(path, **parameters):
        url = f"http://127.0.0.1:9090{path}?{urllib.parse.urlencode(parameters)}"
        answer = host.run("curl", "-fs", url, check=False).stdout
        return json.loads(answer)["data"] if answer else None

    def value(query):
        found = (ask("/api/v1/query", query=query) or {"result": []})["result"]
        return float(found[0]["value"][1]) if found else None

    def firing():
        return {
            each["labels"]["alertname"]
            for each in ask("/api/v1/alerts")["alerts"]
            if each["state"] == "firing"
        }

    host.run("ip", "address", "add", f"{ADDRESS}/32", "dev", "lo")
    host.shell(
        "sed -i -E 's/^( +)(scrape_interval|scrape_timeout|evaluation_interval): .*/\\1\\2: 1s/' /etc/prometheus/prometheus.yml"
    )
    host.run("systemctl", "restart", "prometheus")
    vip = [{"name": "main", "addresses": [ADDRESS], "interval": "1s"}]
    host.shell("echo postfix postfix/main_mailer_type select Local only | debconf-set-selections")
    host.run("apt-get", "-qq", "-y", "install", "postfix")
    host.run("systemctl", "start", "postfix")
    variables = {
        "rscollector_collector_vip": vip,
        "rscollector_collector_postfix": [{"name": "main"}],
        "rscollector_prometheus_targets": ["127.0.0.1:10070"],
        "rscollector_prometheus_dashboards": "/srv",
    }
    site = ROOT / "ansible" / "examples" / "site.yml"
    bare.play(playbook=site, **variables)
    _, changed = bare.play(playbook=site, **variables)
    assert changed == 0
    until(lambda: value('up{job="rscollector"}') == 1, 60)
    until(lambda: value(f'vip_bound{{address="{ADDRESS}"}}') == 1, 30)
    groups = {group["name"] for group in ask("/api/v1/rules")["groups"]}
    assert groups == {f"rscollector-{name}" for name in with_file("alerts.yml")}
    until(lambda: value("postfix_queue_messages{queue='deferred'}") == 0, 60)
    assert (
        host.shell("cat /srv/rscollector-postfix.json")
        == (ROOT / "collectors/postfix/dashboard.json").read_text()
    )
    queued = [
        each
        for each in dashboard_queries("postfix", instance=".*", name=".*")
        if "postfix_queue_messages" in each
    ]
    assert queued
    assert [each for each in queued if not ask("/api/v1/query", query=each)["result"]] == []
    assert "VipOnNoHost" not in firing()
    host.run("ip", "address", "delete", f"{ADDRESS}/32", "dev", "lo")
    until(lambda: "VipOnNoHost" in firing(), 180)
    host.run("ip", "address", "add", f"{ADDRESS}/32", "dev", "lo")
    until(lambda: "VipOnNoHost" not in firing(), 60)


def test_the_package_passes_the_tests_that_it_brings(bare, tmp_path):
    """As Debian's infrastructure would run them, by autopkgtest. The host is thrown away: it is a container to it."""
    host = bare.host
    archive = tmp_path / "sources.tar"
    run("tar", "-C", sources(tmp_path / "sources"), "-cf", archive, ".")
    host.copy(archive, "/root/sources.tar")
    host.shell("mkdir /srv/rscollector && tar -C /srv/rscollector -xf /root/sources.tar")
    host.copy(bare.deb, f"/srv/{bare.deb.name}")
    package = ("--no-built-binaries", f"/srv/{bare.deb.name}", "/srv/rscollector/")
    options = ("--ignore-restrictions=isolation-container", *package, "--", "null")
    done = host.run("autopkgtest", *options, timeout=300, check=False)
    results = re.findall(r"^(\S+) +(PASS|FAIL|SKIP|FLAKY)", done.stdout + done.stderr, re.MULTILINE)
    assert set(results) == {("installed", "PASS"), ("upstream-model", "PASS")}, done.stdout + done.stderr
    assert done.returncode == 0
