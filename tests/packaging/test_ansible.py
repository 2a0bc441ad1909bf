"""The Ansible roles, applied by a real Ansible to hosts with a real systemd, over a real ssh."""

import json
import os
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest
from harness import until
from hosts import ROOT, run, seconds

pytestmark = [
    pytest.mark.needs("mmdebstrap", "systemd-nspawn", "ansible-playbook", "ssh", "root"),
    pytest.mark.timeout(900),
    pytest.mark.slow,
    pytest.mark.parametrize("release", ["trixie"], indirect=True, scope="session"),
]
BOSUN = {"name": "main", "url": "http://127.0.0.1:1", "token": "hush-token"}
GALERA = [
    {"name": "main", "host": "127.0.0.1", "user": "x", "password": "hush-one"},
    {"name": "second", "host": "127.0.0.1", "port": 3307, "user": "x", "password": "hush-two"},
]


class Playing:
    """Applies roles to a host: `play(variables)` returns what Ansible printed, and how many tasks changed."""

    def __init__(self, directory, host, deb):
        self.host = host
        self.deb = deb
        self._directory = directory
        namespace = directory / "ansible_collections" / "rscollector"
        namespace.mkdir(parents=True)
        (namespace / "agent").symlink_to(ROOT / "ansible")
        key = directory / "key"
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
        host.put("/root/.ssh/authorized_keys", key.with_suffix(".pub").read_text())
        host.shell("mkdir -p /run/sshd && chmod 700 /root/.ssh && ssh-keygen -A")
        proxy = " ".join([*host.enter(), "/usr/sbin/sshd", "-i"])
        options = (
            f'-i {key} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ProxyCommand="{proxy}"'
        )
        (directory / "inventory").write_text(
            f"{uuid4().hex} ansible_user=root ansible_ssh_common_args='{options}'\n"
        )
        (directory / "ansible.cfg").write_text("[defaults]\ninterpreter_python = /usr/bin/python3\n")

    def play(self, *arguments, role="rscollector", playbook=None, check=True, **variables):
        """Apply a role, or a playbook, with variables."""
        if playbook is None:
            playbook = self._directory / "play.yml"
            plays = [{"hosts": "all", "roles": [f"rscollector.agent.{role}"]}]
            playbook.write_text(json.dumps(plays))
        given = self._directory / "variables.json"
        given.write_text(json.dumps({"rscollector_package_file": str(self.deb), **variables}))
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(self._directory / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(self._directory),
            "ANSIBLE_NOCOLOR": "1",
            "LC_ALL": "C.UTF-8",
        }
        command = [
            "ansible-playbook",
            "-i",
            self._directory / "inventory",
            "-e",
            f"@{given}",
            "--diff",
            playbook,
            *arguments,
        ]
        done = subprocess.run(
            list(map(str, command)), capture_output=True, text=True, timeout=300, env=environment, check=False
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        recap = [line for line in done.stdout.splitlines() if "changed=" in line]
        changed = int(recap[-1].partition("changed=")[2].split()[0]) if recap else None
        return done, changed


@pytest.fixture
def playing(boot, managed, tmp_path, deb):
    """Return a host that Ansible may configure."""
    host = boot(managed)
    return Playing(tmp_path, host, deb)


def test_the_second_run_changes_nothing(playing, capsys):
    """From a bare host to a watched one; then nothing is to be done, and check mode says so as well."""
    variables = {"rscollector_collector_galera": GALERA, "rscollector_sink_bosun": [BOSUN]}
    foretold, to_do = playing.play("--check", **variables)
    assert to_do > 0, foretold.stdout
    assert playing.host.run("which", "rscollector", check=False).stdout == ""
    done, changed = playing.play(**variables)
    assert changed > 0
    until(lambda: 'rscollector_collector_up{name="second",type="galera"} 0' in playing.host.fetch(), 30)
    assert "hush" not in done.stdout + done.stderr
    config = playing.host.shell("cat /etc/rscollector/rscollector.toml")
    assert "hush" not in config
    assert 'password = { file = "/etc/rscollector/secrets/collector.galera.second.password" }' in config
    found = playing.host.shell("stat -c '%a %U %G' /etc/rscollector/secrets/*").splitlines()
    assert set(found) == {"640 root rscollector"}
    assert len(found) == 3
    took = seconds(lambda: playing.play(**variables))
    again, changed = playing.play(**variables)
    assert changed == 0, again.stdout
    with capsys.disabled():
        print(f"\nthe role on an unchanged host: {took:.1f} s")
    _, to_do = playing.play("--check", **variables)
    assert to_do == 0


def test_what_is_no_longer_listed_goes_and_what_is_kept_runs_on(playing):
    """By a reload: the agent stays the same process; a new address needs a restart."""
    playing.play(rscollector_collector_galera=GALERA)
    until(lambda: 'name="second",type="galera"' in playing.host.fetch(), 30)
    pid = playing.host.show("MainPID")
    _, to_do = playing.play("--check", rscollector_collector_galera=GALERA[:1])
    assert to_do > 0
    assert "second" in playing.host.shell("ls /etc/rscollector/secrets")
    playing.play(rscollector_collector_galera=GALERA[:1])
    until(lambda: 'name="second",type="galera"' not in playing.host.fetch(), 30)
    assert playing.host.show("MainPID") == pid
    assert playing.host.shell("ls /etc/rscollector/secrets") == "collector.galera.main.password\n"
    playing.play(rscollector_collector_galera=GALERA[:1], rscollector_listen=["127.0.0.1:10071"])
    until(lambda: "rscollector_collector_up" in playing.host.fetch(port=10071), 30)


def test_a_wrong_variable_is_refused_before_anything_is_touched(playing):
    """By its name, also within an instance; a value that only the agent can judge replaces no working file."""
    for wrong, said in (
        ({"rscollector_collector_galera": [{"name": "main", "pasword": "x"}]}, "pasword"),
        ({"rscollector_collector_galera": [{"host": "h"}]}, "name"),
        ({"rscollector_sink_bosun": [{**BOSUN, "dialect": "latin"}]}, "latin"),
    ):
        done, _ = playing.play(check=False, **wrong)
        assert done.returncode != 0
        assert said in done.stdout
    assert playing.host.run("which", "rscollector", check=False).stdout == ""
    playing.play()
    before = playing.host.shell("cat /etc/rscollector/rscollector.toml")
    done, _ = playing.play(check=False, rscollector_agent={"interval": "soon"})
    assert done.returncode != 0
    assert "agent: interval" in done.stdout.replace("agent.interval", "agent: interval")
    assert playing.host.shell("cat /etc/rscollector/rscollector.toml") == before
    assert "rscollector_config_last_reload_successful 1" in playing.host.fetch()


def test_the_variables_of_the_old_role_are_understood(playing):
    """As the example has it; what has no place here is said."""
    old = {
        "server": {"ip": "127.0.0.1", "port": 1},
        "hostname": "db1",
        "hostgroup": "db",
        "common": {"tags": {"domain": "example"}},
        "galera": [{"user": "x", "password": "hush", "socket": "/run/mysqld/mysqld.sock"}],
        "hasipaddr": {"ipv4": ["192.0.2.10"]},
        "jvm": [{"command": "java", "name": "j"}],
    }
    playbook = Path(ROOT, "ansible", "examples", "from_rs_collector.yml")
    done, _ = playing.play(playbook=playbook, _rs_collector=old)
    assert "not carried over: jvm" in done.stdout
    until(lambda: 'vip_bound{address="192.0.2.10",name="main"} 0' in playing.host.fetch(), 30)
    config = playing.host.shell("cat /etc/rscollector/rscollector.toml")
    assert 'dialect = "rs-collector"' in config
    assert 'tags = { domain = "example", hostgroup = "db" }' in config
    assert "rscollector 0.1.0 on db1" in playing.host.run("rscollector", "status", check=False).stdout
