"""Telegram comes and goes; the chat comes back by itself."""

import asyncio
import logging

import pytest

from jobqueue.job import Kind
from tests.chat.conftest import SCRIPT, Studio
from tests.telegram_peer import Fault, Peer, Person


async def test_telegram_may_be_down_at_the_start(studio: Studio, ann: Person) -> None:
    settings = studio.settings()
    await studio.peer.vanish()
    async with studio.open(settings):
        await ann.send(SCRIPT)
        await studio.until(lambda: True, "it runs")
        await asyncio.sleep(0)
        await studio.peer.appear()
        await ann.sees("in the queue")


@pytest.mark.usefixtures("chat")
@pytest.mark.parametrize("status", [404, 401, 500, 502])
async def test_a_poll_that_is_refused_does_not_end_the_polling(
    studio: Studio, ann: Person, status: int
) -> None:
    fault = studio.peer.fault(Fault("http", "getUpdates", status=status))
    await ann.send("/help")
    await ann.sees("How it works")
    await ann.send("/workers")
    await studio.peer.until(lambda: fault.is_used_up, "the refused poll")
    await ann.send("/queue")
    await ann.sees("The queue", since=0)


@pytest.mark.usefixtures("chat")
async def test_garbage_and_dropped_polls_are_survived(studio: Studio, ann: Person) -> None:
    studio.peer.fault(Fault("garbage", "getUpdates"))
    studio.peer.fault(Fault("drop", "getUpdates", times=2))
    await ann.send("/help")
    await ann.sees("How it works")
    await ann.send("/queue")
    await ann.sees("The queue")


async def test_a_refused_token_is_one_line_in_the_log(
    studio: Studio, ann: Person, caplog: pytest.LogCaptureFixture
) -> None:
    fault = studio.peer.fault(Fault("http", "getMe", status=401, times=4))
    async with studio.open():
        await studio.peer.until(lambda: fault.is_used_up, "four refusals")
        await ann.send("/help")
        await ann.sees("How it works")
    assert caplog.text.count("refuses BOT_TOKEN") == 1


@pytest.mark.usefixtures("chat")
async def test_a_second_poller_is_named_in_the_log(studio: Studio, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    await studio.peer.polled()
    studio.peer.fault(Fault("http", "getUpdates", status=409, times=3))
    await studio.peer.person(1001).send("/help")
    await studio.until(lambda: "another program polls" in caplog.text, "the log line")
    assert caplog.text.count("another program polls") == 1


async def test_without_a_token_everything_else_runs(studio: Studio, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with studio.open(studio.settings(token="")) as chat:
        await studio.until(lambda: "BOT_TOKEN is not set" in caplog.text, "the log line")
        assert chat.messenger is None
    assert not studio.peer.calls()


async def test_shutdown_does_not_wait_for_a_slow_telegram(studio: Studio, ann: Person) -> None:
    studio.peer.fault(Fault("hang", "sendMessage", seconds=30))
    loop = asyncio.get_running_loop()
    async with studio.open():
        await ann.send("/help")
        await studio.peer.polled()
        asked_at = loop.time()
    assert loop.time() - asked_at < 5


async def test_shutdown_does_not_wait_for_a_slow_edit(studio: Studio, ann: Person) -> None:
    fault = studio.peer.fault(Fault("hang", "editMessageText", seconds=30))
    loop = asyncio.get_running_loop()
    async with studio.open():
        await ann.send(SCRIPT)
        await ann.sees("in the queue")
        await studio.claim(Kind.AUDIO)
        studio.clock.advance(10)
        await studio.peer.until(lambda: fault.is_used_up, "the edit that hangs")
        asked_at = loop.time()
    assert loop.time() - asked_at < 5


@pytest.mark.usefixtures("chat")
async def test_the_menu_is_set_in_both_languages(studio: Studio) -> None:
    menus = studio.peer.world.commands
    await studio.peer.until(lambda: len(menus) == 2, "two menus")
    assert [command["command"] for command in menus[""]] == [command["command"] for command in menus["hi"]]
    assert menus[""] != menus["hi"]


async def test_two_bots_with_one_token_do_not_hang(peer: Peer, studio: Studio, ann: Person) -> None:
    async with studio.open():
        await peer.polled()
        thief = asyncio.ensure_future(peer.world.fetch({"timeout": 1}))
        await ann.send("/help")
        await ann.sees("How it works")
        thief.cancel()
        assert studio.queue.stats(Kind.AUDIO)["pending"] == 0
