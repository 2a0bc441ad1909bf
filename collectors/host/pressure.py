"""Pressure stall information (PSI): for how long tasks could not go on for want of something.

The counters are published, and not the kernel's averages: any window can be made of them. Of the CPU `full`
is always 0 for the whole host, and is left out; `irq` is there where the kernel keeps the time of interrupts.
"""

from collections.abc import Iterator

from collectors.host.proc import HOST, complain, count, read
from rscollector.api import Context, Sample, Unavailable
from rscollector.kit.optional import optional

PRESSURE = HOST.counter(
    "pressure_seconds",
    'Time for which tasks waited for a resource: at least one of them (share="some"), or all that had work '
    '("full").',
    "resource",
    "share",
)
METRICS = (PRESSURE,)
DIRECTORY = "/proc/pressure"
_RESOURCES = ("cpu", "memory", "io", "irq")
_MEANINGLESS = ("cpu", "full")


def samples(context: Context) -> Iterator[Sample]:
    """Yield the time lost for each resource."""
    with optional(context, "pressure", "a kernel with PSI; Red Hat's wants psi=1 on its command line"):
        for resource in _RESOURCES:
            try:
                text = read(context, f"{DIRECTORY}/{resource}")
            except Unavailable:
                if resource != "irq":
                    raise
                continue
            yield from _times(context, resource, text)


def _times(context: Context, resource: str, text: str) -> Iterator[Sample]:
    odd = []
    for line in text.splitlines():
        share, _, rest = line.partition(" ")
        if share not in ("some", "full") or (resource, share) == _MEANINGLESS:
            continue
        try:
            yield PRESSURE(count(rest.rpartition("total=")[2]) / 1e6, resource=resource, share=share)
        except ValueError:
            odd.append(f"{line!r:.80}")
    complain(context, f"{DIRECTORY}/{resource}", odd if text else ["it is empty"])
