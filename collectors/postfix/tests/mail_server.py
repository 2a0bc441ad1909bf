"""A real Postfix with its own configuration and queue, its master a child process."""

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
from contextlib import suppress
from pathlib import Path

from harness import free_port, until

MAIN = """
compatibility_level = 3.6
queue_directory = {queue}
data_directory = {root}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = mx.test.invalid
mydestination =
alias_maps =
local_recipient_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
relay_domains = test.invalid
transport_maps = inline:{{ {transports} }}
relay_transport = smtp:[127.0.0.1]:1
default_transport = smtp:[127.0.0.1]:1
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
maillog_file = {root}/maillog
maillog_file_prefixes = {root}
smtpd_recipient_restrictions = check_recipient_access inline:{{ hold.test.invalid=HOLD, refused.test.invalid=REJECT }}, permit_mynetworks, reject
in_flow_delay = 0
smtp_connect_timeout = 1s
smtp_helo_timeout = 600s
default_process_limit = 20
{more}
"""
ENVIRONMENT = {**os.environ, "RSCOLLECTOR_TEST_SERVER": "1"}
QUEUES = (
    "maildrop",
    "incoming",
    "active",
    "deferred",
    "defer",
    "hold",
    "corrupt",
    "bounce",
    "trace",
    "flush",
    "saved",
)
DIST = Path("/usr/share/postfix/master.cf.dist")


def _black_hole():
    """Return a listening socket whose backlog is full, so that the kernel drops whoever knocks."""
    dark = socket.create_server(("127.0.0.1", 0), backlog=0)
    filling = []
    for _ in range(4):
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex(dark.getsockname())
        filling.append(client)
    return dark, filling


def _listens(port):
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


