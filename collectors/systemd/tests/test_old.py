"""What scollector made of services, said here a second time."""

from collectors.systemd.tests.recorded_systemd import Systemctl, Watched
from rscollector.sinks.bosun.tests.old_names import SCOLLECTOR, translated


def test_services_have_a_number_for_their_state_and_whether_they_run(tmp_path):
    """Only services, of those that are shown; a state that scollector did not know has no number."""
    watched = Watched(Systemctl(), tmp_path, units=["*"])
    watched.systemctl.units = {
        name: row
        for name, row in watched.systemctl.units.items()
        if row["active"] in ("failed", "activating")
    }
    for state in ("active", "reloading", "inactive", "deactivating", "refreshing"):
        watched.systemctl.unit(f"{state}.service", state, "x")
    watched.systemctl.unit("a.mount", "active", "mounted")
    found = translated(watched.samples(), SCOLLECTOR)
    states = found["linux.systemd.unit.activestate"]
    assert {
        name: states[f"{name}.service",] for name in ("active", "reloading", "inactive", "deactivating")
    } == {
        "active": 0,
        "reloading": 1,
        "inactive": 2,
        "deactivating": 5,
    }
    assert (states["killed.service",], states["flapping.service",]) == (3, 4)
    assert ("refreshing.service",) not in states
    assert ("a.mount",) not in states
    running = found["os.service.running"]
    assert {name for (name,), value in running.items() if value} == {"active"}
    assert running["refreshing",] == running["killed",] == 0
