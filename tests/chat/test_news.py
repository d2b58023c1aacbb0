"""The end of a production reaches its chat once, or the chat is told that nobody knows."""

import logging
from dataclasses import replace

import pytest

from jobqueue.job import Kind
from jobqueue.lifecycle import State
from jobqueue.outbox import News
from tests.chat.conftest import ANN, MAX_UPLOAD_BYTES, SCRIPT, Studio
from tests.telegram_peer import Fault, Person


async def videos(studio: Studio) -> int:
    return len([raw for raw in studio.peer.world.messages.values() if "video" in raw])


async def delivered(studio: Studio) -> None:
    await studio.until(lambda: not studio.queue.outbox.owed(), "an empty outbox")


@pytest.mark.usefixtures("chat")
async def test_the_video_carries_its_facts_and_notes(studio: Studio, ann: Person) -> None:
    await ann.send("<Tea & cake>\n" + SCRIPT)
    await ann.sees("in the queue")
    await studio.produce(1_500_000, notes=["3 pictures could not be read: <a>.jpg", "b"])
    video = await ann.sees(lambda message: message.kind == "video")
    assert "<Tea & cake>" in video.text
    assert "1:23 · 1.5 MB" in video.text
    assert "3 pictures could not be read: <a>.jpg" in video.text
    assert video.raw["video"]["width"] == 1920
    (call,) = studio.peer.calls("sendVideo")
    assert call.params["supports_streaming"] == "true"
    await delivered(studio)


@pytest.mark.usefixtures("chat")
async def test_a_large_video_comes_as_its_thumbnail_with_a_link(studio: Studio, ann: Person) -> None:
    await ann.send(SCRIPT)
    await ann.sees("in the queue")
    video = await studio.speak()
    studio.put_file(f"{video.job.organized_path}/thumbnail.jpg", b"\xff\xd8" + bytes(500))
    path = f"{video.job.organized_path}/video.mp4"
    studio.put_file(path, bytes(MAX_UPLOAD_BYTES + 1))
    await studio.queue.complete(video.claim, {"video_path": path, "duration_s": 3725.0})
    photo = await ann.sees(lambda message: message.kind == "photo")
    assert photo.links == [f"https://reels.example.org/files/{path}?expires=1&signature=a"]
    assert "1:02:05" in photo.text
    assert not studio.peer.calls("sendVideo")


@pytest.mark.usefixtures("chat")
async def test_a_video_telegram_finds_too_large_comes_as_a_link(studio: Studio, ann: Person) -> None:
    studio.peer.world.upload_limit_bytes = 1000
    await ann.send(SCRIPT)
    await ann.sees("in the queue")
    await studio.produce()
    message = await ann.sees("comes as a link")
    assert message.links


@pytest.mark.usefixtures("chat")
async def test_without_links_the_place_of_the_file_is_told(studio: Studio, ann: Person) -> None:
    studio.links.public_url = None
    await ann.send(SCRIPT)
    await ann.sees("in the queue")
    await studio.produce(MAX_UPLOAD_BYTES + 1)
    await ann.sees(r"files/2026-11-22/BI/video_1/video\.mp4.*PUBLIC_URL")


@pytest.mark.usefixtures("chat")
async def test_a_recording_that_is_only_linked_to_is_told(studio: Studio, ann: Person) -> None:
    await ann.send(SCRIPT)
    await ann.sees("in the queue")
    audio = await studio.claim(Kind.AUDIO)
    await studio.queue.complete(audio.claim, {"gofile_link": "https://gofile.io/d/abc"})
    message = await ann.sees("recording is ready")
    assert message.links == ["https://gofile.io/d/abc"]


@pytest.mark.usefixtures("chat")
async def test_a_failure_says_what_why_and_what_to_do(studio: Studio, ann: Person) -> None:
    (message_id,) = await ann.send(SCRIPT)
    card = await ann.sees("in the queue")
    audio = await studio.claim(Kind.AUDIO)
    await studio.queue.fail(audio.claim, "the voice <BI> is missing " + "x" * 900, permanent=True)
    failure = await ann.sees("the voice <BI> is missing.*/retry")
    assert failure.reply_to == message_id
    assert len(failure.text) < 800
    assert (await ann.press("🔁 Try again"))["text"] == "In the queue again"
    assert (await studio.queue.get(Kind.AUDIO, audio.job.id)).state == "pending"
    await studio.peer.until(lambda: not ann.now(failure).buttons, "the button gone")
    studio.clock.advance(10)
    follows = await ann.sees("in the queue", since=0)
    assert follows.id >= card.id
    answer = await ann.press_data(failure.callbacks[0], failure)
    assert answer["show_alert"]


@pytest.mark.usefixtures("chat")
async def test_a_failed_video_is_retried_at_the_video(studio: Studio, ann: Person) -> None:
    await ann.send(SCRIPT)
    await ann.sees("in the queue")
    video = await studio.speak()
    await studio.queue.fail(video.claim, "no pictures", permanent=True)
    await ann.sees("is spoken, but its video failed")
    await ann.press("🔁 Try again")
    assert (await studio.queue.get(Kind.VIDEO, video.job.id)).state == "pending"
    assert (await studio.queue.get(Kind.AUDIO, video.job.text("audio_job_id"))).state == "completed"


