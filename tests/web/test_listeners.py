"""Listening sockets, and what is said when one cannot be had."""

import errno
import ipaddress
import os
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest
from harness import free_port

from rscollector.web import listeners
from rscollector.web.listeners import CannotListen, listen, listen_unix


def link():
    """Return an address of this host's that holds for one interface only, "" if there is none."""
    for line in Path("/proc/net/if_inet6").read_text("ascii").splitlines():
        address, *_, scope, _, interface = line.split()
        if scope == "20":
            return f"{ipaddress.IPv6Address(bytes.fromhex(address))}%{interface}"
    return ""


LINK = link()


@pytest.mark.parametrize("order", [1, -1])
def test_all_addresses_of_both_families_can_be_listened_on(order):
    """`:10070` is IPv4, and `[::]:10070` beside it is IPv6: each in its own socket."""
    port = free_port()
    with ExitStack() as stack:
        made = [stack.enter_context(each) for each in listen([f":{port}", f"[::]:{port}"][::order])]
        for address in ("127.0.0.1", "::1"):
            stack.enter_context(socket.create_connection((address, port), timeout=5))
        families = []
        for listener in made:
            accepted, _ = listener.accept()
            stack.enter_context(accepted)
            families.append(listener.family)
        assert sorted(families) == [socket.AF_INET, socket.AF_INET6]


def test_alone_the_address_of_both_families_is_both():
    """`[::]:10070` without another of its port takes IPv4 too, as everywhere."""
    port = free_port()
    with ExitStack() as stack:
        (listener,) = (stack.enter_context(each) for each in listen([f"[::]:{port}"]))
        for address in ("127.0.0.1", "::1"):
            stack.enter_context(socket.create_connection((address, port), timeout=5))
            stack.enter_context(listener.accept()[0])


def test_addresses_that_the_kernel_does_not_know_are_refused_in_a_sentence(monkeypatch):
    """Such as IPv6 where it is switched off."""

    def no_such(*_):
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    monkeypatch.setattr(listeners.socket, "socket", no_such)
    with pytest.raises(
        CannotListen, match=r"cannot listen on \[::1\]:1: this kernel, or .* has no such addresses"
    ):
        listen(["[::1]:1"])


@pytest.mark.parametrize("make", [Path.touch, os.mkfifo])
def test_a_file_in_the_place_of_a_socket_is_left_alone(make, tmp_path):
    """A path that was mistyped must cost nobody his file."""
    path = tmp_path / "web.sock"
    make(path)
    inode = path.stat().st_ino
    with pytest.raises(CannotListen, match=r"there is a file that is no socket; move it away"):
        listen([f"unix:{path}"])
    assert path.stat().st_ino == inode


def test_a_socket_that_nobody_answers_any_more_is_taken_and_another_is_not(tmp_path):
    """Whoever answers there may be no rscollector."""
    path = tmp_path / "web.sock"
    listen([f"unix:{path}"])[0].close()
    with listen([f"unix:{path}"])[0]:
        with pytest.raises(
            CannotListen, match=r"somebody answers on .*web\.sock already; choose another path"
        ):
            listen([f"unix:{path}"])
        with pytest.raises(CannotListen, match=r"another rscollector answers on .*; there is one agent per"):
            listen_unix(path)


def test_an_address_of_a_link_needs_an_interface_that_there_is():
    """The kernel wants its number: `[fe80::1%eth0]:10070` was an invalid argument."""
    with pytest.raises(CannotListen, match=r"no interface of this host has this address"):
        listen(["[fe80::1%nowhere]:1"])


@pytest.mark.skipif(not LINK, reason="no interface has an address of the link")
def test_an_address_of_a_link_is_listened_on():
    """With its interface, it is an address as others are."""
    with listen([f"[{LINK}]:0"])[0] as made:
        assert made.getsockname()[3] > 0
