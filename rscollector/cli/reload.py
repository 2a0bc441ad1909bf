"""`rscollector reload`: have the running agent read its configuration again, and say what came of it."""

import argparse
import http.client
import os
import signal
import time
from typing import Any

from rscollector.cli.asking import Answer, add_socket, ask, first_answer, why
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


def reload(given: argparse.Namespace) -> int:
    """Send the agent its signal, wait until it has read, and print what it says then."""
    found = first_answer(given.socket)
    if found is None:
        return 1
    try:
        return _reloaded(found)
    except (LookupError, TypeError, AttributeError) as error:
        complain(f"what answers is no agent that this version understands ({type(error).__name__}: {error})")
    except ProcessLookupError:
        complain("the agent is gone")
    except PermissionError:
        complain("you may not: run this as the agent's user, or as root")
    except (OSError, ValueError, http.client.HTTPException) as error:
        complain(f"the agent has not said how the reload went: {why(error, found.path)}")
    return 1


def _reloaded(found: Answer) -> int:
    time.sleep(
        _TURN
    )  # what was told may be that old: a reload that has begun since is not the one to wait for
    found = ask(found.path)
    begun = found.status["config"]["reloads_begun"]
    if found.pid <= 0:
        complain("the agent is in another container: send its process SIGHUP there")
        return 1
    os.kill(found.pid, signal.SIGHUP)
    until = time.monotonic() + _SECONDS
    while (status := ask(found.path).status)["config"]["reloads_ended"] <= begun:
        if time.monotonic() > until:
            complain(f"the agent has not read its configuration within {_SECONDS:.0f} s; its log may say why")
            return 1
        time.sleep(_TURN)
    return _told(status)


def _told(status: dict[str, Any]) -> int:
    config, web = status["config"], status["web"]
    wrong = [*config["last_reload_error"].splitlines(), *web["last_reload_error"].splitlines()]
    for sentence in wrong:
        complain(sentence)
    if not config["last_reload_successful"]:
        complain("the reload has failed; the configuration before it is in use")
    elif wrong:
        complain("what was there before is in the place of what is wrong; all else is in use")
    else:
        files = ", ".join(config["files"]) or "no configuration file; the built-in one"
        print(f"{paint('OK', 'good')} ({files}): the agent has read its configuration again")
    return 1 if wrong or not config["last_reload_successful"] else 0
