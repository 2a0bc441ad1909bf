"""What a child of the agent is given of its environment: what is listed here, and never the rest.

The agent's own environment may hold secrets (`{ env = "…" }`, or what a container was started with), and a
worker passes its environment on to every program that a collector runs.
"""

import os
from collections.abc import Mapping

_NAMES = {
    *("HOME", "LANG", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TZ", "TZDIR", "USER", "VIRTUAL_ENV"),
    *("CACHE_DIRECTORY", "CONFIGURATION_DIRECTORY", "CREDENTIALS_DIRECTORY", "LOGS_DIRECTORY"),
    *("RUNTIME_DIRECTORY", "STATE_DIRECTORY", "XDG_RUNTIME_DIR", "XDG_STATE_HOME"),
    *("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"),
    *("all_proxy", "http_proxy", "https_proxy", "no_proxy"),
    *("CURL_CA_BUNDLE", "OPENSSL_CONF", "REQUESTS_CA_BUNDLE"),
}
_PREFIXES = ("FAKETIME", "LC_", "LD_", "MALLOC_", "PYTHON", "SSL_CERT_")


def listed(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the part of an environment that children are given."""
    return {
        name: value for name, value in environment.items() if name in _NAMES or name.startswith(_PREFIXES)
    }


def leave_the_rest() -> None:
    """Have no more of an environment than what is listed, in this process."""
    for name in os.environ.keys() - listed(os.environ).keys():
        del os.environ[name]
