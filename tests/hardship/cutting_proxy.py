"""A network between the bot and its callers that breaks: connections are cut, at any byte of any answer."""

import asyncio
import random
from contextlib import suppress

PIECE_BYTES = 4096


class CuttingProxy:
    """Passes bytes on between a free port of its own and `target_port`, until it is told to cut."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._open: set[asyncio.StreamWriter] = set()
        self._doomed = 0
        self.port = 0
        self.cuts = 0

    async def __aenter__(self) -> "CuttingProxy":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut_all()

    def cut_all(self) -> None:
        """Every connection breaks now, whatever is on its way."""
        for writer in list(self._open):
            writer.transport.abort()
            self.cuts += 1

    def cut_next_answers(self, number: int) -> None:
        """The next answers arrive in part or not at all: it was done, and the caller cannot know."""
        self._doomed += number

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            bot_reader, bot_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, bot_writer}
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass_on(reader, bot_writer))
                group.create_task(self._answer(bot_reader, writer))
        except* (OSError, asyncio.CancelledError):
            pass
        finally:
            self._open -= {writer, bot_writer}
            writer.transport.abort()
            bot_writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(PIECE_BYTES):
            writer.write(piece)
            await writer.drain()
        raise ConnectionResetError

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(PIECE_BYTES):
            if self._doomed:
                self._doomed -= 1
                self.cuts += 1
                writer.write(piece[: random.randrange(len(piece))])
                with suppress(OSError):
                    await writer.drain()
                raise ConnectionResetError
            writer.write(piece)
            await writer.drain()
        raise ConnectionResetError
