"""The level of a line that a worker prints: the journal's priority, such as `<4>`, at its beginning."""

import logging

_PRIORITY = {logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6, logging.DEBUG: 7}
_LEVEL = {priority: level for level, priority in _PRIORITY.items()} | {0: 50, 1: 50, 5: logging.INFO}


class Priorities(logging.Formatter):
    """Puts the journal's priority before each line of a message."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's lines."""
        priority = _PRIORITY.get(record.levelno, 6)
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).splitlines())


def level_and_text(line: str) -> tuple[int, str]:
    """Take a priority off a line; one that has none is information."""
    if len(line) > 2 and line[0] == "<" and line[2] == ">" and line[1].isdecimal():
        return _LEVEL.get(int(line[1]), logging.INFO), line[3:]
    return logging.INFO, line
