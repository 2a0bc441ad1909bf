"""The storm, as a fixture."""

import re

import pytest

pytest.register_assert_rewrite("storm")

from storm import Storm  # noqa: E402


@pytest.fixture
def storm(agent, tmp_path):
    """Start an agent around a collector that misbehaves on command: `storm(section(…), agent_settings="")`."""
    started = []

    def start(toml="", agent_settings=""):
        switch = tmp_path / "switch"
        text = re.sub(r"(\[collector\.rogue\.\w+\]\n)", rf'\1once = "{switch}"\n', toml)
        started.append(Storm(agent, switch, text, agent_settings))
        return started[-1]

    yield start
    for each in started:
        each.scraper.end()
