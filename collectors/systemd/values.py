"""What systemd says of a unit, a timer and itself, as values in its own words. Pure."""

from typing import NamedTuple


class Unit(NamedTuple):
    """A unit that systemd has in memory: its states in systemd's own words."""

    name: str
    load: str
    active: str
    sub: str

    @property
    def is_failed(self) -> bool:
        """Tell whether it is what `systemctl --failed` lists."""
        return self.active == "failed"

    @property
    def waits_for_restart(self) -> bool:
        """Tell whether it has ended, and is to be started again by itself."""
        return "auto-restart" in self.sub  # since systemd 254 also -queued, and a moment before

    @property
    def is_broken(self) -> bool:
        """Tell whether systemd cannot use its files: nothing starts it, and it is not failed for that."""
        return self.load in ("bad-setting", "error")

    @property
    def is_changing(self) -> bool:
        """Tell whether it is being stopped, or reads its configuration again: a moment, unless it hangs."""
        return self.active in ("deactivating", "reloading", "refreshing")

    @property
    def works(self) -> bool:
        """Tell whether a service that counts as up has a process."""
        return self.active == "active" and self.sub == "running"

    @property
    def is_starting(self) -> bool:
        """Tell whether somebody works at its start; of a device that udev has not seen nobody does."""
        is_device = self.name.endswith(".device")
        return self.active == "activating" and not self.waits_for_restart and not is_device


class Timer(NamedTuple):
    """A timer, and which unit it activates; Unix times in seconds, None for never."""

    name: str
    activates: str
    next: float | None
    last: float | None


class Facts(NamedTuple):
    """What only `systemctl show` tells of a unit; None and "" where its kind has no such property.

    `since` is when it left the state inactive, by CLOCK_MONOTONIC; `group` is the path of its control group,
    `calendar` whether a timer has OnCalendar=.
    """

    result: str
    restart: str
    restarts: int | None
    since: float | None
    accuracy: float
    group: str
    calendar: bool = False


class Manager(NamedTuple):
    """What systemd says of itself; `loaded` changes whenever it has read the unit files again."""

    version: str
    state: str
    jobs: int | None
    loaded: str
