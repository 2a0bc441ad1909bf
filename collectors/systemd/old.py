"""What scollector called services: a number for each state, and whether they run."""

from collections.abc import Iterator

from rscollector.api.old import Old, Point, Run, numbered

_STATES = {"active": 0, "reloading": 1, "inactive": 2, "failed": 3, "activating": 4, "deactivating": 5}
_SERVICE = ".service"


def _services(run: Run, ours: str) -> Iterator[tuple[str, str]]:
    for labels, state in run.of(ours):
        if labels["unit"].endswith(_SERVICE):
            yield labels["unit"], str(state)


def _state(run: Run, ours: str) -> Iterator[Point]:
    for unit, state in _services(run, ours):
        if state in _STATES:  # later ones it did not know
            yield {"name": unit}, _STATES[state]


def _running(run: Run, ours: str) -> Iterator[Point]:
    for unit, state in _services(run, ours):
        yield {"name": unit.removesuffix(_SERVICE)}, int(state == "active")


SCOLLECTOR = (
    Old("linux.systemd.unit.activestate", "systemd_unit_state", _state, "", numbered(_STATES)),
    Old("os.service.running", "systemd_unit_state", _running, "bool"),
)
