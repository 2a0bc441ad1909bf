"""Texts without the secrets that may be in them, in whatever form they come. Pure.

A driver quotes the address with its password percent-encoded, a library the header that it refuses, Python
the bytes that it could not decode; and a log cuts a key of several lines into as many. So each line of a
secret is taken out by itself, in all the forms that are known here. What is cut ends with "…", as do texts of
others, and the beginning of a secret that stands there is taken out too.
"""

import json
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

MASK = "***"
MOST_PIECES = 10_000
"""How many pieces are remembered; of more the first are forgotten. Each has up to thirty forms."""
SHORTEST = 4
"""Shorter secrets are not masked: to mask every "a" would hide the sentence and not the secret."""
_LONGEST = 4000  # of a piece: longer lines are taken out in pieces


class Masks:
    """The secrets that are known, in pieces."""

    def __init__(self) -> None:
        self._forms: dict[str, set[str]] = {}
        self._by_head: dict[str, Counter[str]] = {}  # how many pieces have each form

    def add(self, texts: Iterable[str]) -> None:
        """Mask these texts from now on."""
        for piece in (piece for text in texts for piece in pieces(text)):
            if piece not in self._forms:
                self._forms[piece] = {form for form in _forms(piece) if len(form) >= SHORTEST}
                for form in self._forms[piece]:
                    self._by_head.setdefault(form[:SHORTEST], Counter())[form] += 1
        while len(self._forms) > MOST_PIECES:
            for form in self._forms.pop(next(iter(self._forms))):
                self._forget(form)

    def _forget(self, form: str) -> None:
        alike = self._by_head[form[:SHORTEST]]
        alike[form] -= 1
        if not alike[form]:
            del alike[form]
        if not alike:
            del self._by_head[form[:SHORTEST]]

    def masked(self, text: str) -> str:
        """Return a text without the secrets; what overlaps is masked as one."""
        shown: list[str] = []
        end = 0
        for begin, length in self._found(text) if self._by_head else ():
            if begin > end or not shown:
                shown += [text[end:begin], MASK]
            end = max(end, begin + length)
        return "".join([*shown, text[end:]])

    def _found(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield where a secret begins, in order, and its length; at each place of the longest."""
        cut = len(text.rstrip(".…\n")) if text.endswith(("…", "...")) else -1
        for at in range(len(text) - SHORTEST + 1):
            forms = self._by_head.get(text[at : at + SHORTEST])
            if forms:
                lengths = [len(form) for form in forms if text.startswith(form, at)]
                if at < cut and any(form.startswith(text[at:cut]) for form in forms):
                    lengths.append(cut - at)
                if lengths:
                    yield at, max(lengths)


def pieces(secret: str) -> Iterator[str]:
    """Yield what of a secret is taken out by itself: its lines, and of long lines bounded parts."""
    for line in dict.fromkeys(map(str.strip, (secret, *secret.splitlines()))):
        for at in range(0, len(line), _LONGEST):
            if len(piece := line[at : at + _LONGEST]) >= SHORTEST:
                yield piece


def _forms(piece: str) -> Iterator[str]:
    """Yield the forms in which others write a text."""
    data = piece.encode("utf-8", "surrogatepass")
    yield piece
    yield " ".join(piece.split())
    for encoded in (quote(data, safe=""), quote(data), quote_plus(data)):
        yield encoded
        yield re.sub("%..", lambda found: found[0].lower(), encoded)
    in_json = json.dumps(piece)[1:-1]
    for escaped in (
        repr(piece)[1:-1],
        repr(data)[2:-1],
        in_json,
        json.dumps(piece, ensure_ascii=False)[1:-1],
    ):
        yield escaped
        yield escaped.replace("'", "\\'")
    yield re.sub(r"\\u....", lambda found: rf"\u{found[0][2:].upper()}", in_json)
    yield in_json.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")  # Go
    tags = piece.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for double, single in (('"', "'"), ("&quot;", "&#x27;"), ("&#34;", "&#39;"), ("&quot;", "&#039;")):
        yield tags.replace('"', double).replace("'", single)  # Python, Go, PHP
    yield piece.replace("'", "'\"'\"'")  # shells
    yield piece.replace("'", r"'\''")
    yield piece.replace("'", "''")  # SQL
    yield from _in_latin_1(piece, data)
    yield from _base64(data)


def _in_latin_1(piece: str, data: bytes) -> Iterator[str]:
    """Yield what becomes of a text where one side takes it for Latin-1."""
    yield data.decode("latin-1")
    single = piece.encode("latin-1", "replace")
    yield single.decode("utf-8", "replace")
    yield quote(single, safe="")


def _base64(data: bytes) -> Iterator[str]:
    """Yield what base64 makes of it behind 0, 1 or 2 other bytes, such as a user's name and a colon."""
    for before in range(3):
        coded = b64encode(b"\0" * before + data).decode("ascii")
        inner = coded[(0, 2, 3)[before] : (before + len(data)) * 8 // 6]
        yield inner
        yield inner.replace("+", "-").replace("/", "_")
