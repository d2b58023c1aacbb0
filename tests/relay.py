"""A network that fails at a chosen byte: stands between a client and a server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


class Relay:
    """Passes bytes on to a port; counts them, and can cut every connection or fall silent."""

    def __init__(self, port: int) -> None:
        self._to_port = port
        self.port = 0
        self.sent_bytes = 0
        """By clients, in all."""
        self.connections = 0
        self.on_sent: Callable[[int], None] = lambda _: None
        """Told after each piece how much clients have sent."""
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._open: set[asyncio.StreamWriter] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Relay"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = int(server.sockets[0].getsockname()[1])
        try:
            yield self
        finally:
            self._flowing.set()
            self.cut()
            server.close()

    def cut(self) -> None:
        """Every connection breaks off, on both sides."""
        for writer in list(self._open):
            writer.transport.abort()

    def hold(self) -> None:
        """Nothing more goes through."""
        self._flowing.clear()

    def let_go(self) -> None:
        self._flowing.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._to_port)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, up_writer}
        try:
            await asyncio.gather(self._pass(reader, up_writer, counted=True), self._pass(up_reader, writer))
        finally:
            self._open -= {writer, up_writer}
            for each in (writer, up_writer):
                each.transport.abort()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counted: bool = False
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()
                if counted:
                    self.sent_bytes += len(data)
                    self.on_sent(self.sent_bytes)
            writer.transport.abort()
