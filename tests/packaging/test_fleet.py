"""A fleet behind TLS, made as the page on hosts says, with the distribution's own libraries and Prometheus."""

import re

import bcrypt
import pytest
from harness import until
from hosts import ROOT, run

pytestmark = [
    pytest.mark.needs("mmdebstrap", "systemd-nspawn", "ansible-playbook", "ssh", "openssl", "root"),
    pytest.mark.timeout(900),
]
PAGE = (ROOT / "docs" / "deployment.md").read_text()
SECTION = PAGE.partition("## A fleet behind TLS")[2].partition("\n## ")[0]
PASSWORD = "hush: hush"


def block(language, beginning=""):
    """Return the text of a block of the page's section that begins so."""
    found = re.search(rf"^```{language}\n({re.escape(beginning)}.*?)^```", SECTION, re.MULTILINE | re.DOTALL)
    return found[1]


class Authority:
    """The CA of the page's first lines, and their certificate for one host, in the directory `files` of a playbook."""

    def __init__(self, directory, host):
        self.directory = directory
        directory.mkdir()
        lines = [line for line in block("sh").splitlines() if not line.startswith("htpasswd")]
        made, self._issued = "\n".join(lines).replace("db1 db2", host).split("for host", 1)
        run("bash", "-euc", made, cwd=directory)
        self.issue()

    def issue(self, days=398):
        """Issue a certificate, with a new key."""
        script = f"for host{self._issued}".replace("-days 398", f"-days {days}")
        run("bash", "-euc", script, cwd=self.directory)


def status_code(bare, *options, port=10070, scheme="https"):
    """Return with what the agent answers who asks for its metrics, 0 for nothing."""
    url = f"{scheme}://{bare.name}:{port}/metrics"
    code = ("-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", "/root/ca.crt")
    return int(bare.host.run("curl", *code, *options, url, check=False).stdout)


def test_a_fleet_behind_tls_is_scraped(bare, tmp_path):
    """By the page's own playbook, on a host without bcrypt; nobody else comes in, and a second run changes nothing.

    A certificate that is renewed, and another address, are taken by a reload; an address that cannot be had fails the
    run, and the agent goes on where it was.
    """
    host, authority, playbook = bare.host, Authority(tmp_path / "files", bare.name), tmp_path / "fleet.yml"
    host.shell(f"echo 127.0.0.2 {bare.name} >>/etc/hosts")
    host.copy(authority.directory / "ca.crt", "/root/ca.crt")
    host.hurry_prometheus()
    host.run("apt-get", "-qq", "-y", "install", "--no-install-recommends", "/root/rscollector.deb")
    assert host.run("dpkg", "--status", "python3-bcrypt", check=False).returncode != 0
    plays = block("yaml", "- hosts: db").replace("hosts: db", "hosts: all")
    playbook.write_text(plays)
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(10)).decode()

    def play(more="", check=True):
        given = {"vault_rscollector_hash": hashed, "vault_rscollector_password": PASSWORD}
        if more:
            given["rscollector_listen"] = ["0.0.0.0:10070", more]
        return bare.play(playbook=playbook, check=check, **given)

    done, _ = play()
    assert "hush" not in done.stdout + done.stderr
    until(lambda: host.value('up{job="rscollector"}') == 1)
    until(lambda: host.value('rscollector_collector_up{type="agent"}') == 1)
    again, changed = play()
    assert changed == 0, again.stdout
    user = ("--user", f"prometheus:{PASSWORD}")
    assert [status_code(bare, *user), status_code(bare), status_code(bare, scheme="http")] == [200, 401, 400]
    assert host.run("rscollector", "check").stderr == ""

    pid = host.show("MainPID")
    expires = 'rscollector_web_certificate_not_after_timestamp_seconds{listener="0.0.0.0:10070"}'
    before = until(lambda: host.value(expires))
    authority.issue(days=800)
    playbook.write_text(plays.partition("- hosts: prometheus")[0])
    play("127.0.0.2:10071")
    until(lambda: host.value(expires) > before)
    assert [status_code(bare, *user, port=port) for port in (10070, 10071)] == [200, 200]
    done, _ = play("192.0.2.1:10071", check=False)
    assert done.returncode != 0
    assert "cannot listen on 192.0.2.1:10071: no interface of this host has this address" in done.stdout
    assert [status_code(bare, *user, port=port) for port in (10070, 10071)] == [200, 200]
    assert host.show("MainPID") == pid
    assert host.value('min_over_time(up{job="rscollector"}[1h])') == 1
