"""What is read of files that others can write: regular files only, and no more than so many bytes."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO


def content(file: Path, most: int) -> bytes:
    """Return what is in a file. Raises ValueError with the file and why it cannot be read.

    A pipe or a device may never end, and whoever opens a pipe waits for its other end.
    """
    try:
        with _opened(file) as opened:
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                raise ValueError(f"{file} cannot be read: it is no regular file")
            found = opened.read(most + 1)
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}") from None
    if len(found) > most:
        raise ValueError(f"{file} is longer than {most >> 10} KiB: is it the right file?")
    return found


def _opened(file: Path) -> BinaryIO:
    try:
        return open(file, "rb", opener=_not_waiting)
    except ValueError as error:  # a NUL in it, or half a character
        raise OSError(errno.EINVAL, "no file can have this name") from error


def _not_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)
