"""Texts without the secrets that may be in them, in whatever form they come. Pure.

A driver quotes the address with its password percent-encoded, a library the header that it refuses, Python
the bytes that it could not decode; and a log cuts a key of several lines into as many. So each line of a
secret is taken out by itself, in all the forms that are known here.
"""

import json
from base64 import b64encode
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

MASK = "***"
_SHORTEST = 4  # masking every "a" would hide the message and not the secret
_LONGEST = 4000  # of a piece: longer lines are taken out in pieces
_MOST = 5000  # forms that are remembered, some twenty for each line of a secret


class Masks:
    """The secrets that are known; of very many the newest."""

    def __init__(self) -> None:
        self._forms: dict[str, None] = {}
        self._longest_first: list[str] = []

    def add(self, secret: str) -> None:
        """Mask a secret from now on. What is shorter than four characters is no secret that could be."""
        for piece in pieces(secret):
            self._forms |= dict.fromkeys(form for form in _forms(piece) if len(form) >= _SHORTEST)
        self._forms = dict.fromkeys(list(self._forms)[-_MOST:])
        # One may be the beginning of another, which is taken out whole.
        self._longest_first = sorted(self._forms, key=len, reverse=True)

    def masked(self, text: str, *, cut: bool = False) -> str:
        """Return a text without the secrets, and without the beginning of one where it was `cut`."""
        for form in self._longest_first:
            if form in text:
                text = text.replace(form, MASK)
        return self._without_beginning(text) if cut or text.endswith(("…", "...")) else text

    def _without_beginning(self, text: str) -> str:
        end = text[-_LONGEST:].rstrip(".… \r\n")
        for form in self._longest_first:
            at = end.rfind(form[:_SHORTEST])
            if at >= 0 and form.startswith(end[at:]):
                return text[: len(text) - len(text[-_LONGEST:]) + at] + MASK
        return text


def pieces(secret: str) -> Iterator[str]:
    """Yield what of a secret is taken out by itself: its lines, and of long lines bounded parts."""
    for line in dict.fromkeys(map(str.strip, (secret, *secret.splitlines()))):
        yield from (line[at : at + _LONGEST] for at in range(0, len(line), _LONGEST))


def _forms(piece: str) -> Iterator[str]:
    """Yield the forms in which others write a text."""
    data = piece.encode("utf-8", "surrogatepass")
    yield piece
    yield " ".join(piece.split())
    for encoded in (quote(data, safe=""), quote(data), quote_plus(data)):
        yield encoded
        yield _lower_hex(encoded)
    for escaped in (repr(piece)[1:-1], repr(data)[2:-1], json.dumps(piece)[1:-1]):
        yield escaped
        yield escaped.replace("'", "\\'")
    yield json.dumps(piece, ensure_ascii=False)[1:-1]
    tags = piece.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    yield tags  # as HTML has it, with quotes and without
    yield tags.replace('"', "&quot;").replace("'", "&#x27;")
    yield piece.replace("'", "'\"'\"'")  # as a shell has it
    yield from _base64(data)


def _lower_hex(encoded: str) -> str:
    head, *rest = encoded.split("%")
    return "%".join([head, *(each[:2].lower() + each[2:] for each in rest)])


def _base64(data: bytes) -> Iterator[str]:
    """Yield what base64 makes of it behind 0, 1 or 2 other bytes, such as a user's name and a colon."""
    for before in range(3):
        coded = b64encode(b"\0" * before + data).decode("ascii")
        inner = coded[(0, 2, 3)[before] : (before + len(data)) * 8 // 6]
        if len(inner) >= 2 * _SHORTEST:
            yield inner
            yield inner.replace("+", "-").replace("/", "_")
