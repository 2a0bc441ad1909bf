"""What is expensive to make is made once: trees of Debian for a week of runs, packages for one run.

What is kept is complete: it is made under another name, and renamed. Trees are kept below
`${XDG_CACHE_HOME:-~/.cache}/rscollector-tests`, in a directory for each week: so none is older than that, and what is
no longer in the archive is missed within days. Remove the directory to have everything made anew.
"""

import fcntl
import os
import shutil
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4


def kept(place, name, make):
    """Return `place/name`, which `make(path)` has made: once, whoever else wants it meanwhile."""
    wanted = place / name
    with (place / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not wanted.exists():
            for left in place.glob(f"{name}.part-*"):  # by one that was killed
                shutil.rmtree(left)
            part = place / f"{name}.part-{uuid4().hex}"
            make(part)
            part.rename(wanted)
    return wanted


def this_week(now=None):
    """Return the directory for what is kept this week. Last week's may be in use; what is older is thrown away."""
    now = now or datetime.now(UTC)
    place = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "rscollector-tests")
    week, last = (f"{each:%G-W%V}" for each in (now, now - timedelta(weeks=1)))
    (place / week).mkdir(parents=True, exist_ok=True)
    for each in place.iterdir():
        if each.name not in (week, last):
            shutil.rmtree(each, ignore_errors=True)
    return place / week


@contextmanager
def until_the_last_leaves(place):
    """Make a directory for some processes that work together; the last of them removes it."""
    with place.with_suffix(".users").open("w") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        place.mkdir(exist_ok=True)
        yield place
        with suppress(BlockingIOError):
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(place)
