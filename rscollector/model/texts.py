"""Text that comes from outside, made fit to be shown: one line, bounded, without control characters. Pure.

A server's error, a driver's exception, what a program prints, a name in /proc: whoever wrote it may have
meant a log line of ours or a command for a terminal. It is mended where it enters, before it is kept, so that
whatever shows it later can show it as it is.
"""

import re
from collections.abc import Callable

LONGEST_REASON = 500
LONGEST_NOTE = 1000
LONGEST_LINE = 2000
"""Of what is logged for somebody else; all in characters."""
_BLOCK = 40
_BLOCK_LINE = 300

_TERMINAL = re.compile("\x1b\\[[0-?]*[ -/]*[@-~]")  # colours, cursor, clearing: ECMA-48, 5.4
_INVISIBLE = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
"""Control characters, those that turn the direction of writing, and what is no character (surrogates)."""
_UNFIT = re.compile(f"[{_INVISIBLE}]")
_UNFIT_BUT_NEWLINE = re.compile(f"(?!\n)[{_INVISIBLE}]")


def one_line(text: str, most: int = LONGEST_REASON, masked: Callable[[str], str] = str) -> str:
    """Return a text as one line of at most `most` characters, without terminal sequences.

    It is `masked` as it came, and when it is clean: a secret may be in pieces, which come together only then.
    """
    line = " ".join(_TERMINAL.sub("", masked(cut(text, 1 << 16))).split())
    return cut(masked(_UNFIT.sub("\ufffd", line)), most)


def cut(text: str, most: int) -> str:
    """Return a text of at most `most` characters, which ends with "…" if there were more."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def block(text: str, masked: Callable[[str], str] = str) -> list[str]:
    """Return the last lines of a stack or a traceback, each as `one_line` has it but for its indentation."""
    lines = masked(text).splitlines()[-_BLOCK:]
    indents = (line[: len(line) - len(line.lstrip(" "))][:20] for line in lines)
    return [indent + one_line(line, _BLOCK_LINE, masked) for indent, line in zip(indents, lines, strict=True)]


def printable(text: str) -> str:
    """Return a text, such as a label's value, that does nothing to a terminal; its newlines stay.

    Control characters are written as Python does (`\\x1b`), so that no two labels become one.
    """
    return text if text.isprintable() else _UNFIT_BUT_NEWLINE.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    if "\ud800" <= found[0] <= "\udfff":
        return "\ufffd"  # as everybody shows a byte that is no UTF-8
    number = ord(found[0])
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
