"""The section `[web]` as it is written; `listeners` makes of it what the agent is given."""

import ipaddress
import os
import re
from dataclasses import dataclass, fields
from enum import StrEnum
from itertools import permutations

from rscollector.config.types import LOCAL_PROXY, UNIX, ClientAuth, Right
from rscollector.model.settings import Listen, setting

_PREFIX = re.compile(r"(?:/(?!\.\.?(?:/|$))[A-Za-z0-9._~-]+)+/?")
"""A path, but for `.` and `..`: of these browsers make another one."""
_LONGEST_PATH = 107


class TlsVersion(StrEnum):
    """The versions of TLS that are not broken."""

    V1_2 = "TLSv1.2"
    V1_3 = "TLSv1.3"


@dataclass(frozen=True, slots=True, kw_only=True)
class LockSection:
    """What may be said of all addresses of `listen`, and of each listener."""

    config_file: str = setting(
        "A web configuration file as exporters of Prometheus have it: TLS, users, headers, a rate limit.",
        default="",
    )
    trusted_proxies: tuple[str, ...] = setting(
        'Addresses or networks of reverse proxies, which are believed from whom a request comes; "unix" is '
        "whoever connects to a Unix socket.",
        default=(),
    )
    prefix: str = setting(
        'The path beneath which a reverse proxy shows this agent, such as "/db1".', default=""
    )
    access_log: bool = setting(
        "Log each request, without what it proves itself with; of those that are refused ten a second.",
        default=False,
    )

    def __post_init__(self) -> None:
        for each in self.trusted_proxies:
            try:
                _ = each == LOCAL_PROXY or ipaddress.ip_network(each)
            except ValueError as error:
                raise ValueError(f"trusted_proxies: expected an address or a network: {error}") from None
        if self.prefix and not _PREFIX.fullmatch(self.prefix):
            raise ValueError('prefix: expected a path of letters, digits and - . _ ~ such as "/db1"')
        if "\0" in self.config_file:
            raise ValueError("config_file: expected the path of a file")


@dataclass(frozen=True, slots=True)
class TlsSection:
    """The table `tls` of a listener: files in PEM, and what clients have to show."""

    certificate: str = setting("File with the certificate, and those between it and its CA.")
    key: str = setting("File with its key.")
    client_ca: str = setting("File with the CA of the clients' certificates.", default="")
    client: ClientAuth | None = setting(
        'Whether clients need a certificate; with a client_ca it is "required".', default=None
    )
    client_sans: tuple[str, ...] = setting(
        "Names, of which a client's certificate must hold one; by default any of the CA's is taken.",
        default=(),
    )
    minimum: TlsVersion = setting("The oldest version of TLS.", default=TlsVersion.V1_2)

    def __post_init__(self) -> None:
        if not self.certificate or not self.key or "\0" in f"{self.certificate}{self.key}{self.client_ca}":
            raise ValueError("certificate, key: expected the paths of files")
        if self.client in (ClientAuth.OPTIONAL, ClientAuth.REQUIRED) and not self.client_ca:
            raise ValueError("client_ca: is required: without it any certificate of a public CA would pass")
        if self.client is ClientAuth.NONE and self.client_ca:
            raise ValueError('client: with "none" the client_ca verifies nobody; write "required"')
        if self.client_sans and not self.client_ca:
            raise ValueError("client_sans: they verify nobody without a client_ca")
        if not all(self.client_sans):
            raise ValueError("client_sans: a name is empty")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerSection(LockSection):
    """A table `[[web.listener]]`: an address with rights and a lock of its own."""

    address: str = setting('Where it listens: "0.0.0.0:10070", "[::]:10070", or "unix:/path" for a socket.')
    rights: tuple[Right, ...] = setting(
        "What may be asked there: /metrics, and what there is to read (page and API).",
        default=(Right.METRICS, Right.READ),
    )
    tls: TlsSection | None = setting("TLS, if `config_file` does not say it.", default=None)
    users: dict[str, str] = setting(
        "Users, each with the bcrypt hash of his password, if `config_file` does not say it.",
        default_factory=dict,
    )

    def __post_init__(self) -> None:
        # Without arguments, super() would look for the class that was there before it got its slots.
        super(ListenerSection, self).__post_init__()
        if self.config_file and (self.tls or self.users):
            raise ValueError("config_file: it says what tls and users say here; keep one of them")
        if not self.rights:
            raise ValueError("rights: expected one at least; take the listener out if nobody may ask there")
        if self.where.startswith(UNIX) and self.tls:
            raise ValueError("tls: a Unix socket has none")

    @property
    def where(self) -> str:
        """The address in its canonical text. Raises ValueError where it is none."""
        if self.address.startswith(f"{UNIX}/") and self.address.isprintable():
            path = os.path.normpath(self.address.removeprefix(UNIX))
            if len(os.fsencode(path)) > _LONGEST_PATH:
                raise ValueError(
                    f"address: the kernel knows no path of a socket beyond {_LONGEST_PATH} bytes"
                )
            return f"{UNIX}{path}"
        try:
            return str(Listen(self.address))
        except ValueError as error:
            raise ValueError(f'address: expected {error}, or "unix:/path"') from None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSection(LockSection):
    """The section `[web]`; the settings of `LockSection` hold for the addresses of `listen`."""

    listen: tuple[Listen, ...] | None = setting(
        'Where Prometheus and browsers find the agent; by default "127.0.0.1:10070", without a listener.',
        default=None,
    )
    listener: tuple[ListenerSection, ...] = setting(
        "Addresses with rights and a lock of their own, each a table `[[web.listener]]`.", default=()
    )

    def __post_init__(self) -> None:
        super(WebSection, self).__post_init__()
        idle = [each.name for each in fields(LockSection) if getattr(self, each.name)]
        if idle and self.listener and not self.listen:
            why = "holds for the addresses of `listen`, and there are none"
            raise ValueError(f"{idle[0]}: {why}; write it into the listener")
        own = [each.where for each in self.listener]
        listens = [*(self.listen or ()), *(Listen(each) for each in own if not each.startswith(UNIX))]
        for first, second in permutations(listens, 2):
            if first == second and first.port:
                raise ValueError(f"listen: {first} is there twice")
            if first.covers(second):
                raise ValueError(f"listen: {first} includes {second}; keep one of them")
        for each in {each for each in own if own.count(each) > 1 and each.startswith(UNIX)}:
            raise ValueError(f"listener: {each} is there twice")
