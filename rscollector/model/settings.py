"""The types of settings, for the agent's configuration and for plugins' settings alike.

A setting's type is a class whose constructor takes the value as TOML gave it and raises ValueError with
what was expected; `rscollector.config.build` does the rest. They live below the plugin API, and not in the
room of the configuration files, because plugins declare their settings with them.
"""

import ipaddress
import math
import re
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any, Self

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s?([KMGT]?)(?:i?B)?")
_FACTOR = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class Duration(float):
    """Seconds, written as "250ms", "15s", "10m", "1h30m"."""

    __slots__ = ()

    def __new__(cls, text: object) -> Self:
        """Read a duration; a bare number is refused, since its unit would be a guess."""
        if isinstance(text, Duration):
            return super().__new__(cls, text)
        if not isinstance(text, str) or not re.fullmatch(f"(?:{_DURATION.pattern})+", text):
            raise ValueError('a duration such as "15s", "250ms" or "1h30m"')
        total = sum(float(number) * _SECONDS[unit] for number, unit in _DURATION.findall(text))
        if total == math.inf:
            raise ValueError("a duration that is not that long")
        return super().__new__(cls, round(total, 6))

    def __str__(self) -> str:
        return humanized(self)


class ByteSize(int):
    """Bytes, written as 65536, "64K", "10M" or "1.5G" (powers of 1024)."""

    __slots__ = ()

    def __new__(cls, text: object) -> Self:
        """Read a size."""
        if isinstance(text, int) and not isinstance(text, bool) and text >= 0:
            return super().__new__(cls, text)
        match = _SIZE.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise ValueError('a size in bytes such as 65536, "64K" or "10M"')
        whole, _, decimals = match[1].partition(".")
        return super().__new__(cls, int(whole + decimals) * _FACTOR[match[2]] // 10 ** len(decimals))

    def __str__(self) -> str:
        unit = next((unit for unit in "TGMK" if self >= _FACTOR[unit] and self % _FACTOR[unit] == 0), "")
        return f"{self // _FACTOR[unit]}{unit}"


class Rate(ByteSize):
    """So many in each second, written as "1000/s" or "1M/s"."""

    __slots__ = ()

    def __new__(cls, text: object) -> Self:
        """Read a rate."""
        if not isinstance(text, str) or not text.endswith("/s"):
            raise ValueError('a rate such as "1000/s" or "1M/s"')
        return super().__new__(cls, text.removesuffix("/s"))

    def __str__(self) -> str:
        return f"{super().__str__()}/s"


class Secret:
    """A password or token. Its repr and str are masked; `reveal()` is the only way to the text.

    `place` is the table that names where it is kept.
    """

    __slots__ = ("_text", "place")

    def __init__(self, text: str, place: object = None) -> None:
        self._text = text
        self.place = place

    def reveal(self) -> str:
        """Return the secret itself, for the driver that needs it and for nothing else."""
        return self._text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and (self._text, self.place) == (other._text, other.place)

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "Secret('***')"


class IpAddress:
    """An IPv4 or IPv6 address in its canonical text, without a zone."""

    __slots__ = ("text", "version")

    def __init__(self, text: object) -> None:
        try:
            address = ipaddress.ip_address(text if isinstance(text, str) else "")
        except ValueError:
            raise ValueError('an IP address such as "192.0.2.10" or "2001:db8::10"') from None
        if address.version == 6 and address.scope_id:
            raise ValueError("an IP address without a zone (%…)")
        self.text = str(address)
        self.version = address.version

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IpAddress) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"IpAddress({self.text!r})"


class Listen:
    """An address to listen on: "127.0.0.1:10070", "[::1]:10070", ":10070" for all. Names are not resolved."""

    __slots__ = ("host", "port")

    def __init__(self, text: object) -> None:
        host, colon, port = (text if isinstance(text, str) else "").rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        host = (host[1:-1] if bracketed else host) or "0.0.0.0"  # noqa: S104  only if ":10070" is asked for
        try:
            address = ipaddress.ip_address(host)
            self.host = str(getattr(address, "ipv4_mapped", None) or address)
            is_number = port.isascii() and port.isdecimal()
            if (":" in host) != bracketed or not colon or not is_number or int(port) > 65535:
                raise ValueError  # noqa: TRY301  one sentence for all that can be wrong
        except ValueError:
            raise ValueError('an address and port such as "127.0.0.1:10070" or "[::1]:10070"') from None
        self.port = int(port)

    @property
    def is_local(self) -> bool:
        """Whether only this host reaches it."""
        return ipaddress.ip_address(self.host).is_loopback

    def covers(self, other: "Listen") -> bool:
        """Tell whether who listens here leaves no place to listen there; "all" are those of one family."""
        wide = self.host == ("::" if ":" in other.host else "0.0.0.0")  # noqa: S104
        return self.port == other.port != 0 and (wide or self.host == other.host)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Listen) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __repr__(self) -> str:
        return f"Listen({str(self)!r})"


@dataclass(frozen=True, slots=True)
class NoSettings:
    """The settings of a collector that has none."""


def setting(text: str, *, default: Any = ..., default_factory: Any = None) -> Any:
    """Declare a setting in a frozen dataclass, with the sentence that documents it.

    Without a default the setting is required. The type is the field's annotation: str, int, float, bool,
    a type of this module, an Enum, `X | None`, `tuple[X, ...]`, `dict[str, X]` or another such dataclass.
    """
    if default_factory is not None:
        return dataclass_field(default_factory=default_factory, metadata={"help": text})
    if default is ...:
        return dataclass_field(metadata={"help": text})
    return dataclass_field(default=default, metadata={"help": text})


def humanized(seconds: float) -> str:
    """Return seconds as an operator would say them: 250 ms, 4 s, 10 min, 1 h 30 min."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms" if seconds >= 0.01 or not seconds else f"{seconds * 1000:.1f} ms"
    if seconds < 10 and round(seconds, 1) != round(seconds):
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    parts = ((days, "d"), (hours % 24, "h"), (minutes % 60, "min"), (whole % 60, "s"))
    shown = [f"{count} {unit}" for count, unit in parts if count]
    return " ".join(shown[:2])
