"""Nothing sent is lost and nothing is handled twice, whatever dies in between."""

import asyncio
import json
import logging
from pathlib import Path

import pytest

from bot.chat.journal import Journal
from bot.chat.telegram_bot import Chat
from jobqueue.backend import Filter
from jobqueue.job import Kind
from tests.chat.conftest import SCRIPT, Studio
from tests.telegram_peer import Fault, Person


async def count(studio: Studio) -> int:
    return len((await studio.queue.jobs(Filter(kind=Kind.AUDIO))).jobs)


def text_update(update_id: int, message_id: int, text: str) -> dict[str, object]:
    user = {"id": 1001, "is_bot": False, "first_name": "Ann", "language_code": "en"}
    chat = {"id": 1001, "type": "private", "first_name": "Ann"}
    message = {"message_id": message_id, "from": user, "chat": chat, "date": 1, "text": text}
    return {"update_id": update_id, "message": message}


@pytest.mark.usefixtures("chat")
async def test_an_update_delivered_twice_is_one_job_and_one_card(studio: Studio, ann: Person) -> None:
    await studio.peer.polled()
    await ann.send(SCRIPT)
    update = studio.peer.world.updates[0]
    await ann.sees("in the queue")
    await studio.until(lambda: not studio.peer.world.updates, "confirmed")
    await studio.peer.redeliver(update)
    await ann.send("/help")
    await ann.sees("How it works")
    assert await count(studio) == 1
    assert len(studio.peer.calls("sendMessage")) == 2


async def test_what_was_journaled_before_a_crash_is_handled_after_it(studio: Studio, ann: Person) -> None:
    journal = Journal(studio.data_dir / "chat/inbox", studio.data_dir / "tmp")
    journal.open()
    journal.save(5, json.dumps(text_update(5, 900, SCRIPT)))
    async with studio.open():
        await ann.sees("in the queue")
        assert await count(studio) == 1
    async with studio.open():
        await studio.peer.polled()
        assert await count(studio) == 1


async def test_a_crash_among_the_pieces_loses_none(studio: Studio, ann: Person) -> None:
    journal = Journal(studio.data_dir / "chat/inbox", studio.data_dir / "tmp")
    journal.open()
    long = "A sentence that is part of something longer. " * 200
    for number in range(2):
        piece = long[number * 4096 : (number + 1) * 4096]
        journal.save(10 + number, json.dumps(text_update(10 + number, 901 + number, piece)))
    studio.peer.world.next_message = 903
    async with studio.open():
        await ann.send(long[8192:])
        await ann.sees("in the queue")
        (view,) = (await studio.queue.jobs(Filter(kind=Kind.AUDIO))).jobs
        assert view.job.text("script_text") == long.strip()


async def test_a_crash_after_the_pieces_were_queued_makes_no_second_script(
    studio: Studio, ann: Person
) -> None:
    long = "A sentence that is part of something longer. " * 200
    async with studio.open():
        await ann.send(long)
        await ann.sees("in the queue")
    # The pieces are marked as done from the last to the first, so the first is among what a crash leaves.
    journal = Journal(studio.data_dir / "chat/inbox", studio.data_dir / "tmp")
    (studio.data_dir / "chat/inbox/handled/1").unlink()
    journal.save(1, json.dumps(text_update(1, 1, long[:4096])))
    async with studio.open():
        await studio.peer.polled()
        studio.clock.advance(2)
        await studio.until(lambda: not list((studio.data_dir / "chat/inbox").glob("*.json")), "replayed")
        assert await count(studio) == 1


async def test_a_handler_cut_off_by_shutdown_is_run_at_the_next_start(
    studio: Studio, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_args: object, **_fields: object) -> None:
        await asyncio.sleep(600)

    async with studio.open():
        with monkeypatch.context() as patch:
            patch.setattr(studio.queue, "enqueue", never)
            await ann.send(SCRIPT)
            inbox = studio.data_dir / "chat/inbox"
            await studio.until(lambda: list(inbox.glob("*.json")), "journaled")
            await studio.peer.polled()
    assert await count(studio) == 0
    async with studio.open():
        await ann.sees("in the queue")
        assert await count(studio) == 1


async def test_an_inbox_that_cannot_be_written_keeps_the_update_at_telegram(
    studio: Studio, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = iter([OSError("disk full"), OSError("disk full")])
    save = Journal.save

    def full(journal: Journal, update_id: int, body: str) -> bool:
        if (failure := next(failures, None)) is not None:
            raise failure
        return save(journal, update_id, body)

    monkeypatch.setattr(Journal, "save", full)
    async with studio.open():
        await ann.send(SCRIPT)
        await ann.sees("in the queue")
        assert await count(studio) == 1


def test_a_broken_update_file_stops_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "inbox", tmp_path / "tmp")
    journal.open()
    (tmp_path / "inbox/3.json").write_text("{")
    journal.save(4, '{"update_id": 4}')
    assert journal.open() == [{"update_id": 4}]


def test_handled_updates_are_remembered_through_a_restart(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "inbox", tmp_path / "tmp")
    journal.open()
    assert journal.save(7, '{"update_id": 7}')
    assert not journal.save(7, '{"update_id": 7}')
    journal.done(7)
    again = Journal(tmp_path / "inbox", tmp_path / "tmp")
    assert again.open() == []
    assert not again.save(7, '{"update_id": 7}')


async def test_messages_of_a_chat_are_answered_in_order_and_cancel_at_once(
    studio: Studio, chat: Chat, ann: Person
) -> None:
    await ann.send(SCRIPT)
    await ann.sees("in the queue")
    studio.peer.fault(Fault("delay", "getFile", seconds=1.5))
    await ann.send_file(SCRIPT.encode(), "slow.txt")
    await ann.send("/help")
    await ann.send("/cancel")
    await ann.sees("is cancelled", timeout_s=1)
    await ann.sees("How it works", since=0)
    texts = [message.text for message in ann.messages()]
    helped = next(number for number, text in enumerate(texts) if "How it works" in text)
    assert any("in the queue" in text for text in texts[1:helped])


async def test_the_token_is_in_no_log(studio: Studio, ann: Person, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    studio.peer.fault(Fault("http", "getMe", status=401))
    studio.peer.fault(Fault("http", "getUpdates", status=404))
    studio.peer.fault(Fault("drop", "getUpdates"))
    studio.peer.fault(Fault("http", "sendMessage", status=401))
    async with studio.open():
        await ann.send("/help")
        await studio.until(lambda: studio.peer.calls("sendMessage"), "a refused answer")
        await ann.send_file(SCRIPT.encode(), "a.txt")
        await ann.sees("in the queue")
    assert studio.peer.token not in caplog.text
    assert studio.peer.token.split(":")[1] not in caplog.text
    assert "Telegram refuses BOT_TOKEN" in caplog.text
