"""Where the agent listens, exchanged while clients connect; locks on real sockets."""

import asyncio
import datetime as dt
import os
import ssl
import stat
import time
from pathlib import Path
from unittest.mock import Mock

import pytest
import trustme
from harness import free_port

from rscollector.config.types import Listener, Right, Tls
from rscollector.runtime import listening as module
from rscollector.runtime import looker
from rscollector.runtime.configure import Read
from rscollector.runtime.listening import Listening
from rscollector.runtime.looker import Looker
from rscollector.runtime.reload import relock, renew_locks
from rscollector.runtime.vitals import Vitals
from rscollector.web import tls as tls_module
from rscollector.web.listeners import CannotListen
from rscollector.web.server import Connections

HASH = "$2b$04$" + "." * 53
CA = trustme.CA()
OTHER = trustme.CA()


def tls(authority=CA, **more):
    """Return TLS with a new certificate of an authority."""
    made = authority.issue_cert("localhost", "127.0.0.1")
    chain = "".join(each.bytes().decode() for each in made.cert_chain_pems)
    return Tls(chain, made.private_key_pem.bytes().decode(), **more)


def trusting(*authorities):
    """Return what a client needs that trusts these."""
    context = ssl.create_default_context()
    for authority in authorities:
        authority.configure_trust(context)
    return context


def says(rights):
    """Make an application that says the rights that it was made with."""

    async def application(scope, receive, send):
        body = ",".join(sorted(each.value for each in rights)).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    return application


async def ask(port, context=None, host="127.0.0.1"):
    """Return what is answered to a request, its last line."""
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer.decode().splitlines()[-1]


def listening(scenario, *listeners, path):
    """Run a scenario with what listens there and its control socket."""

    async def main():
        made = Listening(Connections())
        made.open(listeners, path / "run" / "control.sock")
        made.serve(says)
        try:
            await scenario(made)
        finally:
            made.close()

    asyncio.run(main())


def local(port, **more):
    """Return a listener on this host."""
    return Listener(f"127.0.0.1:{port}", **more)


def test_nobody_finds_a_closed_door_while_addresses_change(tmp_path):
    """From this host to all, to both families, and back: whoever connects during that is answered."""
    port = free_port()
    rounds = [
        [f"0.0.0.0:{port}"],
        [f"[::]:{port}"],
        [f"[::]:{port}", f"0.0.0.0:{port}"],
        [f"127.0.0.1:{port}"],
    ]

    async def scenario(made):
        for addresses in rounds * 5:
            asking = [asyncio.ensure_future(ask(port)) for _ in range(3)]
            await asyncio.sleep(0)
            await asyncio.gather(*asking)
            assert made.change([Listener(each) for each in addresses]) == []
            assert await ask(port) == "metrics,read"
        await ask(port)

    listening(scenario, local(port), path=tmp_path)


def test_rights_and_locks_come_and_go_on_the_same_socket(tmp_path):
    """With another port nothing would tell that it is the same socket: here the old one never closes."""
    port, plain = free_port(), (None, "metrics,read")

    async def scenario(made):
        secured = tls()
        for listener, context, answer in (
            (local(port), *plain),
            (local(port, rights=("metrics",)), None, "metrics"),
            (local(port, tls=secured), trusting(CA), "metrics,read"),
            (local(port, tls=secured, rights=("metrics",)), trusting(CA), "metrics"),
            (local(port), *plain),
        ):
            before = made._doors
            assert made.change([listener]) == []
            assert made._doors.keys() == before.keys()
            assert await ask(port, context) == answer

    listening(scenario, local(port), path=tmp_path)


def test_listeners_with_the_same_rights_share_an_application(tmp_path):
    """Each would make pages of its own."""
    made = []
    listeners = [local(free_port(), rights=("metrics",)), local(free_port()), local(free_port())]

    async def main():
        listens = Listening(Connections())
        listens.open(listeners, tmp_path / "control.sock")
        listens.serve(lambda rights: made.append(rights) or says(rights))
        listens.close()

    asyncio.run(main())
    assert made == [frozenset({Right.METRICS}), frozenset(Right)]


