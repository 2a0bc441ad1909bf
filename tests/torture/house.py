"""A house with doors: an agent with a large page, and whether strangers have done it any harm.

The page is of sixty instances with a hundred metrics each, some 1.4 MB in many small pieces, and all of it is
new every two seconds. While strangers are at the doors, honest clients scrape at both of them, and the agent's
memory is looked at twenty times a second.
"""

import http.client
import re
import resource
import socket
import subprocess
import threading
import time
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from doors import Door
from harness import RunningAgent, free_port, until
from storm import descriptors, resident

PLUGINS = Path(__file__).parent.parent / "plugins"
INTERVAL = 2.0
BEAT = 1.0  # seconds after which the page tells how late each tick was
TOML = """
[agent]
interval = "2s"
max_series_total = 30000
[web]
listen = ["127.0.0.1:{port}"]
""" + "".join(f"[collector.wide.i{number:02}]\n" for number in range(60))
PAGE = 1_200_000  # bytes that it has at least
_OF_ONE = "/collectors/wide/i00"
_LISTS = ("status", "collectors", "collectors?show=wrong", "sinks", "metrics", "config", "openapi.yaml")
_API = (*(f"/{name}" for name in _LISTS), _OF_ONE, f"{_OF_ONE}/history")
FACE = ("/", _OF_ONE, *(f"/api/v1{path}" for path in _API))
"""What there is beside the page of metrics and health."""

MIB = 1 << 20
MOST = 32 * MIB  # more than this above what it was before is harm
# What an agent may keep, above its memory when it was warm: the interpreter and malloc do not give back all that a
# thousand connections took (seen: 9 MiB after all kinds of them, and no more when they come again), and pages are
# under way.
BACK = 16 * MIB
AGAIN = 60.0  # seconds within which all is as before
LATE = 1.0
HONEST = 5.0  # seconds after which an honest client gives up
SPARE = 4  # descriptors that the honest clients' scrapes may hold at any moment

_MISSED = re.compile(rb"rscollector_collector_ticks_missed_total\{[^}\n]*\} (\S+)")
_LATENESS = re.compile(rb"rscollector_collector_tick_lateness_seconds\{[^}\n]*\} (\S+)")
_TROUBLE = re.compile(r"^.*(?: ERROR | CRITICAL |Traceback).*$", re.MULTILINE)
FORMATS = ("", "application/openmetrics-text;version=1.0.0")


def doors(agent, port):
    """Return the doors of an agent by their names; whoever gives it another one names that here."""
    tcp = Door("tcp", socket.AF_INET, ("127.0.0.1", port))
    return {"tcp": tcp, "unix": Door("unix", socket.AF_UNIX, str(agent.socket))}


def scrape(door, path="/metrics", timeout=HONEST, **headers):
    """Return status, headers and body, as an honest client gets them."""
    with closing(http.client.HTTPConnection("localhost", timeout=timeout)) as connection:
        connection.sock = door.connect_as_scraper(timeout)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET", path, headers={**door.headers, **given})
        response = connection.getresponse()
        return response.status, response.headers, response.read()


def all_up(agent):
    """Tell whether all of its collectors are well."""
    return all(each["up"] for each in agent.status()["collectors"])


def warm_up(door):
    """Have each form of the page made, and those of the other pages: that memory belongs to the agent."""
    for _ in range(10):
        for accept in FORMATS:
            for coding in ("identity", "gzip"):
                assert scrape(door, accept=accept, accept_encoding=coding)[0] == 200
        for path in FACE:
            assert scrape(door, path)[0] == 200
        time.sleep(INTERVAL / 10)


class House:
    """An agent and its doors; whoever was harmed for good is given up for another one."""

    def __init__(self, directory, more="", more_doors=None):
        self._directory = directory
        self._more = more  # of its configuration
        self._more_doors = more_doors or {}
        self._made = 0
        self.agent = None
        self.is_harmed = False

    def open(self):
        """Return with an agent that is well, calm and warm."""
        if self.agent and not self.is_harmed:
            return
        self.close()
        port = free_port()
        environment = {"RSCOLLECTOR_TEST_SERVER": "1"}  # it outlives a test
        directory = self._directory / f"house-{self._made}"
        self.agent = RunningAgent(directory, TOML.format(port=port) + self._more, (), PLUGINS, environment)
        self._made += 1
        self.port = port
        self.doors = {**doors(self.agent, port), **self._more_doors}
        self.is_harmed = False
        until(self.agent.ready)
        until(lambda: all_up(self.agent))
        for each in ("tcp", *self._more_doors):
            warm_up(self.doors[each])
        self.calm = resident(self.pid)
        self.calm_descriptors = descriptors(self.pid)

    @property
    def pid(self):
        """The agent's process."""
        return self.agent.process.pid

    def close(self):
        """End the agent; one that does not end in a minute is killed."""
        if self.agent:
            agent, self.agent = self.agent, None
            with suppress(subprocess.TimeoutExpired):
                agent.stop()

    def has_let_go(self):
        """Tell whether no connection is left but those of the honest."""
        return descriptors(self.pid) <= self.calm_descriptors + SPARE


