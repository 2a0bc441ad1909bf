"""What pytest has wherever rscollector is installed: fixtures, and a mark for recordings.

It is loaded into each run of pytest, also of those who test something else. So it imports nothing of
rscollector before a test asks for it, which is why it does not live in `rscollector.testing`; and coverage,
which begins to measure after plugins are loaded, misses nothing.

Its entry point has the name of this module, so that it is loaded once, also for those who name it by
`pytest_plugins` or `-p`. Types are quoted where a pytest that is older than ours does not have them.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from rscollector.testing import FakeContext, Recording, Recordings, Root
    from rscollector.testing.http import FakeHttp

_MARK = (
    "recorded(pattern, without=()): run the test with each file that matches the pattern beside the test's, "
    "as its argument `recording`; `without` are patterns of names that are left out"
)


def pytest_configure(config: "pytest.Config") -> None:
    """Make the mark known."""
    config.addinivalue_line("markers", _MARK)


def pytest_generate_tests(metafunc: "pytest.Metafunc") -> None:
    """Run a test that asks for a recording with each that its mark names."""
    mark = metafunc.definition.get_closest_marker("recorded")
    is_ours = mark and mark.args and isinstance(mark.args[0], str)  # others may call one of theirs so
    if mark and is_ours and "recording" in metafunc.fixturenames:
        found = _recorded(metafunc.definition.path, *mark.args, **mark.kwargs)
        metafunc.parametrize("recording", list(found.values()), ids=list(found))


def _recorded(file: Path, pattern: str, *, without: str | Sequence[str] = ()) -> "Recordings":
    """Return what a mark names; where it names nothing, no test is left out in silence."""
    from rscollector.testing import NoRecording, Recordings

    try:
        return Recordings(file, pattern, without=without)
    except NoRecording as error:
        pytest.fail(f"recorded: {error}", pytrace=False)


@pytest.fixture
def recording() -> "Recording":
    """Return the recording that this test is run with; its mark `recorded` says which there are."""
    pytest.fail('which recordings? Mark the test: @pytest.mark.recorded("recordings/*.json")', pytrace=False)


@pytest.fixture
def root(tmp_path: Path) -> "Root":
    """Return another host, whose files the test writes."""
    from rscollector.testing import Root

    return Root(tmp_path / "root")


@pytest.fixture
def fake_context(root: "Root") -> "FakeContext":
    """Return a context on the host `root`."""
    from rscollector.testing import FakeContext

    return FakeContext(root=root)


@pytest.fixture
def fake_http() -> "Iterator[FakeHttp]":
    """Yield an HTTP server that answers what the test has set, on a port of this host."""
    from rscollector.testing.http import FakeHttp

    with FakeHttp() as fake:
        yield fake
