"""A disaster in one collector, watched from outside: what becomes of the others, the scrapes, the processes.

Three collectors run once a second: `rogue/bad`, which misbehaves while a file is there, and two that are well,
one in the worker of all local collectors and one in a worker of its own. A thread scrapes the agent all the
time as Prometheus would. The bounds are wide, since machines are noisy: a tick that is not missed, a scrape
that comes before Prometheus would give up. The figures are in docs/benchmarks.md.
"""

import http.client
import os
import re
import threading
import time
import uuid
from collections import defaultdict
from pathlib import Path

from harness import alive, free_port, until
from prometheus_client.parser import text_string_to_metric_families

AGENT = """
[agent]
interval = "1s"
timeout = "800ms"
backoff_min = "100ms"
backoff_max = "200ms"
max_failures = 100000
max_hangs = 100000
{agent}
[web]
listen = ["127.0.0.1:{port}"]
[collector.tame.local]
[collector.rogue.neighbour]
"""
WITNESSES = ({"type": "tame", "name": "local"}, {"type": "rogue", "name": "neighbour"})
_MISSED = "rscollector_collector_ticks_missed_total"
_LATENESS = "rscollector_collector_tick_lateness_seconds"
_SKIPPED = "rscollector_collector_ticks_skipped_total"
_UP = "rscollector_collector_up"
_SPARE = 3  # descriptors that a scrape and a worker that is just being started may hold


def section(do, name="bad", **settings):
    """Return a section for a collector that misbehaves."""
    lines = [f"[collector.rogue.{name}]", f'do = "{do}"']
    return "\n".join([*lines, *(f"{key} = {value}" for key, value in settings.items())]) + "\n"


def descriptors(pid):
    """Return the number of descriptors that a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def resident(pid):
    """Return a process's resident memory in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Scraper(threading.Thread):
    """Scrapes every 50 ms and keeps what it saw of the witnesses."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port = port
        self.durations, self.failures = [], []
        self.lateness, self.told = [], defaultdict(set)
        self._end = threading.Event()

    def run(self):
        """Scrape until told to end."""
        while not self._end.wait(0.05):
            began = time.monotonic()
            try:
                page = self.get()
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(f"{type(error).__name__}: {error}")
                continue
            self.durations.append(time.monotonic() - began)
            self._look(page)

    def get(self):
        """Return the page, as any client gets it over TCP."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/metrics")
            response = connection.getresponse()
            assert response.status == 200
            return response.read().decode()
        finally:
            connection.close()

    def _look(self, page):
        lines = "\n".join(
            line for line in page.splitlines() if line.startswith((_MISSED, _LATENESS, _SKIPPED, _UP))
        )
        for family in text_string_to_metric_families(lines):
            for name, labels, value, *_ in family.samples:
                if labels not in WITNESSES:
                    continue
                if name == _LATENESS:
                    self.lateness.append(value)
                else:
                    self.told[name, labels["type"]].add(value)

    def end(self):
        """Stop, and wait for the last scrape."""
        self._end.set()
        self.join()


class Storm:
    """An agent with a collector `rogue/bad` that can be made to misbehave, and who watches it."""

    def __init__(self, start, switch, toml, agent_settings):
        self.port = free_port()
        self.switch = switch
        self.mark = f"storm-{uuid.uuid4()}"
        text = AGENT.format(port=self.port, agent=agent_settings) + toml
        self.agent = start(
            text, LC_STORM=self.mark
        )  # children are given it, as all that concerns the language
        self.pid = self.agent.process.pid
        until(self.all_up)
        self.calm_descriptors = descriptors(self.pid)
        self.calm_processes = len(self.agent.family())
        self.scraper = Scraper(self.port)
        self.scraper.start()

    def all_up(self):
        """Tell whether every collector is well."""
        return all(each["up"] for each in self.agent.status()["collectors"])

    def strike(self):
        """Begin to misbehave."""
        self.switch.touch()

    def is_named(self, reason, result, name="bad"):
        """The trouble is told, in the same words, by the metrics, the log and the status."""
        told = re.compile(reason)
        until(
            lambda: self.agent.value(
                "rscollector_collector_runs_total", type="rogue", name=name, result=result
            )
        )
        until(lambda: told.search(self.agent.collector(f"rogue/{name}")["reason"]))
        until(lambda: re.search(rf"rogue/{name}: .*{reason}", self.agent.log))

    def passes(self):
        """The trouble is over: all collect again, and nothing is left of it."""
        self.switch.unlink(missing_ok=True)
        until(self.all_up)
        until(lambda: descriptors(self.pid) <= self.calm_descriptors + _SPARE)
        until(lambda: len(self.agent.family()) == self.calm_processes)
        assert all(map(alive, self.agent.family())), "a zombie is left"
        self.others_were_well()
        self.ends()

    def others_were_well(self):
        """No tick of the others was missed or skipped, and each scrape was answered in time."""
        until(lambda: len(self.scraper.durations) >= 20 and len(self.scraper.lateness) >= len(WITNESSES))
        self.scraper.end()
        assert self.scraper.failures == []
        assert {each: values for each, values in self.scraper.told.items() if len(values) > 1} == {}
        assert max(self.scraper.durations) < 2
        assert max(self.scraper.lateness) < 1

    def ends(self):
        """The agent ends with 0 in ten seconds, and no process of its making is left."""
        began = time.monotonic()
        assert self.agent.stop() == 0
        assert time.monotonic() - began < 10
        self.nobody_is_left()

    def nobody_is_left(self):
        """No process that the agent or its children have started lives, whatever group it has joined."""
        self.scraper.end()
        until(lambda: self.marked() == [])

    def marked(self):
        """Return the processes that have inherited this agent's environment."""
        found = []
        for process in Path("/proc").iterdir():
            try:
                if process.name.isdigit() and self.mark.encode() in (process / "environ").read_bytes():
                    found.append(int(process.name))
            except OSError:
                continue
        return found
