"""Text that comes from outside, made fit to be shown: one line, bounded, without control characters. Pure.

A server's error, a driver's exception, what a program prints, a name in /proc: whoever wrote it may have
meant a log line of ours or a command for a terminal. It is mended where it enters, before it is kept, so that
whatever shows it later can show it as it is.
"""

import re

REASON = 500
"""The longest reason, in characters."""
NOTE = 1000
"""The longest note."""
LINE = 2000
"""The longest line that is logged for somebody else."""
_BLOCK = 40
_BLOCK_LINE = 300

_TERMINAL = re.compile("\x1b\\[[0-?]*[ -/]*[@-~]")  # colours, cursor, clearing: ECMA-48, 5.4
_INVISIBLE = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
"""Control characters, those that turn the direction of writing, and what is no character (surrogates)."""
_UNFIT = re.compile(f"[{_INVISIBLE}]")
_UNFIT_BUT_NEWLINE = re.compile(f"(?!\n)[{_INVISIBLE}]")


def one_line(text: str, most: int = REASON) -> str:
    """Return a text as one line of at most `most` characters, without terminal sequences."""
    line = " ".join(_TERMINAL.sub("", text[: 4 * most]).split())
    line = _UNFIT.sub("\ufffd", line)
    return line if len(line) <= most else f"{line[: most - 1]}…"


def block(text: str) -> list[str]:
    """Return the last lines of a stack or a traceback, each as `one_line` has it but for its indentation."""
    lines = text.splitlines()[-_BLOCK:]
    return [line[: len(line) - len(line.lstrip(" "))][:20] + one_line(line, _BLOCK_LINE) for line in lines]


def printable(text: str) -> str:
    """Return a text, such as a label's value, that does nothing to a terminal; its newlines stay."""
    return text if text.isprintable() else _UNFIT_BUT_NEWLINE.sub("\ufffd", text)
