"""A real replica set: mongods as child processes, each with its own data and port, with users and a key file."""

import os
import shutil
import signal
import socket
import subprocess
from contextlib import contextmanager, suppress

from harness import free_port, until
from pymongo import MongoClient
from pymongo.errors import PyMongoError

USER = "rscollector"
PASSWORD = "geheim, пароль"
ADMIN = {"username": "admin", "password": "root"}
ENVIRONMENT = {**os.environ, "RSCOLLECTOR_TEST_SERVER": "1"}
OPTIONS = {"bind_ip": "127.0.0.1", "oplogSize": 16, "wiredTigerCacheSizeGB": 0.25}
PARAMETERS = (
    "enableTestCommands=1",
    "diagnosticDataCollectionEnabled=false",
    "shutdownTimeoutMillisForSignaledShutdown=100",
)
TIMERS = {"electionTimeoutMillis": 2000, "heartbeatIntervalMillis": 500, "chainingAllowed": False}


class Mongod:
    """One server. `options` are its own, beside those of all; `probe` is how to connect to ask whether it answers."""

    def __init__(self, directory, name, probe=None, **options):
        self.name = name
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.directory = directory / name
        self.options = options
        self.probe = probe or {"host": "127.0.0.1"}
        self.process = None

    def start(self, *parameters):
        """Start it on the data that it has, with these parameters, and wait until it answers."""
        self.launch(*parameters)
        until(self.answers, 60)

    def launch(self, *parameters):
        """Start it and do not wait."""
        self.directory.mkdir(exist_ok=True)
        log = self.directory.with_suffix(".log")
        given = {**OPTIONS, **self.options, "port": self.port, "dbpath": self.directory, "logpath": log}
        arguments = [part for name, value in given.items() for part in (f"--{name}", str(value))]
        arguments += [part for each in (*PARAMETERS, *parameters) for part in ("--setParameter", each)]
        self.process = subprocess.Popen(
            ["mongod", "--nounixsocket", "--logappend", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=ENVIRONMENT,
        )

    @contextmanager
    def client(self, **given):
        """Connect to this server alone; by default as its administrator."""
        client = MongoClient(
            port=self.port,
            directConnection=True,
            serverSelectionTimeoutMS=1000,
            socketTimeoutMS=10000,
            **(given or {**ADMIN, **self.probe}),
        )
        try:
            yield client
        finally:
            client.close()

    def answers(self):
        """Tell whether it answers anybody."""
        if not self._listens():  # the driver would look again in half a second only
            return False
        with suppress(PyMongoError), self.client(**self.probe) as client:
            return client.admin.command("ping")["ok"]

    def _listens(self):
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=5):
            return True
        return False

    def run(self, command, value=1, **options):
        """Run an administrator's command."""
        with self.client() as client:
            return client.admin.command(command, value, **options)

    def state(self):
        """Return the number of its state, None while it does not answer."""
        with suppress(PyMongoError):
            return self.run("replSetGetStatus")["myState"]

    def fail(self, point, mode, **data):
        """Set a fail point."""
        self.run("configureFailPoint", point, mode=mode, data=data)

    def kill(self, number=signal.SIGKILL):
        """Send a signal, and reap it if that ends it."""
        self.process.send_signal(number)
        if number in (signal.SIGKILL, signal.SIGTERM):
            self.process.wait(30)
            self.process = None

    def wipe(self):
        """Take its data away, so that it needs an initial sync."""
        shutil.rmtree(self.directory)


class ReplicaSet:
    """Members m1, m2, m3; `heal` brings all of them back."""

    def __init__(self, directory, size=3):
        self.directory = directory
        key = directory / "key"
        key.write_text("c2VjcmV0c2VjcmV0c2VjcmV0")
        key.chmod(0o400)
        self.options = {"replSet": "rs0", "keyFile": key}
        self.members = [Mongod(directory, f"m{number}", **self.options) for number in range(1, size + 1)]
        for member in self.members:
            member.launch()
        for member in self.members:
            until(member.answers, 60)
        first = self.members[0]
        self.config = {
            "_id": "rs0",
            "settings": TIMERS,
            "members": [{"_id": number, "host": each.address} for number, each in enumerate(self.members)],
        }
        with first.client(**first.probe) as client:
            client.admin.command("replSetInitiate", self.config)
            until(lambda: client.admin.command("hello").get("isWritablePrimary"), 60)
            client.admin.command("createUser", ADMIN["username"], pwd=ADMIN["password"], roles=["root"])
        with first.client() as client:
            client.admin.command("createUser", USER, pwd=PASSWORD, roles=["clusterMonitor"])
        until(self.whole, 60)

    def primary(self):
        """Return the member that is primary, None while there is none."""
        return next((each for each in self.members if each.process and each.state() == 1), None)

    def secondaries(self):
        """Return the members that are secondaries."""
        return [each for each in self.members if each.process and each.state() == 2]

    def whole(self):
        """Tell whether there is a primary, and all others are secondaries that it hears of."""
        primary = self.primary()
        if primary is None:
            return False
        states = [each["state"] for each in primary.run("replSetGetStatus")["members"]]
        return sorted(states) == [1, *[2] * (len(self.members) - 1)]

    def reconfigure(self, change):
        """Let a function change the configuration, and give it to the primary."""
        primary = until(self.primary, 30)
        config = primary.run("replSetGetConfig")["config"]
        change(config)
        config["version"] += 1
        primary.run("replSetReconfig", config, force=True)

    def heal(self):
        """Bring back whoever is stopped or gone."""
        for member in self.members:
            if member.process is None:
                member.launch()
            else:
                member.process.send_signal(signal.SIGCONT)
        for member in self.members:
            until(member.answers, 60)
        until(self.whole, 60)

    def stop(self):
        """End all of it."""
        for member in self.members:
            if member.process:
                member.process.send_signal(signal.SIGCONT)
                member.kill(signal.SIGKILL)
