"""What the collector makes of the log: recorded lines of several versions, and lines that no program has written."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from collectors.postfix import flow
from collectors.postfix.explain import explain_flow
from collectors.postfix.flow import Flow
from collectors.postfix.progress import Progress
from collectors.postfix.tests.scenario import play, prepared
from collectors.postfix.tests.scenario import recorded as without_this_machine
from rscollector.testing import FakeContext

RECORDINGS = Path(__file__).parent / "recordings"
MESSAGES = [
    (service.encode(), message.encode("ascii", "replace").decode("unicode_escape").encode("latin-1"))
    for service, message, *_ in (
        line.split("\t") for line in (RECORDINGS / "messages.tsv").read_text().splitlines()
    )
]


def told(source):
    """Return the counters that are not 0, by name and label values."""
    return {
        " ".join(
            [sample.metric.name.removeprefix("postfix_").removesuffix("_total"), *sample.values]
        ): sample.value
        for sample in source.samples()
        if sample.metric in flow.COUNTERS and sample.value
    }


def counted(directory, data, name="postfix"):
    """Return what is counted of a log."""
    log = directory / "mail.log"
    log.write_bytes(b"")
    progress = Progress(str(log), name, None)
    log.write_bytes(data)
    progress.read(FakeContext())
    progress.close()
    return progress.flow


def recorded(name):
    """Return a recorded log."""
    return (RECORDINGS / f"{name}.log").read_bytes()


def after(*messages):
    """Return what is counted of messages; the service stands before each."""
    counting = Flow()
    for message in messages:
        service, _, text = message.partition(": ")
        counting.line(service.encode(), text.encode())
    found = told(counting)
    assert found.pop("log_lines") == len(messages)
    return found


def test_a_message_that_is_deferred_five_times_and_returned(tmp_path):
    """Each attempt counts; the message has come once, and its time was up once."""
    assert told(counted(tmp_path, recorded("one-message-deferred-5-times-then-expired"))) == {
        "messages_received smtpd": 1,
        "deliveries smtp deferred 4": 5,
        "messages_expired": 1,
        "messages_removed": 1,
        "log_lines": 15,
    }


def test_a_message_for_five_is_five_deliveries(tmp_path):
    """What counts is the recipient."""
    found = told(counted(tmp_path, recorded("one-message-five-recipients")))
    assert found["deliveries smtp sent 2"] == 5
    assert found["messages_received smtpd"] == found["messages_removed"] == 1


def test_an_instance_with_a_name_of_its_own_is_not_another(tmp_path):
    """Lines of postfix-in are not postfix', nor the other way round."""
    data = recorded("inbound-as-postfix-in") + recorded("outbound")
    inbound, outbound = told(counted(tmp_path, data, "postfix-in")), told(counted(tmp_path, data))
    assert inbound["log_lines"] + outbound["log_lines"] == data.count(b"\n")
    assert inbound == {
        "log_lines": 38,
        "connections smtpd": 2,
        "connections postscreen": 2,
        "messages_received smtpd": 2,
        "messages_removed": 2,
        "deliveries discard sent 2": 4,
        "rejects smtpd rcpt 5": 1,
        "rejects smtpd rcpt 4": 1,
        "tls_connections smtpd anonymous TLSv1.3": 2,
        "tls_failures smtpd": 1,
        "broken_connections smtpd lost_connection starttls": 1,
        "broken_connections smtpd lost_connection ehlo": 1,
        "broken_connections smtpd lost_connection connect": 1,
        "postscreen_events allowlisted": 2,
        "log_problems smtpd warning": 1,
        "log_problems master fatal": 1,
    }


def test_deliveries_of_a_real_log_are_those_that_grep_finds(tmp_path):
    """Outcome by outcome."""
    data = recorded("outbound")
    counting = counted(tmp_path, data)
    for status in ("sent", "deferred", "bounced"):
        lines = re.findall(rf"postfix/\S+: \w+: to=.* status={status} ".encode(), data)
        assert counting.value(flow.DELIVERIES, status=status) == len(lines) > 0
    delays = [
        float(each) for each in re.findall(rb"delays=[^/]+/[^/]+/[^/]+/([^,]+), dsn=\S+ status=sent", data)
    ]
    histograms = [
        sample.value
        for sample in counting.samples()
        if sample.metric is flow.DELAY and sample.values[1] == "transmission"
    ]
    assert sum(each.sum for each in histograms) == pytest.approx(sum(delays))
    assert sum(sum(each.counts) for each in histograms) == len(delays)


