"""The secrets that this process was given, and texts without them."""

import logging
from collections.abc import Mapping

from rscollector.config import secrets
from rscollector.model.settings import Secret
from rscollector.wire.priorities import Priorities

_SHORTEST = 4  # masking every "a" would hide the message and not the secret


class Secrets:
    """Remembers secrets and takes them out of whatever is told to others."""

    def __init__(self) -> None:
        self._texts: set[str] = set()

    def read(self, table: object, variables: Mapping[str, str]) -> Secret:
        """Read a secret from its place, and mask it from now on; raises as `config.secrets.read` does."""
        secret = secrets.read(table, variables)
        if len(secret.reveal()) >= _SHORTEST:
            self._texts.add(secret.reveal())
        return secret

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
