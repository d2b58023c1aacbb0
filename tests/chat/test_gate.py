"""Whoever is not on the list learns their id and nothing else."""

import pytest

from jobqueue.backend import Filter
from jobqueue.job import Kind
from tests.chat.conftest import ADMIN, SCRIPT, Studio
from tests.telegram_peer import Person

STRANGER = 666


@pytest.mark.usefixtures("chat")
async def test_a_stranger_gets_their_id_and_nothing_else(studio: Studio) -> None:
    stranger = studio.peer.person(STRANGER)
    await stranger.send(SCRIPT)
    await stranger.send("/status")
    await stranger.send_file(SCRIPT.encode(), "a.txt")
    answer = await stranger.sees("", since=0)
    assert answer.text == "This bot is private. Your Telegram id is 666."
    await studio.peer.polled()
    assert len(stranger.messages()) == 1
    assert not (await studio.queue.jobs(Filter(kind=Kind.AUDIO))).jobs
    studio.clock.advance(3600)
    await stranger.send("hello?")
    await stranger.sees("666")
    assert len(stranger.messages()) == 2


@pytest.mark.usefixtures("chat")
async def test_a_stranger_who_presses_a_button_changes_nothing(studio: Studio) -> None:
    ann = studio.peer.person(1001, chat_id=-5)
    stranger = studio.peer.person(STRANGER, chat_id=-5)
    await ann.send(SCRIPT)
    card = await ann.sees("in the queue")
    answer = await stranger.press("Cancel", message=card)
    assert answer == {"text": "This bot is private. Your Telegram id is 666.", "show_alert": True}
    assert (await studio.queue.jobs(Filter(kind=Kind.AUDIO))).jobs[0].state == "pending"


@pytest.mark.usefixtures("chat")
async def test_another_users_press_changes_nothing(studio: Studio) -> None:
    ann = studio.peer.person(1001, chat_id=-5)
    ben = studio.peer.person(1002, chat_id=-5)
    await ann.send(SCRIPT)
    card = await ann.sees("in the queue")
    answer = await ben.press("Cancel", message=card)
    assert "not one of your videos" in answer["text"]
    assert (await studio.queue.jobs(Filter(kind=Kind.AUDIO))).jobs[0].state == "pending"


async def test_with_empty_lists_nobody_may_talk(studio: Studio, ann: Person) -> None:
    nobody: frozenset[int] = frozenset()
    async with studio.open(studio.settings(allowed_users=nobody, admin_users=nobody)):
        await ann.send(SCRIPT)
        await ann.sees("private")
        assert not (await studio.queue.jobs(Filter(kind=Kind.AUDIO))).jobs


@pytest.mark.usefixtures("chat")
async def test_an_admin_may_cancel_what_others_sent(studio: Studio, ann: Person) -> None:
    await ann.send(SCRIPT)
    await ann.sees("in the queue")
    (view,) = (await studio.queue.jobs(Filter(kind=Kind.AUDIO))).jobs
    admin = studio.peer.person(ADMIN)
    await admin.send(f"/cancel {view.job.id[:6]}")
    await admin.sees("is cancelled")
    await ann.sees("cancelled")


@pytest.mark.usefixtures("chat")
@pytest.mark.parametrize("forged", ["v1:cancel:", "v1:explode:aa", "v2:cancel:aa", "x" * 64, "v1:make:1"])
async def test_forged_buttons_do_no_harm(studio: Studio, ann: Person, forged: str) -> None:
    await ann.send(SCRIPT)
    card = await ann.sees("in the queue")
    answer = await ann.press_data(forged, card)
    assert answer["show_alert"] or not answer["text"]
    assert (await studio.queue.jobs(Filter(kind=Kind.AUDIO))).jobs[0].state == "pending"
