"""The collector in a process of its own, such as one in another mount namespace: `ticking.py STATE TIMEOUT USER SETTINGS`.

For each line `tick` on its standard input it collects and writes a line of JSON; at `renew` the collector is closed
and another one opened, as in a new worker; at its end it dies without closing it.
"""

import ctypes
import encodings.ascii  # noqa: F401  a user who may not read this environment needs it
import json
import os
import sys
import time
from pathlib import Path

from collectors.filesystem import Filesystem
from rscollector.api import Context
from rscollector.runtime.foreground import settings_of
from rscollector.testing import values


def spent():
    """Return the seconds of CPU of this process and of the children that it has reaped."""
    return time.process_time() + sum(os.times()[2:4])


def main(state, timeout, user, settings):
    def context():
        made = Context("main", timeout=float(timeout), interval=15, agent=os.getppid())
        made.state = Path(state)
        return made

    def opened():
        collector = Filesystem(settings_of(Filesystem, json.loads(settings), lambda *_: None))
        collector.open(context())
        return collector

    if user != "0":
        os.setgroups([])
        os.setresuid(*[int(user)] * 3)
        ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE: as if it had been started by that user
    collector = opened()
    for line in sys.stdin:
        if line == "renew\n":
            collector.close()
            collector = opened()
        now, cpu, began = context(), spent(), time.monotonic()
        found = list(collector.collect(now)) if line == "tick\n" else []
        took = {"seconds": time.monotonic() - began, "cpu": spent() - cpu}
        print(
            json.dumps({"values": values(found), "notes": now.notes, "sentences": now.sentences, **took}),
            flush=True,
        )
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
