"""The fakes that plugin authors are given."""

import pytest

from rscollector.api import Collector, Kind, Metric, NoSettings, Unavailable
from rscollector.testing import FakeContext, Rejected, collect, page, values

LOAD = Metric("load_average", Kind.GAUGE, "Processes that want to run.", labels=("kind",))
STRAY = Metric("load_stray", Kind.GAUGE, "Declared, but not among the collector's metrics.")


class Load(Collector[NoSettings]):
    """The load, as a program prints it."""

    metrics = (LOAD,)

    def collect(self, context):
        """Run the program."""
        yield LOAD(float(context.run(["load"])), kind="short")


class Stray(Load):
    """Emits what it has not declared."""

    def collect(self, context):
        """Emit it."""
        yield STRAY(1)


def test_commands_are_answered_and_remembered():
    """A fake context answers a program and lists what was run."""
    context = FakeContext(commands={("load",): b"0.25"})
    assert values(collect(Load, context=context)) == {'load_average{kind="short"}': 0.25}
    assert context.ran == [("load",)]


def test_a_command_without_an_answer_is_a_missing_program():
    """What the test did not think of fails as on a machine without the program."""
    with pytest.raises(Exception, match="cannot run load: no such program"):
        collect(Load)


def test_an_answer_may_be_a_failure():
    """An exception as the answer is raised."""
    with pytest.raises(Unavailable, match="load failed"):
        collect(Load, context=FakeContext(commands={("load",): Unavailable("load failed")}))


def test_time_passes_when_the_test_says_so():
    """The remaining time follows the fake clock."""
    context = FakeContext(timeout=10)
    context.clock.advance(4)
    assert context.remaining() == 6


def test_what_the_agent_would_drop_is_refused():
    """A sample that nobody would ever see fails the plugin's own test, with the reason."""
    with pytest.raises(Rejected, match="undeclared: load_stray"):
        collect(Stray)


def test_a_page_is_what_prometheus_would_read():
    """The page has the header and the label of the instance."""
    context = FakeContext(commands={("load",): b"0.25"})
    assert page(Load, collect(Load, context=context)) == (
        "# HELP load_average Processes that want to run.\n# TYPE load_average gauge\n"
        'load_average{kind="short",name="main"} 0.25\n'
    )


def test_wrong_settings_are_named():
    """Settings are checked as the agent checks them."""
    with pytest.raises(ValueError, match="colour: unknown key; known: none"):
        collect(Load, {"colour": "red"})
