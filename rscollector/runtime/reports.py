"""What is logged about collectors: one line when something changed that an operator would want to know."""

import logging
from collections.abc import Callable

from rscollector.exposition.validate import Accepted, Drop
from rscollector.model.lifecycle import Machine, State
from rscollector.runtime.instance import Instance

log = logging.getLogger("rscollector")


def change(instance: Instance, before: Machine, now: float, series: int) -> None:
    """Log that a collector has begun to collect, or has run into trouble that was not logged last."""
    machine = instance.machine
    if machine.state is before.state:
        return
    if machine.state is State.IDLE and before.state is State.COLLECTING:
        _collected(instance, before, series)
    in_trouble = machine.state in (State.BACKOFF, State.REMOVED) and machine.reason
    if in_trouble and instance.is_news(machine.state, machine.reason):
        log.warning("%s: %s", instance.key, instance.sentence(now))


def _collected(instance: Instance, before: Machine, series: int) -> None:
    if instance.machine.degraded:
        # Its reason has figures that change with each run: news is by whose fault it is.
        if instance.is_news(State.BACKOFF, instance.machine.trouble or ""):
            log.warning("%s: %s; it is tried again", instance.key, instance.machine.reason)
    elif instance.is_news(State.IDLE, ""):
        again = f" again after {_failures(before.failures)}" if before.failures else ""
        log.info("%s: collecting%s, %d series", instance.key, again, series)


def dropped(instance: Instance, accepted: Accepted, masked: Callable[[str], str]) -> None:
    """Log the reasons for which samples were not shown, each with an example, the first time; note all."""
    instance.withheld = []
    for reason, example in accepted.examples.items():
        what = f"{accepted.dropped[reason]} samples dropped ({reason}), such as {masked(example)}"
        hint = "; see max_series and max_series_total" if reason is Drop.LIMIT else ""
        instance.withheld.append(f"missing: {what}{hint}")
        if instance.first_time(reason):
            log.warning("%s: %s%s", instance.key, what, hint)


def block(level: int, key: str, text: str) -> None:
    """Log a stack or traceback, line by line."""
    for line in text.splitlines():
        log.log(level, "%s:   %s", key, line)


def _failures(count: int) -> str:
    return "a failure" if count == 1 else f"{count} failures"
