"""What the collector tells of a hard NFS mount whose cable is cut and plugged in again; runs in a user-mode Linux."""

import json
import os
import subprocess
import time
from pathlib import Path

from harness import children

from collectors.filesystem import Filesystem
from collectors.filesystem.systems import FilesystemSettings
from rscollector.api import Context
from rscollector.testing import values

HUNG = 'filesystem_responding{mountpoint="/mnt/nas"}'


class Watched:
    """The collector, and what it tells at each tick."""

    def __init__(self):
        self.collector = Filesystem(FilesystemSettings())
        self.collector.open(self.context())

    def context(self):
        """Return a context with a state file."""
        made = Context("main", timeout=4, interval=15, agent=os.getppid())
        made.state = Path("/run/state.json")
        return made

    def tick(self, what):
        """Print what a tick tells."""
        context, began = self.context(), time.monotonic()
        found = values(self.collector.collect(context))
        told = {
            "what": what,
            "responding": found.get(HUNG),
            "size": found.get('filesystem_size_bytes{mountpoint="/mnt/nas"}'),
            "others": found.get('filesystem_available_bytes{mountpoint="/mnt/exp"}'),
            "notes": context.notes,
            "seconds": time.monotonic() - began,
            "questions": len(children(os.getpid())),
            "states": [
                Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
                for pid in children(os.getpid())
            ],
        }
        print(json.dumps(told), flush=True)
        return told["responding"]


def cable(state):
    """Plug it in (up) or out (down), at the server's end."""
    subprocess.run(["ip", "netns", "exec", "S", "ip", "link", "set", "server", state], check=True)


def main():
    """Watch one mount through it all."""
    watched = Watched()
    watched.tick("well")
    cable("down")
    watched.tick("cut")
    watched.tick("still cut")
    watched.collector.close()
    watched = Watched()
    watched.tick("another worker")
    cable("up")
    for _ in range(60):
        if watched.tick("plugged in"):
            break
        time.sleep(1)
    watched.collector.close()


main()
