"""One status message per production, true and seldom edited."""

import pytest

from jobqueue.job import Delivery, Kind
from tests.chat.conftest import ANN, SCRIPT, Studio
from tests.telegram_peer import Fault, Person

OTHER = "A different story about the river and its boats. " * 10


async def begin_both(studio: Studio, ann: Person, asha: Person) -> tuple[Delivery, Delivery]:
    """Ann's and Asha's scripts are being spoken, and both cards may be edited at once."""
    await ann.send(SCRIPT)
    await ann.sees("in the queue")
    await asha.send(OTHER)
    await asha.sees("BI")
    deliveries = await studio.claim(Kind.AUDIO), await studio.claim(Kind.AUDIO, "second")
    studio.clock.advance(10)
    await ann.sees("has begun", since=0)
    await asha.sees("शुरू हो गई है", since=0)
    return deliveries


def edits(studio: Studio, person: Person) -> int:
    return len(
        [call for call in studio.peer.calls("editMessageText") if call.params["chat_id"] == str(person.id)]
    )


@pytest.mark.usefixtures("chat")
async def test_a_chat_gets_one_edit_in_ten_seconds_and_the_newest_state(
    studio: Studio, ann: Person, asha: Person
) -> None:
    anns, ashas = await begin_both(studio, ann, asha)
    studio.clock.advance(10)
    await studio.progress(anns, 10)
    await ann.sees("Speaking: 10 %", since=0)
    for percent in (20, 30):
        await studio.progress(anns, percent)
    # The cards are looked after in rounds: when Asha's has been edited, Ann's has been looked at too.
    await studio.progress(ashas, 60)
    await asha.sees("60 %", since=0)
    assert edits(studio, ann) == 2
    studio.clock.advance(10)
    await ann.sees("Speaking: 30 %", since=0)
    assert edits(studio, ann) == 3


@pytest.mark.usefixtures("chat")
async def test_an_edit_that_would_change_nothing_is_not_made(
    studio: Studio, ann: Person, asha: Person
) -> None:
    anns, ashas = await begin_both(studio, ann, asha)
    studio.clock.advance(61)
    await studio.progress(anns, 0.2)
    await studio.progress(ashas, 60)
    await asha.sees("60 %", since=0)
    assert edits(studio, ann) == 1


@pytest.mark.usefixtures("chat")
async def test_a_flood_wait_is_honoured_and_the_edit_made_after_it(
    studio: Studio, ann: Person, asha: Person
) -> None:
    anns, ashas = await begin_both(studio, ann, asha)
    fault = studio.peer.fault(Fault("429", "editMessageText", retry_after=50, contains=str(ann.id)))
    await studio.progress(anns, 30)
    studio.clock.advance(10)
    await studio.peer.until(lambda: fault.is_used_up, "the refusal")
    for percent in (40, 50):
        await studio.progress(ashas, percent)
        await asha.sees(f"{percent} %", since=0)
        studio.clock.advance(20)
    assert edits(studio, ann) == 2
    studio.clock.advance(30)
    await ann.sees("Speaking: 30 %", since=0)


@pytest.mark.usefixtures("chat")
async def test_a_card_that_was_deleted_is_posted_again_silently(studio: Studio, ann: Person) -> None:
    await ann.send(SCRIPT)
    card = await ann.sees("in the queue")
    ann.delete(card)
    audio = await studio.claim(Kind.AUDIO)
    await studio.progress(audio, 30)
    studio.clock.advance(10)
    again = await ann.sees("Speaking: 30 %")
    assert again.id != card.id
    assert again.is_silent


async def test_a_card_goes_on_after_a_restart(studio: Studio, ann: Person) -> None:
    async with studio.open():
        await ann.send(SCRIPT)
        card = await ann.sees("in the queue")
    audio = await studio.claim(Kind.AUDIO)
    await studio.progress(audio, 30)
    async with studio.open():
        assert (await ann.sees("Speaking: 30 %")).id == card.id
    await studio.queue.fail(audio.claim, "no voice", permanent=True)
    async with studio.open():
        await ann.sees("no voice")
        studio.clock.advance(10)
        assert (await ann.sees(": failed")).id == card.id
        await studio.until(lambda: not list((studio.data_dir / "chat/cards").glob("*")), "the card file gone")


@pytest.mark.usefixtures("chat")
async def test_a_job_from_elsewhere_gets_its_card_when_it_begins(studio: Studio, ann: Person) -> None:
    await studio.queue.enqueue(Kind.AUDIO, {"script_text": SCRIPT, "chat_id": ANN, "channel_code": "AFG"})
    await ann.send("/help")
    await ann.sees("How it works")
    assert len(ann.messages()) == 1
    await studio.claim(Kind.AUDIO)
    await ann.sees("AFG.*Speaking has begun", since=0)


@pytest.mark.usefixtures("chat")
async def test_an_attempt_that_failed_is_named_with_its_reason(studio: Studio, ann: Person) -> None:
    await ann.send(SCRIPT)
    await ann.sees("in the queue")
    audio = await studio.claim(Kind.AUDIO)
    await studio.queue.fail(audio.claim, "CUDA ran out of <memory>")
    studio.clock.advance(10)
    await ann.sees(r"CUDA ran out of <memory>.*Attempt 2 of 3 follows")
    studio.clock.advance(60)
    await studio.claim(Kind.AUDIO)
    studio.clock.advance(10)
    await ann.sees(r"This is attempt 2 of 3\. The last one failed: CUDA", since=0)


@pytest.mark.usefixtures("chat")
async def test_cancel_on_the_card_is_shown_at_once_and_is_the_last_word(studio: Studio, ann: Person) -> None:
    await ann.send(SCRIPT)
    card = await ann.sees("in the queue")
    assert (await ann.press("Cancel"))["text"] == "Cancelled"
    shown = await ann.sees("cancelled", timeout_s=2)
    assert shown.id == card.id
    assert not shown.buttons
    answer = await ann.press_data(card.callbacks[0], card)
    assert answer == {"text": "It is cancelled already.", "show_alert": True}


@pytest.mark.usefixtures("chat")
async def test_cancel_while_the_video_is_rendered_cancels_the_video(studio: Studio, ann: Person) -> None:
    await ann.send(SCRIPT)
    await ann.sees("in the queue")
    video = await studio.speak()
    studio.clock.advance(10)
    await ann.sees("Rendering")
    await ann.press("Cancel")
    assert (await studio.queue.get(Kind.VIDEO, video.job.id)).state == "cancelled"


@pytest.mark.usefixtures("chat")
async def test_titles_cannot_break_the_message(ann: Person) -> None:
    await ann.send("</b><script>alert(1)</script> & <i>more\n" + SCRIPT)
    card = await ann.sees("in the queue")
    assert "</b><script>alert(1)</script> & <i>more" in card.text


@pytest.mark.usefixtures("chat")
async def test_two_productions_of_a_chat_share_its_edits(studio: Studio, ann: Person) -> None:
    await ann.send(SCRIPT)
    await ann.send(OTHER)
    await ann.sees("A different story.*Place 2")
    first = await studio.claim(Kind.AUDIO)
    await studio.progress(first, 50)
    studio.clock.advance(10)
    await ann.sees("Speaking: 50 %", since=0)
    studio.clock.advance(60)
    await ann.sees("A different story.*Next in the queue", since=0)
    times = [call.at for call in studio.peer.calls("editMessageText")]
    assert len(times) == 2