def test_what_cannot_be_used_changes_nothing(tmp_path):
    """A taken address, and TLS that is none: what was there before goes on, and nothing new listens."""
    port, other, third = free_port(), free_port(), free_port()

    async def scenario(made):
        taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", other)
        with pytest.raises(CannotListen, match="another process uses this port"):
            made.change([local(third), local(other)])
        with pytest.raises(ValueError, match=f"^127.0.0.1:{third}: .*key"):
            made.change([local(third, tls=Tls(tls().certificate, "no key"))])
        with pytest.raises(ConnectionRefusedError):
            await ask(third)
        assert await ask(port) == "metrics,read"
        taken.close()

    listening(scenario, local(port), path=tmp_path)


def test_a_broken_certificate_keeps_the_one_before(tmp_path):
    """A key of another: the sentence names the listener, and every later handshake is as before."""
    port = free_port()

    async def scenario(made):
        expires = made.certificates
        (why,) = made.change([local(port, tls=Tls(tls().certificate, tls().key))])
        assert why.startswith(f"127.0.0.1:{port}: the key does not belong to the certificate")
        assert why.endswith("; the certificate before it is in use")
        assert made.certificates == expires
        for _ in range(3):
            assert await ask(port, trusting(CA)) == "metrics,read"
        assert made.change([local(port, tls=tls(OTHER))]) == []
        assert await ask(port, trusting(OTHER)) == "metrics,read"

    listening(scenario, local(port, tls=tls()), path=tmp_path)


def test_a_certificate_that_is_over_does_not_come_in_with_other_rights(tmp_path):
    """Rights make another door on the same socket; what kept the certificate out of the old one holds for it too."""
    port, now = free_port(), dt.datetime.now(dt.UTC)
    made = OTHER.issue_cert("127.0.0.1", not_before=now - dt.timedelta(9), not_after=now - dt.timedelta(1))
    over = Tls(made.cert_chain_pems[0].bytes().decode(), made.private_key_pem.bytes().decode())

    async def scenario(made):
        for listener in (local(port, tls=over, rights=("metrics",)), local(port, tls=over)):
            (why,) = made.change([listener])
            assert f"127.0.0.1:{port}: the certificate has expired" in why
            assert await ask(port, trusting(CA)) == ",".join(listener.rights)
        assert made.change([local(port, tls=tls(OTHER), rights=("metrics",))]) == []
        assert await ask(port, trusting(OTHER)) == "metrics"

    listening(scenario, local(port, tls=tls()), path=tmp_path)


def test_what_cannot_be_used_is_said_until_it_can(tmp_path):
    """Each time it is read, and not when there is again what is in use."""
    port, good = free_port(), tls()
    bad = local(port, tls=Tls(good.certificate, tls().key), users={"bob": HASH})
    worse = local(port, tls=tls(ciphers=("NONE",)))

    async def scenario(made):
        for wanted, kept in ((bad, "the certificate before it"), (worse, "what was there before")):
            for _ in range(2):
                (why,) = made.change([wanted])
                assert why.endswith(f"; {kept} is in use")
        assert await ask(port, trusting(CA)) == "a user and a password are wanted here"
        assert made.change([local(port, tls=good)]) == []
        assert await ask(port, trusting(CA)) == "metrics,read"

    listening(scenario, local(port, tls=good), path=tmp_path)


def test_a_unix_socket_is_listened_on_and_taken_away(tmp_path):
    """The group may ask; when it is wanted no more, nothing of it is left."""
    path = tmp_path / "web" / "web.sock"

    async def scenario(made):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert (await reader.read()).endswith(b"\r\n\r\nmetrics")
        writer.close()
        made.change([])
        assert not path.exists()

    listening(scenario, Listener(f"unix:{path}", rights=("metrics",)), path=tmp_path)


