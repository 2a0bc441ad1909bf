"""Listening sockets, and what is said when one cannot be had."""

import errno
import socket
from contextlib import ExitStack

import pytest
from harness import free_port

from rscollector.web import listeners
from rscollector.web.listeners import CannotListen, listen


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
