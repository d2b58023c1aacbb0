"""The dashboard's login: a signed cookie that stands for the owner's key in a browser."""

import hashlib
import hmac
import secrets
from collections.abc import Collection

from aiohttp import web

from bot.endpoint.calls import Call
from jobqueue.clock import Clock

COOKIE = "scriptreel_session"
GOOD_FOR_S = 30 * 24 * 3600
READING = frozenset({"GET", "HEAD"})
ACTION_HEADER = "X-Scriptreel-Dashboard"
"""A page of another site cannot send it: the browser would ask us first, and we never agree."""


class Sessions:
    """Opens sessions and knows them again. Nothing is kept: a new key, or a new secret, ends them all."""

    def __init__(self, key: str, secret: str, clock: Clock, *, actions: Collection[tuple[str, str]]) -> None:
        """`actions`: the calls (method and path) that a session may make beside reading."""
        # Both: who has the cookie must not be able to try out keys on it.
        self._key = hashlib.sha256(f"dashboard session\n{secret}\n{key}".encode(errors="replace")).digest()
        self._clock = clock
        self._actions = frozenset(actions)

    def begin(self) -> str:
        """The value of a new session's cookie."""
        session = f"{int(self._clock.now()) + GOOD_FOR_S}.{secrets.token_hex(8)}"
        return f"{session}.{self._sign(session)}"

    def admits(self, request: web.Request, call: Call | None) -> bool:
        """Whether the request comes with an open session, and is one that a session is good for."""
        if request.method not in READING:
            is_action = call is not None and (call.method, call.path) in self._actions
            if not is_action or ACTION_HEADER not in request.headers:
                return False
        return self._is_open(request.cookies.get(COOKIE, ""))

    def _is_open(self, cookie: str) -> bool:
        session, _, signature = cookie.rpartition(".")
        if not hmac.compare_digest(signature.encode(errors="replace"), self._sign(session).encode()):
            return False
        return int(session.partition(".")[0]) > self._clock.now()

    def _sign(self, session: str) -> str:
        return hmac.new(self._key, session.encode(errors="replace"), hashlib.sha256).hexdigest()