STRANGERS = {
    "connections smtpd": 22,
    "connections 127.0.0.1:10025/smtpd": 3,
    "broken_connections smtpd lost_connection connect": 2,
    "broken_connections smtpd lost_connection ehlo": 1,
    "broken_connections smtpd lost_connection starttls": 1,
    "broken_connections smtpd lost_connection rcpt": 1,
    "broken_connections smtpd lost_connection data": 1,
    "broken_connections smtpd timeout ehlo": 1,
    "broken_connections smtpd too_many_errors unknown": 1,
    "messages_received smtpd": 14,
    "messages_received 127.0.0.1:10025/smtpd": 3,
    "messages_removed": 8,
    "messages_expired": 1,
    "deliveries smtp deferred 4": 4,
    "deliveries smtp softbounce 4": 1,
    "deliveries smtp bounced 5": 1,
    "deliveries smtp sent 2": 3,
    "deliveries error deferred 4": 1,
    "deliveries discard sent 2": 3,
    "rejects cleanup header 4": 1,
    "rejects cleanup header 5": 1,
    "rejects cleanup body 5": 1,
    "rejects smtpd rcpt 5": 1,
    "sasl_failures smtpd": 2,
    "sasl_logins smtpd": 1,
    "tls_connections smtpd anonymous TLSv1.3": 1,
    "tls_connections 127.0.0.1:10025/smtpd anonymous TLSv1.3": 3,
    "tls_connections smtp untrusted TLSv1.3": 3,
    "tls_connections tlsproxy untrusted TLSv1.3": 3,
    "tls_failures smtpd": 1,
    "log_problems smtpd warning": 3,
    "log_problems qmgr warning": 1,
}


@pytest.mark.parametrize("version", ["3.7.11", "3.10.3"])
def test_what_strangers_do_counts_as_what_they_were_answered(tmp_path, version):
    """The same scenario with two versions: forged deliveries, headers and names, and every way to break off."""
    data = recorded(f"strangers-{version}")
    assert told(counted(tmp_path, data)) == STRANGERS | {"log_lines": data.count(b"\n")}


