"""The published spec: well-formed, complete, and true of the endpoint whatever a fuzzer sends it."""

import asyncio
import os
import re
import sys
from pathlib import Path

import aiohttp
import pytest
from openapi_spec_validator import validate

from bot.endpoint.calls import Access, Call
from bot.endpoint.openapi import document, version
from jobqueue.directory import DirectoryQueue
from jobqueue.job import Kind, WorkerReport
from tests.endpoint.conftest import KEY, Server

FUZZ = Path(__file__).parent / "fuzz"
SEEDS = 10
"""Jobs of each kind that are there when the fuzzer begins; its hooks know their ids."""
LONG_S = 1800


async def test_the_spec_is_valid_and_names_the_version(http: aiohttp.ClientSession) -> None:
    async with http.get("/openapi.json") as answer:
        assert (answer.status, answer.content_type) == (200, "application/json")
        spec = await answer.json()
    validate(spec)
    assert spec["openapi"].startswith("3.1") and spec["info"]["version"] == version()


async def test_every_call_is_in_the_spec(server: Server, http: aiohttp.ClientSession) -> None:
    async with http.get("/openapi.json") as answer:
        paths = (await answer.json())["paths"]
    described = {(method.upper(), path) for path, operations in paths.items() for method in operations}
    for call in server.calls:
        kinds = ("audio", "video") if call.body_by_kind or not _is_described(call, described) else ("{kind}",)
        for kind in kinds:
            assert (call.method, _plain(call.path).replace("{kind}", kind)) in described
    names = [operation["operationId"] for operations in paths.values() for operation in operations.values()]
    assert len(set(names)) == len(names)


async def test_every_call_says_what_it_takes_and_gives(server: Server) -> None:
    for call in server.calls:
        assert call.summary, call.path
        if call.answer is None and call.answer_type is None:
            assert call.status in (200, 204, 201), call.path


async def test_only_open_calls_need_no_key_in_the_spec(server: Server) -> None:
    open_calls = {_plain(call.path) for call in server.calls if call.access is Access.ANYONE}
    for path, operations in document(server.calls)["paths"].items():
        for operation in operations.values():
            assert (operation["security"] == []) == (path in open_calls), path


async def test_a_fuzzer_finds_no_answer_that_is_not_in_the_spec(
    server: Server, queue: DirectoryQueue
) -> None:
    await fuzz(server, queue, "--phases=examples,fuzzing", "--max-examples=8")


@pytest.mark.long
@pytest.mark.timeout(LONG_S)
async def test_a_fuzzer_finds_none_in_many_tries_either(server: Server, queue: DirectoryQueue) -> None:
    examples, seed = os.environ.get("FUZZ_EXAMPLES", "200"), os.environ.get("FUZZ_SEED", "1")
    phases = "--phases=examples,coverage,fuzzing,stateful"
    await fuzz(server, queue, phases, f"--max-examples={examples}", f"--seed={seed}")


async def fuzz(server: Server, queue: DirectoryQueue, *options: str) -> None:
    """Run schemathesis against the server, on everything the spec has; its findings are the failure."""
    for number in range(SEEDS):
        for kind in Kind:
            await queue.enqueue(kind, {"job_id": f"seed-{number}", "script_text": "नमस्ते"})
            if number % 2:
                await queue.claim(kind, WorkerReport("fuzzer"))
    queue.dismiss_waiting()  # as in a bot that is being stopped: no claim is held open
    fuzzer = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "run", str(server.make_url("/openapi.json"))),
        *("--header", f"X-API-Key: {KEY}", "--no-color", *options),
        cwd=FUZZ,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(FUZZ)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        report, _ = await fuzzer.communicate()
    finally:
        if fuzzer.returncode is None:
            fuzzer.kill()
            await fuzzer.wait()
    assert fuzzer.returncode == 0, report.decode(errors="replace")


def _plain(path: str) -> str:
    return re.sub(r"\{(\w+):[^{}]*\}", r"{\1}", path)


def _is_described(call: Call, described: set[tuple[str, str]]) -> bool:
    return (call.method, _plain(call.path)) in described
