"""What many scenarios share: a place for a server's data, and an agent that goes on from one to the next.

Each scenario begins when all is well, and asks what is new since then.
"""

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import watching
from harness import RunningAgent, until
from prometheus_client.parser import text_string_to_metric_families

PLUGINS = Path(__file__).parent / "plugins"
MEMORY = Path("/dev/shm")


@contextmanager
def place_for(name):
    """Make a directory that every user may enter, in memory where there is room: servers wait for their disk."""
    roomy = MEMORY.exists() and shutil.disk_usage(MEMORY).free > 4 << 30
    with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=MEMORY if roomy else "/tmp") as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


@contextmanager
def shared_agent(directory, toml, **environment):
    """Run an agent that may outlive a test."""
    given = {**environment, "RSCOLLECTOR_TEST_SERVER": "1"}
    agent = RunningAgent(directory / "agent", toml, (), PLUGINS, given)
    try:
        until(agent.ready, 60)
        yield agent
    finally:
        agent.stop()


def told(agent, *metrics):
    """Return the samples of some metrics as {(name, frozenset of labels): value}.

    To read a whole page takes longer than the agent needs to give it; who waits reads it many times.
    """
    begins = tuple(f"{metric}{end}" for metric in metrics for end in "{ ")
    lines = [line for line in agent.get("/metrics")[2].decode().splitlines() if line.startswith(begins)]
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families("\n".join([*lines, ""]))
        for sample in family.samples
    }


class Watch(watching.Watch):
    """A watch of which every scenario takes what came since its own beginning."""

    _said = _missed = 0

    def begin(self):
        """Wait until all is well, and take note of what was said and missed so far."""
        super().begin()
        self._said = len(self.agent.log)
        self._missed = self._missed_ticks()

    @property
    def log(self):
        """What the agent has logged since the scenario began."""
        return self.agent.log[self._said :]

    def state(self, name, metric, **labels):
        """Return the state that is set of a stateset, as a node's collector tells it."""
        return self.state_in(told(self.agent, metric), name, metric, **labels)

    @staticmethod
    def state_in(samples, name, metric, **labels):
        """Return the state that is set among samples that were taken before."""
        wanted = {("name", name), *labels.items()}
        found = [
            dict(has)[metric]
            for (each, has), value in samples.items()
            if each == metric and value == 1 and wanted <= has
        ]
        return found[0] if found else None

    def value(self, metric, name, **labels):
        """Return a value that a node's collector tells."""
        return self.value_in(told(self.agent, metric), metric, name=name, **labels)

    @staticmethod
    def value_in(samples, metric, **labels):
        """Return the one value among samples that were taken before, None if there is none."""
        wanted = set(labels.items())
        found = [value for (each, has), value in samples.items() if each == metric and wanted <= has]
        assert len(found) <= 1, f"{metric} {labels}: {len(found)} samples"
        return found[0] if found else None

    def up(self, name):
        """Tell whether a node's collector is up."""
        return self.value("rscollector_collector_up", name, type=self.type)

    def unharmed(self):
        """Assert that the collector that has nothing to do with it was not late."""
        assert self.agent.value("rscollector_collector_up", type="tame") == 1
        assert self._missed_ticks() == self._missed

    def _missed_ticks(self):
        return self.agent.value("rscollector_collector_ticks_missed_total", type="tame")
