"""The configuration process: `python -m rscollector.config ANSWER ENVIRONMENT [FILE]` reads, answers, ends.

The agent starts it at its own start and for every reload, so that neither a file system that hangs nor a
plugin that fails to import can hurt the agent. The answer holds secrets: it goes into the socket whose
descriptor is ANSWER, and what is printed to standard output and error is for the log. ENVIRONMENT is the
descriptor of what it is told in JSON as well: the agent's environment, and `web` where only the files are
to be read again that `Config.web` names.
"""

import json
import os
import socket
import sys
from pathlib import Path

from rscollector.config.load import again, load


def main(arguments: list[str]) -> None:
    """Load the configuration and answer."""
    descriptor, environment, *files = arguments
    os.set_inheritable(int(descriptor), False)
    with os.fdopen(int(environment), "rb") as file:
        told = json.load(file)
    os.environ.update(told["environment"])
    loaded = again(told["web"]) if told["web"] else load(Path(files[0]) if files else None)
    config = loaded.config.to_json() if loaded.config else None
    answer = json.dumps({"config": config, "mistakes": loaded.mistakes})
    with socket.socket(fileno=int(descriptor)) as wire:
        wire.sendall(answer.encode())


main(sys.argv[1:])