@pytest.mark.needs("postfix", "root")
@pytest.mark.timeout(180)
def test_the_installed_postfix_logs_what_was_recorded(tmp_path, shared_mail_server):
    """The scenario once more, with whatever version there is."""
    with prepared(shared_mail_server) as mail:
        play(mail)
        found = told(counted(tmp_path, without_this_machine(mail)))
    found.pop("log_lines")
    assert found == STRANGERS


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("smtpd: NOQUEUE: reject: RCPT from unknown[2001:db8::1]: 450 4.7.1 <a@b>: no", "rejects smtpd rcpt 4"),
        ("submission/smtpd: NOQUEUE: reject: MAIL from a[1.2.3.4]: 504 5.5.2 <a>: no", "rejects submission/smtpd mail 5"),
        ("cleanup: 41: milter-reject: END-OF-MESSAGE from a[1.2.3.4]: 4.7.1 later; from=<a>", "rejects cleanup end-of-message 4"),
        ("cleanup: 41: reject: header Subject: 450 4.7.1 from a[1.2.3.4]; from=<a>: 5.7.1 no", "rejects cleanup header 5"),
        ("smtpd: proxy-reject: END-OF-MESSAGE: 451 4.7.0 Reject; from=<>", "rejects smtpd end-of-message 4"),
        ("postscreen: NOQUEUE: reject: CONNECT from [1.2.3.4]:5: all server ports busy", "rejects postscreen connect 4"),
        ("postscreen: PASS NEW [2607:f8b0:4003:c01::23a]:36051", "postscreen_events pass_new"),
        ("postscreen: WHITELIST VETO [61.238.241.86]:53024", "postscreen_events allowlist_veto"),
        ("postscreen: NON-SMTP COMMAND from [93.184.216.34]:4 after CONNECT: GET /", "postscreen_events non-smtp_command"),
        ("postscreen: DNSBL rank 3 for [111.73.45.149]:1038", "postscreen_events dnsbl"),
        ("smtp: SSL_connect error to mail.example.org[192.0.2.2]:25: -1", "tls_failures smtp"),
        ("smtpd: 1CF58: client=x[2.3.4.5], sasl_method=PLAIN, sasl_username=a", "sasl_logins smtpd"),
        ("smtpd: warning: a[3.84.57.208]: SASL LOGIN authentication failed: UGFz", "sasl_failures smtpd"),
        ("smtpd: timeout after END-OF-MESSAGE from unknown[192.0.2.7]", "broken_connections smtpd timeout end-of-message"),
        ("smtpd: lost connection after DATA (7774180 bytes) from u[192.0.2.7]", "broken_connections smtpd lost_connection data"),
        ("qmgr: 585BC3F: from=<>, status=force-expired, returned to sender", "messages_expired"),
        ("smtp: 7E: to=<u@x>, relay=m[1.2.3.4]:25, delay=3, delays=0/0/0/3, tls=dane/!requiretls:nocertmatch, dsn=2.1.5, status=sent (250)", "deliveries smtp sent 2"),
        ("local: 2A: to=u@h, orig_to=r@h, relay=local, delay=0.07, delays=0.04/0/0/0.03, dsn=2.0.0, status=sent (x)", "deliveries local sent 2"),
        ("smtpd: NOQUEUE: lost connection after CONNECT from unknown[192.0.2.5]", "broken_connections smtpd lost_connection connect"),
        ("submission/smtpd: NOQUEUE: too many errors after AUTH from unknown[192.0.2.5]", "broken_connections submission/smtpd too_many_errors auth"),
        ("smtpd: 4jZ2nz422VzNJhD: lost connection after DATA (0 bytes) from unknown[192.0.2.5]", "broken_connections smtpd lost_connection data"),
        ("smtpd: NOQUEUE: improper command pipelining after EHLO from unknown[192.0.2.5]: QUIT\\r\\n", "broken_connections smtpd improper_command_pipelining ehlo"),
        ("smtp: Verified TLS connection reused to mx.example.org[192.0.2.2]:25: TLSv1.3 with cipher X (256/256 bits)", "tls_connections smtp verified TLSv1.3"),
        ("smtpd: Trusted TLS connection established from a.example[192.0.2.2] to mx.example.org: TLSv1.2 with cipher X (256/256 bits)", "tls_connections smtpd trusted TLSv1.2"),
        ("tlsproxy: TLS handshake failed for service=smtpd peer=[192.0.2.2]:1", "tls_failures tlsproxy"),
        ("cleanup: 4: reject: header X-Later: hello from unknown[192.0.2.3]; from=<a@b> to=<c@d> proto=ESMTP helo=<x>: 4.7.1 come back later", "rejects cleanup header 4"),
        ("cleanup: 4: reject: header X: y from local; from=<a@b> to=<c@d>: 4.7.1 later", "rejects cleanup header 4"),
        ("cleanup: 4: milter-header-reject: header X: y from a[1.2.3.4]; from=<a@b> to=<c@d> proto=ESMTP helo=<x>: 5.7.1 no", "rejects cleanup header 5"),
        ("cleanup: 4: reject: mime-error MIME nesting exceeds safety limit: x>: 4.7.1 from a[1.2.3.4]; from=<a@b> to=<c@d>", "rejects cleanup mime-error 5"),
        ("cleanup: 4: reject: body from a[1.2.3.4]: 450 4.7.1 x from b[1.2.3.4]; from=<a@b> to=<c@d> proto=ESMTP helo=<x>: 5.7.1 no", "rejects cleanup body 5"),
        ("cleanup: 4: reject: header X: y from a[1.2.3.4]; from=<a@b> to=<c@d> proto=ESMTP helo=<x>: no", "rejects cleanup header 5"),
        ("cleanup: 4A: to=<u@x>, relay=none, delay=1, delays=1/0/0/0, dsn=5.1.1, status=bounced (user unknown)", "deliveries cleanup bounced 5"),
        ("smtpd: 4A: reject: DATA content from a[1.2.3.4]: 421 4.3.0 mx Server local data error", "rejects smtpd data 4"),
        ("postscreen: reject: connect from [1.2.3.4]:5: all screening ports busy", "rejects postscreen connect 4"),
        ("oqmgr: 4A: removed", "messages_removed"),
        ("qmgr: 4A: to=<u@x>, relay=none, delay=1, delays=0/1/0/0, dsn=4.3.0, status=deferred (mail transport unavailable)", "deliveries qmgr deferred 4"),
        ("smtp: 7E: to=<u@x>, relay=m[1.2.3.4]:25, delay=3, delays=0/0/0/3, dsn=4.1.1, status=SOFTBOUNCE (host said: 550)", "deliveries smtp softbounce 4"),
        ("error: 3E: to=<u@x>, relay=none, delay=0.01, delays=0.01/0/0/0, dsn=5.1.1, status=undeliverable-but-not-cached (x)", "deliveries error undeliverable-but-not-cached 5"),
        ("qmqpd: 4A: client=a[1.2.3.4]", "messages_received qmqpd"),
        ("smtpd: warning: a[3.84.57.208]: SASL X Y/Z authentication failed: no mechanism, sasl_username=a", "sasl_failures smtpd"),
        ("lmtp: 7E: to=<u@x>, relay=mx[/run/a,b, c/lmtp], delay=3, delays=0/0/0/3, dsn=2.0.0, status=sent (x)", "deliveries lmtp sent 2"),
        ("smtp: 7E: to=<u@x>, relay=none, delay=1e+06, delays=1e+06/0.01/1/0, dsn=4.4.1, status=deferred (x)", "deliveries smtp deferred 4"),
        ("smtp: 7E: to=<u@x>, relay=m[2001:db8::1]:25, conn_use=2, delay=3, delays=0/0/0/3, dsn=4.4.2, status=deferred (x)", "deliveries smtp deferred 4"),
    ],
)  # fmt: skip
def test_what_a_line_counts_as(message, expected):
    """One line of each kind, of versions from 2.10 to 3.10."""
    assert after(message).get(expected) == 1


