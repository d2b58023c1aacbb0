"""`/`: the dashboard, one page that shows what is going on; empty to anyone who has not logged in."""

import hashlib
from http import HTTPStatus
from pathlib import Path

from aiohttp import web

from bot.endpoint.calls import KIND, Access, Answer, Call, Parameter
from bot.endpoint.overview import overview
from bot.endpoint.problems import Problem
from bot.endpoint.sessions import COOKIE, GOOD_FOR_S, Sessions
from jobqueue.directory import DirectoryQueue

PAGES = Path(__file__).parent / "pages"
INDEX = "index.html"
TYPES = {
    INDEX: "text/html",
    "dashboard.css": "text/css",
    "dashboard.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
ACTIONS = (("POST", f"/queue/{KIND}/jobs/{{job_id}}/retry"),)
"""What a session may do beside looking."""
NOT_MODIFIED = Answer(HTTPStatus.NOT_MODIFIED, "the caller has it")
HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class DashboardRoutes:
    """The page, its login, and what it shows."""

    def __init__(self, queue: DirectoryQueue, sessions: Sessions) -> None:
        self._queue = queue
        self._sessions = sessions
        self._pages = {name: (PAGES / name).read_bytes() for name in TYPES}

    def calls(self) -> list[Call]:
        names = [name for name in TYPES if name != INDEX]
        return [
            Call(
                "GET",
                "/",
                self.index,
                "The dashboard",
                Access.ANYONE,
                answer_type="text/html",
                others=(NOT_MODIFIED,),
            ),
            Call(
                "GET",
                "/pages/{name}",
                self.page,
                "A file of the dashboard",
                Access.ANYONE,
                answer_type="*/*",
                others=(NOT_MODIFIED,),
                parameters=(Parameter("name", "of the file", {"enum": names}, "path"),),
            ),
            Call(
                "POST",
                "/login",
                self.login,
                "Open a session of the dashboard: a cookie that is good for looking and for retrying",
                status=HTTPStatus.NO_CONTENT,
                answer_headers={"Set-Cookie": "the session"},
            ),
            Call(
                "POST",
                "/logout",
                self.logout,
                "End the browser's session",
                Access.ANYONE,
                status=HTTPStatus.NO_CONTENT,
            ),
            Call(
                "GET",
                "/overview",
                self.overview,
                "What the dashboard shows: a little of every list",
                answer={"type": "object", "required": ["audio", "video"]},
            ),
        ]

    async def index(self, request: web.Request) -> web.Response:
        return self._page(request, INDEX)

    async def page(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in TYPES or name == INDEX:
            raise Problem(HTTPStatus.NOT_FOUND, "the dashboard has no such file")
        return self._page(request, name)

    def _page(self, request: web.Request, name: str) -> web.Response:
        data = self._pages[name]
        tag = hashlib.sha256(data).hexdigest()[:16]
        if any(known.value == tag for known in request.if_none_match or ()):
            return web.Response(status=HTTPStatus.NOT_MODIFIED, headers={**HEADERS, "ETag": f'"{tag}"'})
        response = web.Response(body=data, content_type=TYPES[name], charset="utf-8", headers=HEADERS)
        response.etag = tag
        return response

    async def login(self, request: web.Request) -> web.Response:
        """The key has been checked like any key, and wrong ones are counted, before this is reached."""
        response = web.Response(status=HTTPStatus.NO_CONTENT)
        response.set_cookie(
            COOKIE,
            self._sessions.begin(),
            max_age=GOOD_FOR_S,
            path="/",
            httponly=True,
            samesite="Strict",
            # A TLS proxy in front tells by this header; whoever lies here only makes a cookie stricter.
            secure=request.secure or request.headers.get("X-Forwarded-Proto", "") == "https",
        )
        return response

    async def logout(self, _request: web.Request) -> web.Response:
        response = web.Response(status=HTTPStatus.NO_CONTENT)
        response.del_cookie(COOKIE, path="/", httponly=True, samesite="Strict")
        return response

    async def overview(self, _request: web.Request) -> web.Response:
        return web.json_response(await overview(self._queue), headers={"Cache-Control": "no-store"})
