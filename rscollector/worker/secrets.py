"""The secrets that this process has read, and which of them the agent, which masks them, was told."""

from collections.abc import Mapping

from rscollector.config import secrets
from rscollector.model.masks import MOST_PIECES, pieces
from rscollector.model.settings import Secret

_AT_ONCE = 5000  # characters: however they are escaped, they fit into a line of the wire


class Secrets:
    """Reads secrets, and knows which of them the agent has not been told."""

    def __init__(self) -> None:
        self._told: dict[str, None] = {}
        self._untold: dict[str, None] = {}

    def read(self, table: object, variables: Mapping[str, str]) -> Secret:
        """Read a secret from its place; raises as `config.secrets.read` does."""
        secret = secrets.read(table, variables)
        self._untold |= dict.fromkeys(each for each in pieces(secret.reveal()) if each not in self._told)
        return secret

    def untold(self) -> list[str]:
        """Return some of what is to be told, which is then told; nothing when all is."""
        telling: list[str] = []
        for piece in list(self._untold):
            if telling and sum(map(len, telling)) + len(piece) > _AT_ONCE:
                break
            telling.append(piece)
            del self._untold[piece]
        self._told |= dict.fromkeys(telling)
        while len(self._told) > MOST_PIECES:  # the agent has forgotten the first as well
            del self._told[next(iter(self._told))]
        return telling
