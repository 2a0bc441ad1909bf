"""Connections and their ends."""

import asyncio
import errno
import socket

import pytest

from rscollector.web import listeners
from rscollector.web.listeners import CannotListen, Connections, listen


def test_a_connection_that_is_closed_has_no_end_to_come():
    """Its number may be another connection's by then, which is none of the old one's business."""

    async def main():
        connections = Connections()
        (listener,) = listen(["127.0.0.1:0"], connections)
        with listener, socket.create_connection(listener.getsockname()):
            listener.setblocking(True)
            accepted, _ = listener.accept()
            assert len(connections) == 1
            assert not accepted.end.cancelled()
            accepted.close()
        return len(connections), accepted.end.cancelled()

    assert asyncio.run(main()) == (0, True)


def test_a_connection_that_had_to_go_counts_until_its_descriptor_is_free():
    """Else a crowd that comes at once would take the descriptors of all others."""

    async def main():
        connections, clients = Connections(2), []
        (listener,) = listen(["127.0.0.1:0"], connections)
        with listener:
            clients += [socket.create_connection(listener.getsockname()) for _ in range(4)]
            accepted = [listener.accept()[0] for _ in range(2)]
            for _ in range(3):
                with pytest.raises(BlockingIOError):
                    listener.accept()
            assert (len(connections), connections.evicted) == (1, 1)
            accepted[0].close()
            accepted.append(listener.accept()[0])
            assert (len(connections), connections.evicted) == (2, 1)
            for each in (*accepted, *accepted, *clients):
                each.close()
            assert not connections.is_full()

    asyncio.run(main())


def test_without_anybody_who_waits_nobody_has_to_go():
    """The event loop asks once more than there are connections."""

    async def main():
        connections = Connections(1)
        (listener,) = listen(["127.0.0.1:0"], connections)
        with listener, socket.create_connection(listener.getsockname()):
            accepted, _ = listener.accept()
            with pytest.raises(BlockingIOError):
                listener.accept()
            assert connections.evicted == 0
            accepted.close()

    asyncio.run(main())


def test_addresses_that_the_kernel_does_not_know_are_refused_in_a_sentence(monkeypatch):
    """Such as IPv6 where it is switched off."""

    class NoSuch(listeners.Listener):
        def __init__(self, *_):
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    monkeypatch.setattr(listeners, "Listener", NoSuch)
    with pytest.raises(
        CannotListen, match=r"cannot listen on \[::1\]:1: this kernel, or .* has no such addresses"
    ):
        listen(["[::1]:1"], Connections())
