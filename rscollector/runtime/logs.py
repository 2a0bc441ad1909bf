"""The log: one line per change of state, to standard error, without ever blocking the loop.

A thread writes the lines, because a terminal, a pipe or a journal that does not read would stop whoever
writes to it; when its queue is full, lines are dropped and counted. Under systemd each line begins with its
priority, `<4>`, which the journal takes off; on a terminal with the time.
"""

import logging
import logging.handlers
import os
import queue
import signal
import threading
from contextlib import suppress

from rscollector.wire.priorities import Priorities

_QUEUE = 1000


class _Dropping(logging.handlers.QueueHandler):
    """Hands records to the writing thread and counts those for which there is no room."""

    dropped = 0

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            self.dropped += 1


class Log:
    """The agent's log. `close` waits a little for the last lines; a log that is stuck is left behind."""

    def __init__(self, level: int = logging.INFO, output: int = 2) -> None:
        records: queue.Queue[logging.LogRecord | None] = queue.Queue(_QUEUE)
        formatter = (
            Priorities("%(message)s")
            if under_journal()
            else logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")
        )
        self._handler = _Dropping(records)
        self._records = records
        how = (records, formatter, output)
        self._thread = threading.Thread(target=_write, args=how, name="log", daemon=True)
        self._thread.start()
        for name in ("rscollector", "asyncio"):
            logger = logging.getLogger(name)
            logger.handlers = [self._handler]
            logger.propagate = False
            logger.setLevel(level)

    @property
    def dropped(self) -> int:
        """The number of lines that were not written."""
        return self._handler.dropped

    def close(self, timeout: float = 1.0) -> None:
        """Write what is left, for at most `timeout` seconds."""
        try:
            self._records.put(None, timeout=timeout)
        except queue.Full:
            return
        self._thread.join(timeout)


def _write(
    records: "queue.Queue[logging.LogRecord | None]", formatter: logging.Formatter, output: int
) -> None:
    """Write lines to the descriptor itself: who waits in there holds no lock that the end would wait for."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # they are for the main thread
    while (record := records.get()) is not None:
        data = f"{formatter.format(record)}\n".encode("utf-8", "backslashreplace")
        with suppress(OSError):  # nobody reads it any more, or there is no room where it goes
            while data:
                data = data[os.write(output, data) :]


def under_journal() -> bool:
    """Tell whether standard error is the journal's: systemd says which device and inode that is."""
    try:
        status = os.fstat(2)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
