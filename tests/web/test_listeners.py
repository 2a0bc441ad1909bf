"""Connections and their ends."""

import asyncio
import socket

from rscollector.web.listeners import Connections, listen


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
