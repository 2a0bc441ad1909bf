"""`rscollector check`: is the configuration right, for who asks and for the user that the service runs as?"""

import argparse
import os
import pwd
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rscollector.cli.common import Commands, add_command, add_config, complain, paint

if TYPE_CHECKING:
    from rscollector.config.types import Config

_MORE = """\
Every mistake is named, each with its file and line, its path, and what was expected. Without --config
root is also told what the service's user, rscollector, would find, such as a file that it may not read.
Exit status 0: right, though there may be hints; 2: something is wrong.
"""
_USER = "rscollector"
_SECONDS = 30.0
_READABLE = f"to let it read a file: chgrp {_USER} FILE && chmod 640 FILE; it needs x above"


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "check", check, "check the configuration without using it", _MORE)
    add_config(parser)
    parser.add_argument(
        "--only-mistakes",
        action="store_true",
        help="end with 0 though a collector cannot work now, such as for want of a driver or a password",
    )


def check(given: argparse.Namespace) -> int:
    """Check the configuration."""
    from rscollector.config.load import load

    loaded = load(given.config)
    useless, hints = _certificates(loaded.config)
    told = [*loaded.mistakes, *useless, *loaded.problems, *loaded.hints, *hints]
    count_problems = not given.only_mistakes
    service = {} if given.config else dict(_as_the_service(count_problems=count_problems))
    more = {sentence: counts for sentence, counts in service.items() if sentence not in told}
    for sentence in (*told, *(f"as user {_USER}: {each}" for each in more)):
        complain(sentence)
    if any("Permission denied" in each for each in more):
        complain(_READABLE)
    problems = loaded.problems if count_problems else ()
    if loaded.config is None or useless or problems or any(more.values()):
        return 2
    files = ", ".join(loaded.config.files) or "no configuration file; the built-in one"
    watched = ", ".join(spec.key for spec in loaded.config.specs) or "nothing"
    print(f"{paint('OK', 'good')} ({files}): watches {watched}")
    return 0


def _certificates(config: "Config | None") -> tuple[list[str], list[str]]:
    """Return which certificates cannot be used, and what is to be said of those that can."""
    useless, hints = [], []
    for listener in config.listeners if config else ():
        if listener.tls:
            from rscollector.web.tls import Context

            try:
                certificate = Context(listener.tls).newest()
            except ValueError as error:
                useless.append(f"{listener.address}: {error}")
                continue
            hints += [f"{listener.address}: {each}" for each in certificate.hints(time.time())]
    return useless, hints


def _as_the_service(*, count_problems: bool) -> Iterator[tuple[str, bool]]:
    """Yield what the service's user is told, if we may become that one, and whether that is wrong."""
    from rscollector.config.forked import forked

    try:
        user = pwd.getpwnam(_USER)
    except KeyError:
        return
    if os.geteuid() != 0:
        return
    told, ended = forked({_USER: _Service(user, count_problems)}, _SECONDS)[_USER]
    yield from told
    if ended:
        yield f"the check {ended}", count_problems


class _Service:
    """Checks as the service's user, in a child."""

    def __init__(self, user: pwd.struct_passwd, count_problems: bool) -> None:
        self._user = user
        self._count_problems = count_problems

    def __call__(self, tell: Any) -> None:
        from rscollector.config.load import load

        os.initgroups(self._user.pw_name, self._user.pw_gid)
        os.setgid(self._user.pw_gid)
        os.setuid(self._user.pw_uid)
        loaded = load(None)
        for sentence in loaded.mistakes:
            tell((sentence, True))
        for sentence in loaded.problems:
            tell((sentence, self._count_problems))
        for sentence in loaded.hints:
            tell((sentence, False))
