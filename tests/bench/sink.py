"""The cheapest provider there can be: takes any message at once. Run as a process of its own; prints its port."""

import asyncio
import re
import sys
from itertools import count

LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
BODY = b'{"sid": "SM%032x", "status": "queued"}'
HEAD = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY % 0)
NUMBERS = count()


async def _take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            found = LENGTH.search(head)
            await reader.readexactly(int(found[1]) if found else 0)
            writer.write(HEAD + BODY % next(NUMBERS))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main() -> None:
    """Serve until ended."""
    server = await asyncio.start_server(_take, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