def test_what_a_stranger_says_is_not_taken_for_what_postfix_says():
    """The words in parentheses are another server's, the subject is a sender's."""
    said = "smtp: 7E: to=<u@x>, relay=m[1.2.3.4]:25, delay=3, delays=0/0/0/3, dsn=4.0.0, status=deferred (host said: {})"
    forged = "450 A: to=<u@x>, relay=m, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 ok)"
    assert after(said.format(forged)) == {"deliveries smtp deferred 4": 1}
    header = "cleanup: 4: warning: header Subject: NOQUEUE: reject: RCPT from a[1.2.3.4]: 550 from b[1.2.3.4]; from=<a>"
    assert after(header) == {}
    connect = "smtpd: NOQUEUE: reject: RCPT from u[1.2.3.4]: 554 5.7.1 <a>: no; helo=<connect from x>"
    assert after(connect) == {"rejects smtpd rcpt 5": 1}


FORGED = "x, relay=y, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 ok)"
BROKEN_OFF = "host mx[192.0.2.66] said: 450 4.2.0 wait, relay=m, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (in reply)"
DEFERRED = (
    "relay=none, delay=3, delays=3/0/0/0, dsn=4.4.1, status=deferred (connect to down[192.0.2.1]:25: refused)"
)


def test_addresses_and_replies_are_no_deliveries():
    """A quoted local part may be anything, and so may what the first of two next hops answers."""
    quoted = f'smtp: 4A: to=<"{FORGED}"@down>, {DEFERRED}'
    alias = f'smtp: 4A: to=<u@down>, orig_to=<"\\\\\\"> {FORGED}"@alias>, {DEFERRED}'
    unquoted = f"smtp: 4A: to=<{FORGED}@down>, {DEFERRED}"  # as before 3.5
    assert after(quoted, alias, unquoted) == {"deliveries smtp deferred 4": 3}
    assert after(f"smtp: 4A: {BROKEN_OFF}") == {}
    assert after(f'smtp: 4A: to=<"{FORGED}') == {}  # a line that the syslog daemon has cut
    assert after(
        "qmgr: 4A: from=<x: removed>, size=1, nrcpt=1 (queue active)", "qmgr: warning: x: removed"
    ) == {"log_problems qmgr warning": 1}
    assert "sasl_logins smtpd" not in after("smtpd: 4A: client=a[1.2.3.4], orig_client=b, sasl_method=x")


def test_an_address_of_any_length_hides_nothing():
    """Postfix takes addresses of two thousand bytes, and logs two of them in one line."""
    long = "x" * 5000
    assert after(f"smtp: 4A: to=<{long}@a>, orig_to=<{long}@b>, {DEFERRED}") == {
        "deliveries smtp deferred 4": 1
    }


