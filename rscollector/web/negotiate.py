"""Which of the formats and codings that there are a client wants most (RFC 9110, 12.5). Pure.

A client that can read nothing of what there is gets what fits best: a scraper does more with a page that it
did not ask for than with 406.
"""

import re
from collections.abc import Iterator
from enum import IntEnum
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from rscollector.exposition.render import Format

_REMEMBERED = 64
_LONGEST_QUALITY = 10
_MOST = 20
"""How many ranges of a header are looked at: who names more does not know what he wants."""


class _Range(NamedTuple):
    """A part of such a header: a name, its parameters, and how much that is wanted, 0 for not at all."""

    name: str
    parameters: dict[str, str]
    quality: float


class _Offer(NamedTuple):
    """A format in one of the versions that it has."""

    format: Format
    version: str

    @property
    def content_type(self) -> str:
        return f"{self.format.value}; version={self.version}; charset=utf-8"


_OFFERS = (
    _Offer(Format.TEXT, "0.0.4"),
    _Offer(Format.OPENMETRICS, "1.0.0"),
    _Offer(Format.OPENMETRICS, "0.0.1"),  # the same page, for those who know its draft only
)
_ITEM = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*"?)+')
_PARAMETER = re.compile(r';\s*([^\s=;"]+)\s*=\s*("(?:[^"\\]|\\.)*"?|[^;]*)')
_QUALITY = re.compile(r"\d+(\.\d*)?", re.ASCII)


@lru_cache(_REMEMBERED)
def negotiate(accept: str) -> tuple[Format, str]:
    """Return the format for an Accept header, and its content type."""
    ranges = list(_ranges(accept))
    best = max(_OFFERS, key=lambda offer: _rating(offer, ranges))  # of equals the first
    return best.format, best.content_type


@lru_cache(_REMEMBERED)
def gzip_wanted(accept_encoding: str) -> bool:
    """Tell whether a page is to be compressed for an Accept-Encoding header."""
    wanted = {each.name: each.quality for each in _ranges(accept_encoding)}
    others = wanted.get("*", 0.0)
    zipped = wanted.get("gzip", wanted.get("x-gzip", others))
    return zipped > 0 and zipped >= wanted.get("identity", others)


class _Closeness(IntEnum):
    """How closely a range names an offer."""

    NOT_AT_ALL, ANY_TYPE, ANY_SUBTYPE, OTHER_VERSION, ANY_VERSION, EXACTLY = range(6)


# Qualities beside those of the header, from 0 to 1: what was not named is better than what was refused.
_ANOTHER_VERSION, _NOT_NAMED, _REFUSED = -1.0, -2.0, -3.0


def _rating(offer: _Offer, ranges: list[_Range]) -> tuple[float, int, int]:
    """Rate an offer by the range that names it most closely.

    That range's quality comes first, then how closely it names the offer, then which was written first.
    """
    named = [(_closeness(offer, each), -place, each.quality) for place, each in enumerate(ranges)]
    closeness, place, quality = max(named, default=(_Closeness.NOT_AT_ALL, 0, 0.0))
    if closeness is _Closeness.NOT_AT_ALL:
        quality = _NOT_NAMED
    elif not quality:
        quality = _REFUSED
    elif closeness is _Closeness.OTHER_VERSION:  # then it is at least one of those that are meant by */*
        quality = max((each.quality for each in ranges if each.name == "*/*"), default=_ANOTHER_VERSION)
    return quality, closeness, place


def _closeness(offer: _Offer, each: _Range) -> _Closeness:
    if each.name == offer.format.value:
        version = each.parameters.get("version")
        if version is None:
            return _Closeness.ANY_VERSION
        return _Closeness.EXACTLY if version == offer.version else _Closeness.OTHER_VERSION
    if each.name == "*/*":
        return _Closeness.ANY_TYPE
    same = each.name == f"{offer.format.value.partition('/')[0]}/*"
    return _Closeness.ANY_SUBTYPE if same else _Closeness.NOT_AT_ALL


def _ranges(header: str) -> Iterator[_Range]:
    for found in islice(_ITEM.finditer(header), _MOST):
        part = found[0]
        name = part.partition(";")[0].strip().lower()
        parameters = {key.lower(): _unquoted(value.strip()) for key, value in _PARAMETER.findall(part)}
        quality = parameters.get("q", "1")[:_LONGEST_QUALITY]
        if name:
            yield _Range(name, parameters, min(1.0, float(quality)) if _QUALITY.fullmatch(quality) else 1.0)


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value.strip('"')) if value.startswith('"') else value
