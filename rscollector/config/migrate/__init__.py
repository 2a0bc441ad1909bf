"""From the configuration of rs-collector, of its successor, or of scollector, to one of ours. Pure.

What cannot be carried over is named, with what to do about it. What is not encrypted here and was there is
always named. Passwords leave the file: each becomes a file of its own, which the configuration names.

The Ansible collection has these files as well, by links: there nothing else of ours is installed, and Python
may be 3.9. So they import nothing else of ours, and have no syntax that is newer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import rs_collector, scollector, successor
from .given import Given
from .made import SECRETS, LeftOut, Migrated
from .rs_collector import from_variables
from .toml import found, toml_value, written

__all__ = ["SECRETS", "LeftOut", "Migrated", "found", "from_variables", "migrate", "toml_value", "written"]


def migrate(table: Mapping[str, Any], file: str = "") -> Migrated:
    """Translate a configuration, of whichever of the three formats it is; `file` is the name that it had."""
    made = Migrated()
    given = Given(made, "", table)
    if given.has("emitter", "collector"):
        successor.translate(made, given)
    elif not given.has(*rs_collector.SECTIONS) and (
        given.has(*scollector.SETTINGS) or file.startswith("scollector")
    ):
        scollector.translate(made, given)
    else:
        rs_collector.translate(made, given)
    return made
