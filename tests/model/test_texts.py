"""Text from outside: one line, bounded, harmless to a terminal."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rscollector.model.texts import block, one_line, printable

anything = st.text(alphabet=st.characters())


@given(anything, st.integers(2, 100))
def test_whatever_is_said_becomes_one_bounded_line_that_can_be_written(text, most):
    """No control character, no line's end, no surrogate, and never longer than was allowed."""
    line = one_line(text, most)
    assert len(line) <= most
    assert len(line.splitlines()) <= 1
    assert not any(each < " " or "\x7f" <= each <= "\x9f" for each in line)
    line.encode("utf-8")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("plain", "plain"),
        ("a line\r\n  and\tanother\u2028third", "a line and another third"),
        ("\x1b[2J\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;a title\x07 \x08\x08", "\ufffd]0;a title\ufffd \ufffd\ufffd"),
        ("\u202eevil\u202c \ud800", "\ufffdevil\ufffd \ufffd"),
        ("Grüße, 世界 🙂", "Grüße, 世界 🙂"),
        ("x" * 501, "x" * 499 + "…"),
        (" " * 9000 + "x", "x"),
    ],
)
def test_what_is_shown_of_what_was_said(said, shown):
    """Words stay; what would move a cursor, end a line or turn the writing does not."""
    assert one_line(said) == shown


def test_a_stack_keeps_its_lines_and_their_indentation():
    """The last forty lines, each of them bounded."""
    text = "\n".join(
        ["first", *[f'  File "{number}"' for number in range(39)], "    \x1b[1mraise " + "x" * 999]
    )
    lines = block(text)
    assert lines[:2] == ['  File "0"', '  File "1"']
    assert (len(lines), len(lines[-1]), lines[-1][:12]) == (40, 304, "    raise xx")


@given(anything)
def test_a_label_value_can_always_be_encoded(text):
    """Whatever text a collector makes, the page can be written; what was right is not changed."""
    mended = printable(text)
    mended.encode("utf-8")
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e]", mended)
    assert text != mended or not re.search("[\x00-\x09\x0b-\x1f\ud800-\udfff]", text)


def test_a_label_value_keeps_letters_and_newlines():
    """And loses what would clear a terminal that shows the page."""
    assert printable("caf\u00e9\n\u200d\t\x1b[2J\r\ud800") == "caf\u00e9\n\u200d\\x09\\x1b[2J\\x0d\ufffd"
    assert printable("a\x01\u202e") == "a\\x01\\u202e"


def test_what_comes_together_only_when_it_is_clean_is_masked_too():
    """A secret with a terminal's sequence, or with several blanks, in its midst."""

    def masked(text):
        return text.replace("hunter2", "***").replace("pass word", "***")

    assert one_line("is hun\x1b[1mter2 and pass\n   word", masked=masked) == "is *** and ***"
    assert block("  x hun\x1b[0mter2", masked) == ["  x ***"]
    assert one_line("hunter2" * 999, 10, masked) == "*********…"