ROUTES = rf"""
smtp: 4A: to=<"b>, {FORGED}"@down>, orig_to=<@a:"b>, {FORGED}"@down>, {DEFERRED}
smtp: 4A: to=<@a>, {FORGED}:b@down>, {DEFERRED}
smtp: 4A: to=<"@a>, {FORGED} b"@down>, {DEFERRED}
smtp: 4A: to=<"x.@a>, {FORGED}:"@down>, {DEFERRED}
smtp: 4A: to=<"a\">, {FORGED}"@down>, {DEFERRED}
smtp: 4A: to=<"a@b\\\"c"@down>, {DEFERRED}
"""


def test_what_looks_like_a_route_is_no_delivery():
    """As Postfix 3.7 has logged them: it leaves a "@" with what comes up to the first colon without quotes."""
    lines = ROUTES.strip().splitlines()
    assert after(*lines) == {"deliveries smtp deferred 4": len(lines)}


def external(address):
    """Return an address as Postfix' quote_822_local.c writes it."""
    start = address.index(":") + 1 if address.startswith("@") and ":" in address else 0
    local, at, domain = address[start:].rpartition("@")
    atoms = rf"[{ATOM}]+(\.[{ATOM}]+)*"
    text = local.replace("\\", "\\\\").replace('"', '\\"')
    return address[:start] + (local if re.fullmatch(atoms, local) else f'"{text}"') + at + domain


ATOM = r"a-zA-Z0-9!#$%&'*+/=?^_`{|}~-"
PIECES = [
    FORGED, BROKEN_OFF, DEFERRED, ">", '"', "\\", "@", ", relay=", ": removed", "NOQUEUE: reject: RCPT from a[1.2.3.4]: 450 4.7.1 x",
    "from x[1.2.3.4]; from=<a> to=<b> proto=ESMTP helo=<x>: 4.7.1 no", "warning: a[1.2.3.4]: SASL PLAIN authentication failed: x",
    "connect from x", ", status=expired, returned to sender", "message repeated 9 times: [ connect from x]", ", sasl_method=x",
    "lost connection after CONNECT from x", "Anonymous TLS connection established from x: TLSv1 with cipher",
]  # fmt: skip
PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60)
TEXTS = st.lists(
    PRINTABLE | st.sampled_from(PIECES) | st.text(st.characters(min_codepoint=160, categories=["L"]))
).map("".join)
NEUTERED = TEXTS.map(lambda text: re.sub(r"[ <>()\\\";@]", "?", text))
NAMES = st.from_regex(r"[a-z0-9-]{1,20}(\.[a-z0-9-]{1,20}){0,4}", fullmatch=True)


@settings(max_examples=300, deadline=None)
@given(TEXTS, TEXTS, TEXTS, NEUTERED, NAMES)
@example(FORGED, FORGED, BROKEN_OFF, "x", "a")
@example('"', '">, ', FORGED, "x", "a")
@example(f"@a>, {FORGED}:b", "x", "x", "x", "a")
@example(f'@a:b>, {FORGED}"', "x", "x", "x", "a")
def test_nothing_that_strangers_write_changes_a_count(local, reply, header, helo, name):
    """Random text in every place where Postfix lets them: the counts are those of lines without it."""
    address, client = f"<{external(f'{local}@test.invalid')}>", f"{name}[192.0.2.1]"
    context = f"from={address} to={address} proto=ESMTP helo=<{helo}>"
    found = after(
        f"smtp: 4A: to={address}, orig_to={address}, relay={client}:25, delay=3, delays=3/0/0/0, dsn=4.4.1, status=deferred ({reply})",
        f"smtp: 4A: to={address}, relay={client}:25, conn_use=2, delay=3, delays=3/0/0/0, tls=may, dsn=2.0.0, status=sent ({reply})",
        f"smtp: 4A: host {client} said: {reply}",
        f"smtp: connect to {client}:25: {reply}",
        f"qmgr: 4A: from={address}, size=1, nrcpt=1 (queue active)",
        f"qmgr: 4A: from={address}, status=expired, returned to sender",
        f"cleanup: 4A: message-id=<{header}>",
        f"cleanup: 4A: warning: header Subject: {header[:200]} from {client}; {context}: {reply}",
        f"cleanup: 4A: reject: header Subject: {header[:191]} from {client}; {context}: 4.7.1 later",
        f"cleanup: 4A: reject: body {header[:200]} from {client}; {context}: 5.7.1 no",
        f"smtpd: connect from {client}",
        f"smtpd: 4A: client={client}, sasl_method=PLAIN, sasl_username={local}",
        f"smtpd: NOQUEUE: reject: RCPT from {client}: 550 5.1.1 {address}: {reply}; {context} sasl_username={local}",
        f"smtpd: warning: {client}: SASL LOGIN authentication failed: {reply}, sasl_username={local}",
        f"smtpd: NOQUEUE: lost connection after RCPT from {client}",
        f"smtpd: warning: hostname {name} does not resolve to address 192.0.2.1: {reply}",
        f"bounce: 4A: {reply}",
    )  # fmt: skip
    assert found == {
        "deliveries smtp deferred 4": 1, "deliveries smtp sent 2": 1, "messages_expired": 1, "rejects cleanup header 4": 1,
        "rejects cleanup body 5": 1, "connections smtpd": 1, "messages_received smtpd": 1, "sasl_logins smtpd": 1,
        "rejects smtpd rcpt 5": 1, "sasl_failures smtpd": 1, "broken_connections smtpd lost_connection rcpt": 1,
        "log_problems smtpd warning": 2,
    }  # fmt: skip


