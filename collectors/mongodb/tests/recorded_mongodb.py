"""A server that answers what real ones have answered, of MongoDB 2.4 to 6.0."""

from operator import ge, gt, le, lt

from answers import answered
from bson.json_util import DEFAULT_JSON_OPTIONS, loads

from collectors.mongodb import MongoDB
from collectors.mongodb.server import Refused
from rscollector.testing import Recordings

RECORDINGS = Recordings(__file__, "recordings/*.json")
STATES = Recordings(
    __file__, "recordings/*.json", without=("*serverStatus*", "*replSetGetConfig*", "*error*", "*oplog*")
)
OPTIONS = DEFAULT_JSON_OPTIONS.with_options(tz_aware=False, tzinfo=None)


NO_DELAYS = {"members": []}


def recording(name):
    """Return a recorded reply."""
    return loads(RECORDINGS[name].text(), json_options=OPTIONS)


_COMPARED = {"$gt": gt, "$gte": ge, "$lt": lt, "$lte": le}


def _fits(entry, condition):
    """Tell whether an entry of the oplog is one that a condition asks for."""
    return all(
        all(key in entry and _COMPARED[how](entry[key], what) for how, what in wanted.items())
        if isinstance(wanted, dict)
        else entry.get(key) == wanted
        for key, wanted in condition.items()
    )


class RecordedServer:
    """Answers as a recorded one did. `oplog` is a list of entries, the oldest first; `refused` codes by command."""

    def __init__(self, state=None, config=None, oplog=(), refused=None, **status):
        self.replies = {
            "serverStatus": {**recording("6.0-serverStatus-primary"), **status},
            "replSetGetStatus": state
            if isinstance(state, dict)
            else recording(state or "6.0-healthy-primary"),
            "replSetGetConfig": recording(config)
            if isinstance(config, str)
            else {"config": config or NO_DELAYS},
            "collStats": {"maxSize": 1 << 24, "size": 1 << 20},
        }
        self.oplog = list(oplog)
        self.refused = refused or {}
        self.settings = {}

    def begin(self, _context):
        """Take note of a collect."""

    def command(self, name, *_, **options):
        """Return a reply, or refuse it with a code."""
        if name in self.refused:
            refused = Refused("refused")
            refused.code = self.refused[name]
            raise refused
        return self.replies[name]

    def entry(self, condition, *, newest=False):
        """Return the oldest or the newest entry of the oplog that fits."""
        fits = [each for each in self.oplog if _fits(each, condition)]
        return fits[-1 if newest else 0] if fits else None

    def setting(self, name):
        """Return a setting of a sharded cluster."""
        return self.settings.get(name, {})

    def close(self):
        """Disconnect."""


def server(*answers):
    """Return a collector of a server that gives these answers, one in each collect."""
    return answered(MongoDB, answers)
