"""Peer: the HTTP side of the stand-in, on a free loopback port."""

import asyncio
import json
import secrets
import shutil
import time
from collections.abc import Callable
from typing import Any, Self, TypeVar

from aiohttp import BodyPartReader, web

from tests.telegram_peer.faults import Fault
from tests.telegram_peer.methods import METHODS, Request, Upload
from tests.telegram_peer.person import Person
from tests.telegram_peer.refusals import HungUp, Refusal, bad
from tests.telegram_peer.world import Call, Fields, World, public

T = TypeVar("T")
READ_BYTES = 256 * 1024


class Peer:
    """Telegram, as far as a bot can tell."""

    def __init__(self, token: str = "7000000001:TEST-TOKEN-abcdefghijklmnopqrstuvwxyz") -> None:
        self.token = token
        self.world = World()
        self.url = ""
        app = web.Application(client_max_size=1 << 22)
        app.router.add_route("*", "/bot{token:[^/]+}/{method}", self._call)
        app.router.add_get("/file/bot{token:[^/]+}/{kind}/{file_id}", self._download)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2, handler_cancellation=True)
        self._port = 0

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await self.appear()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._runner.cleanup()
        shutil.rmtree(self.world.folder, ignore_errors=True)

    async def appear(self) -> None:
        """Begin to listen, on the same port as before if there was one."""
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self._port}"

    async def vanish(self) -> None:
        """Stop listening: connections are refused until `appear`."""
        for site in list(self._runner.sites):
            await site.stop()
        if self.world.poll is not None and not self.world.poll.done():
            self.world.poll.set_result("gone")

    # --- what a test asks and does

    def person(self, user_id: int = 1001, language: str = "en", chat_id: int | None = None) -> Person:
        return Person(self.world, user_id, language, chat_id)

    def fault(self, fault: Fault) -> Fault:
        self.world.faults.append(fault)
        return fault

    def clear_faults(self) -> None:
        self.world.faults.clear()

    def calls(self, method: str = "") -> list[Call]:
        """The calls of the bot so far; polls that were answered are left out."""
        return [call for call in self.world.calls if not method or call.method.lower() == method.lower()]

    async def until(self, want: Callable[[], T | None], what: str = "it", timeout_s: float = 10) -> T:
        return await self.world.until(want, what, timeout_s)

    async def polled(self) -> None:
        """Until the bot waits for updates."""
        await self.until(lambda: self.world.poll is not None and not self.world.poll.done(), "a poll", 15)

    async def redeliver(self, update: Fields) -> None:
        """Give the bot an update once more, as after an unconfirmed fetch."""
        self.world.updates.append(update)
        self.world.bump()

    # --- the bot's side

    async def _call(self, http: web.Request) -> web.StreamResponse:
        method = http.match_info["method"]
        if http.match_info["token"] != self.token:
            return _refused(Refusal(401, "Unauthorized"))
        started = time.monotonic()
        try:
            request = await self._request(http)
        except (ConnectionError, asyncio.IncompleteReadError, ValueError):
            return web.Response()  # the bot went away while sending
        sizes = {upload.name: upload.size_bytes for upload in request.files.values()}
        call = Call(method, request.params, sizes, started)
        answer = await self._answer(http, method, request, call)
        call.status = answer.status
        if method.lower() != "getupdates" or answer.status != 200:
            self.world.calls.append(call)
            self.world.bump()
        return answer

    async def _answer(
        self, http: web.Request, method: str, request: Request, call: Call
    ) -> web.StreamResponse:
        text = json.dumps(request.params, ensure_ascii=False)
        fault = next((fault for fault in self.world.faults if fault.concerns(method, text)), None)
        try:
            if fault is not None and (failed := await _failed(fault)) is not None:
                return failed
            result = await self._run(method, request)
            if fault is not None and fault.kind == "drop_after":
                raise HungUp
        except Refusal as refusal:
            return _refused(refusal)
        except HungUp:
            if http.transport is not None:
                http.transport.abort()
            return web.Response()
        if isinstance(result, dict):
            call.message_id = result.get("message_id")
        return web.json_response({"ok": True, "result": result})

    async def _run(self, method: str, request: Request) -> Any:
        known = METHODS.get(method.lower())
        if known is None:
            raise Refusal(404, "Not Found: method not found")
        try:
            return await known(request)
        except (ValueError, TypeError, KeyError) as error:
            raise bad(f"malformed parameter: {error!r}") from error

    async def _request(self, http: web.Request) -> Request:
        params: Fields = dict(http.query)
        files: dict[str, Upload] = {}
        if http.content_type == "application/json":
            params |= await http.json()
        elif http.content_type == "multipart/form-data":
            async for part in await http.multipart():
                if not isinstance(part, BodyPartReader):
                    continue
                name = part.name or ""
                if part.filename is None:
                    params[name] = (await part.read(decode=True)).decode()
                    continue
                path, size = self.world.folder / secrets.token_hex(10), 0
                with path.open("wb") as file:
                    while piece := await part.read_chunk(READ_BYTES):
                        size += len(piece)
                        file.write(piece)
                mime = part.headers.get("Content-Type", "")
                files[name] = Upload(path, part.filename, size, mime)
        else:
            params |= {name: str(value) for name, value in (await http.post()).items()}
        return Request(self.world, params, files)

    async def _download(self, http: web.Request) -> web.StreamResponse:
        stored = self.world.files.get(http.match_info["file_id"])
        if stored is None or http.match_info["token"] != self.token:
            return _refused(Refusal(404, "Not Found"))
        fault = next((fault for fault in self.world.faults if fault.concerns("file", stored.name)), None)
        if fault is not None and fault.kind == "truncate":
            answer = web.StreamResponse(headers={"Content-Length": str(stored.size_bytes)})
            await answer.prepare(http)
            await answer.write(stored.path.read_bytes()[: stored.size_bytes // 2])
            if http.transport is not None:
                http.transport.abort()
            return answer
        return web.FileResponse(stored.path)


async def _failed(fault: Fault) -> web.StreamResponse | None:
    """The failing answer; None if the call is to take effect all the same. Raises: HungUp, Refusal."""
    if fault.kind in ("delay", "hang"):
        await asyncio.sleep(fault.seconds)
    if fault.kind in ("drop", "hang"):
        raise HungUp
    if fault.kind == "429":
        wait_s = fault.retry_after
        raise Refusal(429, f"Too Many Requests: retry after {wait_s}", retry_after=wait_s)
    if fault.kind == "garbage":
        return web.Response(text="<html>not the API</html>", content_type="text/html")
    if fault.kind == "http" and fault.status == 502:
        return web.Response(status=502, text="<html>502 Bad Gateway</html>", content_type="text/html")
    if fault.kind == "http":
        raise Refusal(fault.status, web.Response(status=fault.status).reason)
    return None


def _refused(refusal: Refusal) -> web.Response:
    body: Fields = {"ok": False, "error_code": refusal.code, "description": refusal.text}
    if refusal.parameters:
        body["parameters"] = refusal.parameters
    return web.json_response(body, status=refusal.code)


__all__ = ["Peer", "public"]