def test_what_rsyslog_has_written_once_counts_as_often_as_it_was_logged(tmp_path):
    """`message repeated N times: [ … ]`, as Ubuntu's rsyslog writes it."""
    found = told(counted(tmp_path, recorded("rsyslog-8.2302-repeated")))
    assert found == {
        "log_lines": 7, "sasl_failures smtpd": 6, "connections smtpd": 4, "deliveries smtp sent 2": 3, "log_problems smtpd warning": 6,
    }  # fmt: skip
    assert after("smtpd: message repeated 3 times: [ connect from a[1.2.3.4]] and more") == {}
    assert (
        after("smtpd: message repeated 1234 times: [ connect from a[1.2.3.4]]")["connections smtpd"] == 1234
    )


@pytest.mark.parametrize(
    "name", ["127.0.0.1:10025/smtpd", "[::1]:10026/smtpd", "mx.example:smtp/smtpd", "submission/smtpd"]
)
def test_a_service_may_have_its_address_in_its_name(tmp_path, name):
    """`-o syslog_name=postfix/$service_name`; in a file as in the journal."""
    line = f"Nov 25 10:00:00 mx1 postfix/{name}[9]: connect from localhost[127.0.0.1]\n"
    assert told(counted(tmp_path, line.encode())) == {"log_lines": 1, f"connections {name}": 1}


def test_the_programs_of_postfix_have_their_names_whoever_writes_first():
    """Any user of the host may write into the log; what he writes there is other, and Postfix' own is not."""
    counting = Flow()
    for number in range(60):
        counting.line(f"made-up-{number}/smtpd".encode(), b"connect from unknown[192.0.2.1]")
    for service in (b"lmtp", b"smtpd", "gr\u00fc\u00df/smtpd".encode(), b"a b/smtpd", b"x" * 300):
        counting.line(service, b"4A: to=<u@x>, relay=m, delay=1, delays=1/0/0/0, dsn=2.0.0, status=sent (x)")
    names = {
        sample.values[0]
        for sample in counting.samples()
        if sample.metric is flow.CONNECTIONS and sample.value
    }
    assert len(names) == 51
    assert counting.value(flow.DELIVERIES, transport="lmtp") == 1


def test_the_flow_is_said_in_a_sentence():
    """What was delivered, and that nothing was logged."""
    counting = Flow()
    assert "Nothing was logged under this syslog_name since counting began" in next(explain_flow(counting))
    for line in recorded("one-message-deferred-5-times-then-expired").splitlines():
        service, _, message = line.partition(b"postfix/")[2].partition(b"]: ")
        counting.line(service.partition(b"[")[0], message)
    assert list(explain_flow(counting)) == [
        "Attempts to deliver since counting began, one for each recipient: 0 sent, 5 deferred, 0 bounced (postfix_deliveries_total)."
    ]


