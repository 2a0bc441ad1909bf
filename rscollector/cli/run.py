"""`rscollector run`: the agent, in the foreground, until it is told to stop."""

import argparse
import logging

from rscollector.cli.common import Commands, add_command, add_config, complain

_MORE = """\
signals:
  TERM, INT   stop; the agent is gone within ten seconds, whatever hangs
  HUP         read the configuration again; what has not changed goes on undisturbed,
              what was removed is tried at once, and a wrong configuration changes nothing
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "run", run, "run the agent in the foreground", _MORE)
    add_config(parser)
    parser.add_argument("-v", "--verbose", action="store_true", help="also log what is only for debugging")


def run(given: argparse.Namespace) -> int:
    """Run the agent."""
    import asyncio

    from rscollector.runtime.agent import Agent, CannotStart
    from rscollector.runtime.logs import Log
    from rscollector.runtime.signals import survive_harmless_signals

    survive_harmless_signals()
    path = given.config and given.config.absolute()  # the process that reads it runs in /

    async def agent(log: Log) -> None:
        await Agent(path, log).run()

    log = Log(logging.DEBUG if given.verbose else logging.INFO)
    try:
        asyncio.run(agent(log))
    except CannotStart as error:
        for sentence in error.args:
            complain(sentence)
        return 2 if error.mistakes else 1
    finally:
        log.close()
    return 0
