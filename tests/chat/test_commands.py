"""What people ask, and what they are told."""

import asyncio

import pytest

from jobqueue.backend import Filter
from jobqueue.job import Kind
from tests.chat.conftest import SCRIPT, Studio
from tests.telegram_peer import Fault, Person

pytestmark = pytest.mark.usefixtures("chat")
OTHER = "A different story about the river and its boats. " * 10


async def newest(studio: Studio) -> str:
    page = await studio.queue.jobs(Filter(kind=Kind.AUDIO), newest_first=True)
    return page.jobs[0].job.id


async def test_start_and_help_tell_what_to_do(ann: Person) -> None:
    await ann.send("/start")
    await ann.sees("Welcome")
    await ann.sees("at least 200 characters")


async def test_an_unknown_command_names_help(ann: Person) -> None:
    await ann.send("/frobnicate now")
    await ann.sees("/help")


async def test_status_lists_the_persons_own_productions(studio: Studio, ann: Person, asha: Person) -> None:
    await ann.send("/status")
    await ann.sees("no videos yet")
    await asha.send(OTHER)
    await asha.sees("BI")
    await ann.send(SCRIPT)
    await ann.sees("Place 2")
    await ann.send("/status")
    listed = await ann.sees("latest videos")
    assert "The mountain wind" in listed.text
    assert "A different story" not in listed.text


async def test_status_of_one_tells_every_stage(studio: Studio, ann: Person) -> None:
    await ann.send(SCRIPT)
    await ann.sees("in the queue")
    video = await studio.speak()
    await studio.progress(video, 42)
    await studio.queue.fail(video.claim, "a picture <x> is broken")
    await ann.send(f"/status {(await newest(studio))[:8]}")
    story = await ann.sees("Full id")
    assert "Speech: finished" in story.text
    assert "Video: waiting" in story.text
    assert "1 attempt failed. Reason: a picture <x> is broken" in story.text


async def test_ids_that_are_wrong_are_answered_plainly(studio: Studio, ann: Person, asha: Person) -> None:
    await ann.send("/status zzz<b>")
    await ann.sees("begins with zzz<b>")
    await asha.send(SCRIPT)
    await asha.sees("BI")
    await ann.send(f"/cancel {(await newest(studio))[:8]}")
    await ann.sees("None of your videos")


async def test_an_ambiguous_beginning_asks_for_more(studio: Studio, ann: Person) -> None:
    for job_id in ("abc1", "abc2"):
        record = {"job_id": job_id, "script_text": SCRIPT, "chat_id": ann.id, "user_id": ann.id}
        await studio.queue.enqueue(Kind.AUDIO, record)
    await ann.send("/status abc")
    await ann.sees("few more characters")
    await ann.send("/status abc1")
    await ann.sees("Full id abc1")


async def test_cancel_alone_cancels_the_only_one(studio: Studio, ann: Person) -> None:
    await ann.send("/cancel")
    await ann.sees("nothing to cancel")
    await ann.send(SCRIPT)
    await ann.sees("in the queue")
    await ann.send("/cancel")
    await ann.sees("is cancelled.*/retry")
    job_id = await newest(studio)
    await ann.send(f"/cancel {job_id}")
    await ann.sees("cancelled already")
    await ann.send(f"/retry {job_id[:8]}")
    await ann.sees("in the queue again")
    assert (await studio.queue.get(Kind.AUDIO, job_id)).state == "pending"


async def test_cancel_alone_offers_several_as_buttons(studio: Studio, ann: Person) -> None:
    await ann.send(SCRIPT)
    await ann.send(OTHER)
    await ann.sees("Place 2")
    await ann.send("/cancel")
    choice = await ann.sees("Which one")
    assert len(choice.buttons) == 2
    assert all(len(callback.encode()) <= 64 for callback in choice.callbacks)
    await ann.press(choice.buttons[1], message=choice)
    await studio.peer.until(lambda: len(ann.now(choice).buttons) == 1 or None, "one button left")
    page = await studio.queue.jobs(Filter(kind=Kind.AUDIO))
    assert sorted(view.state for view in page.jobs) == ["cancelled", "pending"]


async def test_retry_alone_offers_the_failed_ones(studio: Studio, ann: Person) -> None:
    await ann.send("/retry")
    await ann.sees("None of your videos has failed")
    await ann.send(SCRIPT)
    await ann.sees("in the queue")
    audio = await studio.claim(Kind.AUDIO)
    await studio.queue.fail(audio.claim, "no voice", permanent=True)
    await ann.sees("no voice")
    await ann.send("/retry")
    choice = await ann.sees("Which one")
    await ann.press(choice.buttons[0], message=choice)
    assert (await studio.queue.get(Kind.AUDIO, audio.job.id)).state == "pending"
    await ann.send(f"/retry {audio.job.id[:8]}")
    await ann.sees("waiting in the queue already")


async def test_queue_and_workers_tell_how_things_are(studio: Studio, ann: Person) -> None:
    await ann.send("/workers")
    await ann.sees("No machine has reported yet")
    await ann.send(SCRIPT)
    await ann.send(OTHER)
    await ann.sees("Place 2")
    audio = await studio.claim(Kind.AUDIO)
    await studio.queue.heartbeat(Kind.AUDIO, studio.worker(Kind.AUDIO, audio.job.id))
    await ann.send("/queue")
    await ann.sees("Speech: 1 waiting, 1 in work.*The mountain wind.*being spoken")
    await ann.send("/workers")
    await ann.sees(rf"RTX 4090: working on {audio.job.id[:8]}")


async def test_hindi_speakers_are_answered_in_hindi(studio: Studio, asha: Person) -> None:
    await asha.send("/start")
    await asha.sees("स्वागत है")
    await asha.send("छोटी बात")
    await asha.sees("सिर्फ़ 8 अक्षर हैं")
    await asha.send(SCRIPT)
    card = await asha.sees("कतार में अगला नंबर")
    assert card.buttons == ["रद्द करें"]
    audio = await studio.claim(Kind.AUDIO)
    await studio.queue.fail(audio.claim, "no voice", permanent=True)
    await asha.sees("की आवाज़ नहीं बन सकी")


@pytest.mark.parametrize(
    "fault", [Fault("429", "sendMessage", retry_after=1), Fault("http", "sendMessage", status=500)]
)
async def test_an_answer_that_was_refused_once_is_given_again(
    studio: Studio, ann: Person, fault: Fault
) -> None:
    await studio.peer.polled()
    studio.peer.fault(fault)
    await ann.send("/help")
    await ann.sees("How it works")
    assert fault.hits == 1


async def test_a_yes_counts_though_telegram_does_not_take_its_answer(studio: Studio, ann: Person) -> None:
    await ann.send("A short story.")
    question = await ann.sees("Only 14")
    studio.peer.fault(Fault("http", "answerCallbackQuery", status=500))
    pressing = asyncio.ensure_future(ann.press_data(question.callbacks[0], question))
    await ann.sees("in the queue", since=0)
    pressing.cancel()
    await asyncio.wait({pressing})