def test_a_delivery_is_there_before_it_happens():
    """A rate from 0 to 1 needs the 0: smtp's outcomes at once, those of others with the first of them."""
    assert Flow().value(flow.DELIVERIES) == 0
    begun = {sample.values: sample.value for sample in Flow().samples() if sample.metric is flow.DELIVERIES}
    assert begun == {("smtp", "sent", "2"): 0, ("smtp", "deferred", "4"): 0, ("smtp", "bounced", "5"): 0}


def test_services_of_any_name_are_bounded():
    """Fifty names are told apart; what a forger adds is other."""
    counting = Flow()
    for number in range(500):
        counting.line(f"made-up-{number}/smtpd".encode(), b"connect from unknown[192.0.2.1]")
    names = {
        sample.values[0]
        for sample in counting.samples()
        if sample.metric is flow.CONNECTIONS and sample.value
    }
    assert len(names) == 51
    assert counting.value(flow.CONNECTIONS) == 500
    assert counting.value(flow.CONNECTIONS, service="other") == 450


def test_a_restart_makes_no_room_for_more_names():
    """Who can write into the log does not get another fifty names with each."""
    counting = Flow()
    for life in range(3):
        for number in range(60):
            counting.line(f"made-up-{life}-{number}/smtpd".encode(), b"connect from unknown[192.0.2.1]")
        kept, counting = json.loads(json.dumps(counting.kept())), Flow()
        counting.go_on(kept)
    names = {sample.values[0] for sample in counting.samples() if sample.metric is flow.CONNECTIONS}
    assert len(names - {"smtpd"}) == 51
    assert counting.value(flow.CONNECTIONS) == 180


def test_what_was_counted_is_taken_up_again():
    """Counters and delays go through JSON and back."""
    import json

    counting = Flow()
    for service, message in MESSAGES:
        counting.line(service, message)
    again = Flow()
    again.go_on(json.loads(json.dumps(counting.kept())))
    assert told(again) == told(counting)
    assert again.kept() == counting.kept()


@pytest.mark.parametrize("kept", [None, {}, {"counts": 1, "delays": []}, {"counts": [[]], "delays": []}])
def test_what_is_not_what_was_kept_is_refused(kept):
    """Then the collector begins anew, and counts a gap."""
    with pytest.raises((TypeError, ValueError, KeyError)):
        Flow().go_on(kept)


LINES = [line for path in sorted(RECORDINGS.glob("*.log")) for line in path.read_bytes().splitlines()]
WORDS = sorted({word for line in LINES for word in re.findall(rb"[^ ]+ ?", line)})
MUTATED = st.builds(
    lambda line, at, length, what: line[:at] + what + line[at + length :],
    st.sampled_from(LINES),
    st.integers(0, 200),
    st.integers(0, 20),
    st.binary(max_size=20) | st.sampled_from(WORDS),
)


@given(
    st.lists(st.sampled_from(LINES) | MUTATED | st.lists(st.sampled_from(WORDS)).map(b"".join) | st.binary())
)
@example([b"Nov 20 21:55:58 mx postfix/smtp[1]: A: to=<>, relay=" + b", relay=" * 400])
@example(
    [
        b"Nov 20 21:55:58 mx postfix/smtp[1]: A: to=<>, relay=x, delay=1, delays=1.2.3/./0/0, dsn=2.0.0, status=sent"
    ]
)
def test_any_line_is_counted_and_none_is_too_much(tmp_path_factory, lines):
    """Whatever the bytes are: no failure, each line counted once at most, and every label from its set."""
    lines = [line.replace(b"\n", b"") for line in lines]
    counting = counted(tmp_path_factory.getbasetemp(), b"".join(line + b"\n" for line in lines))
    found = told(counting)
    assert found.get("log_lines", 0) + found.get("log_malformed_lines", 0) <= len(lines)
    for sample in counting.samples():
        for label, value in zip(sample.metric.labels, sample.values, strict=True):
            assert re.fullmatch(r"[\w./:\[\]-]{1,100}", value), (label, value)
            assert label != "class" or value in "245"


@given(st.sampled_from(MESSAGES))
def test_messages_of_any_version_are_taken(entry):
    """A public collection of messages: each is counted as a line, and as at most two things beside."""
    counting = Flow()
    counting.line(*entry)
    found = told(counting)
    assert found.pop("log_lines") == 1
    assert sum(found.values()) <= 2
