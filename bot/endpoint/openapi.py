"""`/openapi.json`: the spec of the endpoint, made from the calls it serves."""

import asyncio
import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal

from aiohttp import web
from pydantic import BaseModel, TypeAdapter

from bot.endpoint.answers import Problem
from bot.endpoint.calls import Access, Answer, Call, Parameter, Schema
from bot.endpoint.problems import Status

ROOT = Path(__file__).resolve().parent.parent.parent
JSON = "application/json"
PROBLEM = "application/problem+json"
PLACEHOLDER = re.compile(r"\{(\w+)(?::([^{}]*))?\}")
KEYS: list[dict[str, list[str]]] = [{"key": []}, {"bearer": []}]
ABOUT = """\
The queue of Scriptreel. A text whose `format` is `media-path` is a relative path: parts of printable
characters between slashes, of 200 bytes each and 400 in all, none beginning with a dot. Times lie between
1970 and 2100. Queries, headers and fields of a body that a call does not name are ignored; a job keeps them.
"""
WHO = {
    Access.ANYONE: "Needs no key.",
    Access.WORKER: "With the key of a worker or of the owner.",
    Access.OWNER: "With the key of the owner.",
}
Mode = Literal["validation", "serialization"]


class SpecRoutes:
    """One call: what all calls are, itself included."""

    def __init__(self) -> None:
        self._calls: Sequence[Call] = ()
        self._text: str | None = None

    def calls(self) -> list[Call]:
        return [
            Call(
                "GET",
                "/openapi.json",
                self.spec,
                "This document",
                Access.WORKER,
                answer={"type": "object", "required": ["openapi", "info", "paths"]},
            )
        ]

    def describe(self, calls: Sequence[Call]) -> None:
        """Tell which calls there are, once all are known."""
        self._calls = calls

    async def spec(self, _request: web.Request) -> web.Response:
        if self._text is None:
            # A tenth of a second of computing: once, and not on the loop.
            self._text = await asyncio.to_thread(lambda: json.dumps(document(self._calls)))
        return web.json_response(text=self._text)


def document(calls: Sequence[Call]) -> dict[str, Any]:
    """The OpenAPI 3.1 document that describes the calls; takes a tenth of a second."""
    told = list(_told_apart(calls))
    schemas = _Schemas(told)
    paths: dict[str, dict[str, Any]] = {}
    for call in told:
        path = PLACEHOLDER.sub(r"{\1}", call.path)
        paths.setdefault(path, {})[call.method.lower()] = _operation(call, schemas)
    _tell_apart(paths)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Scriptreel", "version": version(), "description": ABOUT},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas.named,
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _tell_apart(paths: Mapping[str, Mapping[str, Any]]) -> None:
    """Add its tag to every identifier that several operations have."""
    operations = [operation for methods in paths.values() for operation in methods.values()]
    shared = Counter(operation["operationId"] for operation in operations)
    for operation in operations:
        if shared[operation["operationId"]] > 1:
            operation["operationId"] += f"_{operation['tags'][0]}"


