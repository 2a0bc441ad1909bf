"""For the tests of plugins: the authors' own tools.

    from rscollector.testing import FakeContext, assert_values, collect, values

    def test_the_load_is_what_the_program_prints():
        context = FakeContext(commands={("load",): b"0.25"})
        assert_values(values(collect(Load, context=context)), {"load_average": 0.25})

`collect` runs a collector as the agent would, and refuses what the agent would drop. `FakeContext` has a
clock that stands still until it is told to move, answers commands instead of running them, and shows another
host's files, those of a `Root`. `Recordings` are what real systems once answered, in a folder beside the
tests, and two assertions show what comes nearest to what they miss.

`rscollector.testing.http` has a server for collectors that ask over HTTP.

Where rscollector is installed pytest has `root`, `fake_context` and `fake_http` as fixtures, and a mark that
runs a test with each recording:

    @pytest.mark.recorded("recordings/*.json")
    def test_the_agent_would_take_all_of_it(recording):
        assert collect(of(recording.json()))
"""

from rscollector.testing.context import FakeClock, FakeContext
from rscollector.testing.emitted import assert_all_metrics_are_emitted
from rscollector.testing.expected import assert_values
from rscollector.testing.recordings import NoRecording, Recording, Recordings
from rscollector.testing.root import Root
from rscollector.testing.samples import Rejected, collect, page, values

__all__ = [
    "FakeClock",
    "FakeContext",
    "NoRecording",
    "Recording",
    "Recordings",
    "Rejected",
    "Root",
    "assert_all_metrics_are_emitted",
    "assert_values",
    "collect",
    "page",
    "values",
]
