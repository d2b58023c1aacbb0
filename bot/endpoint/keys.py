"""Who may call: everyone with a key that is good for the call, and anyone at all for what needs none."""

import hmac
from collections.abc import Iterable
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Middleware

from bot.endpoint.callers import (
    CALLER,
    DASHBOARD,
    OWNER,
    RIGHTS,
    SIGNED,
    Caller,
    WorkerRights,
    caller_of,
    with_key_of,
)
from bot.endpoint.calls import Access, Call
from bot.endpoint.problems import Handler, Problem
from bot.endpoint.sessions import Sessions
from bot.endpoint.worker_keys import WorkerKeys, digest
from bot.endpoint.wrong_keys import WrongKeys, client_address, unauthorized
from bot.publishing.links import SignedLinks

SENTENCE = "send the endpoint's key in the header X-API-Key"


class ServedCalls:
    """Finds the Call behind a request."""

    def __init__(self) -> None:
        self._calls: dict[tuple[str, web.AbstractResource], Call] = {}

    def add(self, router: web.UrlDispatcher, calls: Iterable[Call]) -> None:
        """Put the calls' routes into the router and remember which is which."""
        for call in calls:
            for route in call.route().register(router):
                if route.resource is not None:
                    for method in (call.method, "HEAD") if call.method == "GET" else (call.method,):
                        self._calls[method, route.resource] = call

    def of(self, request: web.Request) -> Call | None:
        """The call; None for paths and methods that are not served."""
        resource = request.match_info.route.resource
        return None if resource is None else self._calls.get((request.method, resource))


class KeyCheck:
    """Middleware that lets a request through only with a key, or a file link with a good signature.

    What is not served needs a key as well: without one nobody learns which paths there are.
    """

    def __init__(
        self,
        key: str,
        *,
        worker_keys: WorkerKeys,
        links: SignedLinks,
        calls: ServedCalls,
        rights: WorkerRights,
        wrong_keys: WrongKeys,
        sessions: Sessions,
    ) -> None:
        """`key`: the main one."""
        self._digest = digest(key)
        self._worker_keys = worker_keys
        self._links = links
        self._calls = calls
        self._rights = rights
        self._wrong_keys = wrong_keys
        self._sessions = sessions

    @property
    def middleware(self) -> Middleware:
        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            call = self._calls.of(request)
            request[RIGHTS] = self._rights
            if call is None or call.access is not Access.ANYONE:
                request[CALLER] = await self._identify(request, call)
            if call is not None and call.access is Access.OWNER and not caller_of(request).is_owner:
                raise _not_for_workers(caller_of(request), call)
            return await handler(request)

        return check

    async def _identify(self, request: web.Request, call: Call | None) -> Caller:
        """Raises: Problem, if it is nobody we know."""
        given = _key_in(request)
        if not given and self._sessions.admits(request, call):
            return DASHBOARD
        # Digests are compared: equal lengths, bytes, constant time whatever was sent.
        if hmac.compare_digest(digest(given), self._digest):
            return OWNER
        name = await self._worker_keys.find(given)
        if name is not None:
            return with_key_of(name)
        is_link = _is_link(request)
        if is_link and self._is_signed(request):
            return SIGNED
        if given or is_link:
            raise self._wrong_keys.refuse(client_address(request.remote), SENTENCE)
        raise unauthorized(SENTENCE)

    def _is_signed(self, request: web.Request) -> bool:
        return self._links.is_good(
            request.path.removeprefix("/files/"),
            request.query.get("expires", ""),
            request.query.get("signature", ""),
        )


def _key_in(request: web.Request) -> str:
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    return (request.headers.get("X-API-Key") or (bearer if scheme.lower() == "bearer" else "")).strip()


def _is_link(request: web.Request) -> bool:
    """Whether the request claims to be a signed link to a file, which can only be read."""
    is_reading = request.method in ("GET", "HEAD") and request.path.startswith("/files/")
    return is_reading and "signature" in request.query


def _not_for_workers(caller: Caller, call: Call) -> Problem:
    return Problem(
        HTTPStatus.FORBIDDEN,
        f"{caller.who} may not do this ({call.summary.lower()}): it takes the owner's key",
    )
