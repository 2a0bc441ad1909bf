"""Recorded hosts: what systemctl printed on them, which a test may change, and the collector on them."""

import json
import math
from fnmatch import fnmatch
from pathlib import Path

from collectors.systemd import Systemd
from collectors.systemd.asking import BOOTED, MANAGER, PROPERTIES, SPEAKABLE, TIMERS, UNITS
from rscollector.api import Unavailable
from rscollector.runtime.foreground import settings_of
from rscollector.testing import FakeContext, Root, values

RECORDINGS = Path(__file__).parent / "recordings"
VERSIONS = ("systemd-252", "systemd-257")


class Systemctl:
    """What systemctl prints: rows and properties, to be changed.

    `instead` has what a command prints otherwise, or an exception; all that ask for units are one, PROPERTIES.
    """

    def __init__(self, version="systemd-257", state="troubled"):
        place = RECORDINGS / version / state
        self.manager = _block(place.joinpath("manager.txt").read_text())
        self.units = {row["unit"]: row for row in json.loads(place.joinpath("units.json").read_text())}
        self.timers = {row["unit"]: row for row in json.loads(place.joinpath("timers.json").read_text())}
        blocks = map(_block, place.joinpath("facts.txt").read_text().split("\n\n"))
        self.facts = {block["Id"]: block for block in blocks}
        clocks = json.loads(place.joinpath("clocks.json").read_text())
        self.wall, self.monotonic = clocks["wall"], clocks["monotonic"]
        self.instead: dict[tuple[str, ...], bytes | Exception] = {}
        self.asked = []

    def unit(self, name, active="active", sub="running", load="loaded", **facts):
        """Add a unit, or replace one; a service has no restarts and is not restarted unless `facts` say so."""
        self.units[name] = {"unit": name, "load": load, "active": active, "sub": sub, "description": name}
        usual = {"Result": "success"}
        if name.endswith(".service"):
            usual |= {"Restart": "no", "NRestarts": "0"}
        self.facts[name] = {"Id": name, **usual, "InactiveExitTimestampMonotonic": "0", **facts}

    def timer(self, name, next_=None, last=None, sub="waiting", accuracy="1min", **row):
        """Add a timer, or replace one; times are seconds from now, None is never."""
        times = {"next": next_, "last": last}
        found = {
            key: value if value is None else int((self.wall + value) * 1e6) for key, value in times.items()
        }
        self.unit(name, "active", sub, AccuracyUSec=accuracy)
        self.timers[name] = {**found, "unit": name, "activates": name.replace(".timer", ".service"), **row}

    def now(self, ago):
        """Return some seconds ago as systemd writes a monotonic time."""
        return str(int((self.monotonic - ago) * 1e6))

    def answer(self, command):
        """Return what a command prints."""
        is_of_units = command[: len(PROPERTIES)] == PROPERTIES
        instead = self.instead.get(PROPERTIES if is_of_units else command)
        if instead is not None:
            return instead
        if is_of_units:
            names = command[len(PROPERTIES) :]
            self.asked.append(names)
            gone = {
                "Result": "success",
                "Restart": "no",
                "NRestarts": "0",
                "InactiveExitTimestampMonotonic": "0",
            }
            return "\n\n".join(_text(self.facts.get(name, {"Id": name, **gone})) for name in names).encode()
        return {
            MANAGER: _text(self.manager).encode(),
            UNITS: json.dumps(list(self.units.values())).encode(),
            (*UNITS, *SPEAKABLE): json.dumps(
                [self.units[name] for name in self.units if speakable(name)]
            ).encode(),
            TIMERS: json.dumps(list(self.timers.values())).encode(),
        }[command]


def speakable(name):
    """Tell whether a unit's name is none of a path or a device."""
    return any(fnmatch(name, each) for each in SPEAKABLE)


def _block(text):
    return dict(line.split("=", 1) for line in text.splitlines() if line)


def _text(block):
    return "".join(f"{key}={value}\n" for key, value in block.items())


class Asking(FakeContext):
    """A context that answers for systemctl."""

    systemctl = None

    def run(self, command, *, limit=1 << 20, answers=(0,), seconds=math.inf):
        """Return what it prints."""
        self.ran.append(tuple(command))
        told = self.systemctl.answer(tuple(command))
        if isinstance(told, Exception):
            raise told
        if len(told) > limit:
            raise Unavailable(f"{command[0]} wrote more than {limit} bytes, killed")
        return told


class Watched:
    """The collector on a host, kept from tick to tick; `context` is the newest tick's."""

    def __init__(self, systemctl, tmp_path, **settings):
        self.systemctl = systemctl
        self.root = Root(tmp_path)
        (tmp_path / BOOTED.lstrip("/")).mkdir(parents=True, exist_ok=True)
        self.collector = Systemd(settings_of(Systemd, settings, None))
        self.collector.wall = lambda: systemctl.wall
        self.collector.open(self._new())

    def _new(self):
        self.context = Asking(root=self.root)
        self.context.systemctl = self.systemctl
        self.context.clock.now = self.systemctl.monotonic
        self.context._deadline = self.systemctl.monotonic + 10.0
        return self.context

    def samples(self, seconds=60.0):
        """Return the samples after some time."""
        self.systemctl.wall += seconds
        self.systemctl.monotonic += seconds
        return list(self.collector.collect(self._new()))

    def tick(self, seconds=60.0):
        """Return the series after some time."""
        return values(self.samples(seconds))

    @property
    def said(self):
        """What the newest tick says."""
        return self.context.sentences
