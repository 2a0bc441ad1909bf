"""How a process dies: with the one that started it, and by which signal. Every worker needs this."""

import ctypes
import os
import signal


def signal_name(number: int) -> str:
    """Return the name of a signal; a real-time one has only its number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


_PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None, use_errno=True).prctl


def die_with_thread() -> None:
    """Have the kernel kill this process when the thread that started it ends, says prctl(2)."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def die_with_parent(parent: int) -> bool:
    """Die with the parent process; False when it is no longer there already."""
    die_with_thread()
    return os.getppid() == parent
