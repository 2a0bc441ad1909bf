"""The fence for questions that may be refused."""

import errno

import pytest

from rscollector.api import Misconfigured, Unavailable
from rscollector.kit.optional import Disconnected, optional
from rscollector.testing import FakeContext


@pytest.mark.parametrize(
    "refusal",
    [
        Unavailable("no"),
        Misconfigured("no"),
        PermissionError(errno.EACCES, "no"),
        OSError("no"),
        TimeoutError("no"),
    ],
)
def test_what_is_refused_is_noted_and_the_rest_goes_on(refusal):
    """The note says what is missing, why, and what would bring it."""
    context = FakeContext()
    with optional(context, "the lag", "the role clusterMonitor") as asked:
        raise refusal
    assert asked.refused.endswith("no")
    assert context.notes == [f"missing: the lag: {asked.refused} (this needs the role clusterMonitor)"]


def test_an_answer_leaves_no_note():
    """Nothing is missing."""
    context = FakeContext()
    with optional(context, "the lag") as asked:
        pass
    assert (asked.refused, context.notes) == ("", [])


def test_a_refusal_without_words_is_called_by_its_class():
    """A note never ends in nothing."""
    context = FakeContext()
    with optional(context, "the lag"):
        raise TimeoutError
    assert context.notes == ["missing: the lag: TimeoutError"]


def test_a_connection_that_is_gone_is_everybodys_matter():
    """There is nobody to ask the other questions: the collect fails."""
    with pytest.raises(Disconnected), optional(FakeContext(), "the lag"):
        raise Disconnected("gone")


def test_a_fault_of_ours_is_not_hidden():
    """A bug is told with its traceback, and not as something that the service would not answer."""
    with pytest.raises(KeyError), optional(FakeContext(), "the lag"):
        raise KeyError("lag")
