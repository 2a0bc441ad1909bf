"""What somebody without privileges sees."""

import os
import pickle

from rscollector.api import Misconfigured, Unavailable


def as_nobody(groups, function):
    """Return what a function returns, or the exception that it raises, in a process without privileges."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups(groups)
            os.setgid(65534)
            os.setuid(65534)
            answer = function()
        except (Misconfigured, Unavailable) as error:
            answer = error
        os.write(writer, pickle.dumps(answer))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        data = pipe.read()
    os.waitpid(pid, 0)
    return pickle.loads(data)
