"""What the agent tells about itself: the answer of `/api/v1/status`, plain values for JSON.

`collectors` has one object per configured collector; `reason` is the sentence that says why it is where it
is and what happens next, "" when all is well. `condition` is what it is in one word, since
`condition_seconds`; `state` is what the agent does with it now. `waiting` is for sinks. Times ending in
`_seconds` are durations, in `_at` Unix time.
"""

import os
from typing import Any, Final

import rscollector
from rscollector.model.lifecycle import Condition
from rscollector.model.settings import humanized
from rscollector.runtime.instance import Instance
from rscollector.runtime.outbox import Outbox
from rscollector.runtime.supervisor import Supervisor
from rscollector.runtime.vitals import Vitals

UNSEEN: Final = "its numbers are from before a suspend, or too old, and are not shown"


def status(supervisor: Supervisor, vitals: Vitals, now: float) -> dict[str, Any]:
    """Return the agent's status at the loop's time `now`."""
    instances = supervisor.instances
    collectors = [collector(instances[key], supervisor, now) for key in sorted(instances)]
    return overview(supervisor, vitals, now) | {"collectors": collectors}


def overview(supervisor: Supervisor, vitals: Vitals, now: float) -> dict[str, Any]:
    """Return the status without what it says of the collectors."""
    config = vitals.config
    return {
        "version": rscollector.__version__,
        "pid": os.getpid(),
        "host": config.host,
        "tags": config.tags,
        "listen": [each.address for each in config.listeners],
        "web": _web(vitals),
        "uptime_seconds": round(now - vitals.started, 3),
        "changes": event_id(supervisor, vitals),
        "loop_lag_seconds": round(vitals.loop_lag, 6),
        "series": supervisor.store.series(),
        "config": reading(vitals),
    }


def event_id(supervisor: Supervisor, vitals: Vitals) -> str:
    """Return the id of an event that would come now: what changes later can be read on from there."""
    return f"{vitals.epoch}-{supervisor.changes.number}"


def reading(vitals: Vitals) -> dict[str, Any]:
    """Return which files are in use since when, and how the last reload went."""
    return {
        "files": list(vitals.config.files),
        "read_at": vitals.reloaded_at,
        "reloads_begun": vitals.reloads_begun,
        "reloads_ended": vitals.reloads_ended,
        "last_reload_successful": vitals.reload_ok,
        "last_reload_error": vitals.reload_error,
    }


def collector(instance: Instance, supervisor: Supervisor, now: float) -> dict[str, Any]:
    """Return the object of one collector or sink."""
    machine, spec = instance.machine, instance.spec
    outbox = supervisor.deliveries.outbox(instance.key)
    notes = [*instance.withheld, *instance.notes] if instance.key in supervisor.store else []
    if not spec.sink and instance.duration is not None and instance.duration > spec.interval:
        took, every = humanized(instance.duration), humanized(spec.interval)
        notes.append(f"its last good run took {took}, longer than its interval of {every}: ticks are skipped")
    if outbox and (sentence := outbox.sentence()):
        notes.append(sentence)
    ago = None if instance.succeeded_at is None else round(now - instance.succeeded_at, 3)
    condition = instance.history.condition
    return {
        "type": spec.type,
        "name": spec.name,
        "state": machine.shown_state.value,
        "up": supervisor.up(instance),
        "condition": condition.value,
        "condition_seconds": round(now - instance.history.since, 3),
        "reason": instance.sentence(now) or (UNSEEN if condition is Condition.STALE else ""),
        "trouble": machine.trouble.value if machine.trouble else None,
        "in_state_seconds": round(now - machine.since, 3),
        "series": supervisor.store.series(instance.key),
        "interval_seconds": spec.interval,
        "timeout_seconds": spec.timeout,
        "duration_seconds": instance.duration,
        "last_success_seconds_ago": ago,
        "next_run_seconds": round(max(0.0, supervisor.ticks.next_of(instance.key) - now), 3),
        "failures": machine.failures,
        "hangs": len(machine.hangs),
        "worker": spec.worker,
        "worker_pid": supervisor.bodies.pid(instance.key),
        "worker_memory_bytes": supervisor.bodies.memory(instance.key),
        "last_stack": instance.stack,
        "notes": notes,
        "waiting": _waiting(outbox),
    }


def _web(vitals: Vitals) -> dict[str, Any]:
    return {
        "listeners": [
            {
                "address": each.address,
                "url": each.url,
                "rights": list(each.rights),
                "users": len(each.users),
                "client_certificates": each.tls.client.value if each.tls else "none",
                "certificate_not_after": vitals.certificates.get(each.address, (None, None))[1],
            }
            for each in vitals.config.listeners
        ],
        "last_reload_successful": not vitals.web_error,
        "last_reload_error": vitals.web_error,
    }


def _waiting(outbox: Outbox | None) -> dict[str, Any] | None:
    if outbox is None:
        return None
    return {
        "points": outbox.waiting,
        "bytes": outbox.size,
        "age_seconds": round(outbox.age, 3),
        "lost_points": sum(outbox.dropped.values()),
    }
