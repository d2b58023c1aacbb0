"""The whole way, as a user goes it: a script in the chat, a video in the chat, through the real processes."""

import asyncio
import re
import shutil
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from jobqueue.client import Connection
from jobqueue.job import Kind
from jobqueue.lifecycle import State
from tests.system.machine import ROOT, Machine, job_when
from tests.telegram_peer import Message, Peer, Person
from workers.video.probe import header
from workers.video.standard import HEIGHT, TOLERANCE_S, WIDTH

ANN = 1001
STRANGER = 6666


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    async with Peer() as peer:
        yield peer


@pytest.fixture
def online(machine: Machine, peer: Peer) -> Machine:
    """A machine whose bot talks to the peer, with our pictures for its channel."""
    machine.settings = {"BOT_TOKEN": peer.token, "TELEGRAM_API_URL": peer.url, "ALLOWED_USERS": str(ANN)}
    shutil.copytree(ROOT / "examples/pictures", machine.data_dir / "images/MAIN")
    return machine


def is_video(message: Message) -> bool:
    return message.kind == "video"


@pytest.mark.parametrize(("language", "ready"), [("en", "ready"), ("hi", "तैयार")])
async def test_a_script_comes_back_as_a_video(
    online: Machine, peer: Peer, tmp_path: Path, language: str, ready: str
) -> None:
    await online.bot()
    worker = await online.worker("gpu")
    ann = peer.person(ANN, language=language)
    await peer.polled()
    script = (ROOT / f"examples/script_{language}.txt").read_text(encoding="utf-8")
    (sent,) = await ann.send(script)
    card = await ann.sees(lambda message: "MAIN" in message.text, timeout_s=5)
    assert card.buttons
    video = await ann.sees(is_video, timeout_s=90)
    assert video.reply_to == sent
    ended = await ann.sees(ready, timeout_s=15)
    assert ended.id == card.id and not ended.buttons
    (path,) = (online.data_dir / "files").glob("*/MAIN/video_1/video.mp4")
    facts = header(path)
    assert facts is not None and facts.size == (WIDTH, HEIGHT)
    with wave.open(str(path.with_name("audio.wav"))) as recording:
        assert facts.length_s == pytest.approx(
            recording.getnframes() / recording.getframerate(), abs=TOLERANCE_S
        )
    assert len([message for message in ann.messages() if is_video(message)]) == 1
    await online.stop(worker)


async def test_a_video_whose_bot_was_killed_in_mid_render_is_announced_once(
    online: Machine, peer: Peer, connection: Connection
) -> None:
    bot = await online.bot()
    await online.worker("gpu")
    ann = peer.person(ANN)
    await peer.polled()
    await ann.send((ROOT / "examples/script_en.txt").read_text())
    card = await ann.sees("MAIN", timeout_s=5)
    match = re.search(r"[0-9a-f]{8}", card.text)
    assert match is not None
    (record,) = [path.stem for path in (online.data_dir / "audio-queue").rglob(f"*{match[0]}*.json")]
    video_id = record.rpartition("_")[2] + "-video"
    await job_when(
        connection,
        Kind.VIDEO,
        video_id,
        lambda view: view.progress is not None and view.progress.percent > 12,
    )
    await online.kill(bot)
    await online.bot()
    await ann.sees(is_video, timeout_s=90)
    await job_when(connection, Kind.VIDEO, video_id, lambda view: view.state is State.COMPLETED)
    await ann.sees("ready", timeout_s=20)
    assert len([message for message in ann.messages() if is_video(message)]) == 1
    assert not list((online.data_dir / "outbox").iterdir())


async def test_scripts_survive_kills_at_random_moments(online: Machine, peer: Peer) -> None:
    """Whatever was sent is a job exactly once, however often the bot dies."""
    ann = peer.person(ANN)
    bot = await online.bot()
    for number in range(4):
        await peer.polled()
        await ann.send(f"Script number {number}. " + "The sea has a memory of its own. " * 10)
        await asyncio.sleep(0.02 * number)
        await online.kill(bot)
        bot = await online.bot()
    await peer.polled()

    def scripts() -> list[str]:
        records = (online.data_dir / "audio-queue").rglob("*.json")
        return sorted(
            found[0] for path in records if (found := re.search(r"Script number \d", path.read_text()))
        )

    async with asyncio.timeout(20):
        while len(scripts()) < 4:
            await asyncio.sleep(0.05)
    await online.stop(bot)
    assert scripts() == [f"Script number {number}" for number in range(4)]


async def test_a_stranger_learns_nothing_but_the_own_id(online: Machine, peer: Peer) -> None:
    await online.bot()
    stranger: Person = peer.person(STRANGER)
    await peer.polled()
    await stranger.send("The sea has a memory of its own. " * 20)
    answer = await stranger.sees(str(STRANGER))
    assert [message.id for message in stranger.messages()] == [answer.id]
    assert not list((online.data_dir / "audio-queue/pending").iterdir())


async def test_telegram_out_of_reach_stops_nothing_else(machine: Machine, connection: Connection) -> None:
    machine.settings = {"BOT_TOKEN": "7000000001:" + "x" * 35, "TELEGRAM_API_URL": "http://127.0.0.1:9"}
    bot = await machine.bot()
    status, _ = await connection.call("GET", "/queue/audio/stats")
    assert status == 200
    assert await machine.stop(bot) == 0
    assert "x" * 35 not in machine.log("run_bot.py").read_text()
