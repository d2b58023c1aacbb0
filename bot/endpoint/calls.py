"""What a call of the endpoint is: who may make it, what serves it, and what the spec says of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import Any

from aiohttp import web
from pydantic import BaseModel

from bot.endpoint.problems import Handler

KIND = "{kind:audio|video}"


class Access(Enum):
    """Who may make a call."""

    ANYONE = "anyone"
    WORKER = "a worker"  # with a key of its own, or the main key
    OWNER = "the owner"  # with the main key alone


@dataclass(frozen=True, slots=True)
class Parameter:
    """Something a caller may say beside the body."""

    name: str
    description: str
    schema: dict[str, Any]
    """JSON Schema of its value."""
    place: str = "query"
    """query or header."""


@dataclass(frozen=True, slots=True)
class Call:
    """One method on one path. The routes, the keys and the spec are all made from these."""

    method: str
    path: str
    """As aiohttp writes it: `{name}` or `{name:pattern}`."""
    handler: Handler
    summary: str
    access: Access = Access.OWNER
    body: type[BaseModel] | dict[str, Any] | None = None
    """Model or JSON Schema of the JSON body; None: it takes none."""
    answer: dict[str, Any] | None = None
    """JSON Schema of the answer's JSON; None: it is no JSON."""
    status: HTTPStatus = HTTPStatus.OK
    """Of the answer when all is well."""
    refusals: Sequence[HTTPStatus] = ()
    """Statuses it may refuse with, beyond those that any call may."""
    parameters: Sequence[Parameter] = ()

    def route(self) -> web.RouteDef:
        if self.method == "GET":
            return web.get(self.path, self.handler)  # answers HEAD as well
        return web.route(self.method, self.path, self.handler)
