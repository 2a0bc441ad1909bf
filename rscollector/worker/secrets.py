"""The secrets that this process was given, and texts without them."""

import logging

from rscollector.config.build import resolved
from rscollector.wire.priorities import Priorities

_SHORTEST = 4  # masking every "a" would hide the message and not the secret


class Secrets:
    """Remembers secrets and takes them out of whatever is told to others."""

    def __init__(self) -> None:
        self._texts: set[str] = set()

    def remembered(self, table: object) -> str:
        """Return the text of a secret as the agent has passed it on, and mask it from now on."""
        text = resolved(table)
        if len(text) >= _SHORTEST:
            self._texts.add(text)
        return text

    def masked(self, text: str) -> str:
        """Return a text without the secrets."""
        for secret in sorted(self._texts, key=len, reverse=True):  # one may be the beginning of another
            text = text.replace(secret, "***")
        return text


class Masking(Priorities):
    """Takes the secrets out of what collectors and drivers log."""

    def __init__(self, secrets: Secrets) -> None:
        super().__init__("%(name)s: %(message)s")
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's lines."""
        return self._secrets.masked(super().format(record))
