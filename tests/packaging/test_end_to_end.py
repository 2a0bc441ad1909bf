"""From `dpkg -i` to an alert and back: the package, the roles, a real Prometheus, an address that is taken away."""

import re

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

    def firing():
        return {
            each["labels"]["alertname"]
            for each in host.ask_prometheus("/api/v1/alerts")["alerts"]
            if each["state"] == "firing"
        }

    host.run("ip", "address", "add", f"{ADDRESS}/32", "dev", "lo")
    host.hurry_prometheus()
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
    until(lambda: host.value('up{job="rscollector"}') == 1, 60)
    until(lambda: host.value(f'vip_bound{{address="{ADDRESS}"}}') == 1, 30)
    groups = {group["name"] for group in host.ask_prometheus("/api/v1/rules")["groups"]}
    assert groups == {f"rscollector-{name}" for name in with_file("alerts.yml")}
    until(lambda: host.value("postfix_queue_messages{queue='deferred'}") == 0, 60)
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
    assert [each for each in queued if not host.ask_prometheus("/api/v1/query", query=each)["result"]] == []
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
