"""The clock: whether the kernel holds it for synchronised, and by how much it is off.

The kernel answers anybody. Its offset is what is still to be corrected by its own loop, which ntpd and
systemd-timesyncd use (STA_PLL); chrony does not, and the kernel's offset is 0 then whatever the truth is. So
chrony is asked itself. An offset is positive where the clock is behind.
"""

import ctypes
import os
from collections.abc import Callable, Iterator
from math import isfinite
from typing import NamedTuple

from collectors.host.proc import HOST
from rscollector.api import Context, Misconfigured, Sample, Unavailable, one_line
from rscollector.kit.optional import optional

SYNCHRONIZED = HOST.gauge("clock_synchronized", "Whether the kernel holds the clock for synchronised.")
OFFSET = HOST.gauge(
    "clock_offset_seconds",
    "By how much the clock is behind (ahead: negative), as chrony or the kernel's own loop estimates; absent "
    "where nobody does.",
)
ERROR = HOST.gauge(
    "clock_error_max_seconds", "By how much the clock is off at most, as the kernel estimates."
)
METRICS = (SYNCHRONIZED, OFFSET, ERROR)

ASK = ("chronyc", "-c", "-n", "-m", "timeout 200", "retries 0", "tracking")
"""Without names (-n): it would ask DNS. A chronyd that hangs costs 0.2 s for each address, and not 7 s."""
FIELDS = 14
UNKNOWN_ERROR = 16.0
"""Seconds: the kernel's NTP_PHASE_LIMIT. Less was told by somebody who keeps the clock, not long ago."""
_TIME_ERROR = 5
_STA_PLL, _STA_NANO = 0x0001, 0x2000
_AGAIN = 60.0  # chronyd itself asks its servers each minute, or less often
_AFTER_A_HANG = 600.0
_QUICK = 1.0


class Timex(NamedTuple):
    """What adjtimex(2) says: the clock's state, its status bits, and times in µs, or ns by STA_NANO."""

    state: int
    status: int
    offset: int
    maxerror: int

    @property
    def is_synchronized(self) -> bool:
        """Tell it as timedatectl and node_exporter do."""
        return self.state != _TIME_ERROR

    @property
    def loop_offset(self) -> float | None:
        """Return the seconds that the kernel's loop has to correct still, None while it does not run."""
        return self.offset * (1e-9 if self.status & _STA_NANO else 1e-6) if self.status & _STA_PLL else None


class _Timex(ctypes.Structure):
    """The beginning of struct timex, of which nothing behind is needed; glibc's has 208 bytes."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 512),
    )


_adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex


def adjtimex() -> Timex:
    """Ask the kernel, without changing anything. Raises Unavailable where it refuses."""
    buffer = _Timex()
    if (state := _adjtimex(ctypes.byref(buffer))) < 0:
        raise Unavailable(f"adjtimex: {os.strerror(ctypes.get_errno())}")
    return Timex(state, buffer.status, buffer.offset, buffer.maxerror)


class Chrony:
    """Asks chronyd once a minute, and ten after it was slow: others share the worker."""

    def __init__(self) -> None:
        self._next = -1.0
        self._offset: float | None = None
        self._failure = ""

    def offset(self, context: Context) -> float | None:
        """Return by how much the clock is behind, None where chrony does not tell; a note says why."""
        if context.clock() >= self._next:
            began = context.clock()
            self._ask(context)
            took = context.clock() - began
            self._next = began + (_AGAIN if took < _QUICK else _AFTER_A_HANG)
        if self._failure:
            context.note(self._failure)
        return self._offset

    @property
    def source(self) -> str:
        """Whose word the clock's offset is."""
        return "adjtimex" if self._offset is None else "chronyc tracking"

    def _ask(self, context: Context) -> None:
        self._offset, self._failure = None, ""
        try:
            self._offset = tracked(context.run(ASK, answers=(0, 1)).decode("utf-8", "replace"))
        except Misconfigured:  # this host has no chrony
            pass
        except (Unavailable, ValueError) as error:
            self._failure = f"missing: chrony's offset: {error}"


def tracked(text: str) -> float | None:
    """Return the correction in an answer of `chronyc -c tracking`, None while chronyd has no time to go by.

    Raises ValueError.
    """
    fields = text.strip().split(",")
    if len(fields) < FIELDS:
        said = one_line(text, 80) or "nothing"
        raise ValueError(f"chronyc tracking says: {said}; look whether chronyd runs, and at its cmdport")
    if not isfinite(correction := float(fields[4])):
        raise ValueError(f"chronyc tracking has no offset: {one_line(fields[4], 40)}")
    return None if fields[13] == "Not synchronised" else correction


def samples(context: Context, ask: Callable[[], Timex], chrony: Chrony) -> Iterator[Sample]:
    """Yield what kernel and chrony say of the clock."""
    offset = None
    with optional(context, "the clock's state", "adjtimex, which the filters of some containers refuse"):
        timex = ask()
        offset = timex.loop_offset
        yield SYNCHRONIZED(int(timex.is_synchronized))
        yield ERROR(timex.maxerror / 1e6)
    if (correction := chrony.offset(context)) is not None:
        offset = correction
    if offset is not None:
        yield OFFSET(offset)