def test_the_control_socket_is_nobody_elses(tmp_path):
    """Its commands would else end at a listener with fewer rights; at a reload it is answered already."""
    control = tmp_path / "run" / "control.sock"
    with pytest.raises(CannotListen, match=r"web.listener: .* is the control socket; choose another path"):
        listening(None, Listener(f"unix:{control}"), path=tmp_path)

    async def scenario(made):
        with pytest.raises(CannotListen, match=r"somebody answers on .*control\.sock already"):
            made.change([Listener(f"unix:{control}")])
        assert control.is_socket()

    listening(scenario, path=tmp_path)


def test_a_certificate_is_used_as_soon_as_its_time_has_come(tmp_path, monkeypatch):
    """Though nothing of it has changed since it was too early for it."""
    port = free_port()
    begins = dt.datetime.now(dt.UTC) + dt.timedelta(1)
    made = OTHER.issue_cert("127.0.0.1", not_before=begins, not_after=begins + dt.timedelta(9))
    early = Tls(made.cert_chain_pems[0].bytes().decode(), made.private_key_pem.bytes().decode())

    async def scenario(made):
        (why,) = made.change([local(port, tls=early)])
        assert f"{port}: the certificate is not valid before" in why
        monkeypatch.setattr(tls_module, "time", Mock(wraps=time, time=lambda: begins.timestamp() + 1))
        assert made.change([local(port, tls=early)]) == []
        times = begins.timestamp(), (begins + dt.timedelta(9)).timestamp()
        assert made.certificates == {f"127.0.0.1:{port}": pytest.approx(times, abs=1)}

    listening(scenario, local(port, tls=tls()), path=tmp_path)


@pytest.fixture
def looked(tmp_path):
    """A file, what was seen of it, and a way to look again: `looked(file, scenario)`."""
    file = tmp_path / "server.crt"
    file.write_text("old")
    return file, {
        str(file): looker.looker.look(str(file)),
        str(tmp_path / "none"): "No such file or directory",
    }


def test_a_file_that_has_the_time_of_the_one_before_is_noticed(looked):
    """In its place, of the same size and with the same time, as `rsync --inplace --times` and images have it."""
    file, seen = looked
    os.utime(file, (1, 1))
    seen[str(file)] = looker.looker.look(str(file))
    file.write_text("new")
    os.utime(file, (1, 1))
    assert asyncio.run(Looker().has_changed(seen))


def test_a_file_that_changes_is_noticed(looked):
    """Written anew, replaced by another of the same size, or gone."""
    file, seen = looked

    async def main():
        looker = Looker()
        found = [await looker.has_changed(seen)]
        (file.parent / "new").write_text("new")
        (file.parent / "new").replace(file)
        found.append(await looker.has_changed(seen))
        file.unlink()
        found.append(await looker.has_changed(seen))
        return found

    assert asyncio.run(main()) == [False, True, True]


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("import time; time.sleep(60)", "took more than 0 s"),
        ("raise SystemExit(3)", "exited with status 3"),
        ("import os; os.kill(os.getpid(), 9)", "was killed by SIGKILL"),
        ("print('one line')", "has told 1 lines of 2 files"),
    ],
)
def test_a_look_that_fails_is_an_error_and_never_a_no(source, why, looked, tmp_path, monkeypatch):
    """A file system that hangs costs a look, and the agent nothing."""
    script = tmp_path / "looker.py"
    script.write_text(source)
    monkeypatch.setattr(looker.looker, "__file__", str(script))
    if "sleep" in source:
        monkeypatch.setattr(looker, "_SECONDS", 0.3)

    async def main():
        looker = Looker()
        with pytest.raises(OSError, match=why):
            await looker.has_changed(looked[1])
        await looker._exited

    asyncio.run(main())


def test_one_that_cannot_be_killed_is_not_joined_by_others(looked, monkeypatch):
    """In uninterruptible sleep, there would be one more every 30 s."""

    async def main():
        looker = Looker()
        looker._exited = asyncio.get_running_loop().create_future()
        with pytest.raises(OSError, match="hangs and cannot be killed"):
            await looker.has_changed(looked[1])

    asyncio.run(main())


