"""Behind a real nginx, beneath a prefix: the pages are found, and each client is himself."""

import http.client
import logging
import subprocess

import pytest
from harness import free_port, until
from locked import authority, basic, locked, tls

CONFIG = """
daemon off; master_process off; error_log stderr; pid {directory}/pid;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {directory}/a; proxy_temp_path {directory}/b; fastcgi_temp_path {directory}/c;
  uwsgi_temp_path {directory}/d; scgi_temp_path {directory}/e;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  server {{
    listen 127.0.0.1:{port};
    location /kept/ {{ proxy_pass {upstream}; proxy_ssl_trusted_certificate {directory}/ca.pem; proxy_ssl_verify on;
                       proxy_ssl_name localhost; }}
    location /taken/ {{ proxy_pass {upstream}/; proxy_ssl_trusted_certificate {directory}/ca.pem; proxy_ssl_verify on;
                        proxy_ssl_name localhost; }}
  }}
}}
"""


@pytest.fixture
def nginx(tmp_path):
    """Start an nginx before an upstream; returns how it is asked."""
    started = []

    def start(upstream):
        port = free_port()
        (tmp_path / "ca.pem").write_text(authority().pem)
        (tmp_path / "nginx.conf").write_text(CONFIG.format(directory=tmp_path, port=port, upstream=upstream))
        started.append(subprocess.Popen(["nginx", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")]))

        def get(path, **headers):
            connection = http.client.HTTPConnection("127.0.0.1", port, 20, source_address=("127.0.0.2", 0))
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
    for each in started:
        each.terminate()
        each.wait(20)


@pytest.mark.needs("nginx")
@pytest.mark.parametrize("secured", [False, True])
def test_a_prefix_behind_nginx(nginx, caplog, secured):
    """Whether the proxy takes the prefix away or not, over TLS too; and what a client makes up is not believed."""
    caplog.set_level(logging.INFO, "rscollector.web.access")
    with locked(
        prefix="/kept", trusted_proxies=("127.0.0.1",), access_log=True, tls=tls() if secured else None
    ) as served:
        get = nginx(f"http{'s' * secured}://127.0.0.1:{served.port}")
        for path, seen in (("/kept/", "/"), ("/kept/a/b", "/a/b"), ("/taken/a", "/a")):
            status, _, body = get(path, x_forwarded_for="192.0.2.1")
            assert (status, body.split()[1]) == (200, seen)
        served.replace(trusted_proxies=("127.0.0.0/8", "192.0.2.0/24"))
        get("/kept/x", x_forwarded_for="203.0.113.5, 192.0.2.1")
        until(lambda: len(caplog.records) == 4)
        lines = [record.getMessage() for record in caplog.records]
    assert [line.split(":")[0] for line in lines] == ["127.0.0.2"] * 3 + ["203.0.113.5"]


@pytest.mark.needs("nginx")
def test_a_unix_socket_behind_nginx(nginx, tmp_path):
    """nginx is its one client, and each client of a proxy before it has his own tries."""
    users = {"a": "$2b$04$abcdefghijklmnopqrstuuUcL9TEEkeFhPzw0zNxDDDDDDDDDDDDD"}
    with locked(tmp_path / "run", 0.01, users=users, trusted_proxies=("unix", "127.0.0.2")) as served:
        get = nginx(f"http://unix:{served.address}:")
        for client in ("192.0.2.1", "192.0.2.2"):
            told = [
                get("/taken/", authorization=basic("a", f"{client}{number}"), x_forwarded_for=client)[0]
                for number in range(6)
            ]
            assert told == [401] * 5 + [429]
