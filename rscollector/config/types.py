"""What the configuration files say, as frozen dataclasses: the sections, and what the agent is given."""

import json
import socket
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Self

from rscollector.model.feed import Feed
from rscollector.model.lifecycle import Policy, Revive
from rscollector.model.settings import ByteSize, Duration, setting

DEFAULT_FILE = Path("/etc/rscollector/rscollector.toml")
SHORTEST_INTERVAL = 0.1
_MOST = 1e9  # of anything, seconds too: more than any timer can take
_LONGEST_HOST = 255


@dataclass(frozen=True, slots=True)
class Common:
    """Settings of every collector; in `[agent]` they are the defaults for all of them."""

    interval: Duration | None = setting(
        "Time between two ticks. By default as its type declares, mostly 15s.", default=None
    )
    timeout: Duration | None = setting(
        "Time for one collect, then the worker is killed; by default 0.8 of the interval, at most 10s.",
        default=None,
    )
    max_series: int | None = setting(
        "Series that one collector may have; more are refused. By default as its type declares, mostly 2000.",
        default=None,
    )
    max_memory: ByteSize = setting(
        "Resident memory of a worker beyond which it is renewed between two ticks.", default=ByteSize("256M")
    )
    backoff_min: Duration = setting("Ceiling of the first wait after a failure.", default=Duration("1s"))
    backoff_max: Duration = setting("Ceiling of the wait, which doubles each time.", default=Duration("1m"))
    max_failures: int = setting("Failures without a success between them until removal.", default=30)
    max_hangs: int = setting("Hangs within `hang_window` until removal.", default=3)
    hang_window: Duration = setting("How long a hang is remembered.", default=Duration("1h"))
    revive: Revive = setting(
        "Whether a removed collector is tried again after a probation, or only after a reload.",
        default=Revive.PROBATION,
    )
    probation: Duration = setting(
        "Wait of one that was removed for hangs, crashes or a bug; doubles each time.", default=Duration("2m")
    )
    probation_misconfigured: Duration = setting(
        "The same for one that somebody has to mend. An unavailable one waits for `backoff_max` each time.",
        default=Duration("1m"),
    )
    probation_max: Duration = setting("Ceiling of both probations.", default=Duration("10m"))

    def __post_init__(self) -> None:
        if self.interval is not None and self.interval < SHORTEST_INTERVAL:
            raise ValueError("interval is at least 100ms")
        if self.timeout is not None and self.timeout <= 0:
            raise ValueError("timeout is more than 0s")
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, int | float) and value <= 0:
                raise ValueError(f"{each.name} is more than 0")
            if isinstance(value, int | float) and not isinstance(value, ByteSize) and value > _MOST:
                raise ValueError(f"{each.name} is at most {_MOST:.0f}")

    def timeout_for(self, interval: float) -> float:
        """Return the timeout that holds with an interval."""
        return min(10.0, 0.8 * interval) if self.timeout is None else self.timeout

    @property
    def policy(self) -> Policy:
        """The part of the settings that the lifecycle needs."""
        wanted = {each.name for each in fields(Policy)} & {each.name for each in fields(Common)}
        values: dict[str, Any] = {name: getattr(self, name) for name in wanted}
        for name, value in values.items():
            values[name] = float(value) if isinstance(value, Duration) else value
        return Policy(**values)


class Isolation(StrEnum):
    """What shares a worker with what."""

    WORKER = "worker"
    SHARED = "shared"


def worker_name(key: str, *, local: bool, isolation: Isolation) -> str:
    """Return the worker that a collector lives in: nothing else decides that."""
    if isolation is Isolation.SHARED:
        return "shared"
    return "local" if local else key


@dataclass(frozen=True, slots=True)
class AgentSection:
    """The section `[agent]`, beside the defaults for all collectors."""

    host: str = setting("This host's name, for sinks and for the schedule's phase.", default="")
    tags: dict[str, str] = setting("Tags that sinks add to every point.", default_factory=dict)
    max_series_total: int = setting("Series that all collectors together may have.", default=20000)
    isolation: Isolation = setting(
        "Whether each collector that talks to a service has a worker of its own, or all share one.",
        default=Isolation.WORKER,
    )

    def __post_init__(self) -> None:
        if len(self.host) > _LONGEST_HOST:
            raise ValueError(f"host: expected at most {_LONGEST_HOST} characters")
        if not all(text.isprintable() for text in (self.host, *self.tags, *self.tags.values())):
            raise ValueError("host, tags: expected no newline or other control character")
        if "host" in self.tags:
            raise ValueError("tags: the tag host is what `host` says: set that, and take it out of tags")


class ClientAuth(StrEnum):
    """What a TLS listener wants of its clients' certificates: no verdict but these can be enforced."""

    NONE = "none"
    OPTIONAL = "optional"
    REQUIRED = "required"


class Right(StrEnum):
    """What a listener may be asked for; whether the agent is healthy and ready, each of them."""

    METRICS = "metrics"
    READ = "read"
    """The page for people, and the API."""