@pytest.mark.usefixtures("chat")
@pytest.mark.parametrize("kind", ["drop_after", "garbage"])
async def test_an_unknown_outcome_is_never_sent_again_but_written_into_the_card(
    studio: Studio, ann: Person, kind: str
) -> None:
    await ann.send(SCRIPT)
    card = await ann.sees("in the queue")
    studio.peer.fault(Fault(kind, "sendVideo"))
    await studio.produce()
    amended = await ann.sees("cannot tell whether")
    assert amended.id == card.id
    assert amended.buttons == ["Send again"]
    assert amended.links
    await delivered(studio)
    assert await videos(studio) == (1 if kind == "drop_after" else 0)
    before = await videos(studio)
    assert (await ann.press("Send again"))["text"] == "I send it again."
    studio.clock.advance(5)
    await studio.peer.until(lambda: len(studio.peer.calls("sendVideo")) == 2 or None, "the second video")
    await delivered(studio)
    assert await videos(studio) == before + 1


async def test_an_attempt_found_after_a_crash_is_not_repeated(studio: Studio, ann: Person) -> None:
    async with studio.open(studio.settings()):
        await ann.send(SCRIPT)
        await ann.sees("in the queue")
    await studio.produce()
    (news,) = studio.queue.outbox.owed()
    studio.queue.outbox.owe(replace(news, attempted_at=studio.clock.now()))
    async with studio.open():
        await ann.sees("cannot tell whether")
        await delivered(studio)
    assert not studio.peer.calls("sendVideo")


async def test_without_a_card_the_unknown_outcome_is_told_once_in_words(studio: Studio, ann: Person) -> None:
    await studio.queue.enqueue(Kind.AUDIO, {"script_text": SCRIPT, "chat_id": ANN})
    await studio.produce()
    (news,) = studio.queue.outbox.owed()
    studio.queue.outbox.owe(replace(news, attempted_at=1.0))
    async with studio.open():
        await ann.sees("cannot tell whether")
        await delivered(studio)
    async with studio.open():
        await studio.peer.polled()
    assert len(ann.messages()) == 1


async def test_news_waits_while_telegram_is_down(studio: Studio, ann: Person) -> None:
    settings = studio.settings()
    await studio.queue.enqueue(Kind.AUDIO, {"script_text": SCRIPT, "chat_id": ANN})
    await studio.peer.vanish()
    async with studio.open(settings):
        await studio.produce()
        await studio.until(lambda: studio.queue.outbox.owed()[0].attempted_at is None, "kept as not tried")
        await studio.peer.appear()
        studio.clock.advance(300)
        await ann.sees(lambda message: message.kind == "video")
        await delivered(studio)
    assert await videos(studio) == 1


@pytest.mark.usefixtures("chat")
async def test_a_flood_wait_delays_only_its_own_chat(studio: Studio, ann: Person, asha: Person) -> None:
    fault = studio.peer.fault(Fault("429", "sendVideo", retry_after=100, contains=str(ann.id), times=0))
    await ann.send(SCRIPT)
    await ann.sees("in the queue")
    await studio.produce()
    await studio.peer.until(lambda: fault.hits or None, "the refusal")
    await asha.send(SCRIPT)
    await asha.sees("BI")
    await studio.produce()
    await asha.sees(lambda message: message.kind == "video")
    studio.peer.clear_faults()
    assert fault.hits == 1
    studio.clock.advance(100)
    await ann.sees(lambda message: message.kind == "video")


@pytest.mark.usefixtures("chat")
async def test_who_blocked_the_bot_is_not_written_to_again(
    studio: Studio, ann: Person, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await ann.send(SCRIPT)
    await ann.sees("in the queue")
    studio.peer.world.blocked.add(ann.id)
    await studio.produce()
    await delivered(studio)
    assert "takes no messages" in caplog.text


async def test_news_that_is_not_true_yet_stays_and_old_news_goes(studio: Studio, ann: Person) -> None:
    view = await studio.queue.enqueue(Kind.AUDIO, {"script_text": SCRIPT, "chat_id": ANN})
    outbox = studio.queue.outbox
    outbox.owe(News(Kind.AUDIO, view.job.id, view.job.epoch, State.FAILED))
    outbox.owe(News(Kind.AUDIO, view.job.id, view.job.epoch - 1, State.FAILED))
    outbox.owe(News(Kind.AUDIO, "gone", 1, State.FAILED))
    async with studio.open():
        await studio.until(lambda: len(outbox.owed()) == 1, "one piece left")
        assert outbox.owed()[0].epoch == view.job.epoch
        await studio.peer.polled()
    assert not ann.messages()


async def test_news_stays_while_there_is_no_token(studio: Studio, ann: Person) -> None:
    await studio.queue.enqueue(Kind.AUDIO, {"script_text": SCRIPT, "chat_id": ANN})
    async with studio.open(studio.settings(token="")):
        await studio.produce()
    assert len(studio.queue.outbox.owed()) == 1
    async with studio.open():
        await ann.sees(lambda message: message.kind == "video")
