"""Secrets in whatever form they come."""

import html
import json
import re
import shlex
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rscollector.model.masks import MOST_PIECES, Masks

SECRETS = ["hunter2", "s3/cr@t pw", 'it\'s <a> "key"\\', "pässwörd", "パスワード", "tab\there", "x" * 3000]
FORMS = {
    "plain": str,
    "quoted": quote,
    "quoted whole": lambda text: quote(text, safe=""),
    "quoted in lower case": lambda text: re.sub("%..", lambda found: found[0].lower(), quote(text, safe="")),
    "form": quote_plus,
    "repr": repr,
    "repr of bytes": lambda text: repr(text.encode()),
    "repr in a repr": lambda text: repr(["a ' quote", text]),
    "json": json.dumps,
    "json, as it is": lambda text: json.dumps(text, ensure_ascii=False),
    "html": html.escape,
    "html, quotes as they are": lambda text: html.escape(text, quote=False),
    "html in Go": lambda text: html.escape(text).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
    "shell": shlex.quote,
    "shell, by a person": lambda text: text.replace("'", "'\\''"),
    "sql": lambda text: text.replace("'", "''"),
    "json in Go": lambda text: json.dumps(text).replace("<", r"\u003c").replace(">", r"\u003e"),
    "json in capitals": lambda text: re.sub(
        r"u[0-9a-f]{4}", lambda each: "u" + each[0][1:].upper(), json.dumps(text)
    ),
    "latin-1 taken for utf-8": lambda text: text.encode("latin-1", "replace").decode("utf-8", "replace"),
    "utf-8 taken for latin-1": lambda text: text.encode().decode("latin-1"),
    "blanks as one": lambda text: " ".join(text.split()),
    "basic authentication": lambda text: b64encode(f"user:{text}".encode()).decode(),
    "basic authentication of another user": lambda text: b64encode(f"me:{text}".encode()).decode(),
    "base64": lambda text: b64encode(text.encode()).decode(),
    "base64 for addresses": lambda text: urlsafe_b64encode(f"ab:{text}!".encode()).decode(),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_taken_out_in_every_form(secret, form):
    """What stands around it stays, and nothing of it does."""
    masks = Masks()
    masks.add([secret])
    written = FORMS[form](secret)
    shown = masks.masked(f"mysql://u:{written}@db failed")
    assert shown.startswith("mysql://u:")
    assert shown.endswith("@db failed")
    assert "***" in shown
    assert len(shown) < 60
    assert not [at for at in range(len(secret) - 3) if secret[at : at + 4] in shown]


def test_each_line_of_a_key_is_a_secret():
    """A log cuts a message at its newlines."""
    masks = Masks()
    masks.add(["-----BEGIN KEY-----\nMIIEvQ\n  abcdefg\nxyz\n"])
    assert masks.masked("key: MIIEvQ") == "key: ***"
    assert masks.masked("abcdefg is\nMIIEvQ") == "*** is\n***"
    assert masks.masked(repr("-----BEGIN KEY-----\nMIIEvQ\n  abcdefg")).count("*") >= 3


def test_of_two_secrets_the_longer_one_is_replaced_first():
    """One may be the beginning of the other."""
    masks = Masks()
    for secret in ("abcd", "abcdefgh", "abcdef"):
        masks.add([secret])
    assert masks.masked("with abcdefgh, abcdef and abcd") == "with ***, *** and ***"


def test_what_is_too_short_hides_nothing():
    """To mask every "a" would hide the sentence and not the secret."""
    masks = Masks()
    masks.add(["abc", "", "\ud800abc"])
    assert masks.masked("abc and a") == "abc and a"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("the token is hunter2se…", "the token is ***…"),
        ("the token is hunt...", "the token is ***..."),
        ("the token is hun…", "the token is hun…"),
        ("we hunt", "we hunt"),
        ("hunter3 hunt…", "hunter3 ***…"),
        ("abcd-1234-abcd-56…", "***…"),
        ("abcabcabc…", "***…"),
    ],
)
def test_the_beginning_of_a_secret_at_a_cut_is_taken_out(text, shown):
    """Whoever cuts a line does not ask whether a secret stands there."""
    masks = Masks()
    masks.add(["hunter2secret", "abcd-1234-abcd-5678-zzzz", "abcabcabcabcx"])
    assert masks.masked(text) == shown


def test_secrets_that_overlap_are_taken_out_together():
    """Of neither anything is left."""
    masks = Masks()
    masks.add(["abcdef", "defghi"])
    assert masks.masked("xabcdefghix abcdefx") == "x***x ***x"


def test_very_many_secrets_are_not_remembered_for_ever():
    """A token that changes every minute costs no more memory after a year; the newest is masked."""
    masks = Masks()
    for number in range(MOST_PIECES + 500):
        masks.add([f"token-{number:06}-token"])
    assert len(masks._forms) == MOST_PIECES
    assert sum(map(len, masks._by_head.values())) < 12 * MOST_PIECES
    assert masks.masked(f"token-{MOST_PIECES + 499:06}-token") == "***"


def test_of_secrets_that_are_forgotten_nothing_is_left_but_what_another_has():
    """Two secrets may have a form in common."""
    masks = Masks()
    masks.add(["a  common", "a common"])
    masks.add(["a common"])  # told again, it counts as often as before
    masks.add(f"{number:08}" for number in range(MOST_PIECES - 1))
    assert masks.masked("a common") == "***"
    masks.add(f"{number:08}" for number in range(MOST_PIECES, 2 * MOST_PIECES + 1))
    assert masks.masked("a common") == "a common"
    assert "a co" not in masks._by_head


@given(st.text(max_size=30).filter(lambda text: not set("*\0") & set(text)), st.text(max_size=30))
def test_masking_never_fails_and_leaves_no_secret(secret, text):
    """Whatever characters there are in it."""
    masks = Masks()
    masks.add([secret])
    shown = masks.masked(f"{text}{secret}{text}")
    assert len(secret.strip()) < 4 or secret.strip() not in shown.replace("***", "\0")


def test_a_line_that_is_very_long_is_taken_out_in_parts():
    """However long it is, nothing of it is left."""
    secret = "".join(f"{number:05}" for number in range(2000))
    masks = Masks()
    masks.add([secret])
    assert masks.masked(f"it is {secret}!") == "it is ***!"