UNIX: Final = "unix:"
"""How the address of a Unix socket begins."""
LOCAL_PROXY: Final = "unix"
"""Among trusted proxies, whoever connects to a Unix socket."""


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS of a listener. PEM texts, never paths: the configuration process has read them.

    Of `client_sans` a client's certificate has to hold one, if there are any; `ciphers` and `curve` have
    OpenSSL's names.
    """

    certificate: str
    key: str = field(repr=False)
    client_ca: str = ""
    client: ClientAuth = ClientAuth.NONE
    client_sans: tuple[str, ...] = ()
    minimum: str = "TLSv1.2"
    maximum: str = "TLSv1.3"
    ciphers: tuple[str, ...] = ()
    curve: str = ""


@dataclass(frozen=True, slots=True)
class Listener:
    """Where the agent listens, and for whom.

    `address` is "0.0.0.0:10070", "[::]:10070" or "unix:/run/…"; `rights` are values of `Right`;
    `users` has the bcrypt hash of each. `rate_interval` are the seconds in which an address gets
    one more request, beyond `rate_burst` of them; 0 leaves the built-in bounds alone.
    """

    address: str
    rights: tuple[str, ...] = ("metrics", "read")
    tls: Tls | None = None
    users: dict[str, str] = field(default_factory=dict, repr=False)
    headers: dict[str, str] = field(default_factory=dict)
    rate_interval: float = 0
    rate_burst: int = 0
    trusted_proxies: tuple[str, ...] = ()
    prefix: str = ""
    access_log: bool = False

    @property
    def url(self) -> str:
        """Where its metrics are, as people write it."""
        if self.address.startswith(UNIX):
            return self.address
        return f"{'https' if self.tls else 'http'}://{self.address}{self.prefix}/metrics"


@dataclass(frozen=True, slots=True)
class Spec:
    """One collector or sink to be run: plain values only, since it crosses processes.

    `plugin` is the collector's place (`module:class`), `settings` its table, in which a secret is its place;
    `variables` are those of the environment in which there are secrets; `unknown` is why not all could be
    found out, so that what runs already is left as it is. `sink` is what it is fed with;
    `host` and `tags` are the agent's, for a sink. Of the settings that all instances have (`Common`) it holds
    what they come to: the `timeout` that follows from the interval, the `policy` that the lifecycle needs.
    Two specs with the same `digest` mean the same, secrets' contents included.
    """

    type: str
    name: str
    interval: float
    timeout: float
    max_series: int
    max_memory: int
    policy: Policy
    settings: dict[str, Any]
    worker: str
    plugin: str = ""
    variables: dict[str, str] = field(default_factory=dict, repr=False)
    unknown: str = ""
    sink: Feed = Feed.NOTHING
    host: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    digest: str = ""

    @property
    def key(self) -> str:
        """The instance's name in logs and on the status page: `type/name`."""
        return f"{self.type}/{self.name}"

    @property
    def expiry(self) -> float:
        """The seconds after which samples are not shown, whatever the reason.

        These are three intervals; where a run may take longer than one, the next good run has to come first.
        """
        return 2 * self.interval + max(self.interval, self.timeout)


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration, checked.

    For people it has the `settings` of each instance by its key (`described.Setting`), and the `alerts` that
    come with each type (`alerts.alerts`). Of the files that listeners are made of, `seen` says what each was
    (`looker.look`), and `web` which they are, so that they can be read again (`listeners.again`).
    """

    host: str = field(default_factory=socket.gethostname)
    tags: dict[str, str] = field(default_factory=dict)
    max_series_total: int = 20000
    listeners: tuple[Listener, ...] = ()
    web: dict[str, Any] = field(default_factory=dict, repr=False)
    seen: dict[str, str] = field(default_factory=dict)
    specs: tuple[Spec, ...] = ()
    files: tuple[str, ...] = ()
    settings: dict[str, list[list[str]]] = field(default_factory=dict)
    alerts: dict[str, list[dict[str, str]]] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return the form in which the configuration process hands it to the agent."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        values = json.loads(text)
        specs, listeners = (tuple(map(make, values.pop(key))) for key, make in _PARTS.items())
        return cls(**{**values, "files": tuple(values["files"]), "specs": specs, "listeners": listeners})


def _spec(values: dict[str, Any]) -> Spec:
    policy = values["policy"]
    policy = Policy(**{**policy, "revive": Revive(policy["revive"])})
    return Spec(**{**values, "policy": policy, "sink": Feed(values["sink"])})


def _listener(values: dict[str, Any]) -> Listener:
    tls = values["tls"]
    if tls is not None:
        tls = Tls(**{**_tupled(tls), "client": ClientAuth(tls["client"])})
    return Listener(**{**_tupled(values), "tls": tls})


def _tupled(values: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(each) if isinstance(each, list) else each for key, each in values.items()}


_PARTS: dict[str, Callable[[dict[str, Any]], Any]] = {"specs": _spec, "listeners": _listener}
