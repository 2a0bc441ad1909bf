"""`rscollector reload`: have the running agent read its configuration again, and say what came of it."""

import argparse
import http.client
import os
import signal
import time
from pathlib import Path
from typing import Any

from rscollector.cli import asking
from rscollector.cli.asking import Answer, add_socket, first_answer, why
from rscollector.cli.common import Commands, add_command, complain, paint

_MORE = """\
What is wrong changes nothing where it is wrong, and is said here, in the log and by `rscollector status`; an
address that another process has, say, only the agent finds out.
Exit status 0: all that the files say is in use; 1: not all of it is, or no agent answers.
"""
_SECONDS = 60.0
"""Of a reload: the agent gives up on reading after 20, and another one may be under way."""
_TURN = 0.1
"""As long as the agent tells the same of itself."""


def add(commands: Commands) -> None:
    """Add the command."""
    what = "have the running agent read its configuration again"
    add_socket(add_command(commands, "reload", reload, what, _MORE))


class _Unseen(Exception):
    """Whether it has read its configuration cannot be seen; the sentence says why."""


def reload(given: argparse.Namespace) -> int:
    """Send the agent its signal, wait until it has read, and print what it says then."""
    found = first_answer(given.socket)
    if found is None:
        return 1
    files = ""
    try:
        wrong, files = _outcome(_reloaded(found))
    except (LookupError, TypeError, AttributeError) as error:
        wrong = [f"what answers is no agent that this version understands ({type(error).__name__}: {error})"]
    except ProcessLookupError:
        wrong = ["the agent is gone"]
    except PermissionError:
        wrong = ["you may not: run this as the agent's user, or as root"]
    except _Unseen as error:
        wrong = [str(error)]
    except (OSError, ValueError, http.client.HTTPException) as error:
        wrong = [f"the agent has not said how the reload went: {why(error, found.path)}"]
    for sentence in wrong:
        complain(sentence)
    if not wrong:
        print(f"{paint('OK', 'good')} ({files}): the agent has read its configuration again")
    return 1 if wrong else 0


def _reloaded(found: Answer) -> dict[str, Any]:
    time.sleep(_TURN)  # what it said may be that old: a reload that has begun since is none of ours
    found = asking.ask(found.path)
    begun = found.status["config"]["reloads_begun"]
    if found.pid <= 0:
        raise _Unseen("the agent is in another container: send its process SIGHUP there")
    if not _is_of(found.user, found.pid):
        raise ProcessLookupError
    os.kill(found.pid, signal.SIGHUP)
    until = time.monotonic() + _SECONDS
    while True:
        now = asking.ask(found.path)
        if now.pid != found.pid:
            raise _Unseen("the agent has ended meanwhile; the one that answers now read all when it began")
        if now.status["config"]["reloads_ended"] > begun:
            return now.status
        if time.monotonic() > until:
            seconds = f"{_SECONDS:.0f} s"
            raise _Unseen(f"the agent has not read its configuration within {seconds}; its log may say why")
        time.sleep(_TURN)


def _is_of(user: int, pid: int) -> bool:
    """Tell whether it is a process of that user: who listened may have ended, and its number be another's."""
    try:
        return Path(f"/proc/{pid}").stat().st_uid == user
    except OSError:  # it is hidden, or gone, which the signal finds out
        return True


def _outcome(status: dict[str, Any]) -> tuple[list[str], str]:
    """Return what is wrong after a reload, in sentences, and the files that are in use."""
    config, web = status["config"], status["web"]
    wrong = [*config["last_reload_error"].splitlines(), *web["last_reload_error"].splitlines()]
    if not config["last_reload_successful"]:
        wrong.append("the reload has failed; the configuration before it is in use")
    elif wrong:
        wrong.append("what was there before is in the place of what is wrong; all else is in use")
    return wrong, ", ".join(config["files"]) or "no configuration file; the built-in one"
