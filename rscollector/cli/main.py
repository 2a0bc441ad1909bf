"""The entry point: `rscollector COMMAND …`."""

import argparse
import os
import sys
from collections.abc import Sequence

import rscollector
from rscollector.cli import check, collect, collectors, migrate, new, reload, run, spool, status

_EPILOG = """\
examples:
  rscollector run                      watch this host; metrics on http://127.0.0.1:10070/metrics
  rscollector collect vip              what one collector sees right now, in the foreground
  rscollector check                    is the configuration right? every mistake, each with its line
  rscollector status                   what does the running agent say, and why is a number missing?

exit status: 0 fine, 1 failed, 2 usage or configuration
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser; man page and completion are made from it."""
    top = argparse.ArgumentParser(
        prog="rscollector",
        description="A metrics agent that watches the services that fail quietly, and never hangs.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"rscollector {rscollector.__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (run, check, reload, status, collect, collectors, spool, migrate, new):
        module.add(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    given = parser().parse_args(arguments)
    try:
        code: int = given.command(given)
        sys.stdout.flush()
    except BrokenPipeError:  # `rscollector … | head`: who reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main())
