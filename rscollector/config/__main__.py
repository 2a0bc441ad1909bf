"""The configuration process: `python -m rscollector.config [FILE]` reads, prints one JSON object and ends.

The agent starts it at its own start and for every reload, so that neither a file system that hangs nor a
plugin that fails to import can hurt the agent. The output holds secrets: it goes into a pipe only.
"""

import json
import sys
from pathlib import Path

from rscollector.config.load import load


def main(arguments: list[str]) -> None:
    """Load the configuration and print the result."""
    loaded = load(Path(arguments[0]) if arguments else None)
    config = loaded.config.to_json() if loaded.config else None
    answer = json.dumps({"config": config, "mistakes": loaded.mistakes})
    sys.stdout.write(f"\n{answer}\n")


main(sys.argv[1:])
