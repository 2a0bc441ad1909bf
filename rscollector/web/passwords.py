"""Passwords, without a price: who came in once never waits, and who guesses cannot make the host compute.

A bcrypt hash costs a tenth of a second of CPU or more, for right and wrong passwords alike. So what is known
is looked up: successes, one for each user, and failures, in a table of their own, so that no flood of wrong
passwords puts a right one out. What is in neither goes to one thread, which computes two hashes a second for
all listeners together; eight may wait, half of them of one address; and an address has five tries, and then
one more each twelve seconds. Who exceeds that is told at once when to come again, and nothing is computed.

Neither the answer nor its time tells whether a user exists: a wrong password costs the highest cost that is
configured, whoever is asked for, and is answered when its half second is over.
"""

import asyncio
import base64
import binascii
import hmac
import logging
import math
import secrets
import signal
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from rscollector.web.rates import Buckets, bucket_of

log = logging.getLogger("rscollector.web")

PACE = 0.5
"""Seconds from the beginning of one hash to that of the next."""
WAITING = 8
_OF_ONE = 4  # of an address: so many are left for others
_TRIES, _ANOTHER_TRY = 5, 12.0
_FAILURES, _FAILURE = 1000, 60.0
_LONGEST = 72  # bytes of a password that bcrypt looks at; its versions differ in what they do with more
_NOBODY = "$2b${cost:02}$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi"
_CHEAPEST = 10


class Credentials(NamedTuple):
    """What a client has sent, in bytes: it may be no text."""

    user: bytes
    password: bytes


class Later(Exception):
    """Nothing was computed: there is too much to do, or this address has guessed too often."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"later, in {seconds:.0f} s")
        self.seconds = max(1, math.ceil(seconds))


class CannotCheck(Exception):
    """Passwords cannot be checked on this host at all; the log says why."""


def credentials(authorization: str) -> Credentials | None:
    """Read the header of a request; None where there are none, or none that can be right (RFC 7617)."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
    except (ValueError, binascii.Error):
        return None
    if not colon or b"\0" in password:
        return None
    return Credentials(user, password[:_LONGEST])


class Hashing:
    """The one thread that computes, for all listeners."""

    def __init__(self, pace: float = PACE) -> None:
        self._pace = pace
        self._thread: ThreadPoolExecutor | None = None
        self._turn = asyncio.Lock()
        self._next = 0.0
        self._tries = Buckets(_ANOTHER_TRY, _TRIES)
        self._waiting: list[str] = []
        self._is_unable = False

    async def matches(self, password: bytes, hashed: str, cost: int, address: str) -> bool:
        """Tell whether this is the password; one that is not costs so much. Raises Later and CannotCheck."""
        bucket, waiting = bucket_of(address), len(self._waiting)
        if waiting >= (_OF_ONE if bucket in self._waiting else WAITING):
            raise Later(waiting * self._pace)
        if (wait := self._tries.take(bucket, time.monotonic())) > 0:
            raise Later(wait)
        self._waiting.append(bucket)
        try:
            async with self._turn:
                right = await self._computed(password, hashed, cost)
        finally:
            self._waiting.remove(bucket)
        if right:
            self._tries.give_back(bucket)
        else:
            await asyncio.sleep(self._next - time.monotonic())
        return right

    async def _computed(self, password: bytes, hashed: str, cost: int) -> bool:
        await asyncio.sleep(self._next - time.monotonic())
        self._next = time.monotonic() + self._pace
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "passwords", _leave_signals_to_the_main_thread)
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, _matches, password, hashed, cost)
        except ImportError as error:
            if not self._is_unable:
                self._is_unable = True
                log.error(  # noqa: TRY400  a traceback says no more
                    "passwords cannot be checked, so nobody comes in: %s; install python3-bcrypt", error
                )
            raise CannotCheck from error


class Passwords:
    """The users of a listener, and what is known of those who have tried."""

    def __init__(self, users: Mapping[str, str], hashing: Hashing) -> None:
        self._hashing = hashing
        self._key = secrets.token_bytes(32)
        self._right: dict[bytes, bytes] = {}
        self._wrong: dict[bytes, float] = {}
        self._asking: dict[bytes, asyncio.Task[bool]] = {}
        self.replace(users)

    def replace(self, users: Mapping[str, str]) -> None:
        """Take other users. Who has the same hash as before is still in: what is remembered depends on it."""
        self._users = {name.encode("utf-8"): hashed for name, hashed in users.items()}
        self._right = {name: each for name, each in self._right.items() if name in self._users}
        self._cost = max(map(_cost, users.values()), default=_CHEAPEST)
        self._nobody = _NOBODY.format(cost=self._cost)

    def remembered(self, given: Credentials) -> bool | None:
        """Tell whether these are right, None if nobody knows yet; this computes nothing but a digest."""
        digest = self._digest(given)
        if hmac.compare_digest(self._right.get(given.user, b""), digest):
            return True
        return False if self._wrong.get(digest, 0.0) > time.monotonic() else None

    async def are_right(self, given: Credentials, address: str) -> bool:
        """Find out; those who ask the same at the same time are told together. Raises Later, CannotCheck."""
        digest = self._digest(given)
        asking = self._asking.get(digest)
        if asking is None:
            asking = asyncio.create_task(self._found_out(given, digest, address))
            self._asking[digest] = asking
            asking.add_done_callback(lambda task: self._asked(digest, task))
        await asyncio.wait((asking,))  # whoever hangs up leaves it to the others
        return asking.result()

    async def _found_out(self, given: Credentials, digest: bytes, address: str) -> bool:
        hashed = self._users.get(given.user, self._nobody)
        right = await self._hashing.matches(given.password, hashed, self._cost, address)
        if right and self._users.get(given.user) == hashed:  # and nobody has changed it meanwhile
            self._right[given.user] = digest
            return True
        self._wrong.pop(digest, None)
        self._wrong[digest] = time.monotonic() + _FAILURE
        if len(self._wrong) > _FAILURES:
            del self._wrong[next(iter(self._wrong))]
        return False

    def _asked(self, digest: bytes, task: "asyncio.Task[bool]") -> None:
        del self._asking[digest]
        if not task.cancelled():
            task.exception()  # whoever has asked may be gone

    def _digest(self, given: Credentials) -> bytes:
        """Return what stands for user, hash and password in the tables.

        Each part comes with its length: joined alone, a user and a password could be made up that look like
        those of another (CVE-2022-46146).
        """
        parts = (given.user, self._users.get(given.user, self._nobody).encode("ascii"), given.password)
        joined = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
        return hmac.digest(self._key, joined, "sha256")


def _cost(hashed: str) -> int:
    return int(hashed.split("$")[2])


def _matches(password: bytes, hashed: str, cost: int) -> bool:
    """Tell whether it is. If not, it takes as long as a hash of that cost: each step is twice as dear."""
    import bcrypt  # noqa: PLC0415  up to 5 MB, for those only who have users

    try:
        if bcrypt.checkpw(password, hashed.encode("ascii")):
            return True
    except ValueError:  # it only looks like a hash
        return False
    for each in range(_cost(hashed), cost):
        bcrypt.checkpw(password, _NOBODY.format(cost=each).encode("ascii"))
    return False


def _leave_signals_to_the_main_thread() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
