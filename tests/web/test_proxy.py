"""Behind a real nginx, beneath a prefix: the pages are found, and each client is himself."""

import http.client
import logging
from contextlib import ExitStack

import pytest
from harness import free_port, until
from locked import authority, basic, locked, tls
from reverse import nginx

SERVER = """
listen 127.0.0.1:{port};
location /kept/ {{ proxy_pass {upstream}; proxy_ssl_trusted_certificate {directory}/ca.pem; proxy_ssl_verify on;
                   proxy_ssl_name localhost; }}
location /taken/ {{ proxy_pass {upstream}/; proxy_ssl_trusted_certificate {directory}/ca.pem; proxy_ssl_verify on;
                    proxy_ssl_name localhost; }}
"""


@pytest.fixture
def proxied(tmp_path):
    """Start an nginx before an upstream; returns how it is asked."""
    with ExitStack() as running:

        def start(upstream):
            port = free_port()
            (tmp_path / "ca.pem").write_text(authority().pem)
            running.enter_context(
                nginx(tmp_path, SERVER.format(directory=tmp_path, port=port, upstream=upstream))
            )

            def get(path, **headers):
                connection = http.client.HTTPConnection(
                    "127.0.0.1", port, 20, source_address=("127.0.0.2", 0)
                )
                try:
                    connection.request(
                        "GET", path, headers={name.replace("_", "-"): each for name, each in headers.items()}
                    )
                    response = connection.getresponse()
                    return response.status, response.headers, response.read().decode()
                except ConnectionRefusedError:
                    return None
                finally:
                    connection.close()

            until(lambda: get("/"))
            return get

        yield start


@pytest.mark.needs("nginx")
@pytest.mark.parametrize("secured", [False, True])
def test_a_prefix_behind_nginx(proxied, caplog, secured):
    """Whether the proxy takes the prefix away or not, over TLS too; and what a client makes up is not believed."""
    caplog.set_level(logging.INFO, "rscollector.web.access")
    with locked(
        prefix="/kept", trusted_proxies=("127.0.0.1",), access_log=True, tls=tls() if secured else None
    ) as served:
        get = proxied(f"http{'s' * secured}://127.0.0.1:{served.port}")
        for path, seen in (("/kept/", "/"), ("/kept/a/b", "/a/b"), ("/taken/a", "/a")):
            status, _, body = get(path, x_forwarded_for="192.0.2.1")
            assert (status, body.split()[1]) == (200, seen)
        served.replace(trusted_proxies=("127.0.0.0/8", "192.0.2.0/24"))
        get("/kept/x", x_forwarded_for="203.0.113.5, 192.0.2.1")
        until(lambda: len(caplog.records) == 4)
        lines = [record.getMessage() for record in caplog.records]
    assert [line.split(":")[0] for line in lines] == ["127.0.0.2"] * 3 + ["203.0.113.5"]


@pytest.mark.needs("nginx")
def test_a_unix_socket_behind_nginx(proxied, tmp_path):
    """nginx is its one client, and each client of a proxy before it has his own tries."""
    users = {"a": "$2b$04$abcdefghijklmnopqrstuuUcL9TEEkeFhPzw0zNxDDDDDDDDDDDDD"}
    with locked(tmp_path / "run", 0.01, users=users, trusted_proxies=("unix", "127.0.0.2")) as served:
        get = proxied(f"http://unix:{served.address}:")
        for client in ("192.0.2.1", "192.0.2.2"):
            told = [
                get("/taken/", authorization=basic("a", f"{client}{number}"), x_forwarded_for=client)[0]
                for number in range(6)
            ]
            assert told == [401] * 5 + [429]
