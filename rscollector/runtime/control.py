"""Where the control socket is: one rule for the agent, which makes it, and for those who ask it."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

_NAME = "control.sock"
SERVICE = Path("/run/rscollector")


def socket_path() -> Path:
    """Return where an agent of this user makes its control socket."""
    return next(candidates())


def candidates() -> Iterator[Path]:
    """Yield where an agent's control socket may be, the likeliest first."""
    if "RUNTIME_DIRECTORY" in os.environ:
        yield Path(os.environ["RUNTIME_DIRECTORY"].split(":")[0], _NAME)
    elif "XDG_RUNTIME_DIR" in os.environ:
        yield Path(os.environ["XDG_RUNTIME_DIR"], "rscollector", _NAME)
    elif os.geteuid() != 0:
        yield Path(tempfile.gettempdir(), f"rscollector-{os.geteuid()}", _NAME)
    yield SERVICE / _NAME
