"""A real Galera cluster of three MariaDB nodes, each a child process with its own data, sockets and ports."""

import os
import shutil
import signal
import socket
import subprocess
from contextlib import suppress

import psutil
import pymysql
from harness import free_port, until

PROVIDER = "/usr/lib/galera/libgalera_smm.so"
TIMERS = (
    "evs.keepalive_period=PT0.5S;evs.inactive_check_period=PT0.5S;evs.suspect_timeout=PT2S;"
    "evs.inactive_timeout=PT5S;evs.install_timeout=PT5S"
)
USER = "rscollector"
PASSWORD = "geheim, пароль"
ENVIRONMENT = {**os.environ, "RSCOLLECTOR_TEST_SERVER": "1"}


class Node:
    """One server. `number` counts from 1; the name is n1, n2, n3."""

    def __init__(self, directory, number, provider=PROVIDER):
        self.name = f"n{number}"
        self.port, self.group, self.transfer, self.incremental = (free_port() for _ in range(4))
        self.directory = directory / self.name
        self.socket = directory / f"{self.name}.sock"
        self.provider = provider
        self.process = None

    def start(self, cluster, *arguments):
        """Start it as a member of the cluster whose group addresses these are, with options of the server."""
        options = {
            "user": "mysql",
            "datadir": self.directory,
            "socket": self.socket,
            "pid-file": self.socket.with_suffix(".pid"),
            "log-error": self.socket.with_suffix(".log"),
            "bind-address": "127.0.0.1",
            "port": self.port,
            "binlog-format": "ROW",
            "innodb-autoinc-lock-mode": 2,
            "innodb-flush-log-at-trx-commit": 0,
            "innodb-buffer-pool-size": "32M",
            "innodb-log-file-size": "16M",
        }
        if self.provider:
            options |= {
                "wsrep-on": "ON",
                "loose-plugin-wsrep-provider": "OFF",  # with it gmcast.isolate cannot be set (MariaDB 11.8)
                "wsrep-provider": self.provider,
                "wsrep-cluster-name": "t",
                "wsrep-cluster-address": f"gcomm://{cluster}",
                "wsrep-node-name": self.name,
                "wsrep-node-address": "127.0.0.1",
                "wsrep-sst-method": "rsync",
                "wsrep-sst-receive-address": f"127.0.0.1:{self.transfer}",
                "wsrep-provider-options": (
                    f"base_host=127.0.0.1;base_port={self.group};gcache.size=8M;pc.recovery=false;"
                    f"gmcast.listen_addr=tcp://127.0.0.1:{self.group};"
                    f"ist.recv_addr=127.0.0.1:{self.incremental};{TIMERS}"
                ),
            }
        command = ["mariadbd", "--no-defaults", *(f"--{name}={value}" for name, value in options.items())]
        self.process = subprocess.Popen(
            [*command, "--skip-name-resolve", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=ENVIRONMENT,
        )

    def connect(self):
        """Return a connection as root."""
        with socket.socket(socket.AF_UNIX) as probe:  # PyMySQL leaves its own unclosed where nobody listens
            probe.connect(str(self.socket))
        return pymysql.connect(unix_socket=str(self.socket), user="root", read_timeout=10, autocommit=True)

    def query(self, statement):
        """Run a statement as root, and return its rows."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()

    def status(self, *names):
        """Return status variables, "" for each while the server does not answer; one as it is."""
        try:
            listed = ", ".join(f"'{name}'" for name in names)
            found = dict(self.query(f"SHOW GLOBAL STATUS WHERE Variable_name IN ({listed})"))
        except (pymysql.err.Error, OSError):
            found = {}
        values = [found.get(name, "") for name in names]
        return values if len(names) > 1 else values[0]

    def synced(self):
        """Tell whether it is up to date."""
        return self.status("wsrep_local_state_comment") == "Synced"

    def whole(self):
        """Tell whether it is up to date and sees two others."""
        return self.status("wsrep_local_state_comment", "wsrep_cluster_size") == ["Synced", "3"]

    def wipe(self):
        """Give it the data of a new server, so that it needs a whole state transfer."""
        shutil.rmtree(self.directory, ignore_errors=True)
        subprocess.run(["cp", "-a", str(self.directory.parent / "template"), str(self.directory)], check=True)

    def kill(self, number=signal.SIGKILL):
        """Send a signal, and reap it if that ends it."""
        self.process.send_signal(number)
        if number in (signal.SIGKILL, signal.SIGTERM):
            self.process.wait(30)
            self.process = None


class Cluster:
    """Three nodes, or as many as are wanted. `heal` brings all of them back."""

    def __init__(self, directory, size=3):
        directory.chmod(0o755)
        template = directory / "template"
        subprocess.run(
            [
                "mariadb-install-db",
                "--no-defaults",
                "--user=mysql",
                f"--datadir={template}",
                "--auth-root-authentication-method=socket",
                "--skip-test-db",
            ],
            check=True,
            capture_output=True,
        )
        shutil.chown(directory, "mysql", "mysql")
        self.nodes = [Node(directory, number) for number in range(1, size + 1)]
        self.addresses = ",".join(f"127.0.0.1:{node.group}" for node in self.nodes)
        for node in self.nodes:
            node.wipe()
        first, *others = self.nodes
        self.bootstrap(first)
        self.grant(first)
        for node in others:
            node.start(self.addresses)
            until(node.synced, 60)

    def grant(self, node):
        """Make the user that the collector connects as, with the privileges that its page asks for."""
        node.query(f"CREATE USER {USER}@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'")
        node.query(f"GRANT SELECT ON mysql.wsrep_cluster_members TO {USER}@'127.0.0.1'")

    def bootstrap(self, node):
        """Begin a cluster with this node, as an operator does who knows that it has the newest data."""
        state = node.directory / "grastate.dat"
        if state.exists():
            state.write_text(state.read_text().replace("safe_to_bootstrap: 0", "safe_to_bootstrap: 1"))
        node.start(self.addresses, "--wsrep-new-cluster")
        until(node.synced, 30)

    def whole(self):
        """Tell whether all three are synced and see each other."""
        return all(node.whole() for node in self.nodes)

    def _any_stopped(self):
        return any(psutil.Process(node.process.pid).status() == psutil.STATUS_STOPPED for node in self.nodes)

    def heal(self):
        """Bring back whoever is stopped, isolated, gone, or a cluster of its own."""
        if all(node.process for node in self.nodes) and not self._any_stopped() and self.whole():
            return
        for node in self.nodes:
            if node.process:
                node.process.send_signal(signal.SIGCONT)
                with suppress(pymysql.err.Error, OSError):
                    node.query("SET GLOBAL wsrep_provider_options='gmcast.isolate=0'")
        primary = [
            node for node in self.nodes if node.process and node.status("wsrep_cluster_status") == "Primary"
        ]
        for node in primary[1:]:
            if node.status("wsrep_cluster_size") == "1":
                node.kill()
                node.wipe()
        for node in self.nodes:
            if node.process is None:
                node.start(self.addresses)
        until(self.whole, 60)

    def stop(self):
        """End all of it."""
        for node in self.nodes:
            if node.process:
                node.process.send_signal(signal.SIGCONT)
                node.kill(signal.SIGKILL)
