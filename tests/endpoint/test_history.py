"""Lists per chat and channel, the newest first; and what is said of a script sent twice."""

import aiohttp
import pytest

from jobqueue.directory import DirectoryQueue
from jobqueue.job import Kind
from tests.endpoint.conftest import Server


async def enqueue(http: aiohttp.ClientSession, job_id: str, **fields: object) -> dict[str, str]:
    record = {"job_id": job_id, "script_text": f"script of {job_id}", **fields}
    async with http.post("/queue/audio/jobs", json=record) as answer:
        assert answer.status == 201
        body: dict[str, str] = await answer.json()
        return body


async def listed(http: aiohttp.ClientSession, path: str) -> tuple[list[str], str | None]:
    """Ids, and the address of the next page."""
    async with http.get(path) as answer:
        assert answer.status == 200
        following = answer.links.get("next")
        return [job["job_id"] for job in await answer.json()], str(following["url"]) if following else None


async def test_a_chats_jobs_of_a_channel_come_newest_first_page_by_page(http: aiohttp.ClientSession) -> None:
    for number in range(12):
        channel, chat_id = ("BI", "JM")[number % 2], (-100, "7")[number // 6]
        await enqueue(http, f"j{number}", channel_code=channel, chat_id=chat_id)
    assert (await listed(http, "/queue/audio/jobs?chat_id=-100"))[0] == [f"j{n}" for n in range(6)]
    page, following = await listed(http, "/queue/audio/jobs?chat_id=7&channel=BI&order=newest&limit=2")
    assert page == ["j10", "j8"]
    assert following is not None
    assert await listed(http, following) == (["j6"], None)
    assert (await listed(http, "/queue/audio/jobs?order=oldest&limit=1"))[0] == ["j0"]
    assert await listed(http, "/queue/audio/jobs?chat_id=8") == ([], None)


@pytest.mark.parametrize(
    "nonsense",
    [
        *("chat_id=", "chat_id=me", "chat_id=1.0", "chat_id=%D9%A1", "chat_id=1%0A", f"chat_id={10**18}"),
        *("order=", "order=random", "order=Newest"),
    ],
)
async def test_nonsense_is_refused_in_words(http: aiohttp.ClientSession, nonsense: str) -> None:
    async with http.get(f"/queue/audio/jobs?{nonsense}") as answer:
        assert answer.status == 400
        assert nonsense.partition("=")[0] in (await answer.json())["detail"]


async def test_a_script_sent_again_is_taken_and_the_earlier_job_named(
    http: aiohttp.ClientSession, server: Server, queue: DirectoryQueue
) -> None:
    first = await enqueue(http, "first", script_text="One  story.")
    assert first == {"job_id": "first", "status": "pending"}
    second = await enqueue(http, "second", script_text="one story.")
    assert second == {"job_id": "second", "status": "pending", "duplicate_of": "first"}
    assert await enqueue(http, "second", script_text="one story.") == second, "a repeat says the same"
    assert queue.stats(Kind.AUDIO)["pending"] == 2


async def test_a_callers_correlation_id_is_shown_and_in_the_logs(http: aiohttp.ClientSession) -> None:
    await enqueue(http, "j1", correlation_id="order-66")
    async with http.get("/queue/audio/jobs/j1") as answer:
        assert (await answer.json())["correlation_id"] == "order-66"
    async with http.get("/queue/audio/jobs/j1/logs") as answer:
        assert {line["correlation_id"] for line in await answer.json()} == {"order-66"}
