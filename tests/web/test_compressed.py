"""Pages that are compressed piece by piece: whole, and none of it twice."""

import gzip
import zlib

from hypothesis import given
from hypothesis import strategies as st

from rscollector.web.compressed import Compressor, pieces

chunk = st.builds(
    lambda letter, count: letter * count, st.binary(min_size=1, max_size=1), st.integers(0, 300)
)


@given(st.lists(chunk), st.integers(2, 100))
def test_pieces_are_the_whole_and_none_is_large(chunks, size):
    """Nothing is lost or moved, and no piece is much larger than it should be."""
    made = list(pieces(chunks, size))
    assert b"".join(made) == b"".join(chunks)
    assert all(len(piece) < 2 * size for piece in made)
    assert all(made)


@given(st.lists(chunk), st.integers(2, 100))
def test_pieces_are_not_small_for_long(chunks, size):
    """Of two neighbours at most one is smaller than half the size: there are not many more than needed."""
    made = [len(piece) for piece in pieces(chunks, size)]
    cut = [length for length in made if length < size // 2]
    assert (
        len(made)
        <= 4 * (sum(made) // size) + 2 * len([each for each in chunks if len(each) >= size // 2]) + 1
    )
    assert len(cut) <= len(made) // 2 + 1


@given(st.lists(st.lists(chunk.filter(bool), max_size=5), min_size=1, max_size=4))
def test_any_page_decompresses_to_itself(pages):
    """One after the other, with pieces kept from those before, in one member that every client reads."""

    compressor = Compressor()
    for page in pages:
        got = b"".join(compressor.compress("text", page))
        one = zlib.decompressobj(wbits=31)
        assert one.decompress(got) == b"".join(page)
        assert (one.eof, one.unused_data) == (True, b"")
        assert gzip.decompress(got) == b"".join(page)


def test_what_has_not_changed_is_not_compressed_again():
    """The compressed form of an unchanged piece is the very object of the last page."""
    compressor = Compressor()
    _, a, b, *_ = compressor.compress("text", [b"a" * 1000, b"b" * 1000])
    _, again, c, *_ = compressor.compress("text", [b"a" * 1000, b"c" * 1000])
    assert again is a
    assert c is not b
