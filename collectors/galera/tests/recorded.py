"""A node that answers what a real one has answered once."""

from collections import Counter

from answers import answered

from collectors.galera import Galera
from rscollector.api import Unavailable
from rscollector.testing import Recordings

USUAL = "mariadb-10.11"
STATES = Recordings(__file__, "recordings/**/*.wsrep.tsv")
SETTINGS = Recordings(__file__, "recordings/*/01-healthy.n1.settings.tsv")


class RecordedServer:
    """Answers as the recorded node did; `refusal` is what it says to an ordinary SELECT.

    A state is "01-healthy.n1" of the usual version, or "mariadb-11.8/01-healthy.n1".
    """

    def __init__(self, state, members=("n1", "n2", "n3"), refusal="", **changed):
        version, _, state = state.rpartition("/")
        place = version or USUAL
        self.status = {**STATES[f"{place}/{state}"].table(), **changed}
        self.settings = SETTINGS[place].table()
        self.members = members
        self.refusal = refusal

    def begin(self, _context):
        """Take note of a collect."""

    def pairs(self, statement):
        """Return status, settings or the members, each with a UUID of its own."""
        if not statement.startswith("SELECT"):
            return self.status if "STATUS" in statement else self.settings
        if self.refusal:
            raise Unavailable(self.refusal)
        seen = Counter()
        return {f"{name}-{seen.update([name]) or seen[name]}": name for name in self.members}

    def close(self):
        """Disconnect."""


def node(*answers):
    """Return a collector for a node that gives these answers, one in each collect."""
    return answered(Galera, answers)
