"""Names of bytes as labels."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rscollector.kit.names import shown


@pytest.mark.parametrize(
    ("raw", "label"),
    [
        (b"eth0", "eth0"),
        ("Käse".encode(), "Käse"),
        (b"a\xff", "a\\xff"),
        (b"a\nb", "a\\nb"),
        ("ä\x1b[2J".encode(), "\\xc3\\xa4\\x1b[2J"),
    ],
)
def test_a_name_that_can_be_printed_stays_and_another_is_as_in_python(raw, label):
    """A name with both is written as a whole as Python writes bytes."""
    assert shown(raw) == label


@given(st.binary(max_size=50))
def test_every_name_can_be_printed(raw):
    """Whatever the kernel takes for one."""
    assert shown(raw).isprintable()
