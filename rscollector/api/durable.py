"""Files that are there after a loss of power, as they were written and as a whole."""

import errno
import os
from contextlib import suppress
from pathlib import Path

_NOT_FOR_DIRECTORIES = (errno.EINVAL, errno.ENOTSUP)  # what some file systems say to fsync of one


def replace_file(path: Path, data: bytes) -> None:
    """Put a file in the place of another, or of none; its directory is made. Raises OSError.

    Whenever the host loses its power, there is the whole of the one or of the other.
    """
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    try:
        write_synced(new, data)
        new.replace(path)
        sync_directory(path.parent)
    except OSError:
        with suppress(OSError):
            new.unlink(missing_ok=True)
        raise


def write_synced(path: Path, *parts: bytes) -> None:
    """Write a file; then its content is on the disk, and with `sync_directory` its name. Raises OSError."""
    with path.open("wb") as file:
        file.writelines(parts)
        file.flush()
        os.fdatasync(file.fileno())


def sync_directory(path: Path) -> None:
    """Have the names in a directory on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NOT_FOR_DIRECTORIES:
            raise
    finally:
        os.close(descriptor)
