"""The fence for questions that may be refused: the rest is published, and a note says what is missing.

A service may refuse one question and answer all others: for want of a privilege, in the state that it is in,
or since its version does not know it. Nobody has a list of the codes with which it does that, so whatever it
is refused with, only what was asked is missing. Who knows the driver translates its exceptions: a refusal
into Unavailable or Misconfigured, a connection that is gone into Disconnected.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rscollector.api import CollectError, Context, Unavailable


class Disconnected(Unavailable):
    """The connection is gone that the other questions need as well: there is nothing to publish."""


@dataclass(slots=True)
class Asked:
    """What became of a question: `refused` is why it was not answered, "" if it was."""

    refused: str = ""


@contextmanager
def optional(context: Context, what: str, needed: str = "") -> Iterator[Asked]:
    """Ask something in the block that may be refused.

    `what` says what is missing then ("the members' lag"), and `needed` which privilege or state would bring
    it ("the role clusterMonitor"), where the refusal does not say so itself.
    """
    asked = Asked()
    try:
        yield asked
    except Disconnected:
        raise
    except (CollectError, OSError) as error:
        asked.refused = str(error) or type(error).__name__
        hint = f" (this needs {needed})" if needed and needed not in asked.refused else ""
        context.note(f"missing: {what}: {asked.refused}{hint}")
