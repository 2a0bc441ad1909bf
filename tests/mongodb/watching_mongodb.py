"""A replica set, watched from each of its members."""

import watching
from harness import until
from replica_set import USER


def section(member, name="", **settings):
    """Return a section for a member, with the least privileges that are documented."""
    given = {
        "host": '"127.0.0.1"',
        "port": member.port,
        "user": f'"{USER}"',
        "password": '{ env = "MONGODB" }',
        "timeout": '"2s"',  # the driver looks for a server in steps of half a second
        **settings,
    }
    return watching.section("mongodb", name or member.name, **given)


class Watch(watching.Watch):
    """What is said of the set."""

    type = "mongodb"
    look_back = watching.Watch.look_back | {"MongoDBElections", "MongoDBMemberFlaps"}

    def seen(self, name):
        """Return what a member's collector tells: its own state, and how many primaries there are."""
        return self.state(name, "mongodb_state"), self.value("mongodb_primaries", name)

    def whole(self):
        """Tell whether every member knows one primary, and two secondaries that answer."""
        names = ("m1", "m2", "m3")
        states = sorted(str(self.state(name, "mongodb_state")) for name in names)
        return states == ["primary", "secondary", "secondary"] and all(
            self.value("mongodb_primaries", name) == 1 and len(self.healthy(name)) == 3 for name in names
        )

    def healthy(self, name):
        """Return the addresses of the members that answer a member."""
        return [
            dict(labels)["member"]
            for (metric, labels), value in self.agent.metrics().items()
            if metric == "mongodb_member_health" and value == 1 and ("name", name) in labels
        ]

    def sees(self, name, *expected, timeout=30):
        """Wait until a member's collector tells this state and number of primaries."""
        until(lambda: self.seen(name) == expected, timeout)

    def lag(self, observer, member):
        """Return the lag and the difference of optimes of a member, as another's collector tells them."""
        told = (
            self.value(f"mongodb_member_{each}_seconds", observer, member=member)
            for each in ("lag", "optime_lag")
        )
        return tuple(told)
