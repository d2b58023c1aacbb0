"""From a script in the chat to the video in the chat."""

import pytest

from jobqueue.job import Kind
from tests.chat.conftest import SCRIPT, Studio
from tests.telegram_peer import Person

pytestmark = pytest.mark.usefixtures("chat")


async def test_a_script_is_answered_with_its_card_within_a_second(studio: Studio, ann: Person) -> None:
    await studio.peer.polled()
    (message_id,) = await ann.send(SCRIPT)
    card = await ann.sees("The mountain wind", timeout_s=1)
    assert card.reply_to == message_id
    assert "BI" in card.text
    assert "370 characters" in card.text or "369 characters" in card.text
    assert "Next in the queue" in card.text
    assert "No machine for speech is online" in card.text
    assert card.buttons == ["Cancel"]
    assert not card.is_silent


async def test_the_card_follows_the_work_and_the_video_comes_as_a_new_message(
    studio: Studio, ann: Person
) -> None:
    (message_id,) = await ann.send(SCRIPT)
    card = await ann.sees("in the queue")
    audio = await studio.claim(Kind.AUDIO)
    await studio.progress(audio, 40, chunk=2, chunks=5)
    studio.clock.advance(10)
    await ann.sees(r"part 3 of 5 \(40 %\)")
    await studio.queue.release(audio.claim)
    await studio.produce()
    video = await ann.sees(lambda message: message.kind == "video")
    assert video.reply_to == message_id
    assert not video.is_silent
    assert "1:23" in video.text
    assert video.links
    studio.clock.advance(10)
    ended = await ann.sees("ready")
    assert ended.id == card.id
    assert "\n" not in ended.text
    assert not ended.buttons
    assert not any("100 %" in text for text in [*ended.edits, ended.text])