class MailServer:
    """One instance; `begin` starts it as if nothing had ever come, `end` ends it at once.

    `queue` is where its queues are: Postfix waits for the disk for each message, and rotates no log in /dev/shm.
    `like` is another one whose directories are taken as an example: to have Postfix make them takes its time.
    """

    def __init__(self, root, queue, like=None):
        self.root = root
        self.queue = queue
        self.config = root / "conf"
        self.process = None
        for directory in (self.config, self.queue, root / "data"):
            directory.mkdir(parents=True)
        root.chmod(0o755)
        shutil.chown(root / "data", "postfix")
        self._silent = socket.create_server(
            ("127.0.0.1", 0), backlog=500
        )  # the kernel accepts, nobody speaks
        self._dark, self._filling = _black_hole()
        self._processes = []
        self._configure("")
        if like:
            self._make_directories(like)
        else:
            command = ["postfix", "-c", self.config, "check"]
            subprocess.run(command, check=True, capture_output=True, timeout=60)

    def _make_directories(self, like):
        for path in sorted(like.queue.rglob("*")):
            if path.is_dir():
                own, status = self.queue / path.relative_to(like.queue), path.stat()
                own.mkdir(exist_ok=True)
                own.chmod(stat.S_IMODE(status.st_mode))
                os.chown(own, status.st_uid, status.st_gid)

    def _configure(self, more, services=""):
        self.port, *sinks = (free_port() for _ in range(4))
        self._sinks = dict(zip(("ok", "crawl", "hard"), sinks, strict=True))
        destinations = {
            "slow": self._silent.getsockname()[1],
            "dark": self._dark.getsockname()[1],
            **self._sinks,
        }
        transports = ", ".join(
            f"{name}.test.invalid=smtp:[127.0.0.1]:{port}" for name, port in destinations.items()
        )
        frame = MAIN
        if "transport_maps" in more:  # Postfix complains of what is said twice
            frame = re.sub("^transport_maps.*\n", "", MAIN, flags=re.MULTILINE)
        main = frame.format(root=self.root, queue=self.queue, transports=transports, more=more)
        (self.config / "main.cf").write_text(main)
        (self.config / "master.cf").write_text(self._services() + services)

    def _services(self):
        lines = [self._service(line) for line in DIST.read_text().splitlines()]
        if not any(line.startswith("postlog") for line in lines):
            lines.append("postlog unix-dgram n - n - 1 postlogd")
        return "\n".join(lines) + "\n"

    def _service(self, line):
        fields = line.split()
        if len(fields) < 8 or line.startswith(("#", " ")):
            return line
        if fields[:2] == ["smtp", "inet"]:
            fields[0] = f"127.0.0.1:{self.port}"
        fields[4] = "n"  # no chroot
        return " ".join(fields)

    def begin(self, more="", services=""):
        """Start it with empty queues and without a log; `more` are lines for its main.cf, `services` its master.cf."""
        self._configure(more, services)
        for name in QUEUES:
            for path in [*(self.queue / name).rglob("*")]:
                if not path.is_dir():
                    path.unlink()
        for path in self.root.glob("maillog*"):
            path.unlink()
        self.start()

    def start(self):
        """Start it and wait until it takes mail."""
        self.process = subprocess.Popen(
            ["/usr/lib/postfix/sbin/master", "-c", str(self.config), "-d"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=ENVIRONMENT,
            start_new_session=True,
        )
        until(self._answers, 30)

    def _answers(self):
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            return connection.recv(3) == b"220"

    def send(self, count, domain, *arguments):
        """Have so many messages sent to somebody of a domain."""
        subprocess.run(self._source(count, domain, *arguments), check=True, timeout=120, capture_output=True)

    def try_to_send(self, domain):
        """Send a message that is refused."""
        done = subprocess.run(self._source(1, domain), check=False, timeout=120, capture_output=True)
        assert done.returncode != 0

    def _source(self, count, domain, *arguments):
        command = [
            "smtp-source",
            "-s",
            "10",
            "-m",
            str(count),
            "-l",
            "500",
            "-f",
            "a@test.invalid",
            *arguments,
        ]
        return [*command, "-t", f"u@{domain}.test.invalid", f"127.0.0.1:{self.port}"]

    def sink(self, name, *arguments):
        """Have somebody take the mail of a destination: ok, crawl or hard."""
        command = ["smtp-sink", "-u", "postfix", *arguments, f"127.0.0.1:{self._sinks[name]}", "100"]
        self._processes.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
        until(lambda: _listens(self._sinks[name]))

    def drop(self, count):
        """Submit so many messages with sendmail."""
        submit = (
            f"printf 'Subject: x\\n\\ny\\n' | sendmail -C {self.config} -f a@test.invalid u@down.test.invalid"
        )
        loop = f"i=0; while [ $i -lt {count} ]; do {submit} || exit 1; i=$((i + 1)); done"
        subprocess.run(["sh", "-c", loop], check=True, timeout=120)

    def postsuper(self, *arguments):
        """Change the queue: -h ALL, -H ALL, -d ALL."""
        command = ["postsuper", "-c", self.config, *arguments]
        subprocess.run(command, check=True, capture_output=True, timeout=120)

    def files(self, queue):
        """Return how many messages are in a queue."""
        return sum(len(files) for _, _, files in os.walk(self.queue / queue))

    def listed(self):
        """Return what `postqueue -j` lists, by queue."""
        command = ["postqueue", "-c", self.config, "-j"]
        done = subprocess.run(command, check=True, capture_output=True, timeout=120)
        found = {}
        for line in done.stdout.splitlines():
            message = json.loads(line)
            found.setdefault(message["queue_name"], []).append(message)
        return found

    def stop(self):
        """End it."""
        if self.process:
            for pid in (self.process.pid, *self._children()):
                os.kill(pid, signal.SIGCONT)
            self.process.terminate()
            self.process.wait(30)
            self.process = None

    def _children(self):
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    def end(self):
        """End it at once, whatever it does, and whoever takes its mail."""
        if self.process:
            os.killpg(self.process.pid, signal.SIGKILL)  # master waits a second for its children
            self.process.wait(30)
            self.process = None
        while self._processes:
            process = self._processes.pop()
            process.kill()
            process.wait()

    def close(self):
        """End it, and take its directories away."""
        self.end()
        for each in (self._silent, self._dark, *self._filling):
            each.close()
        shutil.rmtree(self.root)
        shutil.rmtree(self.queue)
