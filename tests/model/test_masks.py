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

from rscollector.model.masks import Masks

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
    "shell": shlex.quote,
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
    masks.add(secret)
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
    masks.add("-----BEGIN KEY-----\nMIIEvQ\n  abcdefg\nxyz\n")
    assert masks.masked("key: MIIEvQ") == "key: ***"
    assert masks.masked("abcdefg is\nMIIEvQ") == "*** is\n***"
    assert masks.masked(repr("-----BEGIN KEY-----\nMIIEvQ\n  abcdefg")).count("*") >= 3


def test_of_two_secrets_the_longer_one_is_replaced_first():
    """One may be the beginning of the other."""
    masks = Masks()
    for secret in ("abcd", "abcdefgh", "abcdef"):
        masks.add(secret)
    assert masks.masked("with abcdefgh, abcdef and abcd") == "with ***, *** and ***"


def test_what_is_too_short_hides_nothing():
    """To mask every "a" would hide the sentence and not the secret."""
    masks = Masks()
    masks.add("abc")
    masks.add("")
    assert masks.masked("abc and a") == "abc and a"


@pytest.mark.parametrize(
    ("text", "cut", "shown"),
    [
        ("the token is hunter2secr", True, "the token is ***"),
        ("the token is hunter2se…", False, "the token is ***"),
        ("the token is hunt...", False, "the token is ***"),
        ("the token is hun", True, "the token is hun"),
        ("we hunt", False, "we hunt"),
        ("hunter3 hunt", True, "hunter3 ***"),
    ],
)
def test_the_beginning_of_a_secret_at_a_cut_is_taken_out(text, cut, shown):
    """Whoever cuts a line does not ask whether a secret stands there."""
    masks = Masks()
    masks.add("hunter2secret")
    assert masks.masked(text, cut=cut) == shown


def test_very_many_secrets_are_not_remembered_for_ever():
    """A token that changes every minute costs no more memory after a year; the newest is masked."""
    masks = Masks()
    for number in range(2000):
        masks.add(f"token-{number:06}-token")
    assert len(masks._forms) <= 5000
    assert masks.masked("token-001999-token") == "***"


@given(st.text(alphabet=st.characters(exclude_characters="*\0"), max_size=30), st.text(max_size=30))
def test_masking_never_fails_and_leaves_no_secret(secret, text):
    """Whatever characters there are in it."""
    masks = Masks()
    masks.add(secret)
    shown = masks.masked(f"{text}{secret}{text}")
    assert len(secret.strip()) < 4 or secret.strip() not in shown.replace("***", "\0")


def test_a_line_that_is_very_long_is_taken_out_in_parts():
    """However long it is, nothing of it is left."""
    secret = "".join(f"{number:05}" for number in range(2000))
    masks = Masks()
    masks.add(secret)
    assert masks.masked(f"it is {secret}!") == "it is *********!"