class World:
    """An agent's locks: their files, the listener, and what the agent knows of itself."""

    def __init__(self, directory, port):
        self.directory, self.port = directory, port
        self.write(tls())
        self.vitals = Vitals(started=0.0)
        self.looker = Looker()

    def write(self, made):
        """Exchange the files, as certbot and others do."""
        for name, text in (("server.crt", made.certificate), ("server.key", made.key)):
            (self.directory / "new").write_text(text)
            (self.directory / "new").replace(self.directory / name)

    def load(self):
        """Read the configuration."""
        from rscollector.config.load import load

        table = 'tls = { certificate = "server.crt", key = "server.key" }'
        (self.directory / "rscollector.toml").write_text(
            f'[[web.listener]]\naddress = "127.0.0.1:{self.port}"\n{table}\n'
        )
        return load(self.directory / "rscollector.toml").config


def test_a_certificate_that_is_renewed_is_used_without_anybody_saying_so(tmp_path, caplog):
    """While only half of the pair is there the old one is used, and this is said once; then the new one is."""
    world = World(tmp_path, free_port())

    async def main():
        vitals = world.vitals
        vitals.config = world.load()
        made = Listening(Connections())
        made.open(vitals.config.listeners, tmp_path / "run" / "control.sock")
        made.serve(says)
        await renew_locks(world.looker, vitals, made)
        assert (vitals.web_error, caplog.text) == ("", "")
        new = tls(OTHER)
        (tmp_path / "server.crt").write_text(new.certificate)
        for _ in range(2):
            await renew_locks(world.looker, vitals, made)
            assert "server.key: it is not the key of the certificate" in vitals.web_error
            assert await ask(world.port, trusting(CA)) == "metrics,read"
        assert caplog.text.count("were not renewed; what was there before stays in use") == 1
        world.write(new)
        await renew_locks(world.looker, vitals, made)
        assert vitals.web_error == ""
        assert await ask(world.port, trusting(OTHER)) == "metrics,read"
        assert vitals.certificates == made.certificates
        made.close()

    with caplog.at_level("INFO"):
        asyncio.run(main())
    assert caplog.text.count("were read again and are in use") == 1


def test_without_files_nobody_looks(tmp_path, monkeypatch):
    """An agent without a lock starts no process for it."""
    monkeypatch.setattr(looker.Child, "start", lambda *_: 1 / 0)
    vitals = Vitals(started=0.0)
    asyncio.run(renew_locks(Looker(), vitals, None))
    assert vitals.web_error == ""


def test_a_look_that_fails_is_told_and_forgotten_with_the_next_good_one(tmp_path, monkeypatch):
    """It is no change, and no certificate is thrown away for it."""
    world = World(tmp_path, free_port())

    async def main():
        vitals = world.vitals
        vitals.config = world.load()
        made = Listening(Connections())
        made.open(vitals.config.listeners, tmp_path / "run" / "control.sock")
        with monkeypatch.context() as patched:
            patched.setattr(looker.sys, "executable", "/nonexistent")
            await renew_locks(world.looker, vitals, made)
        assert vitals.web_error.startswith(
            "cannot tell whether certificates or web configuration have changed"
        )
        await renew_locks(world.looker, vitals, made)
        assert vitals.web_error == ""
        relock(Read(None, ("one", "two")), vitals, made)
        assert vitals.web_error == "one\ntwo"
        made.close()

    asyncio.run(main())


def test_descriptors_do_not_leak_over_many_changes(tmp_path):
    """Each change has its sockets, and each that goes has closed its own."""
    port = free_port()

    def descriptors():
        return len(list(Path("/proc/self/fd").iterdir()))

    async def scenario(made):
        before = descriptors()
        for number in range(20):
            made.change([local(port, rights=("metrics",) if number % 2 else ("metrics", "read"))])
            made.change([local(port, tls=tls(), rights=("read",))])
        made.change([local(port)])
        assert descriptors() == before

    listening(scenario, local(port), path=tmp_path)


def test_what_has_no_lock_costs_none(tmp_path):
    """TLS, users and the rest are for those who want them."""
    assert [
        module._is_locked(local(1, **more)) for more in ({}, {"rights": ("read",)}, {"prefix": "/a"})
    ] == [
        False,
        False,
        True,
    ]
    assert Path(looker.looker.__file__).name == "looker.py"
