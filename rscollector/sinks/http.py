"""The HTTP session of a sink: authentication and TLS, from the settings that all of them have."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from rscollector.api import Misconfigured


def check(settings: Any) -> None:
    """Raise ValueError where the settings of the connection do not fit together."""
    parts = urlsplit(settings.url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("url: expected http:// or https:// and a host")
    if not settings.url.isprintable() or re.search(r"[\s?#]", settings.url):
        raise ValueError("url: expected neither blanks nor ? or # in it")
    try:
        _ = parts.port
    except ValueError:
        raise ValueError("url: expected a port from 0 to 65535") from None
    if parts.username or parts.password:
        raise ValueError("url: user and password have settings of their own")
    if bool(settings.tls_certificate) != bool(settings.tls_key):
        raise ValueError("a client's certificate needs tls_certificate and tls_key")


def session(settings: Any) -> requests.Session:
    """Return a session with the user, the CA and the client's certificate of the settings.

    Raises Misconfigured when a file is not there: requests would say so only with the first request.
    """
    for name in ("tls_ca", "tls_certificate", "tls_key"):
        path = getattr(settings, name)
        try:
            if path:
                Path(path).open("rb").close()
        except OSError as error:
            raise Misconfigured(f"{name} = {path}: {error.strerror}") from error
    made = requests.Session()
    made.trust_env = settings.proxy
    made.headers["User-Agent"] = "rscollector"
    if settings.user:
        made.auth = (settings.user, settings.password.reveal() if settings.password else "")
    made.verify = settings.tls_ca or True
    if settings.tls_certificate:
        made.cert = (settings.tls_certificate, settings.tls_key)
    return made


def reason(error: Exception) -> str:
    """Say why nothing came back, from the innermost of the exceptions."""
    inner: BaseException = error
    while (deeper := inner.__cause__ or inner.__context__) and not isinstance(deeper, TypeError):
        inner = deeper  # the TypeError is how urllib3 1.26 finds out what http.client can do
    if "EOF occurred" in str(inner) or isinstance(inner, (ConnectionResetError, BrokenPipeError)):
        return "the receiver closes the connection; with TLS, it may want a client's certificate"
    said = " ".join(str(getattr(inner, "strerror", None) or inner).split())
    return f"nobody answers: {said}"[:300]
