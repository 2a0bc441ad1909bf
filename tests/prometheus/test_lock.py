"""A real agent behind TLS and a password, asked by a real Prometheus, by curl and by openssl."""

import datetime as dt
import subprocess
import time

import bcrypt
import pytest
import trustme
from harness import free_port, until
from reverse import nginx
from scraping import Prometheus

CA, STRANGERS = trustme.CA(), trustme.CA()
PASSWORD = "correct horse: battery"
AGENT = '[agent]\ninterval = "300ms"\ntimeout = "10s"\n[collector.agent.main]\n[web]\n'
USERS = "basic_auth_users:\n  prometheus: {}\n"


def issue(directory, name, authority=CA, identity="127.0.0.1", **more):
    """Write certificate and key of somebody, each exchanged as a whole."""
    made = authority.issue_cert(identity, "localhost", "::1", **more)
    for end, content in (
        ("key", made.private_key_pem.bytes()),
        ("crt", b"".join(each.bytes() for each in made.cert_chain_pems)),
    ):
        (directory / "new").write_bytes(content)
        (directory / "new").replace(directory / f"{name}.{end}")


@pytest.fixture
def place(tmp_path):
    """A directory with a CA, certificates of the agent and of Prometheus, and a web configuration that wants all."""
    CA.cert_pem.write_to_path(tmp_path / "ca.crt")
    issue(tmp_path, "server")
    issue(tmp_path, "prometheus", identity="prometheus.example.org")
    issue(tmp_path, "other", identity="other.example.org")
    issue(tmp_path, "stranger", STRANGERS, identity="prometheus.example.org")
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(5)).decode()
    (tmp_path / "password").write_text(PASSWORD)
    (tmp_path / "web-config.yml").write_text(f"""\
tls_server_config:
  cert_file: server.crt
  key_file: server.key
  client_ca_file: ca.crt
  client_auth_type: RequireAndVerifyClientCert
  client_allowed_sans: [prometheus.example.org]
http_server_config:
  headers:
    Strict-Transport-Security: max-age=31536000
{USERS.format(hashed)}""")
    return tmp_path


def curl(directory, url, *options, client="prometheus", password=PASSWORD):
    """Return the exit code, the status and the body of what curl is answered."""
    who = ["--cert", f"{directory}/{client}.crt", "--key", f"{directory}/{client}.key"] if client else []
    user = ["--user", f"prometheus:{password}"] if password else []
    command = [
        "curl",
        "-s",
        "--max-time",
        "20",
        "--cacert",
        f"{directory}/ca.crt",
        *who,
        *user,
        "-w",
        "\n%{http_code}",
    ]
    done = subprocess.run([*command, *options, url], capture_output=True, text=True, check=False, timeout=60)
    body, _, code = done.stdout.rpartition("\n")
    return done.returncode, int(code), body


def scrape(directory, client="prometheus", **more):
    """Return what a Prometheus says of its scrape."""
    tls = {
        "ca_file": f"{directory}/ca.crt", "cert_file": f"{directory}/{client}.crt",
        "key_file": f"{directory}/{client}.key",
    }  # fmt: skip
    auth = {"username": "prometheus", "password_file": f"{directory}/password"}
    return {"scheme": "https", "tls_config": tls, "basic_auth": auth, **more}


@pytest.mark.needs("curl")
def test_whoever_lacks_one_thing_is_told_nothing(agent, place):
    """With TLS, a client certificate and a password one comes in, by IPv4 and IPv6; without one of them nobody does."""
    port = free_port()
    addresses = f'listen = ["127.0.0.1:{port}", "[::1]:{port}"]'
    started = agent(f'{AGENT}{addresses}\nconfig_file = "{place}/web-config.yml"\n')
    url = f"https://127.0.0.1:{port}/metrics"
    code, status, body = curl(place, url, "-i")
    assert (code, status) == (0, 200)
    assert "strict-transport-security: max-age=31536000" in body.lower()
    assert curl(place, f"https://[::1]:{port}/api/v1/status")[:2] == (0, 200)
    for path in ("/metrics", "/", "/nowhere"):
        _, status, body = curl(place, f"https://127.0.0.1:{port}{path}", "-i", password="wrong")
        assert status == 401
        assert "rscollector" not in body
    assert curl(place, url, password="")[1] == 401
    for client in ("other", "stranger", ""):
        assert curl(place, url, client=client)[1] == 0
    status = subprocess.run(
        ["curl", "-s", f"http://127.0.0.1:{port}/"], capture_output=True, text=True, check=False, timeout=30
    ).stdout
    assert "HTTPS" in status
    assert PASSWORD not in started.log


NGINX = """
listen 127.0.0.1:{port} ssl;
ssl_certificate {place}/server.crt; ssl_certificate_key {place}/server.key;
ssl_client_certificate {place}/ca.crt; ssl_verify_client on;
location /db1/ {{ proxy_pass http://127.0.0.1:{behind}; }}
"""


