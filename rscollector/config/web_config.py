"""The web configuration file of Prometheus' exporter-toolkit (YAML), as it is, and strictly.

What would lock nothing is refused, with the sentence that says what to write.

The file is composed, not loaded: no word becomes a boolean or a number behind anybody's back, a key that is
there twice is seen, and each mistake has its line. Where Python's TLS cannot do what a key says, or only Go
could, the key is refused or a hint says so; nothing is left out silently.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from rscollector.config import pem
from rscollector.config.build import unknown
from rscollector.config.types import ClientAuth, Listener, Tls
from rscollector.model.texts import one_line

_Nodes = dict[str, Node]

_TLS_KEYS = (
    "cert",
    "cert_file",
    "key",
    "key_file",
    "client_ca",
    "client_ca_file",
    "client_auth_type",
    "client_allowed_sans",
    "min_version",
    "max_version",
    "cipher_suites",
    "prefer_server_cipher_suites",
    "curve_preferences",
)
_SECTIONS = ("tls_server_config", "http_server_config", "basic_auth_users", "rate_limit")
_VERIFYING = "RequireAndVerifyClientCert"
_CLIENT = {
    "": ClientAuth.NONE,
    "NoClientCert": ClientAuth.NONE,
    "VerifyClientCertIfGiven": ClientAuth.OPTIONAL,
    _VERIFYING: ClientAuth.REQUIRED,
}
_BLIND = ("RequestClientCert", "RequireAnyClientCert", "RequireClientCert")
_VERSIONS = {"TLS12": "TLSv1.2", "TLS13": "TLSv1.3"}
_OLD = ("TLS10", "TLS11")
_OF_1_3 = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
_CIPHERS = {
    f"TLS_ECDHE_{key}_WITH_{go}": f"ECDHE-{key}-{openssl}"
    for key in ("ECDSA", "RSA")
    for go, openssl in (
        ("AES_128_CBC_SHA", "AES128-SHA"),
        ("AES_256_CBC_SHA", "AES256-SHA"),
        ("AES_128_GCM_SHA256", "AES128-GCM-SHA256"),
        ("AES_256_GCM_SHA384", "AES256-GCM-SHA384"),
        ("CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305"),
    )
}
"""Go's names of the ciphers that it does not call insecure, and OpenSSL's."""
_CURVES = {"CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1", "X25519": "X25519"}
_HEADERS: dict[str, tuple[str, ...]] = {
    "Content-Security-Policy": (),
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
}
"""The headers that may be set, and the values that one may have, if not any."""
_LONGEST_HEADER = 4096  # it is in each answer, and clients have bounds for all of them together
_TRUE = ("y", "yes", "true", "on")
_FALSE = ("n", "no", "false", "off")
_NOTHING = ("", "~", "null")
_HASH = re.compile(r"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}")
_HIGHEST_COST, _HIGH_COST = 14, 12
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_LONGEST_RATE = 3600.0
_MOST_BURST = 1_000_000


@dataclass(frozen=True, slots=True)
class WebConfig:
    """What the file says, as a listener without an address; `mistakes` and `hints` say where they are."""

    lock: Listener
    mistakes: tuple[str, ...]
    hints: tuple[str, ...]


def read(path: Path, files: pem.LockFiles) -> WebConfig:
    """Read the file at `path`, and what it names; relative paths in it begin at its own directory."""
    try:
        text = files.text(path)
    except ValueError as error:
        return WebConfig(Listener(""), (str(error),), ())
    return parse(text, path, files)


def parse(text: str, path: Path, files: pem.LockFiles) -> WebConfig:
    """Read the text of the file at `path`."""
    reader = _Reader(path, files)
    try:
        root = yaml.compose(text, Loader=yaml.BaseLoader)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        return WebConfig(Listener(""), (_no_yaml(path, error),), ())
    return WebConfig(reader.lock(root), tuple(reader.mistakes), tuple(reader.hints))


def _no_yaml(path: Path, error: Exception) -> str:
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    place = f"{path}:{mark.line + 1}" if mark else str(path)
    if isinstance(error, RecursionError):
        problem = "it is nested too deeply"
    return f"{place}: is not YAML: {one_line(str(problem or getattr(error, 'reason', None) or error))}"


class _Reader:
    """Goes through the nodes, and gathers `mistakes` and `hints`."""

    def __init__(self, path: Path, files: pem.LockFiles) -> None:
        self.mistakes: list[str] = []
        self.hints: list[str] = []
        self._path = path
        self._files = files

    def lock(self, root: Node | None) -> Listener:
        """Return what the whole file says."""
        if root is None or _is_nothing(root):
            self.hints.append(f"{self._path}: is empty and locks nothing")
            return Listener("")
        sections = self._table(root, (), _SECTIONS)
        lock = Listener("", users=self._users(sections.get("basic_auth_users")))
        lock = replace(lock, headers=self._headers(sections.get("http_server_config")))
        lock = replace(lock, tls=self._tls(sections.get("tls_server_config")))
        if lock.users and (hint := users_hint(self._path)):
            self.hints.append(hint)
        interval, burst = self._rate(sections.get("rate_limit"))
        return replace(lock, rate_interval=interval, rate_burst=burst)

    # --- tls_server_config ---

    def _tls(self, node: Node | None) -> Tls | None:
        path, before = ("tls_server_config",), len(self.mistakes)
        nodes = self._table(node, path, _TLS_KEYS)
        if not nodes:
            return None
        material = {name: self._material(name, nodes, path) for name in ("cert", "key", "client_ca")}
        self._exposed(nodes, path)
        client = self._client(nodes, path, has_ca=bool(material["client_ca"]))
        ciphers = self._names("cipher_suites", nodes, path, (*_CIPHERS, *_OF_1_3))
        minimum = self._version("min_version", nodes, path) or "TLSv1.2"
        maximum = self._version("max_version", nodes, path) or "TLSv1.3"
        if ciphers and set(ciphers) <= set(_OF_1_3):
            minimum = "TLSv1.3"
            if maximum == "TLSv1.2":
                why = "these are ciphers of TLS 1.3, which max_version does not allow"
                self._wrong(nodes["cipher_suites"], (*path, "cipher_suites"), why)
        self._boolean("prefer_server_cipher_suites", nodes, path)
        if len(self.mistakes) > before:
            return None
        for name in ("cert", "key"):
            if not material[name]:
                self._wrong(node, path, f"{name}_file is required: TLS needs a certificate and its key")
                return None
        tls = Tls(
            certificate=material["cert"],
            key=material["key"],
            client_ca=material["client_ca"],
            client=client,
            client_sans=self._sans(nodes, path, client),
            minimum=minimum,
            maximum=maximum,
            ciphers=tuple(_CIPHERS[each] for each in ciphers if each in _CIPHERS),
            curve=self._curve(nodes, path),
        )
        self._check(tls, nodes, path)
        return tls

    def _material(self, name: str, nodes: _Nodes, path: tuple[str, ...]) -> str:
        """Return a text in PEM, from the file itself or from the one that it names."""
        inline, named = (self._text(key, nodes, path) for key in (name, f"{name}_file"))
        if inline and named:
            self._wrong(nodes[name], (*path, name), f"{name}_file is there too: keep one of them")
        if inline or not named:
            return inline
        try:
            return self._files.text(self._path.parent / named)
        except ValueError as error:
            self._wrong(nodes[f"{name}_file"], (*path, f"{name}_file"), str(error))
            return ""

    def _exposed(self, nodes: _Nodes, path: tuple[str, ...]) -> None:
        """Note that everybody can read the key, be it in this file or in its own."""
        for key, directory in (("key", None), ("key_file", self._path.parent)):
            node = nodes.get(key)
            if isinstance(node, ScalarNode) and node.value:
                why = pem.exposed(directory / node.value if directory else self._path)
                if why:
                    self._hint(node, (*path, key), why)

    def _client(self, nodes: _Nodes, path: tuple[str, ...], *, has_ca: bool) -> ClientAuth:
        key = "client_auth_type"
        name, here = self._text(key, nodes, path), (*path, key)
        if name in _BLIND:
            self._wrong(
                nodes[key],
                here,
                f"{name} takes any certificate and verifies none; write {_VERIFYING}, and its client_ca_file",
            )
            return ClientAuth.NONE
        if name not in _CLIENT:
            self._wrong(nodes[key], here, _not_one_of(name, [each for each in _CLIENT if each]))
            return ClientAuth.NONE
        client = _CLIENT[name]
        given = next((nodes[each] for each in ("client_ca_file", "client_ca") if each in nodes), None)
        if client is ClientAuth.NONE and has_ca:
            self._wrong(given, here, f"the client_ca verifies nobody so; write {key}: {_VERIFYING}")
        elif client is not ClientAuth.NONE and given is None:
            why = "without one, any certificate that a public CA has signed would pass"
            self._wrong(nodes[key], here, f"{name} needs a client_ca_file: {why}")
        return client

    def _sans(self, nodes: _Nodes, path: tuple[str, ...], client: ClientAuth) -> tuple[str, ...]:
        key = "client_allowed_sans"
        names = self._list(key, nodes, path)
        if names and client is ClientAuth.NONE:
            self._wrong(nodes[key], (*path, key), f"verifies nobody so; write client_auth_type: {_VERIFYING}")
        if not all(names):
            self._wrong(nodes[key], (*path, key), "a name in it is empty")
        return names

    def _version(self, key: str, nodes: _Nodes, path: tuple[str, ...]) -> str:
        name = self._text(key, nodes, path)
        if name in _OLD:
            self._wrong(nodes[key], (*path, key), f"{name} is broken and refused; write TLS12 or TLS13")
        elif name and name not in _VERSIONS:
            self._wrong(nodes[key], (*path, key), _not_one_of(name, _VERSIONS))
        return _VERSIONS.get(name, "")

    def _names(self, key: str, nodes: _Nodes, path: tuple[str, ...], known: Iterable[str]) -> tuple[str, ...]:
        names = self._list(key, nodes, path)
        for name in names:
            if name not in known:
                self._wrong(nodes[key], (*path, key), _not_one_of(name, known))
        return names

    def _curve(self, nodes: _Nodes, path: tuple[str, ...]) -> str:
        key = "curve_preferences"
        names = self._names(key, nodes, path, _CURVES)
        usable = [each for each in names if each in _CURVES and pem.has_curve(_CURVES[each])]
        name = (*usable, *names, "")[0]
        if len(names) > 1:
            which = f"the first that Python on this host can set, {name}"
            self._hint(nodes[key], (*path, key), f"one curve can be set here: it is {which}")
        return _CURVES.get(name, "")

    def _check(self, tls: Tls, nodes: _Nodes, path: tuple[str, ...]) -> None:
        """See that OpenSSL takes it all."""
        keys = {
            "certificate": "cert",
            "minimum": "min_version",
            "ciphers": "cipher_suites",
            "curve": "curve_preferences",
        }
        for field, reason in pem.faults(tls):
            key = keys.get(field, field)
            key = key if key in nodes else f"{key}_file"
            self._wrong(nodes[key], (*path, key), self._named(key, nodes, reason))

    def _named(self, key: str, nodes: _Nodes, reason: str) -> str:
        node = nodes.get(key)
        if key.endswith("_file") and isinstance(node, ScalarNode):
            return f"{self._path.parent / node.value}: {reason}"
        return reason

    # --- the other sections ---

    def _headers(self, node: Node | None) -> dict[str, str]:
        path = ("http_server_config",)
        nodes = self._table(node, path, ("http2", "headers"))
        self._boolean("http2", nodes, path)
        given = self._table(nodes.get("headers"), (*path, "headers"), tuple(_HEADERS))
        headers = {name: self._text(name, given, (*path, "headers")) for name in given}
        for name, value in headers.items():
            allowed = _HEADERS[name]
            if value and allowed and value.lower() not in allowed:
                self._wrong(given[name], (*path, "headers", name), _not_one_of(value, allowed))
            if not value.isascii() or not value.isprintable() or len(value) > _LONGEST_HEADER:
                why = f"expected ASCII in one line of at most {_LONGEST_HEADER} characters"
                self._wrong(given[name], (*path, "headers", name), why)
        return {name: value for name, value in headers.items() if value}

    def _users(self, node: Node | None) -> dict[str, str]:
        path = ("basic_auth_users",)
        nodes = self._table(node, path)
        users = {name: self._text(name, nodes, path) for name in nodes}
        for name, value in users.items():
            if not isinstance(nodes[name], ScalarNode):
                continue  # that is said already
            if mistake := user_mistake(name, value):
                self._wrong(nodes[name], (*path, name), mistake)
            elif hint := cost_hint(value):
                self._hint(nodes[name], (*path, name), hint)
        if users and (mistake := no_bcrypt()):
            self._wrong(node, path, mistake)
        return users

    def _rate(self, node: Node | None) -> tuple[float, int]:
        path = ("rate_limit",)
        nodes = self._table(node, path, ("interval", "burst"))
        interval, burst = (self._text(key, nodes, path) for key in ("interval", "burst"))
        seconds = _go_duration(interval)
        if seconds is None or seconds > _LONGEST_RATE:
            why = 'expected a duration such as "1s", of 1h at most'
            self._wrong(nodes["interval"], (*path, "interval"), why)
            return 0.0, 0
        if burst and not (burst.isascii() and burst.isdecimal() and int(burst[:9]) <= _MOST_BURST):
            self._wrong(nodes["burst"], (*path, "burst"), f"expected a whole number up to {_MOST_BURST}")
            return 0.0, 0
        if seconds and not int(burst or 0):
            self._wrong(node, path, "without a burst nobody gets in; write burst: 20, or what you want")
        elif int(burst or 0) and not seconds:
            self._wrong(node, path, 'without an interval it limits nothing; write interval: "1s"')
        return seconds, int(burst or 0)

    # --- nodes ---

    def _table(self, node: Node | None, path: tuple[str, ...], known: tuple[str, ...] = ()) -> _Nodes:
        """Return the values of a table by their keys, which have to be known if it is said which are."""
        if node is None or _is_nothing(node):
            return {}
        if not isinstance(node, MappingNode):
            self._wrong(node, path, f"expected a table (key: value), not {_kind(node)}")
            return {}
        found: _Nodes = {}
        for key, value in node.value:
            name = key.value if isinstance(key, ScalarNode) else ""
            if not isinstance(key, ScalarNode):
                self._wrong(key, path, f"expected a key, not {_kind(key)}")
            elif name in found:
                self._wrong(key, (*path, name), f"is there twice, first in line {_line(found[name])}")
            elif known and name not in known:
                self._wrong(key, (*path, name), unknown(name, known))
            else:
                found[name] = value
        return {name: each for name, each in found.items() if not (known and _is_nothing(each))}

    def _text(self, key: str, nodes: _Nodes, path: tuple[str, ...]) -> str:
        node = nodes.get(key)
        if node is None:
            return ""
        if isinstance(node, ScalarNode):
            return str(node.value)
        self._wrong(node, (*path, key), f"expected a text, not {_kind(node)}")
        return ""

    def _list(self, key: str, nodes: _Nodes, path: tuple[str, ...]) -> tuple[str, ...]:
        node = nodes.get(key)
        if node is None:
            return ()
        if isinstance(node, SequenceNode) and all(isinstance(each, ScalarNode) for each in node.value):
            return tuple(str(each.value) for each in node.value)
        self._wrong(node, (*path, key), "expected a list of texts")
        return ()

    def _boolean(self, key: str, nodes: _Nodes, path: tuple[str, ...]) -> None:
        """See that a switch is one; none of them changes anything here."""
        node = nodes.get(key)
        is_plain = isinstance(node, ScalarNode) and not node.style
        if node is not None and not (is_plain and node.value.lower() in (*_TRUE, *_FALSE)):
            self._wrong(node, (*path, key), "expected true or false")

    def _wrong(self, node: Node | None, path: tuple[str, ...], reason: str) -> None:
        self.mistakes.append(self._sentence(node, path, reason))

    def _hint(self, node: Node, path: tuple[str, ...], reason: str) -> None:
        self.hints.append(self._sentence(node, path, reason))

    def _sentence(self, node: Node | None, path: tuple[str, ...], reason: str) -> str:
        where = f"{self._path}:{_line(node)}" if node else str(self._path)
        return ": ".join(filter(None, [where, ".".join(path), reason]))


def user_mistake(name: str, value: str) -> str:
    """Return why nobody could come in as this user with this hash, "" if somebody can."""
    if not name or ":" in name or not name.isprintable():
        return "a user's name is one line, not empty and without a colon: nobody could log in with it"
    found = _HASH.fullmatch(value)
    if found is None:
        return f"expected a bcrypt hash ($2b$10$…), as `htpasswd -nBC 10 {name}` makes it; never a password"
    cost = int(found[1])
    if cost > _HIGHEST_COST:
        price = f"each try would take some {_seconds(cost):.0f} s of CPU (cost {cost})"
        return f"{price}; make it anew with cost 10"
    return "" if cost >= 4 else f"bcrypt has no cost {cost}; make it anew with cost 10"


def cost_hint(value: str) -> str:
    """Return what a hash of a user costs more than it has to, "" if it does not."""
    found = _HASH.fullmatch(value)
    cost = int(found[1]) if found else 0
    if cost <= _HIGH_COST:
        return ""
    return f"each try takes {_seconds(cost):.1g} s of CPU (cost {cost}); 10 is enough"


def _seconds(cost: int) -> float:
    """Return what a hash takes of a CPU."""
    return 0.08 * 2.0 ** (cost - 10)


def users_hint(path: Path) -> str:
    """Return that everybody can read the users in a file, and guess at their passwords; "" if nobody can."""
    why = pem.exposed(path)
    return f"{path}: has the hashes of users, and {why}" if why else ""


def no_bcrypt() -> str:
    """Return what is missing so that passwords can be checked, "" if nothing is."""
    if find_spec("bcrypt"):
        return ""
    return "passwords need Debian's package python3-bcrypt (pip: bcrypt), which is not installed"


def _go_duration(text: str) -> float | None:
    """Return the seconds of a duration as Go writes it, None if it is none."""
    if text in ("", "0"):
        return 0.0
    if not re.fullmatch(f"(?:{_DURATION.pattern})+", text):
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in _DURATION.findall(text))


def _not_one_of(name: str, known: Iterable[str]) -> str:
    return f"expected {' or '.join(known)}, not {name[:60]}"


def _is_nothing(node: Node) -> bool:
    return isinstance(node, ScalarNode) and not node.style and node.value.lower() in _NOTHING


def _kind(node: Node) -> str:
    if isinstance(node, MappingNode):
        return "a table"
    return "a list" if isinstance(node, SequenceNode) else "a text"


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1
