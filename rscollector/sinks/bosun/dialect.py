"""The names and encodings of other agents: found beside the collectors, and made of their samples.

What had a name there keeps it, with everything that is odd about it; what had none has ours.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import distributions
from importlib.util import find_spec, module_from_spec

from rscollector.api import Metric, Series
from rscollector.api.old import Labels, Old, Run
from rscollector.model.errors import fence
from rscollector.sinks.bosun import metadata
from rscollector.sinks.bosun.metadata import Description
from rscollector.sinks.bosun.opentsdb import Samples

_COLLECTORS = "rscollector.collectors"


class Translator:
    """Makes points under old names of samples. `names` are those of each collector.

    `faults` says why a name's points could not be made.
    """

    def __init__(self, names: Iterable[tuple[Old, ...]]) -> None:
        self.faults: dict[str, str] = {}
        self._of = [(frozenset(each.ours for each in olds), olds) for olds in names if olds]
        self._told: dict[str, list[Old]] = {}
        for each in self.olds:
            self._told.setdefault(each.ours, []).append(each)
        self._replaced = {each.ours for each in self.olds if not each.beside}

    @property
    def olds(self) -> list[Old]:
        """All old names."""
        return [each for _, olds in self._of for each in olds]

    def __call__(self, samples: Samples) -> Iterator[Series]:
        """Yield the points of one run under the names that they had."""
        samples = list(samples)
        for metric, values, value in samples:
            if metric.name not in self._replaced:
                yield from metric.bosun_series(values, value)
        names = {metric.name for metric, *_ in samples}
        for ours, olds in self._of:
            if not names.isdisjoint(ours):
                run = Run(samples)
                for old in olds:
                    yield from self._points(old, run)

    def _points(self, old: Old, run: Run) -> list[Series]:
        with fence() as caught:
            return [_point(old.name, tags, number) for tags, number in old.points(run, old.ours)]
        for error in caught:
            self.faults[old.name] = f"{type(error).__name__}: {error}"
        return []

    def descriptions(self, metric: Metric) -> list[Description]:
        """Return what a metric's points are: under the names that they had, or under ours."""
        ours = [] if metric.name in self._replaced else metadata.descriptions(metric)
        return ours + [
            Description(
                each.name,
                each.rate,
                metric.unit if each.unit is None else each.unit,
                each.text.replace("{}", metric.help),
            )
            for each in self._told.get(metric.name, ())
        ]


def _point(name: str, tags: Labels, number: float) -> Series:
    """Return a point. Raises TypeError for one that JSON would not have as it is meant (True, a tag of 1)."""
    texts = all(isinstance(text, str) for tag in tags.items() for text in tag)
    if type(number) not in (int, float) or not texts:
        raise TypeError(f"{tags!r:.80}, {number!r:.40}: expected texts, and a number")
    return Series(name, tags, number)


def installed(dialect: str, tell: Callable[[str], None]) -> Translator:
    """Return what translates into a dialect, from the modules `old` of the collectors that are installed.

    One that is broken costs the old names of its collector: `tell` is told why.
    """
    places: dict[str, str] = {}
    for distribution in distributions():
        with fence():  # a package whose metadata are broken is none of ours
            for point in distribution.entry_points:
                if point.group == _COLLECTORS:
                    places.setdefault(point.name, point.value)
    found = []
    for type_, place in sorted(places.items()):
        with fence() as caught:
            found.append(olds(place, dialect))
        for error in caught:
            why = f"{type(error).__name__}: {error}"
            tell(f"{type_} is sent under our names: its old ones cannot be read ({_module(place)}: {why})")
    return Translator(found)


def olds(place: str, dialect: str) -> tuple[Old, ...]:
    """Return the old names beside a collector's class, none where there is no module `old`."""
    spec = _found(_module(place))
    if spec is None or spec.loader is None:
        return ()
    module = sys.modules[spec.name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except SystemExit as error:
        raise ImportError(f"it ends the process ({error})") from error
    names = tuple(getattr(module, dialect.upper().replace("-", "_"), ()))
    for each in names:
        if not isinstance(each, Old):
            raise TypeError(f"{each!r:.80} is no Old")
    return names


def _module(place: str) -> str:
    return f"{place.partition(':')[0]}.old"


def _found(name: str) -> ModuleSpec | None:
    """Find a module without importing the packages around it: a driver costs megabytes."""
    top, *parts = name.split(".")
    spec = find_spec(top)
    for part in parts:
        if spec is None or spec.submodule_search_locations is None:
            return None
        spec = PathFinder.find_spec(f"{spec.name}.{part}", spec.submodule_search_locations)
    return spec
