"""Directories that this user may not enter: who is refused by one is told which it is, and not an errno."""

import os
from pathlib import Path


def closed(path: Path) -> Path | None:
    """Return the first directory on the way to a path that this user may not enter, None if there is none."""
    for directory in reversed(path.parents):
        try:
            os.stat(f"{directory}/.")  # noqa: PTH116  a Path has no such dot
        except PermissionError:
            return directory
        except OSError:
            return None
    return None


def shut_out(path: Path, directory: Path) -> str:
    """Say that a directory keeps this user from a path."""
    return (
        f"{path}: this user may not look into {directory}, which is on the way there: "
        f"whoever owns that has to let it pass (`namei -l {path}` shows the way)"
    )
