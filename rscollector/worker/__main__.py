"""A worker: `python -m rscollector.worker NAME WIRE STACK AGENT FATE`, started by the agent.

It may hang, crash or be killed at any time; nobody relies on it to end well. It dies with the agent, unless
its fate is to outlive it: it holds a sink then, and ends when that has kept what it was given.

WIRE is the descriptor of the socket to the agent, whose process id is AGENT. Into the memory file STACK
faulthandler writes where all threads are, at nine tenths of a deadline and at a segmentation fault; the agent
reads it after the end of this process. Whatever collectors print goes to the agent's log.
"""

import faulthandler
import logging
import os
import signal
import socket
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Thread

from rscollector.api.deaths import die_with_parent
from rscollector.wire.priorities import Priorities
from rscollector.worker.server import Server


def main(arguments: list[str]) -> int:
    """Serve one wire to its end."""
    _name, wire, stack, agent, fate = arguments
    if fate == "dies" and not die_with_parent(int(agent)):
        return 1
    _be_the_first_to_go()
    _leave_signals_to_the_agent()
    for inherited in (int(wire), int(stack)):
        os.set_inheritable(inherited, False)
    _tell_of_crashes(int(stack))
    server = Server(socket.socket(fileno=int(wire)), int(stack), int(agent))
    handler = logging.StreamHandler()
    handler.setFormatter(Priorities("%(asked)s: %(name)s: %(message)s"))
    handler.addFilter(partial(_with_whom_is_asked, server))
    logging.basicConfig(handlers=[handler], level=logging.INFO)
    try:
        server.serve()
    except ConnectionError:
        return 1  # the agent is gone, and so is everyone who could be told
    finally:
        server.end()
    return 0


def _with_whom_is_asked(server: Server, record: logging.LogRecord) -> bool:
    """Have a record tell which collector has logged it, as far as that is known; pass it on."""
    record.asked = server.asked
    return True


def _tell_of_crashes(stack: int) -> None:
    """Have a crash write where all threads are.

    The thread that asks for it gets a small stack for all its signals, Python's own too: where two of these
    come at once it is full, and the worker crashes. So it is asked for by a thread that then ends.
    """
    asking = Thread(target=faulthandler.enable, args=(stack,))
    asking.start()
    asking.join()


def _leave_signals_to_the_agent() -> None:
    """Do nothing at signals that a service manager may send to everybody: the agent will say when to end.

    With a handler, and not ignored: what a collector starts would inherit that.
    """
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, lambda *_: None)


def _be_the_first_to_go() -> None:
    """Have the kernel, when memory is short, kill a worker rather than the agent that would restart it."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", "ascii")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
