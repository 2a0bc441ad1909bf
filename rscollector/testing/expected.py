"""Whether chosen series have the values that a test expects."""

from collections.abc import Iterator, Mapping

from rscollector.testing.nearest import like, likeness

_SHOWN = 3


def assert_values(found: Mapping[str, float], expected: Mapping[str, object]) -> None:
    """Fail unless series that `values` has found have the values that are expected; others may be there.

    A value may be `pytest.approx(…)`; None means that there is no such series. The failure shows for each
    what comes nearest: the same name with other labels, or else similar names, the expected value first.
    """
    __tracebackhide__ = True
    complaints = [line for series, value in expected.items() for line in _complaint(found, series, value)]
    if complaints:
        raise AssertionError("\n".join(complaints))


def _complaint(found: Mapping[str, float], series: str, expected: object) -> Iterator[str]:
    if series in found and not _same(found[series], expected):
        wanted = "none" if expected is None else f"{expected}{_nearest(found, series, expected)}"
        yield f"{series} is {found[series]}, expected {wanted}"
    elif series not in found and expected is not None:
        yield f"{series} is missing, expected {expected}{_nearest(found, series, expected)}"


def _same(value: float, expected: object) -> bool:
    return bool(value == expected) or (value != value and expected != expected)  # noqa: PLR0124  both are NaN


def _nearest(found: Mapping[str, float], series: str, expected: object) -> str:
    """Return the series that come nearest to one, with their values."""
    name, others = _name(series), [each for each in found if each != series]
    names = {_name(each) for each in others}
    meant = [name] if name in names else like(name, names)
    near = [each for each in others if _name(each) in meant]
    if series in found and name not in names:  # then another name is of interest only if they were mixed up
        near = [each for each in near if _same(found[each], expected)]
    near.sort(key=lambda each: (not _same(found[each], expected), -likeness(each, series)))
    return "".join(f"\n  near: {each} is {found[each]}" for each in near[:_SHOWN])


def _name(series: str) -> str:
    return series.partition("{")[0]
