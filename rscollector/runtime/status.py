"""What the agent tells about itself: the answer of `/api/v1/status`, plain values for JSON.

`collectors` has one object per configured collector; `reason` is the sentence that says why it is where it
is and what happens next, "" when all is well. Times ending in `_seconds` are durations, in `_at` Unix time.
"""

import os
from typing import Any

import rscollector
from rscollector.runtime.instance import Instance
from rscollector.runtime.supervisor import Supervisor
from rscollector.runtime.vitals import Vitals


def status(supervisor: Supervisor, vitals: Vitals, now: float) -> dict[str, Any]:
    """Return the agent's status at the loop's time `now`."""
    instances, config = supervisor.instances, vitals.config
    return {
        "version": rscollector.__version__,
        "pid": os.getpid(),
        "host": config.host,
        "tags": config.tags,
        "listen": list(config.listen),
        "uptime_seconds": round(now - vitals.started, 3),
        "loop_lag_seconds": round(vitals.loop_lag, 6),
        "series": supervisor.store.series(),
        "config": {
            "files": list(config.files),
            "read_at": vitals.reloaded_at,
            "last_reload_successful": vitals.reload_ok,
            "last_reload_error": vitals.reload_error,
        },
        "collectors": [_collector(instances[key], supervisor, now) for key in sorted(instances)],
    }


def _collector(instance: Instance, supervisor: Supervisor, now: float) -> dict[str, Any]:
    machine, spec = instance.machine, instance.spec
    outbox = supervisor.deliveries.outbox(instance.key)
    notes = list(instance.notes) if instance.key in supervisor.store else []
    ago = None if instance.succeeded_at is None else round(now - instance.succeeded_at, 3)
    return {
        "type": spec.type,
        "name": spec.name,
        "state": machine.shown_state.value,
        "up": supervisor.up(instance),
        "reason": instance.sentence(now),
        "trouble": machine.trouble.value if machine.trouble else None,
        "in_state_seconds": round(now - machine.since, 3),
        "series": supervisor.store.series(instance.key),
        "interval_seconds": spec.interval,
        "timeout_seconds": spec.timeout,
        "duration_seconds": instance.duration,
        "last_success_seconds_ago": ago,
        "failures": machine.failures,
        "hangs": len(machine.hangs),
        "worker": spec.worker,
        "worker_pid": supervisor.bodies.pid(instance.key),
        "last_stack": instance.stack,
        "notes": [*notes, *([outbox.sentence()] if outbox and outbox.sentence() else [])],
    }
