"""A reload: read the configuration again and change what differs, or keep all and say what is wrong.

The files that listeners are locked with (certificates, keys, web configuration) are also read when they have
changed, without the rest: nobody has to tell the agent that a certificate was renewed.
"""

import logging
import time
from dataclasses import replace
from pathlib import Path

from rscollector.config.plan import plan
from rscollector.config.types import Config
from rscollector.runtime.configure import Read, read_configuration, shown
from rscollector.runtime.listening import Listening
from rscollector.runtime.looker import Looker
from rscollector.runtime.supervisor import Supervisor
from rscollector.runtime.vitals import Vitals
from rscollector.web.listeners import CannotListen

log = logging.getLogger("rscollector")

_KEPT = "certificates and web configuration were not renewed; what was there before stays in use"


async def reload(path: Path | None, supervisor: Supervisor, vitals: Vitals, listening: Listening) -> None:
    """Read the configuration at `path` and apply it."""
    vitals.reloads_begun += 1
    apply(await read_configuration(path), supervisor, vitals, listening)
    vitals.reloads_ended += 1


async def renew_locks(looker: Looker, vitals: Vitals, listening: Listening) -> None:
    """Read what listeners are locked with again, if it has changed, or was wrong the last time."""
    config = vitals.config
    if not config.seen:
        return
    try:
        if not await looker.has_changed(config.seen) and not vitals.web_error:
            return
    except OSError as error:
        reason = error.strerror or str(error)
        _tell(vitals, f"cannot tell whether certificates or web configuration have changed: {reason}")
        return
    relock(await read_configuration(None, config.web), vitals, listening)


def relock(read: Read, vitals: Vitals, listening: Listening) -> None:
    """Lock with what was read; what is wrong changes nothing where it is wrong."""
    if read.config is None:
        _tell(vitals, "\n".join(read.mistakes))
        return
    try:
        troubles = listening.change(read.config.listeners)
    except (CannotListen, ValueError) as error:
        _tell(vitals, str(error))
        return
    vitals.config = replace(vitals.config, listeners=read.config.listeners, seen=read.config.seen)
    vitals.certificates = listening.certificates
    if not troubles:
        log.info("certificates and web configuration were read again and are in use")
    _tell(vitals, "\n".join(troubles), kept="")


def _tell(vitals: Vitals, error: str, kept: str = _KEPT) -> None:
    """Take note of what is wrong with the locks, and log it when it is news, and what is in use meanwhile."""
    if error and error != vitals.web_error:
        for sentence in error.splitlines():
            log.error("%s", sentence)
        if kept:
            log.error("%s", kept)
    vitals.web_error = error


def apply(read: Read, supervisor: Supervisor, vitals: Vitals, listening: Listening) -> None:
    """Apply what was read; with a mistake in it, nothing changes."""
    supervisor.changes.note("", news=True)
    troubles: list[str] = []
    if read.config is not None:
        try:
            troubles = listening.change(read.config.listeners)
        except (CannotListen, ValueError) as error:
            read = Read(None, (str(error),))
    vitals.reload_ok = read.config is not None
    vitals.reload_error = "\n".join(read.mistakes)
    if read.config is None:
        for mistake in read.mistakes:
            log.error("%s", mistake)
        log.error("reload failed; the configuration before it stays in use")
        return
    vitals.reloaded_at = time.time()
    vitals.config = read.config
    vitals.certificates = listening.certificates
    vitals.web_error = ""  # who reloads wants to know again
    _tell(vitals, "\n".join(troubles), kept="")
    vitals.reload_error = "\n".join(shown(_change(read.config, supervisor)))


def _change(config: Config, supervisor: Supervisor) -> list[str]:
    """Change what differs; returns what goes on as it was, as not all is known of what is wanted instead."""
    wanted = {spec.key: spec for spec in config.specs}
    todo = plan({key: each.digest for key, each in supervisor.instances.items()}, wanted)
    kept = [
        f"{key}: goes on as it was before the reload: {wanted[key].unknown}"
        for key in todo.keep
        if supervisor.instances[key].digest != wanted[key].digest
    ]
    for sentence in kept:
        log.warning("%s", sentence)
    for key in todo.remove:
        supervisor.end(key)
    for key in todo.change:
        supervisor.end(key, wanted[key])
    for key in sorted(todo.add, key=lambda each: not wanted[each].sink):  # sinks are born first
        supervisor.add(wanted[key])
    supervisor.revive()
    supervisor.store.max_series = config.max_series_total
    log.info("reloaded: %s", todo)
    return kept