@pytest.mark.needs("nginx")
@pytest.mark.parametrize(
    "program",
    [
        pytest.param(each, marks=pytest.mark.needs(each))
        for each in ("prometheus", "prometheus-trixie", "prometheus-forky")
    ],
)
def test_a_real_prometheus_comes_in(agent, place, tmp_path, program):
    """With TLS, a client certificate and a password: by IPv4, by IPv6, and through an nginx that shows a prefix."""
    port, behind, before = free_port(), free_port(), free_port()
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(5)).decode()
    started = agent(f"""{AGENT}
        listen = ["127.0.0.1:{port}", "[::1]:{port}"]
        config_file = "{place}/web-config.yml"
        access_log = true
        [[web.listener]]
        address = "127.0.0.1:{behind}"
        users = {{ prometheus = "{hashed}" }}
        prefix = "/db1"
        trusted_proxies = ["127.0.0.1"]
        access_log = true
        """)
    ways = [
        {"targets": [f"127.0.0.1:{port}"], "labels": {"way": "ipv4"}},
        {"targets": [f"[::1]:{port}"], "labels": {"way": "ipv6"}},
        {"targets": [f"127.0.0.1:{before}"], "labels": {"way": "nginx", "__metrics_path__": "/db1/metrics"}},
    ]
    with nginx(tmp_path, NGINX.format(place=place, port=before, behind=behind)):
        prometheus = Prometheus(tmp_path, "", program=program, **scrape(place), static_configs=ways)
        try:
            for way in ("ipv4", "ipv6", "nginx"):
                until(lambda way=way: prometheus.value(f'up{{way="{way}"}}') == 1)
                of_agent = f'rscollector_collector_up{{type="agent",way="{way}"}}'
                until(lambda up=of_agent: prometheus.value(up) == 1)
            expires = f'rscollector_web_certificate_not_after_timestamp_seconds{{listener="127.0.0.1:{port}",way="ipv4"}}'
            until(lambda: (prometheus.value(expires) or 0) > time.time())
            assert prometheus.value('rscollector_web_last_reload_successful{way="ipv4"}') == 1
        finally:
            prometheus.stop()
    assert PASSWORD not in started.log


@pytest.mark.needs("curl")
def test_certificates_are_exchanged_under_scrapes(agent, place):
    """Again and again, by a reload: no scrape fails. A wrong one changes nothing and says so; then it is mended."""
    port = free_port()
    toml = f'{AGENT}listen = ["127.0.0.1:{port}"]\nconfig_file = "{place}/web-config.yml"\n'
    started, url = agent(toml), f"https://127.0.0.1:{port}/metrics"
    for _ in range(5):
        before = started.status()["config"]["read_at"]
        issue(place, "server")
        started.reload(toml)
        while started.status()["config"]["read_at"] == before:
            assert curl(place, url)[:2] == (0, 200)
    good = (place / "server.key").read_bytes()
    (place / "server.key").write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    started.reload(toml)
    until(lambda: not started.status()["config"]["last_reload_successful"])
    assert "server.key: it is damaged" in started.status()["config"]["last_reload_error"]
    assert curl(place, url)[:2] == (0, 200)
    (place / "server.key").write_bytes(good)
    started.reload(toml)
    until(lambda: started.status()["config"]["last_reload_successful"])
    assert curl(place, url)[:2] == (0, 200)


@pytest.mark.needs("curl")
def test_a_reload_that_refuses_a_certificate_says_so(agent, place):
    """The configuration was right and is in use, and so it is said; of the lock it is not, by status and metric."""
    port = free_port()
    toml = f'{AGENT}listen = ["127.0.0.1:{port}"]\nconfig_file = "{place}/web-config.yml"\n'
    started, url = agent(toml), f"https://127.0.0.1:{port}/metrics"
    now = dt.datetime.now(dt.UTC)
    issue(place, "server", not_before=now - dt.timedelta(9), not_after=now - dt.timedelta(1))
    started.reload(toml)
    until(lambda: started.status()["web"]["last_reload_error"])
    told = started.status()
    assert told["config"]["last_reload_successful"]
    assert not told["web"]["last_reload_successful"]
    assert "the certificate has expired" in told["web"]["last_reload_error"]
    assert told["web"]["listeners"][0]["certificate_not_after"] > time.time()
    until(lambda: "\nrscollector_web_last_reload_successful 0.0\n" in curl(place, url)[2])
    assert "\nrscollector_config_last_reload_successful 1.0\n" in curl(place, url)[2]
    issue(place, "server")
    started.reload(toml)
    until(lambda: "\nrscollector_web_last_reload_successful 1.0\n" in curl(place, url)[2])


def test_an_agent_does_not_start_behind_a_broken_lock(agent, place):
    """It would be no lock, or nobody could come in: the sentence says which file is wrong."""
    (place / "server.key").unlink()
    started = agent(f'{AGENT}listen = []\n[[web.listener]]\naddress = "127.0.0.1:{free_port()}"\n'
                    f'tls = {{ certificate = "{place}/server.crt", key = "{place}/server.key" }}\n', wait=False)  # fmt: skip
    assert started.process.wait(60) == 2
    assert (
        f"web.listener.0.tls.key: {place}/server.key cannot be read: No such file or directory" in started.log
    )
