"""Recorded hosts: their roots, and the collector on them, with a clock that the test sets."""

from pathlib import Path

from collectors.host import Host
from collectors.host.clock import Timex
from rscollector.runtime.foreground import settings_of
from rscollector.testing import FakeContext, values

RECORDINGS = Path(__file__).parent / "recordings"
HEALTHY = "linux-6.1-uml-healthy"
PARTS = [f"linux-6.1-uml-{each}" for each in ("failed", "rebuilding", "inactive")]
WHOLE = sorted({path.name for path in RECORDINGS.iterdir() if path.is_dir()} - set(PARTS))
WRITTEN = [name for name in WHOLE if name.endswith("-written")]
FOLLOWED = Timex(state=0, status=0x2001, offset=-1_500_000, maxerror=16_000)


class Still(Host):
    """It waits for nothing, and the kernel's clock is what the test says."""

    apart = 0.0
    timex = FOLLOWED

    def ask_clock(self):
        """Return the test's clock, or raise its exception."""
        if isinstance(self.timex, Exception):
            raise self.timex
        return self.timex


class Watched:
    """The collector on a root, kept from tick to tick; `context` is the newest tick's."""

    def __init__(self, root, commands=None, timex=FOLLOWED, **settings):
        self.root, self.commands = root, commands or {}
        self.context = self._new(None)
        self.collector = Still(settings_of(Host, settings, None))
        self.collector.timex = timex
        self.collector.open(self.context)

    def _new(self, clock):
        return FakeContext(root=self.root, commands=self.commands, clock=clock)

    def tick(self, seconds=15.0):
        """Return the series after some time."""
        self.context.clock.advance(seconds)
        self.context = self._new(self.context.clock)
        return values(self.collector.collect(self.context))

    @property
    def said(self):
        """What the newest tick says."""
        return self.context.sentences


def host(root, name):
    """Make a root the recorded host."""
    if name in PARTS:
        root.copy(RECORDINGS / HEALTHY)
        root.remove("sys/block")
    root.copy(RECORDINGS / name)
    return root
