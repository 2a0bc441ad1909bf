"""What this checkout declares, whatever is installed: a new collector is there before anybody has installed it."""

import tomllib
from pathlib import Path

from rscollector.config.registry import load

ROOT = Path(__file__).resolve().parents[1]
_POINTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
PLACES = _POINTS["rscollector.collectors"] | _POINTS["rscollector.sinks"]


def declared(name):
    """Return a plugin's class."""
    return load(name, PLACES[name])
