"""A receiver that acknowledges whatever is posted: `acknowledging.py PORT`."""

import asyncio
import sys

NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"


async def serve(reader, writer):
    """Read requests and answer them, until the client hangs up."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
            await reader.readexactly(int(fields[b"content-length"]))
            writer.write(NO_CONTENT)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main(port):
    """Listen."""
    server = await asyncio.start_server(serve, "127.0.0.1", port)
    await server.serve_forever()


asyncio.run(main(int(sys.argv[1])))
