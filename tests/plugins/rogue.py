"""A collector that misbehaves in whatever way its settings ask for, and one that shares its worker."""

import ctypes
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from rscollector.api import Collector, Kind, Metric, Misconfigured, Sample, Secret, Unavailable, setting

RUNS = Metric("rogue_runs_total", Kind.COUNTER, "How often it was asked.")
TEXT = Metric("rogue_text_info", Kind.INFO, "A text.", labels=("text",))
NUMBER = Metric("rogue_number", Kind.GAUGE, "A number.", labels=("number",))
UNDECLARED = Metric("rogue_undeclared", Kind.GAUGE, "Declared nowhere.")


@dataclass(frozen=True)
class RogueSettings:
    """How to misbehave, and when."""

    do: str = setting("What to do.", default="fine")
    on: str = setting("When: open, collect or close.", default="collect")
    once: str = setting("A file: misbehave only while it is there.", default="")
    first: int = setting("Behave well in so many collects first.", default=0)
    count: int = setting("How many, or how long.", default=1)
    at_close: str = setting("What to do when it is closed.", default="")
    text: str = setting("What to write to the agent.", default="")
    password: Secret | None = setting("A password.", default=None)


class Rogue(Collector[RogueSettings]):
    """Misbehaves."""

    metrics = (RUNS, TEXT, NUMBER)
    Settings = RogueSettings
    leaked = b""

    def open(self, context):
        """Open, or misbehave."""
        self.runs = 0
        self._misbehave("open", context)

    def collect(self, context):
        """Collect, or misbehave."""
        self.runs += 1
        yield RUNS(self.runs)
        if self.runs > self.settings.first:
            yield from self._misbehave("collect", context) or ()

    def close(self):
        """Close, or misbehave."""
        self._misbehave("close", None)
        if self.settings.at_close:
            getattr(self, f"_{self.settings.at_close}")(None)

    def _misbehave(self, on, context):
        settings = self.settings
        if settings.on != on or (settings.once and not Path(settings.once).exists()):
            return None
        return getattr(self, f"_{settings.do}")(context)

    def _fine(self, _context):
        return None

    def _degraded(self, context):
        secret = self.settings.password.reveal() if self.settings.password else "its target"
        context.note("it is odd")
        context.degraded(Unavailable(f"{secret} is away, {self.runs} wait{'x' * self.settings.count}"[:-1]))

    def _hang(self, _context):
        time.sleep(3600)

    def _regex(self, _context):
        re.match(r"(a+)+$", "a" * 60 + "b")

    def _recv(self, _context):
        ours, self.theirs = socket.socketpair()
        ours.recv(1)

    def _c_call(self, _context):
        ctypes.PyDLL(None).pause()  # called with the GIL held, as a careless extension does

    def _stop(self, _context):
        os.kill(os.getpid(), signal.SIGSTOP)

    def _deaf(self, _context):
        for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(each, signal.SIG_IGN)
        time.sleep(3600)

    def _leak(self, _context):
        Rogue.leaked += b"x" * (self.settings.count << 20)

    def _flood(self, _context):
        for _ in range(self.settings.count):
            sys.stdout.write(f"{'x' * 99}\n" * 10486)

    def _half(self, _context):
        os.write(int(sys.argv[2]), b'{"op":"done","se')
        os._exit(0)

    def _gigabyte(self, _context):
        wire = socket.socket(fileno=os.dup(int(sys.argv[2])))
        for _ in range(1024):
            wire.sendall(b"x" * (1 << 20))

    def _family(self, _context):
        nap = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(3600)"
        for _ in range(3):
            subprocess.Popen([sys.executable, "-c", nap])
        time.sleep(3600)

    def _daemon(self, _context):
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"], start_new_session=True)
        time.sleep(3600)

    def _run(self, context):
        context.run([sys.executable, "-c", "import time; time.sleep(3600)"])

    def _note(self, context):
        context.note(f"something is odd with {self.settings.password.reveal()}")

    def _say(self, context):
        context.say(f"It was asked {self.runs} times.", f"Its password is {self.settings.password.reveal()}.")

    def _slow(self, _context):
        time.sleep(self.settings.count)

    def _unavailable(self, _context):
        raise Unavailable("the server does not like us")

    def _misconfigured(self, _context):
        raise Misconfigured(f"the password {self.settings.password.reveal()!r} is wrong")

    def _garbled(self, context):
        context.note("caf\udce9 noted")
        if self.runs > 3:
            raise Unavailable("caf\udce9 is closed")

    def _log(self, _context):
        try:
            float(self.settings.password.reveal())
        except ValueError:
            logging.getLogger("driver").exception("cannot connect")

    def _refused(self, _context):
        raise ConnectionRefusedError("nobody listens")

    def _bug(self, _context):
        return 1 / 0

    def _exit(self, _context):
        os._exit(7)

    def _segfault(self, _context):
        ctypes.string_at(0)

    def _wire(self, _context):
        os.write(int(sys.argv[2]), self.settings.text.encode() * self.settings.count)
        time.sleep(60)

    def _print(self, _context):
        for number in range(self.settings.count):
            print(f"line {number}", file=sys.stderr)

    def _child(self, context):
        command = [sys.executable, "-c", "import time; time.sleep(3600)"]
        subprocess.Popen(command)
        for _ in context.lines(["sh", "-c", "echo started; exec sleep 3600"]):
            time.sleep(3600)

    def _undeclared(self, _context):
        return [UNDECLARED(1)]

    def _labels(self, _context):
        return [TEXT(text='a "quoted"\\\nline'), TEXT(text=b"caf\xe9".decode("utf-8", "surrogateescape"))]

    def _many(self, _context):
        return [NUMBER(1, number=f"{self.runs}-{each}") for each in range(self.settings.count)]

    def _long(self, _context):
        return [NUMBER(1, number=f"{each}" * self.settings.count) for each in range(241)]

    def _path(self, _context):
        return [TEXT(text=Path("/srv/dumps"))]

    def _decimal(self, _context):
        return [NUMBER(Decimal(1), number="1")]

    def _no_sample(self, _context):
        return [42]

    def _twice(self, _context):
        return [RUNS(1)]

    def _value(self, _context):
        return [Sample(NUMBER, ("1",), "not a number")]


class Tame(Rogue):
    """The same, but local: several of them share a worker."""

    metrics = tuple(
        Metric(each.name.replace("rogue", "tame"), each.kind, each.help, labels=each.labels)
        for each in Rogue.metrics
    )
    local = True

    def collect(self, context):
        """Collect as the other does, under its own names."""
        own = {each.name: each for each in self.metrics}
        for sample in super().collect(context):
            yield sample._replace(metric=own[sample.metric.name.replace("rogue", "tame")])
