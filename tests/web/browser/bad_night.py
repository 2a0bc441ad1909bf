"""An agent that shows what a test wants, with something of everything that the pages can show."""

import time

import faces

STACK = """Thread 0x00007f (most recent call first):
  File "/usr/lib/python3/dist-packages/pymongo/network.py", line 249 in _receive_data_on_socket
  File "/usr/lib/python3/dist-packages/pymongo/pool.py", line 617 in command
  File "/usr/lib/python3/dist-packages/collectors/mongodb/server.py", line 88 in _asked
"""
AWAY = (
    "cannot connect to 10.20.0.7:3306: no answer within 5 s; is the host up, and does its firewall let this host in?; "
    "retry in 14 s, failure 3 of 10"
)


def told(key, condition="up", since=90_000.0, **more):
    """Return what a status says of a collector."""
    up = condition == "up"
    return faces.told(key) | {
        "state": "idle" if up else "backoff", "up": up, "condition": condition, "condition_seconds": since,
        "in_state_seconds": since, "series": 40 if up else 0, "duration_seconds": 0.0213, "last_success_seconds_ago": 4.1,
        "next_run_seconds": 10.9, "worker_memory_bytes": 23 << 20, "waiting": None,
        "minutes": [0.02 + 0.0007 * (each * each * len(key) % 17) + 0.03 * (each // 3 == len(key)) for each in range(60)],
    } | more  # fmt: skip


def busy():
    """Return collectors and a sink of a host on a bad night: one of each kind of trouble."""
    own = {"worker_memory_bytes": 31 << 20}
    return [
        told("galera/main", "down", 185, reason=AWAY, failures=3, **own, worker="galera/main", worker_pid=4713,
             last_success_seconds_ago=191.0, minutes=[0.05 + 0.002 * (each % 7) for each in range(57)] + [None] * 3),
        told("mongodb/shard-1", "removed", 7300, reason="no answer within 10 s, killed; removed, next attempt in 22 min",
             failures=1, hangs=5, trouble="hang", last_stack=STACK, last_success_seconds_ago=None, duration_seconds=None, minutes=[None] * 60,
             worker="mongodb/shard-1", worker_pid=None, worker_memory_bytes=None, series=0),
        told("postfix/main", notes=["missing: journal: this user may not read it; add it to the group systemd-journal"]),
        told("bosun/main", waiting={"points": 12_406, "bytes": 1_310_720, "age_seconds": 240.0, "lost_points": 17}, **own, worker="bosun/main", worker_pid=4714),
        told("vip/main", "starting", 2, last_success_seconds_ago=None, duration_seconds=None, minutes=[None] * 60),
        told("host/main"), told("filesystem/main"), told("network/main"), told("agent/main"),
    ]  # fmt: skip


def known(each):
    """Return all that is known of a collector, a bit of everything."""
    at = time.time()
    return each | {
        "is_sink": each["type"] == "bosun",
        "settings": [
            {"name": "host", "value": "10.20.0.7", "file": "/etc/rscollector/rscollector.toml", "line": 12},
            {"name": "password", "value": "…", "file": "/etc/rscollector/conf.d/galera.toml", "line": 3},
            {"name": "variables", "value": "[]", "file": None, "line": None},
        ],
        "metrics": [
            {"name": "galera_flow_control_paused_ratio", "type": "gauge", "unit": "ratio",
             "help": "Part of the time since the last tick in which replication stood still.",
             "samples": [{"labels": {"name": "main"}, "value": 0.25}], "samples_left_out": 0},
            {"name": "galera_node_state", "type": "stateset", "unit": "", "help": "What the node is.",
             "samples": [{"labels": {"name": "main"}, "value": "Synced"}], "samples_left_out": 0},
            {"name": "galera_received_bytes", "type": "counter", "unit": "bytes", "help": "What it has received.",
             "samples": [{"labels": {"member": f"db{n}", "uuid": "6e2f2f2a-77b8-11ee-8c99-0242ac120002"}, "value": 3.5e9 + n}
                         for n in range(3)], "samples_left_out": 120},
            {"name": "galera_answer_seconds", "type": "histogram", "unit": "seconds", "help": "How long answers took.",
             "samples": [{"labels": {}, "value": {"buckets": {"0.01": 4, "0.1": 9, "+Inf": 10}, "sum": 1.25}}],
             "samples_left_out": 0},
            {"name": "galera_started_timestamp_seconds", "type": "gauge", "unit": "seconds", "help": "When it started.",
             "samples": [{"labels": {}, "value": at - 7200}], "samples_left_out": 0},
        ],
        "history": [
            {"at": at - 185, "condition": each["condition"], "reason": each["reason"], "lasted_seconds": None},
            *({"at": at - 185 - n * 600, "condition": ("up", "down")[n % 2], "reason": ("", AWAY)[n % 2],
               "lasted_seconds": 600.0} for n in range(1, 15)),
        ],
        "logged": [
            {"at": at - 185 + n, "level": ("info", "warning", "error")[n % 3], "text": f"try {n} of 12: connection to 10.20.0.7 timed out"}
            for n in range(12)
        ],
        "explained": {"at": at - 4, "lines": [
            "This node is part of a cluster of 3, and receives and sends what is written.",
            "In the last 15 s replication stood still for a quarter of the time: db3 has asked for it, its queue is 1,200 writesets long.",
        ]},
        "logged_in_shared_worker": [{"at": at - 9, "level": "info", "text": "a line that a library has printed"}],
        "alerts": [
            {"alert": "GaleraNodeDown", "severity": "critical", "for": "2m", "summary": "{{ $labels.name }} does not answer",
             "description": "The agent on {{ $labels.instance }} has not reached it for two minutes."},
            {"alert": "GaleraFlowControl", "severity": "warning", "for": "10m", "summary": "Replication stands still",
             "description": ""},
        ],
        "command": "sudo -u rscollector rscollector collect galera/main --explain",
    }  # fmt: skip


class Face(faces.Face):
    """An agent on such a night."""

    def __init__(self):
        super().__init__()
        self.collectors = busy()
        self.more = {}
        self.mistakes = ""

    def overview(self):
        """Return a status as the agent makes it, without its collectors."""
        told = super().overview()
        files = [*told["config"]["files"], "/etc/rscollector/conf.d/galera.toml"]
        return told | {
            "host": "db1.example", "version": "0.1.0", "pid": 4700, "uptime_seconds": 93_000.0, "series": 1204,
            "loop_lag_seconds": 0.0012, "config": told["config"] | {"files": files, "read_at": time.time() - 4000},
        }  # fmt: skip

    def web(self):
        """Return where it listens; the certificate is to be renewed in two months."""
        told = super().web()
        told["listeners"][1]["certificate_not_after"] = time.time() + 60.5 * 86400
        return told

    def collector(self, key):
        """Return all that is known of one of them."""
        found = self._find(key)
        return found and known(found) | self.more
