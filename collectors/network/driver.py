"""What a driver counts by itself, as `ethtool -S` tells it: what somebody has named, and in its own time.

Names and meanings are each driver's own, there may be thousands, and a driver may take long to answer.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from collectors.network.interfaces import NETWORK
from rscollector.api import CollectError, Context, Sample, one_line

STATISTIC = NETWORK.counter("driver_statistic", "What a driver counts under a name of its own.", "statistic")
SECONDS = 2.0
"""For all interfaces of a tick together."""
MOST = 100
"""Statistics of an interface, at most."""
_HAS_NONE = ("no stats available", "Operation not supported")
"""What ethtool says of a driver that counts nothing, which would be news at each tick (collectd #2661)."""
_NUMBER = re.compile(r"[0-9]{1,19}")
_LARGEST = 1 << 63
"""This and more is a negative number in disguise."""


def samples(
    context: Context, interfaces: Sequence[tuple[str, str]], wanted: Sequence[str]
) -> Iterator[Sample]:
    """Yield the wanted statistics of interfaces: pairs of the kernel's name and ours."""
    until = context.clock() + SECONDS
    for name, label in interfaces:
        left = until - context.clock()
        if left <= 0:
            context.note(f"missing: ethtool of {label}: those before took the {SECONDS:.0f} s that all have")
            continue
        try:
            text = context.run(["ethtool", "-S", name], seconds=left).decode("utf-8", "replace")
        except CollectError as error:
            if not any(words in str(error) for words in _HAS_NONE):
                context.note(f"missing: ethtool of {label}: {error}")
            continue
        yield from _named(context, label, text, wanted)


def _named(context: Context, label: str, text: str, wanted: Sequence[str]) -> Iterator[Sample]:
    read = list(_read(text, wanted))
    times = Counter(name for name, _ in read)
    found = {name: number for name, number in read if times[name] == 1}
    for statistic in list(found)[:MOST]:
        yield STATISTIC(found[statistic], interface=label, statistic=statistic)
    if twice := [name for name in times if name not in found]:
        # vmxnet3 tells the same names of each queue (node_exporter #2187): neither is that of the interface.
        named = one_line(twice[0], 100) + (f" and {len(twice) - 1} more" if len(twice) > 1 else "")
        context.note(f"missing: ethtool of {label}: {named}: told more than once under one name")
    if len(found) > MOST:
        context.note(f"ethtool of {label}: {len(found)} statistics are wanted, the first {MOST} are shown")


def _read(text: str, wanted: Sequence[str]) -> Iterator[tuple[str, int]]:
    for line in text.splitlines():
        name, _, value = line.strip().rpartition(":")
        is_wanted = name.isprintable() and any(fnmatchcase(name, each) for each in wanted)
        if is_wanted and _NUMBER.fullmatch(value.strip()) and int(value) < _LARGEST:
            yield name, int(value)
