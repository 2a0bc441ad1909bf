"""Draw the lag beside the difference of optimes, as an agent sees them on a real set: the picture of the page.

pip install matplotlib
PYTHONPATH=.:tests python collectors/mongodb/tests/picture.py collectors/mongodb/lag.svg
"""

import sys
import tempfile
import time
from pathlib import Path

from harness import RunningAgent, until
from matplotlib import pyplot as plt
from watching import AGENT

from collectors.mongodb.tests.replica_set import PASSWORD, ReplicaSet
from collectors.mongodb.tests.test_lag import write, writing
from collectors.mongodb.tests.watching_mongodb import Watch, section

SCENES = ("nobody writes", "one write", "writes all the time", "one write, not applied", "applied")


def measure(replicas, watch, primary, member):
    """Return times, lags, differences of optimes, and when each scene began."""
    times, lags, differences, scenes = [], [], [], []
    began = time.monotonic()

    def follow(seconds):
        scenes.append(time.monotonic() - began)
        while time.monotonic() - began < scenes[-1] + seconds:
            lag, difference = watch.lag(primary.name, member.address)
            times.append(time.monotonic() - began)
            lags.append(lag)
            differences.append(difference)
            time.sleep(0.05)

    follow(30)
    write(primary)
    follow(5)
    with writing(primary):
        follow(15)
    member.fail("rsSyncApplyStop", "alwaysOn")
    write(primary)
    follow(15)
    member.fail("rsSyncApplyStop", "off")
    follow(5)
    return times, lags, differences, scenes


def draw(path, times, lags, differences, scenes):
    """Draw both, one below the other."""
    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "lag", "font.size": 9})
    figure, (above, below) = plt.subplots(2, 1, sharex=True, sharey=True, figsize=(8, 4.2))
    above.plot(times, differences, color="#b3541e", linewidth=1.2)
    below.plot(times, lags, color="#1e6fb3", linewidth=1.2)
    above.set_title("mongodb_member_optime_lag_seconds", loc="left", fontsize=9)
    below.set_title("mongodb_member_lag_seconds", loc="left", fontsize=9)
    below.set_xlabel("seconds")
    for axes in (above, below):
        axes.set_ylim(-1, 42)
        axes.grid(alpha=0.3)
        for begin in scenes:
            axes.axvline(begin, color="#888888", linewidth=0.6, linestyle=":")
    for begin, scene in zip(scenes, SCENES, strict=True):
        above.text(begin + 0.4, 37, scene, fontsize=7)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main():
    """Start a set and an agent, and draw what is seen."""
    with tempfile.TemporaryDirectory() as directory:
        replicas = ReplicaSet(Path(directory))
        primary, (member, _) = replicas.primary(), replicas.secondaries()
        primary.run("setParameter", writePeriodicNoops=False)
        write(primary)
        toml = AGENT.format(listen="").replace('"1s"', '"200ms"', 1) + section(primary)
        plugins = Path(__file__).parents[3] / "tests/plugins"
        agent = RunningAgent(Path(directory, "agent"), toml, (), plugins, {"MONGODB": PASSWORD})
        watch = Watch(agent, None)
        until(lambda: watch.lag(primary.name, member.address)[0] == 0 if agent.ready() else False)
        draw(sys.argv[1], *measure(replicas, watch, primary, member))
        agent.stop()
        replicas.stop()


main()
