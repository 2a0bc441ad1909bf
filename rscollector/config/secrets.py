"""Where a secret is kept: a file, the environment, or systemd; never the configuration itself."""

import os
from collections.abc import Mapping
from pathlib import Path

from rscollector.config.build import Unresolved

_PLACE = 'a secret\'s place: { file = "…" }, { env = "…" } or { credential = "…" }'


def secret_text(value: object) -> str:
    """Read a secret from the place that its table names.

    Raises ValueError with what was expected where it names none, Unresolved where that cannot be read now.
    """
    if not (isinstance(value, Mapping) and len(value) == 1):
        raise ValueError(_PLACE)
    ((source, name),) = value.items()
    if source not in ("file", "env", "credential") or not isinstance(name, str):
        raise ValueError(_PLACE)
    if source == "env":
        if name not in os.environ:
            raise Unresolved(f"the environment variable {name} is not set")
        return os.environ[name]
    return _content(Path(name) if source == "file" else _credential(name))


def _credential(name: str) -> Path:
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    if directory is None:
        raise Unresolved(f"the credential {name!r} is not there: systemd has passed none")
    return Path(directory or "/", name)


def _content(file: Path) -> str:
    try:
        return file.read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise Unresolved(f"the secret in {file} cannot be read: {why}") from None
