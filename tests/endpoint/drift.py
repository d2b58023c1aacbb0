"""Holds every answer that the endpoint gives in a test to the spec it publishes."""

import json
from typing import Any

from aiohttp import web
from jsonschema import Draft202012Validator

from bot.endpoint.application import Endpoint
from bot.endpoint.openapi import document

JSON, PROBLEM = "application/json", "application/problem+json"
NOT_SERVED = (401, 403, 404, 405, 417, 429)
"""What a path or method without a call may be answered with."""
made: dict[tuple[str, ...], dict[str, Any]] = {}
"""The specs so far: one takes a tenth of a second, and the calls are the same in most tests."""


def spec_of(endpoint: Endpoint) -> dict[str, Any]:
    """The document the endpoint serves."""
    key = tuple(f"{call.method} {call.path}" for call in endpoint.calls)
    return made.setdefault(key, made.get(key) or document(endpoint.calls))


class Drift:
    """Listens to an endpoint; afterwards, `found` says which answers were not as its spec has them."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.spec = spec_of(endpoint)
        self.found: list[str] = []
        endpoint.application.on_response_prepare.append(self.note)

    async def note(self, request: web.Request, answer: web.StreamResponse) -> None:
        """To be called with every answer, before it goes out."""
        fault = self._fault(request, answer)
        if fault is not None:
            self.found.append(f"{request.method} {request.path} answers {answer.status}: {fault}")

    def _fault(self, request: web.Request, answer: web.StreamResponse) -> str | None:
        operation = self._operation(request)
        kind = answer.content_type if "Content-Type" in answer.headers else None
        if operation is None:
            is_refusal = answer.status in NOT_SERVED and kind == PROBLEM
            return None if is_refusal else f"no such call is in the spec, here is {kind}"
        declared = operation["responses"].get(str(answer.status))
        if declared is None:
            return "the spec has no such status"
        body = answer.body if isinstance(answer, web.Response) else None
        content = declared.get("content", {})
        if not content and body:
            return f"the spec has no body, here is {body!r}"
        if content and kind not in content and "*/*" not in content:
            return f"the spec has {list(content)}, here is {kind}"
        if kind not in (JSON, PROBLEM) or kind not in content or not isinstance(body, bytes):
            return None
        return self._misfit(content[kind]["schema"], json.loads(body))

    def _operation(self, request: web.Request) -> dict[str, Any] | None:
        resource = request.match_info.route.resource
        template = "" if resource is None else resource.canonical
        method = "get" if request.method == "HEAD" else request.method.lower()
        for path in (template, template.replace("{kind}", request.match_info.get("kind", ""))):
            operations: dict[str, dict[str, Any]] = self.spec["paths"].get(path, {})
            if request.method.lower() in operations or method in operations:
                return operations.get(request.method.lower()) or operations[method]
        return None

    def _misfit(self, schema: dict[str, Any], value: Any) -> str | None:
        whole = {**schema, "components": self.spec["components"]}
        error = next(Draft202012Validator(whole).iter_errors(value), None)
        return None if error is None else f"{list(error.path)}: {error.message}"
