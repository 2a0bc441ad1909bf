"""Ansible, with our collection, over a real ssh that needs no network: a server of its own for each connection."""

import json
import os
import subprocess
from uuid import uuid4

from hosts import ROOT, run


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
        self.name = uuid4().hex
        self.ssh_config = directory / "ssh_config"
        self.ssh_config.write_text(
            f"Host {self.name}\nUser root\nIdentityFile {key}\nStrictHostKeyChecking no\nLogLevel ERROR\n"
            f"UserKnownHostsFile /dev/null\nProxyCommand {' '.join(host.enter())} /usr/sbin/sshd -i\n"
        )
        (directory / "inventory").write_text(
            f"[prometheus]\n{self.name} ansible_user=root ansible_ssh_common_args='-F {self.ssh_config}'\n"
        )
        (directory / "ansible.cfg").write_text(
            # What a host is, Ansible asks it once, and not with each play.
            "[defaults]\ninterpreter_python = /usr/bin/python3\ngathering = smart\n"
            f"fact_caching = jsonfile\nfact_caching_connection = {directory / 'facts'}\n"
            "[ssh_connection]\npipelining = true\n"
        )

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
