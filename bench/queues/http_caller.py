"""One keep-alive connection to the endpoint, thin: the server is to be measured, not the client."""

import asyncio
import json
from collections.abc import Mapping


class HttpCaller:
    """Makes one call after the other."""

    def __init__(self, port: int, key: str) -> None:
        self._port = port
        self._key = key
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(
        self, method: str, path: str, body: Mapping[str, object] | None = None
    ) -> tuple[int, bytes]:
        """Status and body of the answer. Raises: OSError."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        data = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\nX-API-Key: {self._key}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        writer.write(head.encode() + data)
        try:
            answer = (await reader.readuntil(b"\r\n\r\n")).lower()
            return int(answer.split()[1]), await _body(reader, answer)
        except asyncio.IncompleteReadError as error:
            raise ConnectionError("the endpoint hung up") from error

    async def ask(
        self, method: str, path: str, body: Mapping[str, object] | None = None
    ) -> dict[str, object]:
        """The JSON object of an answer that must be good."""
        return good(method, path, *await self.call(method, path, body))


async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    if b"transfer-encoding: chunked" not in head:
        return await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
    pieces = []
    while length := int(await reader.readuntil(b"\r\n"), 16):
        pieces.append(await reader.readexactly(length))
        await reader.readexactly(2)
    await reader.readexactly(2)
    return b"".join(pieces)


def good(method: str, path: str, status: int, data: bytes) -> dict[str, object]:
    """The JSON object of an answer. Raises: RuntimeError if it is a refusal."""
    if status >= 400:
        raise RuntimeError(f"{method} {path}: {status} {data[:200]!r}")
    found: dict[str, object] = json.loads(data)
    return found
