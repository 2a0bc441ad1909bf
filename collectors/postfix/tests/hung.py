"""A file system that hangs: one in user space, whose process never answers."""

import ctypes
import os
from contextlib import contextmanager

_DETACH = 2


@contextmanager
def hung(directory):
    """Have every access to what is below a directory hang, until the end."""
    libc = ctypes.CDLL(None, use_errno=True)
    device = os.open("/dev/fuse", os.O_RDWR)
    try:
        options = f"fd={device},rootmode=40000,user_id=0,group_id=0".encode()
        if libc.mount(b"hung", os.fsencode(directory), b"fuse", 0, options) != 0:
            raise OSError(ctypes.get_errno(), "cannot mount")
        try:
            yield
        finally:
            libc.umount2(os.fsencode(directory), _DETACH)
    finally:
        os.close(device)
