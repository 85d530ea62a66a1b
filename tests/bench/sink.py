"""The cheapest provider there can be: takes any message after a delay. Run as a process of its own.

Prints its port; then a line a message, as it comes in: the monotonic time, the number, and the code in the text, if
it has one. GET /delay/0.1 has it answer after so many seconds from then on.
"""

import asyncio
import re
import sys
import time
from itertools import count
from urllib.parse import parse_qs

LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
DELAY = re.compile(rb"GET /delay/([0-9.]+) ")
CODE = re.compile("(?<![0-9])[0-9]{6}(?![0-9])")
BODY = b'{"sid": "SM%032x", "status": "queued"}'
HEAD = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY % 0)
NUMBERS = count()


class Sink:
    """All connections; `delay` is in seconds."""

    delay = 0.0

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer what comes over one connection."""
        try:
            while True:
                await self._answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if told := DELAY.match(head):
            self.delay = float(told[1])
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            raise ConnectionError
        found = LENGTH.search(head)
        _tell((await reader.readexactly(int(found[1]) if found else 0)).decode())
        if self.delay:
            await asyncio.sleep(self.delay)
        writer.write(HEAD + BODY % next(NUMBERS))
        await writer.drain()


def _tell(body: str) -> None:
    form = parse_qs(body)
    code = CODE.search(form["Body"][0])
    sys.stdout.write(f"{time.monotonic()} {form['To'][0]} {code[0] if code else '-'}\n")
    sys.stdout.flush()


async def main() -> None:
    """Serve until ended."""
    server = await asyncio.start_server(Sink().take, "127.0.0.1", 0, backlog=256)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
