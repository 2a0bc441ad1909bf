"""From the section `[web]` to a `Listener` for each address: who may ask there, and for what.

Certificates, keys and web configuration files are read into texts. The section as it was written is kept with
the configuration, so that the same files can be read again when they have changed, and nothing else.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rscollector.config.build import Builder, Fault, KeyPath
from rscollector.config.types import UNIX, ClientAuth, Listener, Tls
from rscollector.config.web_section import ListenerSection, LockSection, TlsSection, WebSection
from rscollector.model.settings import Listen

if TYPE_CHECKING:
    from rscollector.config.pem import LockFiles

_DEFAULT = "127.0.0.1:10070"


@dataclass(slots=True)
class Web:
    """What `[web]` comes to.

    `mistakes` and `hints` are sentences with their places, about the files that it names; what is wrong in
    the section itself is the builder's. `seen` says what each of these files was.
    """

    listeners: tuple[Listener, ...]
    mistakes: tuple[str, ...]
    hints: tuple[str, ...]
    noted: tuple[Fault, ...]
    seen: dict[str, str]


def listeners(builder: Builder, table: Mapping[str, Any], directory: Path) -> Web:
    """Make the listeners of the section; relative paths in it begin at the directory of its file."""
    section = builder.table(WebSection, table, ("web",))
    if section is None:
        return Web((), (), (), (), {})
    maker = _Maker(builder, directory)
    made = tuple(maker.all(section))
    return Web(made, tuple(maker.mistakes), tuple(maker.hints), tuple(maker.noted), maker.seen)


def readable_users(places: Mapping[KeyPath, tuple[str, int]]) -> Iterator[str]:
    """Yield a hint for each file of the configuration in which everybody can read the users of a listener."""
    for file in dict.fromkeys(file for path, (file, _) in places.items() if _is_user(path)):
        from rscollector.config.web_config import users_hint

        if hint := users_hint(Path(file)):
            yield hint


def _is_user(path: KeyPath) -> bool:
    return path[:2] == ("web", "listener") and path[3:4] == ("users",) and len(path) == 5


class _Maker:
    """Makes listeners, and gathers what is to be said of them."""

    def __init__(self, builder: Builder, directory: Path) -> None:
        self.mistakes: list[str] = []
        self.hints: list[str] = []
        self.noted: list[Fault] = []
        self._files: LockFiles | None = None
        self._builder = builder
        self._directory = directory

    def all(self, section: WebSection) -> Iterator[Listener]:
        """Yield the listeners of the short form, then the others."""
        addresses = [str(each) for each in section.listen or ()]
        if section.listen is None and not section.listener:
            addresses = [_DEFAULT]
        lock = self._locked(Listener(""), section) if addresses else Listener("")
        for address in addresses:
            yield self._noted(replace(lock, address=address), ("web", "listen"))
        for index, each in enumerate(section.listener):
            path = ("web", "listener", str(index))
            yield self._noted(self._listener(each, path), path)

    def _listener(self, section: ListenerSection, path: KeyPath) -> Listener:
        rights = tuple(dict.fromkeys(each.value for each in section.rights))
        made = Listener(section.where, rights=rights, users=section.users)
        if section.tls:
            made = replace(made, tls=self._tls(section.tls, (*path, "tls")))
        self._users(section.users, (*path, "users"))
        return self._locked(made, section)

    def _locked(self, listener: Listener, lock: LockSection) -> Listener:
        """Add to a listener what a file says, and what is written beside it."""
        if lock.config_file:
            from rscollector.config import web_config

            found = web_config.read(self._directory / lock.config_file, self._reader())
            self.mistakes.extend(found.mistakes)
            self.hints.extend(each for each in found.hints if each not in self.hints)
            listener = replace(found.lock, address=listener.address, rights=listener.rights)
        return replace(
            listener,
            trusted_proxies=lock.trusted_proxies,
            prefix=lock.prefix.rstrip("/"),
            access_log=lock.access_log,
        )

    @property
    def seen(self) -> dict[str, str]:
        """What each file was that has been read."""
        return self._files.seen if self._files else {}

    def _reader(self) -> "LockFiles":
        """Return what reads files; whoever has none does without OpenSSL."""
        from rscollector.config.pem import LockFiles

        self._files = self._files or LockFiles()
        return self._files

    def _tls(self, section: TlsSection, path: KeyPath) -> Tls | None:
        from rscollector.config import pem

        texts: list[str] = []
        for name in ("certificate", "key", "client_ca"):
            try:
                file = getattr(section, name)
                texts.append(self._reader().text(self._directory / file) if file else "")
            except ValueError as error:
                self._builder.fault((*path, name), str(error))
        if why := pem.exposed(self._directory / section.key):
            self.noted.append(Fault((*path, "key"), why))
        if len(texts) < 3:
            return None
        client = section.client or (ClientAuth.REQUIRED if section.client_ca else ClientAuth.NONE)
        tls = Tls(texts[0], texts[1], texts[2], client, section.client_sans, section.minimum.value)
        found = list(pem.faults(tls))
        for name, reason in found:
            file = getattr(section, name, "")
            self._builder.fault((*path, name), f"{self._directory / file}: {reason}")
        return None if found else tls

    def _users(self, users: Mapping[str, str], path: KeyPath) -> None:
        if not users:
            return
        from rscollector.config.web_config import cost_hint, no_bcrypt, user_mistake

        for name, value in users.items():
            if mistake := user_mistake(name, value):
                self._builder.fault((*path, name), mistake)
            elif hint := cost_hint(value):
                self.noted.append(Fault((*path, name), hint))
        if mistake := no_bcrypt():
            self._builder.fault(path, mistake)

    def _noted(self, listener: Listener, path: KeyPath) -> Listener:
        """Note what its operator may not have meant."""
        if listener.address.startswith(UNIX) or Listen(listener.address).is_local:
            return listener
        is_verified = listener.tls is not None and listener.tls.client is ClientAuth.REQUIRED
        if not listener.users and not is_verified:
            why = "answers everybody who reaches this host; lock it with web.config_file, or by a firewall"
            self.noted.append(Fault(path, f"{listener.address} {why}"))
        elif listener.users and listener.tls is None:
            why = "takes passwords without TLS: who listens on the way reads them"
            self.noted.append(Fault(path, f"{listener.address} {why}"))
        return listener
