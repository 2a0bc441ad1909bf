"""Whether recordings show all that a collector declares."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rscollector.api import Collector, Metric, Sample
from rscollector.testing.nearest import hint, like


def assert_all_metrics_are_emitted(
    plugin: type[Collector[Any]],
    runs: Iterable[Iterable[Sample]],
    besides: Mapping[Metric | str, str] | None = None,
) -> None:
    """Fail unless each metric that a collector declares is in the samples of one run at least.

    `besides` says of a metric, or of its name, why no run has it. An excuse for what a run has after all, or
    for what is not declared, fails too.
    """
    __tracebackhide__ = True
    seen = [{sample.metric.name for sample in run} for run in runs]
    emitted = Counter(name for names in seen for name in names)
    excuses = {each if isinstance(each, str) else each.name: why for each, why in (besides or {}).items()}
    declared = {metric.name for metric in plugin.metrics}
    missing = sorted(declared - set(emitted) - set(excuses))
    complaints = [f"{name} is in no run; {_near(name, emitted, len(seen))}" for name in missing]
    complaints += _stale(excuses, declared, emitted, len(seen))
    if complaints:
        found = len(declared & set(emitted))
        title = f"{len(seen)} runs of {plugin.__name__} have {found} of its {len(declared)} metrics:"
        raise AssertionError("\n  ".join([title, *complaints]))


def _near(name: str, emitted: Counter[str], runs: int) -> str:
    near = like(name, emitted)
    return f"the nearest is {near[0]}, in {emitted[near[0]]} of {runs} runs" if near else "nothing is like it"


def _stale(excuses: Mapping[str, str], declared: set[str], emitted: Counter[str], runs: int) -> Iterator[str]:
    """Yield what is wrong with the excuses."""
    for name, why in excuses.items():
        if name not in declared:
            yield f"{name} is excused ({why}) and not declared; {hint(name, declared)}"
        elif name in emitted:
            yield f"{name} is excused ({why}) and in {emitted[name]} of {runs} runs"
