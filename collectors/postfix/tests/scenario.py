"""What strangers do to a mail server, once each, so that all that Postfix logs of it can be recorded.

`PYTHONPATH=.:tests python collectors/postfix/tests/scenario.py FILE` records it with the Postfix that is installed (as root). For another version
its files are bound over the installed ones in a mount namespace:

    apt-get download -t bookworm-backports postfix && dpkg-deb -x postfix_*.deb X
    unshare -m sh -c 'mount --bind X/usr/lib/postfix /usr/lib/postfix
        for f in X/usr/sbin/*; do mount --bind $f /usr/sbin/${f##*/}; done; python collectors/postfix/tests/scenario.py FILE'
"""

import re
import smtplib
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from harness import free_port, until

FORGED = "x, relay=y, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250"
SETTINGS = """
transport_maps = inline:{{
    {{ down.test.invalid = smtp:[127.0.0.1]:1 }}, {{ tls.test.invalid = smtp:[127.0.0.1]:{second} }},
    {{ said.test.invalid = smtp:[127.0.0.1]:{first_liar}, [127.0.0.1]:{second_liar} }},
    {{ soft.test.invalid = soft:[127.0.0.1]:{refuser} }}, {{ hard.test.invalid = smtp:[127.0.0.1]:{refuser} }},
    {{ none.test.invalid = nosuch:x }} }}
virtual_alias_domains = alias.invalid
virtual_alias_maps = regexp:{root}/aliases
header_checks = regexp:{root}/header_checks
body_checks = regexp:{root}/body_checks
smtpd_hard_error_limit = 3
smtpd_error_sleep_time = 0
smtpd_timeout = 4s
smtpd_tls_security_level = may
smtpd_tls_cert_file = {root}/cert.pem
smtpd_tls_loglevel = 1
smtp_tls_security_level = may
smtp_tls_loglevel = 1
smtp_tls_connection_reuse = yes
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {root}/auth
bounce_queue_lifetime = 0
notify_classes =
"""
SERVICES = """
127.0.0.1:{second} inet n - n - - smtpd
    -o syslog_name=postfix/$service_name -o content_filter=discard:
tlsproxy unix - - n - 0 tlsproxy
soft unix - - n - - smtp
    -o soft_bounce=yes
"""
FILES = {
    "aliases": "/@alias\\.invalid$/ u@down.test.invalid\n",
    "header_checks": "/^X-Later:/ REJECT 4.7.1 come back later\n/^X-Never:/ REJECT\n/^X-Look:/ WARN\n",
    "body_checks": "/^reject me/ REJECT 5.7.1 not liked\n",
}


@contextmanager
def answering(replies):
    """Have a mail server that answers each command with what it finds there, and yield its port."""

    class Answer(socketserver.StreamRequestHandler):
        def handle(self):
            self.wfile.write(b"220 liar.test.invalid\r\n")
            for line in self.rfile:
                word = line[:4].upper().decode("ascii", "replace").strip()
                self.wfile.write(replies.get(word, "250 ok").encode() + b"\r\n")
                if word == "QUIT":
                    return

    with serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answer)) as server:
        yield server.server_address[1]


@contextmanager
def serving(server):
    """Have a server answer in a thread."""
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class Authority(socketserver.StreamRequestHandler):
    """What Postfix asks about passwords, in Dovecot's protocol: only PLAIN with the right one is let in."""

    def handle(self):
        """Answer until Postfix goes."""
        hello = "VERSION\t1\t1\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t0123456789abcdef0123456789abcdef\nDONE\n"
        self.wfile.write(hello.encode())
        for line in self.rfile:
            word, *rest = line.decode().rstrip("\n").split("\t")
            if word == "AUTH":
                good = any("resp=AHVzZXIAcmlnaHQ=" in each for each in rest)
                self.wfile.write(
                    f"OK\t{rest[0]}\tuser=user\n".encode()
                    if good
                    else f"FAIL\t{rest[0]}\tuser=user\n".encode()
                )


@contextmanager
def prepared(mail):
    """Start a mail server for the scenario, with all whom it asks."""
    with ExitStack() as stack:
        liars = [
            stack.enter_context(answering({"RCPT": f"450 4.2.0 wait{end}, {FORGED} ok)"}))
            for end in ("", "@x>")
        ]
        refuser = stack.enter_context(answering({"RCPT": "550 5.1.1 nobody here"}))
        authority = socketserver.ThreadingUnixStreamServer(str(mail.root / "auth"), Authority)
        (mail.root / "auth").chmod(0o666)
        stack.enter_context(serving(authority))
        for name, text in FILES.items():
            (mail.root / name).write_text(text)
        certificate = str(mail.root / "cert.pem")
        command = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=mx.test.invalid",
            "-days",
            "2",
        ]
        subprocess.run(
            [*command, "-keyout", certificate, "-out", f"{certificate}.crt"], check=True, capture_output=True
        )
        with Path(certificate).open("a") as both:
            both.write(Path(f"{certificate}.crt").read_text())
        given = {
            "root": mail.root, "second": free_port(), "first_liar": liars[0], "second_liar": liars[1], "refuser": refuser,
        }  # fmt: skip
        mail.begin(SETTINGS.format(**given), SERVICES.format(**given))
        mail.second = given["second"]
        try:
            yield mail
        finally:
            mail.end()