class _Honest(threading.Thread):
    """Scrapes again and again, and keeps what went wrong and what the page tells of the ticks."""

    def __init__(self, door, pause):
        super().__init__(daemon=True)
        self.door = door
        self.pause = pause
        self.failures, self.durations, self.missed, self.lateness = [], [], [], []
        self._end = threading.Event()

    def run(self):
        while not self._end.is_set():
            began = time.monotonic()
            try:
                self._look(*scrape(self.door))
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(f"{self.door.name}: {type(error).__name__}: {error}")
            self.durations.append(time.monotonic() - began)
            if self.durations[-1] > HONEST:
                self.failures.append(f"{self.door.name}: a scrape took {self.durations[-1]:.1f} s")
            self._end.wait(self.pause)

    def _look(self, status, _headers, page):
        if status != 200 or len(page) < PAGE:
            self.failures.append(f"{self.door.name}: {status}, {len(page)} bytes")
            return
        self.missed.append(sum(map(float, _MISSED.findall(page))))
        self.lateness.append(max(map(float, _LATENESS.findall(page))))

    def end(self):
        self._end.set()
        self.join()


class _Witness(threading.Thread):
    """Looks at the memory, and sends out the honest."""

    def __init__(self, house):
        super().__init__(daemon=True)
        self.house = house
        self.before = self.peak = self.now = resident(house.pid)
        self.back_after = None
        pauses = {"tcp": 0.2}
        self.honest = [_Honest(door, pauses.get(name, 1.0)) for name, door in house.doors.items()]
        self._logged = len(house.agent.log)
        self._end = threading.Event()

    def run(self):
        while not self._end.wait(0.05):
            with suppress(OSError):  # it is gone; the scrapes tell so too
                self.now = resident(self.house.pid)
                self.peak = max(self.peak, self.now)

    def begin(self):
        for each in (self, *self.honest):
            each.start()
        until(lambda: all(each.durations for each in self.honest), HONEST + 1)

    def await_calm(self):
        """Give it time to tell of all late ticks, and then until it is as before, at most a minute.

        What was due meanwhile runs as soon as the loop does, and is told by its next beat.
        An agent that has come to harm already is given five seconds, for the sake of the figures.
        """
        began = time.monotonic()
        time.sleep(BEAT + 0.3)
        assert self.house.agent.process.poll() is None, self.house.agent.log[-2000:]
        patience = 5.0 if self.harms() else AGAIN
        while time.monotonic() - began < patience:
            if resident(self.house.pid) <= self.house.calm + BACK and self.house.has_let_go():
                self.back_after = time.monotonic() - began
                return
            time.sleep(0.1)
        self.is_left = (resident(self.house.pid) - self.house.calm, descriptors(self.house.pid))

    def end(self):
        for each in self.honest:
            each.end()
        self._end.set()
        self.join()

    def missed(self):
        told = [each.missed for each in self.honest if each.missed]
        return max(map(max, told)) - min(map(min, told)) if told else 0

    def harms(self):
        """Return in sentences what harm was done."""
        found = [failure for each in self.honest for failure in each.failures[:3]]
        if self.missed():
            found.append(f"{self.missed():.0f} ticks were missed")
        if self.lateness() > LATE:
            found.append(f"a tick was {self.lateness():.2f} s late")
        if self.peak > self.before + MOST:
            found.append(f"memory grew by {(self.peak - self.before) / MIB:.0f} MiB")
        return found + _TROUBLE.findall(self.house.agent.log[self._logged :])[:3]

    def lateness(self):
        return max((late for each in self.honest for late in each.lateness[1:]), default=0.0)

    def __str__(self):
        failed = sum(len(each.failures) for each in self.honest)
        longest = max(duration for each in self.honest for duration in each.durations)
        back = "never" if self.back_after is None else f"after {self.back_after:.1f} s"
        return (
            f"memory {self.before / MIB:.0f} {(self.peak - self.before) / MIB:+.1f} MiB, back {back}"
            f" ({(self.now - self.house.calm) / MIB:+.1f});"
            f" {self.missed():.0f} ticks missed, latest {self.lateness():.2f} s;"
            f" {failed} of {sum(len(each.durations) for each in self.honest)} scrapes failed,"
            f" longest {longest:.2f} s"
        )


@contextmanager
def unharmed(house):
    """Whatever is done to a house in here does it no harm: not to ticks, honest scrapes, memory, log."""
    witness = _Witness(house)
    house.is_harmed = True  # until the opposite is known
    witness.begin()
    try:
        yield
        witness.await_calm()
    finally:
        witness.end()
        print(witness)  # pytest shows it with a failure, and with -rP
    harms = witness.harms()
    if witness.back_after is None:
        memory, opened = witness.is_left
        more = f"{memory / MIB:+.0f} MiB and {opened - house.calm_descriptors:+} descriptors"
        harms.append(f"not as it was before: {more}")
    assert harms == []
    house.is_harmed = False


@contextmanager
def many_descriptors(count=4096):
    """This process may have that many descriptors, where the system allows it."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = before[1] if before[1] != resource.RLIM_INFINITY and before[1] < count else count
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, before[0]), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
