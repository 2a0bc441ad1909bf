"""What is free between what stays goes back to the kernel."""

from pathlib import Path

from rscollector.api import heap

_TOO_LARGE_FOR_PYTHONS_OWN_ARENAS = 2000
_NUMBER = 20_000


def _anonymous():
    lines = Path("/proc/self/smaps_rollup").read_text("ascii").splitlines()
    (line,) = [each for each in lines if each.startswith("Anonymous:")]
    return int(line.split()[1]) * 1024


def test_memory_that_is_free_between_what_stays_is_given_back():
    """A piece in a hundred stays: without this, so does the room of the other ninety-nine."""
    pieces = [b"x" * (_TOO_LARGE_FOR_PYTHONS_OWN_ARENAS + each % 7) for each in range(_NUMBER)]
    kept = pieces[::100]
    pieces.clear()
    before = _anonymous()
    heap.give_back()
    assert before - _anonymous() > 0.8 * _TOO_LARGE_FOR_PYTHONS_OWN_ARENAS * _NUMBER
    assert len(kept) == _NUMBER // 100


def test_another_c_library_keeps_what_it_has(monkeypatch):
    """malloc_trim(3) is glibc's."""
    monkeypatch.setattr(heap, "_trim", None)
    heap.give_back()
