"""A replica set, watched from each of its members."""

import scenes
import watching
from harness import until

from collectors.mongodb.tests.replica_set import USER

HEALTH = "mongodb_member_health"


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


class Watch(scenes.Watch):
    """What is said of the set."""

    type = "mongodb"
    look_back = watching.Watch.look_back | {"MongoDBElections", "MongoDBMemberFlaps"}

    def seen(self, name):
        """Return what a member's collector tells: its own state, and how many primaries there are."""
        samples = scenes.told(self.agent, "mongodb_state", "mongodb_primaries")
        return self.state_in(samples, name, "mongodb_state"), self.value_in(
            samples, "mongodb_primaries", name=name
        )

    def whole(self):
        """Tell whether every member knows one primary, and two secondaries that answer."""
        names = ("m1", "m2", "m3")
        samples = scenes.told(self.agent, "mongodb_state", "mongodb_primaries", HEALTH)
        states = sorted(str(self.state_in(samples, name, "mongodb_state")) for name in names)
        return states == ["primary", "secondary", "secondary"] and all(
            self.value_in(samples, "mongodb_primaries", name=name) == 1
            and len(self._healthy_in(samples, name)) == 3
            for name in names
        )

    def healthy(self, name):
        """Return the addresses of the members that answer a member."""
        return self._healthy_in(scenes.told(self.agent, HEALTH), name)

    def _healthy_in(self, samples, name):
        return [
            dict(labels)["member"]
            for (metric, labels), value in samples.items()
            if metric == HEALTH and value == 1 and ("name", name) in labels
        ]

    def sees(self, name, *expected, timeout=30):
        """Wait until a member's collector tells this state and number of primaries."""
        until(lambda: self.seen(name) == expected, timeout)

    def lag(self, observer, member):
        """Return the lag and the difference of optimes of a member, as another's collector tells them."""
        metrics = ("mongodb_member_lag_seconds", "mongodb_member_optime_lag_seconds")
        samples = scenes.told(self.agent, *metrics)
        return tuple(self.value_in(samples, each, name=observer, member=member) for each in metrics)
