"""The entry point: `rscollector COMMAND …`."""

import argparse
import errno
import os
import sys
from collections.abc import Sequence

import rscollector
from rscollector.cli import check, collect, collectors, migrate, new, reload, run, spool, status
from rscollector.cli.common import complain

_EPILOG = """\
examples:
  rscollector run                      watch this host; metrics on http://127.0.0.1:10070/metrics
  rscollector collect vip              what one collector sees right now, in the foreground
  rscollector check                    is the configuration right? every mistake, each with its line
  rscollector status                   what does the running agent say, and why is a number missing?

exit status: 0 fine, 1 failed, 2 usage or configuration
"""
_STDOUT, _STDERR = 1, 2


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
    _open_standard_streams()
    given = parser().parse_args(arguments)
    try:
        code: int = given.command(given)
        sys.stdout.flush()
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.ENOSPC):
            raise
        if error.errno == errno.ENOSPC:
            complain(f"cannot write: {error.strerror}")
        # Else it was `rscollector … | head`: who reads has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 1
    return code


def _open_standard_streams() -> None:
    """Have all three: what is opened next would get the number of one that is closed, and be written into."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        os.set_inheritable(number, True)
    os.close(number)
    sys.stdout = sys.stdout or os.fdopen(_STDOUT, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(_STDERR, "w", closefd=False)


if __name__ == "__main__":
    sys.exit(main())