class Client:
    """Somebody who speaks SMTP as badly as he likes."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.answers = self.socket.makefile("rb")
        self.answer()

    def answer(self):
        """Return the answer that comes next."""
        lines = [self.answers.readline()]
        while lines[-1][3:4] == b"-":
            lines.append(self.answers.readline())
        return lines[-1].decode()

    def say(self, *commands):
        """Say something, and return the last answer."""
        for command in commands:
            self.socket.sendall(command.encode() + b"\r\n")
            answer = self.answer()
        return answer

    def send(self, recipient, text):
        """Send a message, and return what was answered to it."""
        with suppress(BrokenPipeError):
            self.say("EHLO me.test.invalid", "MAIL FROM:<a@test.invalid>", f"RCPT TO:{recipient}", "DATA")
            return self.say(f"{text}\r\n.")

    def leave(self):
        """Hang up."""
        self.answers.close()
        self.socket.close()


def play(mail):
    """Do everything once; returns when Postfix has logged it."""
    answers = []

    def client(port=mail.port):
        answers.append(Client(port))
        return answers[-1]

    forged = f'<"{FORGED} ok)"@{{}}.invalid>'
    assert client().send(forged.format("down.test"), "Subject: x\r\n\r\nx").startswith("250")
    assert client().send(forged.format("alias"), "Subject: x\r\n\r\nx").startswith("250")
    for domain in ("said", "soft", "hard", "none", "tls"):
        assert (
            client()
            .send(f"<u@{domain}.test.invalid>", "X-Look: 1, relay=y, status=sent\r\n\r\nx")
            .startswith("250")
        )
    told = " from y[1.2.3.4]; from=<a> to=<b> proto=ESMTP helo=<x>: {} no"
    later = client().send("<u@down.test.invalid>", "X-Later:" + told.format("5.7.1") + "\r\n\r\nx")
    never = client().send("<u@down.test.invalid>", "X-Never:" + told.format("4.7.1") + "\r\n\r\nx")
    assert (later[:9], never[:9]) == ("451 4.7.1", "550 5.7.1")
    assert (
        client()
        .send("<u@down.test.invalid>", "S: x\r\n\r\nreject me" + told.format("4.7.1"))
        .startswith("550")
    )
    speak = client()
    speak.say(
        "EHLO x>: 4.7.1 from=y, status=sent", "MAIL FROM:<a@test.invalid>", "RCPT TO:<u@refused.test.invalid>"
    )
    speak.say("QUIT")
    client()
    client().say("EHLO x")
    client().say("EHLO x", "MAIL FROM:<a@test.invalid>", "RCPT TO:<u@down.test.invalid>")
    client().say("EHLO x", "MAIL FROM:<a@test.invalid>", "RCPT TO:<u@down.test.invalid>", "DATA")
    for each in answers:
        each.leave()
    client().say("EHLO x", "NONSENSE", "NONSENSE", "NONSENSE")
    slow = client()
    slow.say("EHLO slow")
    secure(mail.port)
    broken = client()
    broken.say("EHLO x", "STARTTLS")
    broken.socket.sendall(b"this is no handshake\r\n" * 20)
    log_in(mail.port)
    assert slow.answer().startswith("421")
    for each in answers[-3:]:
        each.leave()
    log = mail.root / "maillog"
    until(lambda: b"timeout after" in log.read_bytes())
    until(lambda: not mail.files("active") and not mail.files("incoming"))
    until(lambda: log.read_bytes().count(b" connect from") == log.read_bytes().count(b"disconnect from"))


def secure(port):
    """Speak TLS, once to the end of a message."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with smtplib.SMTP("127.0.0.1", port, "me.test.invalid", 30) as connection:
        connection.starttls(context=context)
        connection.sendmail("a@test.invalid", "u@tls.test.invalid", "Subject: x\r\n\r\nx")


def log_in(port):
    """Log in: with a wrong password, with a way that there is none of, and then well."""
    with smtplib.SMTP("127.0.0.1", port, "me.test.invalid", 30) as connection:
        connection.ehlo()
        assert connection.docmd("AUTH PLAIN", "AHVzZXIAd3Jvbmc=")[0] == 535
        assert connection.docmd("AUTH X/Y.failed", "AHVzZXIAd3Jvbmc=")[0] == 535
    with smtplib.SMTP("127.0.0.1", port, "me.test.invalid", 30) as connection:
        connection.ehlo()
        assert connection.docmd("AUTH PLAIN", "AHVzZXIAcmlnaHQ=")[0] == 235
        connection.sendmail("a@test.invalid", "u@tls.test.invalid", "Subject: x\r\n\r\nx")


def recorded(mail):
    """Return the log without what is of this machine."""
    log = (mail.root / "maillog").read_bytes().replace(b":%d" % mail.second, b":10025")
    return re.sub(rb"^(\w{3} [ \d]\d [\d:]{8}) \S+", rb"\1 mx", log, flags=re.MULTILINE)


def main(target):
    """Record the scenario."""
    from collectors.postfix.tests.mail_server import MailServer

    with TemporaryDirectory(prefix="postfix-", dir="/tmp") as directory:
        Path(directory).chmod(0o755)
        server = MailServer(Path(directory, "0"), Path(directory, "queue"))
        try:
            with prepared(server):
                play(server)
                Path(target).write_bytes(recorded(server))
        finally:
            server.close()


if __name__ == "__main__":
    main(sys.argv[1])
