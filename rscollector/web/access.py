"""Who may ask a listener for something, and how often; an ASGI application around that of the pages.

The order for each request: rate, credentials, rights, route. The first two are here, and before they are
through nothing of us is told: no name, no version, and the same answer for each path. Whoever was in once is
not counted. What the pages are not to see (passwords, what proxies say) ends here too.
"""

import time
from dataclasses import dataclass
from typing import Any

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rscollector.config.types import Listener
from rscollector.web.access_log import AccessLog
from rscollector.web.passwords import CannotCheck, Hashing, Later, Passwords, credentials
from rscollector.web.proxies import Proxies
from rscollector.web.rates import Buckets, bucket_of

WANTED = (b"authorization", b"x-forwarded-for")
"""The headers that are read here, beside those that the pages want."""


@dataclass(slots=True)
class Asked:
    """What is known of a request while it is answered."""

    client: str
    is_in: bool = False
    user: str = ""
    status: int = 0
    size: int = 0


class Access:
    """Users, rates, proxies, headers, prefix and access log of one listener."""

    def __init__(self, listener: Listener, hashing: Hashing) -> None:
        self._passwords = Passwords(listener.users, hashing)
        self.log = AccessLog()
        self._set(listener)

    def replace(self, listener: Listener) -> None:
        """Take other settings, from the next request on; who is in stays in, if his hash is the same."""
        self._passwords.replace(listener.users)
        self._set(listener)

    def _set(self, listener: Listener) -> None:
        self._listener = listener
        self.proxies = Proxies(listener.trusted_proxies)
        self._headers = {
            name.lower().encode("ascii"): _latin(value) for name, value in listener.headers.items()
        }
        self._prefix = listener.prefix.rstrip("/")
        interval = listener.rate_interval
        self._rate = Buckets(interval, listener.rate_burst) if interval > 0 else None
        self.log.is_wanted = listener.access_log

    def guarded(self, application: ASGIApp) -> ASGIApp:
        """Return the application for those who may ask it."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            began = time.monotonic()
            asked = Asked(self.proxies.client(scope["client"][0], _header(scope, b"x-forwarded-for")))

            async def sent(message: Message) -> None:
                await send(self._noted(message, asked))

            try:
                refusal = await self._refusal(scope, asked)
                asked.is_in = refusal is None
                await (refusal or self._routed(scope, application))(scope, receive, sent)
            finally:
                self._log(scope, asked, time.monotonic() - began)

        return answer

    async def _refusal(self, scope: Scope, asked: Asked) -> ASGIApp | None:
        """Return what is answered to who may not come in, None for those who may."""
        given = credentials(_header(scope, b"authorization")) if self._listener.users else None
        right = self._passwords.remembered(given) if given else None
        is_known = right or (not self._listener.users and bool(_certificate(scope)))
        if self._rate is not None and not is_known:
            wait = self._rate.take(bucket_of(asked.client), time.monotonic())
            if wait > 0:
                return _later(Later(wait))
        if not self._listener.users:
            return None
        if given is None:
            return _unauthorized()
        try:
            if right is None:
                right = await self._passwords.are_right(given, asked.client)
        except Later as later:
            return _later(later)
        except CannotCheck:
            return PlainTextResponse("passwords cannot be checked now\n", 503)
        if not right:
            return _unauthorized()
        asked.user = given.user.decode("utf-8", "replace")
        return None

    def _routed(self, scope: Scope, application: ASGIApp) -> ASGIApp:
        """Have it answered by the application, which knows nothing of a prefix.

        What comes without the prefix is answered too: some proxies take it away.
        """
        path = scope["path"]
        if self._prefix and path == self._prefix:  # the page's links are relative
            return PlainTextResponse("", 308, {"location": f"{self._prefix}/"})
        if self._prefix and path.startswith(f"{self._prefix}/"):
            scope["path"] = path.removeprefix(self._prefix)
            scope["raw_path"] = scope["raw_path"].removeprefix(self._prefix.encode("ascii"))
        scope["headers"] = [each for each in scope["headers"] if each[0] not in WANTED]
        return application

    def _noted(self, message: Message, asked: Asked) -> Message:
        if message["type"] != "http.response.start":
            asked.size += len(message.get("body", b""))
            return message
        asked.status = message["status"]
        kept = [each for each in message["headers"] if each[0].lower() not in self._headers]
        return {**message, "headers": [*kept, *self._headers.items()]}

    def _log(self, scope: Scope, asked: Asked, seconds: float) -> None:
        """Log a request, without its query.

        A user is named when he was let in: people type passwords where names are wanted.
        """
        name = asked.user or _certificate(scope)
        what = f"{asked.client}{name and ' '}{name}: {scope['method']} {scope['path']}"
        status = asked.status or "gone before there was an answer"
        how = f"{status}, {asked.size} bytes, {seconds * 1000:.0f} ms"
        self.log.write(what, how, is_in=asked.is_in)


def _unauthorized() -> ASGIApp:
    headers = {"www-authenticate": 'Basic realm="restricted", charset="UTF-8"'}
    return PlainTextResponse("a user and a password are wanted here\n", 401, headers)


def _later(later: Later) -> ASGIApp:
    text = f"too many requests; ask again in {later.seconds} s\n"
    return PlainTextResponse(text, 429, {"retry-after": str(later.seconds)})


def _header(scope: Scope, wanted: bytes) -> str:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == wanted), "")


def _certificate(scope: Scope) -> str:
    """Return the name in the certificate that the client has shown, "" if none."""
    name: Any = scope.get("extensions", {}).get("tls", {}).get("client_cert_name")
    return name or ""


def _latin(text: str) -> bytes:
    return text.encode("latin-1", "replace")
