"""For the tests of plugins: the authors' own tools.

    from rscollector.testing import FakeContext, collect, values

    def test_the_load_is_what_the_program_prints():
        context = FakeContext(commands={("load",): b"0.25"})
        assert values(collect(Load, context=context)) == {"load_average": 0.25}

`collect` runs a collector as the agent would, and refuses what the agent would drop. `FakeContext` has a
clock that stands still until it is told to move, and answers commands instead of running them.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from rscollector.api import Collector, Context, Misconfigured, Sample, Unavailable
from rscollector.config.secrets import read
from rscollector.exposition.render import Format
from rscollector.runtime.foreground import collect_once, exposed, settings_of

__all__ = ["FakeClock", "FakeContext", "Rejected", "collect", "page", "values"]

_LIMIT = 1000


class Rejected(AssertionError):
    """The collector gave samples that the agent would drop; the text says which and why."""


class FakeClock:
    """Seconds that pass when the test says so."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


class FakeContext(Context):
    """A context whose time the test moves and whose commands the test answers.

    `commands` maps a command (a tuple of its arguments) to what it writes, or to an exception that it raises;
    `ran` lists what was run. A command that has no answer is Misconfigured, as a missing program is.
    """

    def __init__(
        self,
        name: str = "main",
        *,
        timeout: float = 10.0,
        interval: float = 15.0,
        agent: int = 1,
        clock: FakeClock | None = None,
        commands: Mapping[tuple[str, ...], bytes | Exception] | None = None,
    ) -> None:
        self.clock = clock or FakeClock()
        super().__init__(name, timeout=timeout, interval=interval, agent=agent, clock=self.clock)
        self.commands = dict(commands or {})
        self.ran: list[tuple[str, ...]] = []

    def run(self, command: Sequence[str], *, limit: int = 1 << 20, answers: Collection[int] = (0,)) -> bytes:  # noqa: ARG002
        """Return the answer that the test gave for this command."""
        self.ran.append(tuple(command))
        answer = self.commands.get(tuple(command), Misconfigured(f"cannot run {command[0]}: no such program"))
        if isinstance(answer, Exception):
            raise answer
        if len(answer) > limit:
            raise Unavailable(f"{command[0]} wrote more than {limit} bytes, killed")
        return answer


def collect(
    plugin: type[Collector[Any]],
    settings: Mapping[str, Any] | None = None,
    *,
    context: Context | None = None,
) -> list[Sample]:
    """Open a collector with settings as TOML gives them, collect once, close it, and return the samples.

    Raises ValueError when the settings are wrong, Rejected when the agent would drop a sample, and whatever
    the collector raises.
    """
    built = settings_of(plugin, settings or {}, read)
    samples = collect_once(plugin, built, context or FakeContext()).samples
    accepted, _ = exposed(plugin, "test/main", samples, Format.TEXT, _LIMIT)
    if accepted.dropped:
        raise Rejected("; ".join(f"{reason}: {what}" for reason, what in accepted.examples.items()))
    return samples


def page(plugin: type[Collector[Any]], samples: Iterable[Sample], wanted: Format = Format.TEXT) -> str:
    """Return the samples as the agent would show them to Prometheus, for comparison with a golden file."""
    return exposed(plugin, "test/main", list(samples), wanted, _LIMIT)[1].decode()


def values(samples: Iterable[Sample]) -> dict[str, float]:
    """Return the series of samples by their name and labels as a query would write them."""
    found: dict[str, float] = {}
    for sample in samples:
        for name, labels, value in sample.metric.series(sample.values, sample.value):
            inner = ",".join(f'{label}="{text}"' for label, text in labels.items())
            found[f"{name}{{{inner}}}" if inner else name] = value
    return found
