"""A collector that says what a stranger wants it to say, wherever a text can get from it to an operator."""

import ctypes
import json
import logging
import os
import subprocess
import sys
import threading
import time
from base64 import b64encode
from dataclasses import dataclass
from urllib.parse import quote

from rscollector.api import Collector, Kind, Metric, Misconfigured, Sample, Secret, Unavailable, setting

NUMBER = Metric("loud_number", Kind.GAUGE, "A number.", labels=("text",))
UNDECLARED = Metric("loud_undeclared", Kind.GAUGE, "Declared nowhere.", labels=("text",))
FORGED = "\x1b[2J\x1b[1;31mred\x1b[0m\r\n12:00:00 INFO    forged/line: collecting\n\x07\x9b2J\u202e\u2028end"


@dataclass(frozen=True)
class LoudSettings:
    """Where to say it."""

    where: str = setting("The place.", default="reason")
    password: Secret | None = setting("What must not be shown.", default=None)

    def __post_init__(self):
        if self.where == "building" and self.password.reveal():
            print(said(self.password), flush=True)
        if self.where == "settings" and self.password.reveal():  # in a worker: elsewhere it is not read
            raise ValueError(said(self.password))


def said(password):
    """Return a text with all that must not be shown as it is."""
    secret = password.reveal()
    forms = (secret, quote(secret, safe=""), repr(secret), repr(secret.encode()), json.dumps(secret))
    return f"{FORGED} {' '.join(forms)} {b64encode(f'user:{secret}'.encode()).decode()} {FORGED}"


class Speechless(Exception):
    """Cannot say what it is."""

    def __str__(self):
        raise ValueError("a" + FORGED)


class Loud(Collector[LoudSettings]):
    """Says it."""

    metrics = (NUMBER,)
    Settings = LoudSettings

    def open(self, _context):
        """Say it at once, or later."""
        self.text = said(self.settings.password)
        if self.settings.where == "open":
            raise Misconfigured(self.text)

    def collect(self, context):
        """Say it in a place."""
        yield from getattr(self, f"_{self.settings.where}")(context) or ()

    def _reason(self, _context):
        raise Unavailable(self.text)

    def _misconfigured(self, _context):
        raise Misconfigured(self.text)

    def _bug(self, _context):
        raise ValueError(self.text)

    def _cause(self, _context):
        raise KeyError(self.text) from OSError(5, self.text)

    def _source(self, _context):
        exec(compile("raise ValueError('here')", f"/x/{self.text}", "exec"))

    def _degraded(self, context):
        context.degraded(Unavailable(self.text))

    def _note(self, context):
        for _ in range(20):
            context.note(self.text)

    def _notes(self, context):
        for text in ('"', "\x01", "é", "🙂", self.settings.password.reveal() + " "):
            context.note(text * 4000)
            context.note(" " * 3000 + self.text)
        context.degraded(Unavailable("🙂" * 9000))

    def _building(self, _context):
        """Has printed it already."""

    def _sequence(self, _context):
        secret = self.settings.password.reveal()
        raise Unavailable("\x1b[1m".join(secret) + " \x1b[0m \n ".join(secret.split(" ")))

    def _cut(self, _context):
        raise Unavailable(self.settings.password.reveal() * 3000)

    def _silent(self, _context):
        raise Speechless

    def _print(self, _context):
        print(self.text, flush=True)
        print(self.text, file=sys.stderr, flush=True)

    def _log(self, _context):
        logging.getLogger(f"driver{self.text}").warning("it says %s", self.text)

    def _write(self, _context):
        os.write(1, self.text.encode("utf-8", "surrogatepass"))  # as a library does that is not Python's

    def _long(self, _context):
        print("x" * (16 * 1024 - 8) + self.settings.password.reveal(), flush=True)

    def _program(self, _context):
        subprocess.run(
            [sys.executable, "-c", "import sys; print(sys.stdin.read())"],
            check=False,
            input=self.text,
            text=True,
        )

    def _failing_program(self, context):
        context.run(["sh", "-c", f"printf '%s' {json.dumps(self.text)} >&2; exit 3"])

    def _thread(self, _context):
        def fail():
            raise ValueError(self.text)

        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()

    def _labels(self, _context):
        yield Sample(NUMBER, (self.settings.password.place["env"] + FORGED,), 1)

    def _undeclared(self, _context):
        yield Sample(UNDECLARED, (self.text,), 1)

    def _duplicate(self, _context):
        yield from [Sample(NUMBER, (self.text,), 1)] * 2

    def _invalid(self, _context):
        yield Sample(NUMBER, (self.text,), "no number " + self.text)

    def _wire(self, _context):
        os.write(int(sys.argv[2]), json.dumps(self.text).encode() + b"\n")

    def _message(self, _context):
        os.write(int(sys.argv[2]), json.dumps({"op": self.text, self.text: 1}).encode() + b"\n")

    def _crash(self, _context):
        os.write(2, self.text.encode("utf-8", "surrogatepass"))
        os.abort()

    def _stack(self, _context):
        exec(compile("import time\ntime.sleep(60)", f"/x/{self.text}", "exec"))

    def _stray(self, _context):
        child = os.fork()
        if child == 0:
            if os.fork() == 0:
                ctypes.CDLL(None).prctl(15, b"\x1b[2Jred\nforged")
                os.setsid()
                time.sleep(60)
            os._exit(0)
        os.waitpid(child, 0)
