"""What the agent knows of itself beside its collectors, for its metrics and its status."""

import time
from dataclasses import dataclass, field

from rscollector.config.types import Config


@dataclass(slots=True)
class Vitals:
    """`config` is the one in use; `busy` says what the agent does instead of watching, "" when it watches.

    Changes are numbered anew in each `epoch`. `started` is the loop's time, `reloaded_at` Unix time;
    `loop_lag` is in seconds. `certificates` says from when to when that of each listener is valid;
    `web_error`, why what is locked with could not be renewed. Of the reloads that have begun, those that have
    ended are counted too.
    """

    started: float
    epoch: int = field(default_factory=lambda: int(time.time()))
    config: Config = field(default_factory=Config)
    busy: str = "is starting"
    loop_lag: float = 0
    reloads_begun: int = 0
    reloads_ended: int = 0
    reload_ok: bool = True
    reloaded_at: float = 0
    reload_error: str = ""
    steps: int = 0
    suspends: int = 0
    log_dropped: int = 0
    evicted: int = 0
    certificates: dict[str, tuple[float, float]] = field(default_factory=dict)
    web_error: str = ""
