"""Where the control socket is: one rule for the agent, which makes it, and for those who ask it."""

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

_NAME = "control.sock"
_ANYBODY = stat.S_ISVTX | stat.S_IWOTH
SERVICE = Path("/run/rscollector")
FOREIGN = "was made by another user; remove it, or set XDG_RUNTIME_DIR to a directory of your own"


def socket_path() -> Path:
    """Return where an agent of this user makes its control socket."""
    return next(candidates())


def candidates() -> Iterator[Path]:
    """Yield where an agent's control socket may be, the likeliest first.

    A variable that is empty is not set, as elsewhere: no directory that somebody happens to be in is meant.
    """
    if given := os.environ.get("RUNTIME_DIRECTORY"):
        yield Path(given.split(":")[0], _NAME)
    elif of_user := os.environ.get("XDG_RUNTIME_DIR"):
        yield Path(of_user, "rscollector", _NAME)
    elif os.geteuid() != 0:
        yield Path(tempfile.gettempdir(), f"rscollector-{os.geteuid()}", _NAME)
    yield SERVICE / _NAME


def is_foreign(path: Path) -> bool:
    """Tell whether somebody else may have made this socket: its directory is another's, in one like /tmp."""
    try:
        own, around = path.parent.lstat(), path.parent.parent.stat()
    except OSError:  # who cannot look there cannot connect either
        return False
    anybody = around.st_mode & _ANYBODY == _ANYBODY
    return anybody and not (stat.S_ISDIR(own.st_mode) and own.st_uid == os.geteuid())
