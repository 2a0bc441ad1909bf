"""How a receiver is reached: users, tokens, TLS and proxies, and the sentence when one of them is wrong."""

import re
import ssl
from base64 import b64encode

import pytest
from arrivals import TOML, all_until_now, sent
from harness import until
from receiver import Receiver

BASIC = "Basic " + b64encode(b"agent:hush").decode()
USER = 'user = "agent"\npassword = { env = "RECEIVER" }'


@pytest.mark.parametrize(
    ("demanded", "given"),
    [
        ({"Authorization": BASIC}, USER),
        ({"X-Access-Token": "hush"}, 'token = { env = "RECEIVER" }'),
    ],
    ids=["basic", "token"],
)
def test_who_is_known_is_let_in(sending, receiver, demanded, given):
    """With a wrong password all is kept, and `status` says what somebody has to change."""
    receiver.demands = demanded
    started = sending(given, RECEIVER="wrong")
    reason = lambda: started.collector("bosun/main")["reason"]  # noqa: E731
    until(lambda: f"{receiver.url}/api/put: 401 Unauthorized" in reason())
    assert started.collector("bosun/main")["trouble"] == "misconfigured"
    started.stop()
    started = sending(given, RECEIVER="hush")
    until(all_until_now(receiver, started))
    assert all(receiver.headers[-1][name] == value for name, value in demanded.items())
    assert "hush" not in started.log + str(started.status())


@pytest.fixture
def encrypted(authorities):
    """Return a receiver that takes points from who has a certificate only; its URL has the right name."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(authorities / "server.pem")
    tls.load_verify_locations(authorities / "ca.pem")
    tls.verify_mode = ssl.CERT_REQUIRED
    started = Receiver(tls=tls)
    started.url = started.url.replace("127.0.0.1", "localhost")
    yield started
    started.close()


def test_tls_is_verified_on_both_sides(agent, encrypted, authorities):
    """CA, host name and client certificate; what does not fit is named, and nothing is sent without."""
    own = f'tls_certificate = "{authorities}/client.pem"\ntls_key = "{authorities}/client.pem"\n'
    fits = f'tls_ca = "{authorities}/ca.pem"\n{own}'
    for url, more, sentence in (
        (encrypted.url, fits.replace("ca.pem", "other.pem"), "certificate verify failed"),
        (encrypted.url, own, "certificate verify failed"),
        (encrypted.url.replace("localhost", "127.0.0.1"), fits, "IP address mismatch|doesn't match"),
        (encrypted.url, f'tls_ca = "{authorities}/ca.pem"\n', "client's certificate|certificate required"),
    ):
        started = agent(TOML.format(url=url, more=more))
        until(lambda: re.search(sentence, started.collector("bosun/main")["reason"]))  # noqa: B023
        started.process.kill()
        started.process.wait()
    assert sent(encrypted) == []
    started = agent(TOML.format(url=encrypted.url, more=fits))
    until(all_until_now(encrypted, started))


@pytest.mark.parametrize("token", [" se-cret", "se-\ncret", "se-\x07cret"])
def test_a_token_that_cannot_be_sent_is_an_alarm_and_not_shown(agent, receiver, token):
    """Nobody was asked, so nobody is said not to answer; what is collected waits in the spool."""
    started = agent(TOML.format(url=receiver.url, more='token = { env = "RECEIVER" }'), RECEIVER=token)
    until(lambda: "cannot be sent in a header" in started.collector("bosun/main")["reason"])
    reason = started.collector("bosun/main")["reason"]
    assert "not asked: the token begins or ends with a blank, or has several lines" in reason
    assert "cret" not in reason + started.log.replace("secret", "")
    assert started.state("bosun/main") == "backoff"
    assert receiver.paths == []


@pytest.mark.parametrize("asked", [True, False])
def test_the_proxy_of_the_environment_is_used_only_if_asked_for(agent, receiver, asked):
    """The receiver has a name that only the proxy knows."""
    toml = TOML.format(url="http://bosun.invalid:8070", more="proxy = true" if asked else "")
    started = agent(toml, http_proxy=receiver.url, HTTP_PROXY=receiver.url, no_proxy="", NO_PROXY="")
    if asked:
        until(all_until_now(receiver, started))
        assert receiver.paths[0] == "http://bosun.invalid:8070/api/put"
    else:
        until(lambda: "nobody answers" in started.collector("bosun/main")["reason"])
        assert receiver.paths == []


def test_bodies_that_a_receiver_calls_too_large_become_smaller(sending, receiver):
    """Also where it is OpenTSDB, which calls them bad; no point is put aside for it."""
    receiver.chunk = 1000
    started = sending("[collector.load.main]\nseries = 200\n")
    until(lambda: len(sent(receiver)) > 5)
    until(all_until_now(receiver, started))
    assert started.value("sink_rejected_points_total", reason="large") == 0
    assert started.value("sink_rejected_points_total", reason="bad") == 0


def test_one_session_serves_all_requests(sending, receiver):
    """A connection is kept open: a receiver of a whole fleet sees one from each host."""
    started = sending()
    until(lambda: len(receiver.requests) > 10)
    assert receiver.connections <= 2
    assert started.value("sink_request_duration_seconds_count") >= 10
