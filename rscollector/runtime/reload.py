"""A reload: read the configuration again and change what differs, or keep all and say what is wrong."""

import logging
import time
from dataclasses import replace
from pathlib import Path

from rscollector.config.plan import plan
from rscollector.config.types import Config
from rscollector.runtime.configure import Read, read_configuration
from rscollector.runtime.supervisor import Supervisor
from rscollector.runtime.vitals import Vitals

log = logging.getLogger("rscollector")


async def reload(path: Path | None, supervisor: Supervisor, vitals: Vitals) -> None:
    """Read the configuration at `path` and apply it."""
    apply(await read_configuration(path), supervisor, vitals)


def apply(read: Read, supervisor: Supervisor, vitals: Vitals) -> None:
    """Apply what was read; with a mistake in it, nothing changes."""
    supervisor.changes.note("", news=True)
    vitals.reload_ok = read.config is not None
    vitals.reload_error = "\n".join(read.mistakes)
    if read.config is None:
        for mistake in read.mistakes:
            log.error("%s", mistake)
        count = len(read.mistakes)
        log.error("reload failed: %d mistakes; the configuration before it stays in use", count)
        return
    vitals.reloaded_at = time.time()
    listen = vitals.config.listen
    if read.config.listen != listen:
        where = ", ".join(listen) or "no port"
        log.warning("web.listen changes only with a restart; the agent still listens on %s", where)
    vitals.config = replace(read.config, listen=listen)
    _change(read.config, supervisor)


def _change(config: Config, supervisor: Supervisor) -> None:
    wanted = {spec.key: spec for spec in config.specs}
    todo = plan({key: each.digest for key, each in supervisor.instances.items()}, wanted)
    for key in todo.keep:
        if why := wanted[key].unknown:
            log.warning("%s: goes on as it was before the reload: %s", key, why)
    for key in todo.remove:
        supervisor.end(key)
    for key in todo.change:
        supervisor.end(key, wanted[key])
    for key in sorted(todo.add, key=lambda each: not wanted[each].sink):  # sinks are born first
        supervisor.add(wanted[key])
    supervisor.revive()
    supervisor.store.max_series = config.max_series_total
    log.info("reloaded: %s", todo)
