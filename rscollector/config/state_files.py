"""Where the state files are, in which collectors and sinks keep what they want to know in their next process.

One rule for workers and for commands.
"""

import os
from pathlib import Path


def state_directory() -> Path:
    """Return the directory that systemd names, else a usual place."""
    if given := os.environ.get("STATE_DIRECTORY"):
        return Path(given.split(":")[0])
    if os.geteuid() == 0:
        return Path("/var/lib/rscollector")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state", "rscollector")


def state_file(key: str) -> Path:
    """Return the file of a collector or sink, whose key is `type/name`."""
    return state_directory() / f"{key}.json"
