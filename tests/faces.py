"""A face with everything on it: what an agent may tell the web application, and a server that shows it on loopback."""

import asyncio
import http.client
import json
import threading
from contextlib import contextmanager

from rscollector.exposition.render import EOF
from rscollector.web.app import application
from rscollector.web.events import Changed
from rscollector.web.listeners import listen
from rscollector.web.server import Connections, Server

KEYS = ("zone/v1.2..x", "agent/main", "pushgateway/main", "galera/main", "bosun/main")  # in no order
SINKS = ("bosun/main", "pushgateway/main")
MASKED = "***"


def told(key, **changes):
    """Return what a status says of a collector or sink that is well."""
    type_, _, name = key.partition("/")
    waiting = {"points": 3, "bytes": 120, "age_seconds": 0.5, "lost_points": 0}
    return {
        "type": type_, "name": name, "state": "idle", "up": True, "condition": "up", "condition_seconds": 7.5,
        "reason": "", "trouble": None, "in_state_seconds": 0.25, "series": 12, "interval_seconds": 15,
        "timeout_seconds": 10.0, "duration_seconds": 0.004, "last_success_seconds_ago": 3.2, "next_run_seconds": 11.8,
        "failures": 0, "hangs": 0, "worker": "local", "worker_pid": 4711, "worker_memory_bytes": 20_000_000,
        "last_stack": "", "notes": [], "waiting": waiting if type_ == "bosun" else None,
    } | changes  # fmt: skip


DOWN = {
    "state": "backoff", "up": False, "condition": "down", "reason": "cannot connect; trying again in 3 s",
    "trouble": "unavailable", "duration_seconds": None, "last_success_seconds_ago": None, "failures": 3, "hangs": 1,
    "worker_pid": None, "worker_memory_bytes": None, "last_stack": "File x, line 1\n", "notes": ["missing: wsrep_*"],
}  # fmt: skip
SETTINGS = [
    {"name": "host", "value": "10.0.0.1", "file": "/etc/rscollector/rscollector.toml", "line": 12},
    {"name": "password", "value": MASKED, "file": None, "line": None},
]
SAMPLES = {
    "gauge": 1.5,
    "counter": float("inf"),
    "info": 1,
    "stateset": "primary",
    "histogram": {"buckets": {"0.1": 3, "+Inf": 4}, "sum": float("nan")},
    "gaugehistogram": {"buckets": {"1": 0}, "sum": 0.0},
}