def version() -> str:
    """The version of this program, which stands in pyproject.toml alone."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


def _told_apart(calls: Sequence[Call]) -> Iterator[Call]:
    """The calls, those on a path where audio and video differ once for each."""
    apart = {call.path for call in calls if call.body_by_kind}
    for call in calls:
        if call.path not in apart:
            yield call
            continue
        kinds = next(pattern for name, pattern in PLACEHOLDER.findall(call.path) if name == "kind")
        for kind in kinds.split("|"):
            path = call.path.replace(f"{{kind:{kinds}}}", kind)
            yield replace(call, path=path, body=call.body_by_kind.get(kind, call.body))


class _Schemas:
    """JSON Schema of everything the calls take and give, with the named ones set apart."""

    def __init__(self, calls: Sequence[Call]) -> None:
        wanted: dict[tuple[str, Mode], TypeAdapter[Any]] = {}
        for schema, mode in _mentioned(calls):
            if not isinstance(schema, dict):
                wanted[_key(schema), mode] = TypeAdapter(schema)
        made, shared = TypeAdapter.json_schemas(
            [(key, mode, adapter) for (key, mode), adapter in wanted.items()],
            ref_template="#/components/schemas/{model}",
        )
        self._made = made
        self.named: dict[str, Any] = shared.get("$defs", {})

    def of(self, schema: Schema | None, mode: Mode) -> dict[str, Any]:
        if schema is None:
            return {}
        return schema if isinstance(schema, dict) else self._made[_key(schema), mode]


def _mentioned(calls: Sequence[Call]) -> Iterator[tuple[Schema, Mode]]:
    yield Problem, "serialization"
    for call in calls:
        if call.body is not None:
            yield call.body, "validation"
        for answer in _answers(call):
            if answer.schema is not None:
                yield answer.schema, "serialization"


def _key(schema: Any) -> str:
    return f"{getattr(schema, '__module__', '')}.{schema!r}"


# --- one call


def _operation(call: Call, schemas: _Schemas) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _identifier(call),
        "tags": [call.path.split("/")[1].partition(".")[0] or "dashboard"],
        "summary": call.summary,
        "description": WHO[call.access],
        "security": [] if call.access is Access.ANYONE else KEYS,
        "parameters": list(_parameters(call)),
        "responses": {
            **{str(answer.status.value): _answer(answer, call, schemas) for answer in _answers(call)},
            **{str(status.value): _refusal(status) for status in refusals(call)},
        },
    }
    if call.body is not None or call.body_type is not None:
        schema = schemas.of(call.body, "validation")
        operation["requestBody"] = {
            "required": _is_needed(call.body),
            "content": {call.body_type or JSON: {"schema": schema}},
        }
    return operation


def _is_needed(body: Schema | None) -> bool:
    """Whether a call wants a body: none at all is taken for an empty object."""
    if isinstance(body, type) and issubclass(body, BaseModel):
        return any(field.is_required() for field in body.model_fields.values())
    return isinstance(body, dict) and bool(body.get("required"))


def _identifier(call: Call) -> str:
    """A name no other call has: its handler's, with the kind if each kind has a call of its own."""
    kind = next((part for part in call.path.split("/") if part in ("audio", "video")), "")
    return f"{call.handler.__name__}_{kind}".rstrip("_")


def _parameters(call: Call) -> Iterator[dict[str, Any]]:
    described = {(one.place, one.name): one for one in call.parameters}
    for name, pattern in PLACEHOLDER.findall(call.path):
        schema = {"enum": _choices(pattern)} if "|" in pattern else {"minLength": 1}
        given = described.pop(("path", name), Parameter(name, "", {"type": "string", **schema}))
        yield _parameter(replace(given, place="path", required=True))
    yield from map(_parameter, described.values())


def _choices(pattern: str) -> list[str]:
    """The texts that `a|b` allows."""
    return [re.sub(r"\\(.)", r"\1", choice) for choice in pattern.split("|")]


def _parameter(parameter: Parameter) -> dict[str, Any]:
    said = {"description": parameter.description} if parameter.description else {}
    return {
        "name": parameter.name,
        "in": parameter.place,
        **said,
        "required": parameter.required,
        "schema": parameter.schema,
    }


def _answers(call: Call) -> list[Answer]:
    kind = JSON if call.answer is not None else call.answer_type
    return [Answer(call.status, call.status.phrase, kind, call.answer), *call.others]


def _answer(answer: Answer, call: Call, schemas: _Schemas) -> dict[str, Any]:
    response: dict[str, Any] = {"description": answer.description}
    if answer.type is not None:
        response["content"] = {answer.type: {"schema": schemas.of(answer.schema, "serialization")}}
    if answer.status is call.status and call.answer_headers:
        response["headers"] = {
            name: {"description": said, "schema": {"type": "string"}}
            for name, said in call.answer_headers.items()
        }
    return response


def refusals(call: Call) -> list[Status]:
    """Every status the call may refuse with."""
    may: set[Status] = {HTTPStatus.BAD_REQUEST, HTTPStatus.EXPECTATION_FAILED, *call.refusals}
    if call.access is not Access.ANYONE:
        may |= {HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
        may |= {HTTPStatus.FORBIDDEN}
    if PLACEHOLDER.search(call.path):
        may |= {HTTPStatus.NOT_FOUND}
    if call.body is not None or call.body_by_kind:
        may |= {
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            HTTPStatus.UNPROCESSABLE_ENTITY,
        }
    return sorted(may)


def _refusal(status: Status) -> Mapping[str, Any]:
    refusal: dict[str, Any] = {
        "description": status.phrase,
        "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        refusal["headers"] = {
            "Retry-After": {"description": "seconds", "schema": {"type": "string", "pattern": "^[0-9]+$"}}
        }
    return refusal
