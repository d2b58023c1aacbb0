"""Who may call: everyone with the key, and anyone at all for what needs none."""

import hashlib
import hmac
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Middleware

from bot.endpoint.problems import Handler, Problem
from bot.publishing.links import SignedLinks

OPEN_PATHS = frozenset({"/health"})


class KeyCheck:
    """Middleware that lets a request through only with the key, or a file link with a good signature."""

    def __init__(self, key: str, links: SignedLinks) -> None:
        self._digest = _digest(key)
        self._links = links

    @property
    def middleware(self) -> Middleware:
        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path not in OPEN_PATHS and not self._is_signed(request):
                self._require_key(request)
            return await handler(request)

        return check

    def _require_key(self, request: web.Request) -> None:
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        given = request.headers.get("X-API-Key") or (bearer if scheme.lower() == "bearer" else "")
        # Digests are compared: equal lengths, bytes, constant time whatever was sent.
        if not hmac.compare_digest(_digest(given.strip()), self._digest):
            raise Problem(
                HTTPStatus.UNAUTHORIZED,
                "send the endpoint's key in the header X-API-Key",
                headers={"WWW-Authenticate": "Bearer"},
            )

    def _is_signed(self, request: web.Request) -> bool:
        if request.method not in ("GET", "HEAD") or not request.path.startswith("/files/"):
            return False
        return self._links.is_good(
            request.path.removeprefix("/files/"),
            request.query.get("expires", ""),
            request.query.get("signature", ""),
        )


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode(errors="surrogateescape")).digest()