class Face:
    """An agent that tells what the test wants: `collectors` are as in its status, `body` is its page of metrics."""

    epoch = 1790000000

    def __init__(self, keys=KEYS):
        self.collectors = [told(key, **(DOWN if key.startswith("galera/") else {})) for key in keys]
        self.host = "hôst"
        self.body = b"x_size 1.0\n"
        self.unwell = self.unfinished = ""
        self.mistakes = "line 3: no"
        self.web_mistake = ""
        self.asked = []
        self.news = []
        self.is_broken = False

    def page(self, wanted):
        """Return the page, and in OpenMetrics with its end."""
        return [self.body, EOF[wanted]]

    def unhealthy(self):
        """Return the trouble."""
        return self.unwell

    def unready(self):
        """Return what is not finished."""
        return self.unfinished

    def status(self):
        """Return a status as the agent makes it."""
        return self.overview() | {"collectors": self.collectors}

    def overview(self):
        """Return it without its collectors."""
        self.asked.append("status")
        if self.is_broken:
            raise RuntimeError("broken")
        return {
            "version": "1", "pid": 1, "host": self.host, "tags": {"site": "b"}, "listen": ["127.0.0.1:10070"],
            "uptime_seconds": 5.0, "changes": self.event_id(), "loop_lag_seconds": 0.0001, "series": 24, "config": self._reading(), "web": self.web(),
        }  # fmt: skip

    def web(self):
        """Return who may ask it where: all in plain text, and a user with a certificate."""
        plain = {
            "address": "127.0.0.1:10070", "url": "http://127.0.0.1:10070", "rights": ["metrics", "read"], "users": 0,
            "client_certificates": "none", "certificate_not_after": None,
        }  # fmt: skip
        locked = plain | {
            "address": "[::]:10071", "url": "https://[::]:10071", "rights": ["metrics"], "users": 1,
            "client_certificates": "required", "certificate_not_after": 4e9,
        }  # fmt: skip
        return {
            "listeners": [plain, locked],
            "last_reload_successful": not self.web_mistake,
            "last_reload_error": self.web_mistake,
        }

    def event_id(self):
        """Return the id of an event that would come now."""
        return f"{self.epoch}-{len(self.news)}"

    def changed(self, since):
        """Return what the test has said that has changed since."""
        self.asked.append(("changed", since))
        news = [] if since is None else self.news[since:]
        keys = self._keys() if since is None else [key for key in self._keys() if key in news]
        gone = [key for key in news if key and key not in self._keys()]
        reloaded = since is None or "" in news
        return Changed(len(self.news), since is None, keys, gone, self._reading() if reloaded else None)

    def objects(self, keys, *, with_minutes=False):
        """Return the objects of some."""
        return [each for each in map(self._find, keys) if each]

    def collector(self, key):
        """Return all that is known of one, at first without an explanation."""
        self.asked.append(key)
        found = self._find(key)
        return found and found | {
            "changes": self.event_id(), "is_sink": key in SINKS, "minutes": [None] * 58 + [0.25, 0.5], "settings": SETTINGS,
            "metrics": [
                {"name": f"{found['type']}_{kind}", "type": kind, "unit": "", "help": "What it is.", "labels": ["node"],
                 "samples": [{"labels": {"node": "a"}, "value": value}], "samples_left_out": 7}
                for kind, value in SAMPLES.items()
            ],
            "history": self.history(key),
            "logged": [{"at": 1e9, "level": "warning", "text": "slow"}], "logged_in_shared_worker": [],
            "explained": {"at": 1e9, "lines": ["All is well."]} if self.asked.count(key) > 1 else None,
            "alerts": [{"alert": "NodeDown", "severity": "critical", "for": "1m", "summary": "{{ $labels.x }}",
                        "description": "It is down."}],
            "command": f"sudo -u rscollector rscollector collect {found['type']} --name {found['name']} --explain",
        }  # fmt: skip

    def history(self, key):
        """Return two conditions, the newest first."""
        return self._find(key) and [
            {"at": 1e9, "condition": "up", "reason": "", "lasted_seconds": None},
            {"at": 9e8, "condition": "down", "reason": "cannot connect", "lasted_seconds": 12.5},
        ]

    def metadata(self):
        """Return the declarations of two metrics."""
        self.asked.append("metadata")
        shared = {
            "type": "gauge",
            "unit": "bytes",
            "help": "Its size.",
            "labels": ["mode"],
            "collectors": ["galera"],
        }
        return [{"name": name, **shared} for name in ("x_size_bytes", "a_size_bytes")]

    def configuration(self):
        """Return what is configured."""
        self.asked.append("configuration")
        tables = {key: dict(zip(("type", "name"), key.split("/"), strict=True)) for key in self._keys()}
        return self._reading() | {
            "host": self.host, "tags": {"site": "b"}, "listen": ["127.0.0.1:10070"],
            "collectors": [table | {"settings": SETTINGS} for key, table in tables.items() if key not in SINKS],
            "sinks": [table | {"settings": SETTINGS} for key, table in tables.items() if key in SINKS],
        }  # fmt: skip

    def _reading(self):
        return {
            "files": ["/etc/rscollector/rscollector.toml"],
            "read_at": 1.5e9,
            "reloads_begun": 0,
            "reloads_ended": 0,
            "last_reload_successful": not self.mistakes,
            "last_reload_error": self.mistakes,
        }

    def _keys(self):
        return [f"{each['type']}/{each['name']}" for each in self.collectors]

    def _find(self, key):
        return dict(zip(self._keys(), self.collectors, strict=True)).get(key)


class Served:
    """A face behind a real server, on loopback and on the listeners that are `beside`, in a thread with its own loop.

    It can be away for a while: `stop`, and then `start` on the same port.
    """

    def __init__(self, face, *, beside=(), **given):
        self.face = face
        self.connections = Connections()
        self.port = 0
        self._beside = beside
        self._given = given
        self.start()
        self.address = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.address}/"

    def start(self):
        """Serve."""
        self._listeners = [*listen([f"127.0.0.1:{self.port}"]), *self._beside]
        self.port = self._listeners[0].getsockname()[1]
        self.loop, self._end = asyncio.new_event_loop(), asyncio.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        self.loop.run_until_complete(self._serve())
        self.loop.close()

    async def _serve(self):
        server = Server(application(self.face, **self._given), self._listeners, self.connections)
        await self._end.wait()
        server.close()
        while len(self.connections):
            await asyncio.sleep(0)

    def stop(self):
        """Serve no more."""
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self._end.set)
            self._thread.join(30)
            assert not self._thread.is_alive()

    def get(self, path="/metrics", method="GET", **headers):
        """Return status, headers and body of one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(
                method, path, headers={key.replace("_", "-"): value for key, value in headers.items()}
            )
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def json(self, path):
        """Return what is said there."""
        return json.loads(self.get(path)[2])


@contextmanager
def serving(face, **given):
    """Serve a face, and no more at the end."""
    served = Served(face, **given)
    try:
        yield served
    finally:
        served.stop()
