"""What has been made so far; and a warning about a script that was sent before."""

import pytest

from bot.chat.buttons import Verb, data
from jobqueue.backend import Filter
from jobqueue.job import Json, Kind
from tests.chat.conftest import ADMIN, ANN, BEN, SCRIPT, Studio
from tests.telegram_peer import Person

pytestmark = pytest.mark.usefixtures("chat")


async def make(studio: Studio, person: Person, number: int) -> None:
    """One production from script to video."""
    record: dict[str, Json] = {"job_id": f"made-{number}", "script_text": SCRIPT + str(number)}
    record |= {"title": f"Story {number}", "channel_code": "BI"}
    record |= {"chat_id": person.chat_id, "user_id": person.id}
    await studio.queue.enqueue(Kind.AUDIO, record)
    await studio.produce()


async def test_nothing_made_yet_is_said(studio: Studio, ann: Person) -> None:
    await ann.send("/history")
    await ann.sees("Nothing has been finished yet")
    await ann.send(SCRIPT)
    await ann.sees("in the queue")
    await ann.send("/history")
    await ann.sees("Nothing has been finished yet")


async def test_what_was_made_is_listed_with_channel_date_and_link(
    studio: Studio, ann: Person, asha: Person
) -> None:
    await make(studio, asha, 1)
    await make(studio, ann, 2)
    await make(studio, ann, 3)
    job = (await studio.queue.get(Kind.VIDEO, "made-2-video")).job
    (studio.data_dir / "files" / job.text("video_path")).unlink()
    await ann.send("/history")
    page = await ann.sees("What has been made")
    newest, older = page.text.splitlines()[1:]
    assert newest.startswith("✅ Story 3 · made-3: ready · BI · 2026-11-22 · Download")
    assert older == "✅ Story 2 · made-2: ready · BI · 2026-11-22", "its file is gone"
    assert len(page.links) == 1
    assert "/files/2026-11-22/BI/video_3/video.mp4" in page.links[0]
    assert page.buttons == []


async def test_failed_and_cancelled_ones_are_part_of_it(studio: Studio, ann: Person) -> None:
    for _ in range(2):
        await ann.send(SCRIPT)
        await ann.sees("in the queue")
    page = await studio.queue.jobs(Filter(Kind.AUDIO))
    audio = await studio.claim(Kind.AUDIO)
    await studio.queue.fail(audio.claim, "no voice", permanent=True)
    await studio.queue.cancel(Kind.AUDIO, page.jobs[1].job.id, by="a test")
    await ann.send("/history")
    listed = await ann.sees("What has been made")
    assert [line[0] for line in listed.text.splitlines()[1:]] == ["🚫", "❌"]


async def test_pages_are_turned_with_buttons_in_the_same_message(studio: Studio, ann: Person) -> None:
    for number in range(10):
        await make(studio, ann, number)
    await ann.send("/history")
    page = await ann.sees("What has been made")
    assert page.buttons == ["Older ›"]
    shown = page.text
    await ann.press("Older ›", message=page)
    older = await ann.sees("Story 0")
    assert older.id == page.id
    assert older.buttons == ["« Newest"]
    titles = [f"Story {number}" for number in range(10)]
    assert all((title in shown) != (title in older.text) for title in titles), "each on one page"
    await ann.press("« Newest", message=older)
    assert (await ann.sees("Story 9")).text == shown


@pytest.mark.parametrize("target", ["x", "-1", "1-2", "9" * 16])
async def test_a_forged_page_button_is_stale(studio: Studio, ann: Person, target: str) -> None:
    await make(studio, ann, 1)
    await ann.send("/history")
    page = await ann.sees("What has been made")
    answer = await ann.press_data(data(Verb.HISTORY, target), page)
    assert "no longer works" in answer["text"]


async def test_nobody_turns_to_the_pages_of_others(studio: Studio, ann: Person, asha: Person) -> None:
    await make(studio, ann, 1)
    await ann.send("/history")
    await ann.sees("Story 1")
    await asha.send("/history")
    await asha.sees("कुछ पूरा नहीं हुआ")
    admin = studio.peer.person(ADMIN)
    await admin.send("/history")
    await admin.sees("Story 1")


async def test_a_script_sent_before_is_warned_of_on_its_card(
    studio: Studio, ann: Person, asha: Person
) -> None:
    await make(studio, asha, 1)
    await ann.send(SCRIPT.lower() + "1")
    card = await ann.sees("sent before: made-1 of 2026-11-22, ready")
    assert card.buttons == ["Cancel"]
    await studio.claim(Kind.AUDIO)
    studio.clock.advance(11)  # a card is edited every ten seconds
    await ann.sees("Speaking has begun.*sent before: made-1")
    await asha.send(SCRIPT + "1")
    card = await asha.sees("यही स्क्रिप्ट पहले भी भेजी गई है")
    assert card.buttons == ["रद्द करें"]
    assert "आवाज़ बन रही है" in card.text, "the latest of those before"


async def test_a_first_script_is_not_warned_of(studio: Studio, ann: Person) -> None:
    await ann.send(SCRIPT)
    card = await ann.sees("in the queue")
    assert "before" not in card.text


async def test_a_group_hears_nothing_of_private_chats_and_nobody_of_the_others_in_it(
    studio: Studio, ann: Person
) -> None:
    ann_there, asha_there = (studio.peer.person(user_id, chat_id=-5) for user_id in (ANN, BEN))
    await make(studio, ann, 1)
    await make(studio, asha_there, 2)
    await ann_there.send("/history")
    await ann_there.sees("Nothing has been finished yet")
    await make(studio, ann_there, 3)
    await ann_there.send("/history")
    page = await ann_there.sees("What has been made")
    assert [line[2:9] for line in page.text.splitlines()[1:]] == ["Story 3"]
