"""Render the samples of one instance, once, in both formats, with prometheus_client's own encoders.

A page needs each family's header once, followed by the lines of all instances; so what the encoder returns
for one family and one instance is cut into sections, each a header (`# HELP …`, `# TYPE …`) and a body. In
the text format a gauge histogram has three sections, everything else has one. Pure.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from functools import partial
from typing import Any, NamedTuple

from prometheus_client import Metric as Family
from prometheus_client.exposition import choose_encoder, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics

from rscollector.model.metrics import Metric, Value

Row = tuple[tuple[str, ...], Value]


class Format(StrEnum):
    """The formats of the exposition; the value is the media type."""

    TEXT = "text/plain"
    OPENMETRICS = "application/openmetrics-text"


EOF = {Format.TEXT: b"", Format.OPENMETRICS: b"# EOF\n"}
_ENCODERS: dict[Format, Callable[[Any], bytes]] = {
    Format.TEXT: generate_latest,
    Format.OPENMETRICS: openmetrics.generate_latest,
}


class Section(NamedTuple):
    """A header and the lines of one instance beneath it."""

    header: bytes
    body: bytes


class _Registry:
    """What an encoder wants to be given: something that collects these families."""

    def __init__(self, families: Iterable[Family]) -> None:
        self.collect = partial(iter, tuple(families))


def negotiate(accept: str) -> tuple[Format, str]:
    """Choose format and content type for an Accept header, as prometheus_client does."""
    _, content_type = choose_encoder(accept)
    wanted = content_type.partition(";")[0].strip()
    return (Format.OPENMETRICS if wanted == Format.OPENMETRICS else Format.TEXT), content_type


def empty_family(metric: Metric) -> Family:
    """Return prometheus_client's form of a metric, without samples."""
    return Family(metric.family, metric.help, metric.kind.value, metric.unit)


def add_row(family: Family, metric: Metric, row: Row, extra: Mapping[str, str]) -> None:
    """Add the series of a sample to its family; `extra` labels are added to each."""
    for name, labels, number in metric.series(*row):
        family.add_sample(name, {**labels, **extra}, number)


def render(family: Family, wanted: Format) -> tuple[Section, ...]:
    """Encode one family."""
    encoded = _ENCODERS[wanted](_Registry([family]))
    return tuple(_sections(encoded.removesuffix(EOF[wanted])))


def _sections(encoded: bytes) -> Iterator[Section]:
    header: list[bytes] = []
    body: list[bytes] = []
    for line in encoded.removesuffix(b"\n").split(b"\n"):  # splitlines would cut a label at \r
        if line.startswith(b"#") and body:
            yield Section(_lines(header), _lines(body))
            header, body = [], []
        (header if line.startswith(b"#") else body).append(line)
    yield Section(_lines(header), _lines(body))


def _lines(lines: list[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)
